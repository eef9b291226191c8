"""What purchase models miss, learned from the end of a transaction log.

BG/NBD and Gamma-Gamma (``lifetime``) are fitted as of an earlier time. Trees and a Poisson regression learn the factor
between the purchases that followed and those expected, and are blended on the logarithm. Only who is above and who
below is believed: factors are scaled to leave the sum of expected purchases alone, since the level of one window is the
season's.

A factor that makes expectations truer usually draws them together, and those are further from what most customers do,
which is nothing. So what a factor gains in Poisson deviance may be spent: expectations are spread (raised to a power
above 1, sum unchanged). Blend, power of the factor (how much of it is believed) and spread are chosen together in folds
by customer: the least mean absolute error among those whose deviance is no larger than BG/NBD's own. So they are as
good a mean as BG/NBD's, and lie nearer to the typical customer. Where nothing helps, BG/NBD stands alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from foretouch.core.bundle import ModelInput
from foretouch.core.errors import DataError
from foretouch.training.bench.lead import stratified_folds
from foretouch.training.bench.purchase_regression import PurchaseRegression
from foretouch.training.booster import fit_booster
from foretouch.training.lifetime import BetaGeometric, GammaGamma, PurchaseHistory
from foretouch.training.metrics import row_log_loss
from foretouch.training.purchase_histories import histories_of
from foretouch.training.task import FloatArray

DAY = pd.Timedelta(days=1)
WEEK = 7.0
FOLDS = 5
MIN_WINDOW_DAYS = 28.0
WINDOW_SHARE = 0.4
"""The window that the trees learn from takes at most this share of the log."""
MIN_BUYERS = 100
"""Customers who must have bought in that window."""
POWERS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
SHARES: Final = (0.0, 0.5, 1.0)
"""Shares of the trees in the blend that are tried."""
SPREADS: Final = (0.0, 0.05, 0.1, 0.15, 0.2)
"""Powers above 1 that are tried, less 1."""
ROUNDS: Final = (20, 40, 80, 160)
INPUTS: Final = ("frequency", "recency_share", "age_weeks", "silence_in_gaps", "log_monetary", "log_expected", "alive")
TREES: Final = {
    "objective": "poisson",
    "metric": "poisson",
    "learning_rate": 0.03,
    "num_leaves": 4,
    "bagging_freq": 1,
    "bagging_fraction": 0.7,
    "feature_fraction": 0.7,
    "lambda_l2": 10.0,
}


@dataclass(frozen=True, kw_only=True)
class Base:
    """The purchase models at one as-of time, and what they expect of each customer in a horizon.

    Attributes:
        customers: Ids, sorted, m of them.
        history: Their histories.
        model: BG/NBD.
        purchases: Expected purchase days, shape (m,).
        silent: Probability of none, shape (m,).
        spend: Expected value of a purchase day, shape (m,).
        alive: P(still a customer), shape (m,).
    """

    customers: "pd.Index[Any]"
    history: PurchaseHistory
    model: BetaGeometric
    purchases: FloatArray
    silent: FloatArray
    spend: FloatArray
    alive: FloatArray

    def inputs(self) -> FloatArray:
        """What the trees see, shape (m, inputs): nothing that grows with the horizon alone."""
        x, age = self.history.frequency, np.maximum(self.history.age, 1.0 / WEEK)
        gap = np.where(x > 0, self.history.recency / np.maximum(x, 1.0), np.nan)
        silence = self.history.age - self.history.recency
        weekly = self.purchases / max(float(self.purchases.mean()), 1e-12)
        return np.column_stack(
            [
                x,
                self.history.recency / age,
                age,
                silence / np.maximum(gap, 1.0 / WEEK),
                np.log1p(self.history.monetary),
                np.log(np.maximum(weekly, 1e-6)),
                self.alive,
            ]
        )

    def shape(self) -> FloatArray:
        """What the regression sees, shape (m, 3): never came back, silence in weeks, expectation; logarithms."""
        return np.column_stack(
            [
                (self.history.frequency == 0.0).astype(np.float64),
                np.log1p(self.history.age - self.history.recency),
                np.log(np.maximum(self.purchases / max(float(self.purchases.mean()), 1e-12), 1e-3)),
            ]
        )


def fit_base(log: pd.DataFrame, as_of: pd.Timestamp, horizon_days: float) -> Base:
    """Fits the purchase models on what lies before ``as_of``.

    Args:
        log: ``customer_id``, ``occurred_at`` (UTC), ``value``.
        as_of: Later rows are not looked at.
        horizon_days: Of what is expected.
    """
    seen = log[log["occurred_at"] < as_of]
    customers, history = histories_of(seen, as_of)
    model = BetaGeometric.fit(history)
    weeks = horizon_days / WEEK
    return Base(
        customers=customers,
        history=history,
        model=model,
        purchases=model.expected_purchases(history, weeks),
        silent=model.probability_no_purchase(history, weeks),
        spend=_spend(seen, history),
        alive=model.probability_alive(history),
    )


def _spend(seen: pd.DataFrame, history: PurchaseHistory) -> FloatArray:
    """Gamma-Gamma's expectation; the mean purchase day of all where too few customers came back."""
    try:
        return GammaGamma.fit(history).expected_spend(history)
    except DataError:
        daily = seen.groupby(["customer_id", seen["occurred_at"].dt.floor("D")])["value"].sum()
        return np.full(len(history), float(daily.mean()))


@dataclass(frozen=True, kw_only=True)
class Factor:
    """What trees and regression add.

    Attributes:
        boosters: Fold models, whose logarithms are averaged.
        rounds: Trees in each.
        regression: On every customer of the window.
        share: Of the trees in the blend.
        purchases: Power of the factor on expected purchases.
        silent: Power of the factor on the rate behind the probability of none.
        spread: Power on the expectation itself, less 1.
        figures: Of the window that it was learned from, on customers left out.
    """

    boosters: tuple[Any, ...]
    rounds: int
    regression: PurchaseRegression
    share: float
    purchases: float
    silent: float
    spread: float
    figures: dict[str, float]

    def log_factor(self, base: Base) -> FloatArray:
        """Logarithm of the blended factor by customer, shape (m,), at full power."""
        rows = base.inputs()
        each = [booster.predict(rows, raw_score=True, num_iteration=self.rounds) for booster in self.boosters]
        trees = np.asarray(np.mean(each, axis=0))
        return np.asarray(self.share * trees + (1.0 - self.share) * self.regression.log_factor(base.shape()))

    def purchases_of(self, base: Base) -> FloatArray:
        """Expected purchases with the factor and the spread, shape (m,)."""
        return spread_out(base.purchases, self.purchases * self.log_factor(base), self.spread)

    def silent_of(self, base: Base) -> FloatArray:
        """Probability of no purchase with the factor, shape (m,)."""
        return believe(base.silent, scale(self.silent * self.log_factor(base), base.purchases))


def scale(log_factor: FloatArray, expected: FloatArray) -> FloatArray:
    """Logarithms of factors moved so that the sum of expected purchases stays what it was."""
    return np.asarray(log_factor + np.log(expected.sum() / float(expected @ np.exp(log_factor))))


def fit_factor(log: pd.DataFrame, as_of: pd.Timestamp, horizon_days: float, *, seed: int) -> Factor | None:
    """Learns the factor from the end of the log; None where the log does not allow it.

    Args:
        log: As for ``fit_base``.
        as_of: Later rows are not looked at.
        horizon_days: The window is not longer than this.
        seed: Of the trees and folds.
    """
    span = (as_of - log["occurred_at"].min()) / DAY
    window = min(horizon_days, np.floor(WINDOW_SHARE * span))
    if window < MIN_WINDOW_DAYS:
        return None
    cut = as_of - window * DAY
    try:
        base = fit_base(log, cut, window)
    except DataError:
        return None
    days = purchase_days(log[(log["occurred_at"] >= cut) & (log["occurred_at"] < as_of)], base.customers)
    if (days > 0).sum() < MIN_BUYERS:
        return None
    fold = stratified_folds((days > 0).astype(np.float64), FOLDS, seed=seed)
    rows, expected = base.inputs(), np.maximum(base.purchases, 1e-6)
    inputs = tuple(ModelInput(name=name, view="bench") for name in INPUTS)
    shape, line = base.shape(), np.empty(len(days))
    staged = np.empty((len(ROUNDS), len(days)))
    boosters = []
    for index in range(FOLDS):
        held = fold == index
        booster = fit_booster(
            rows[~held],
            (days / expected)[~held],
            inputs=inputs,
            parameters={**TREES, "min_data_in_leaf": max(len(days) // 50, 20)},
            rounds=ROUNDS[-1],
            seed=seed,
            threads=1,
            weight=expected[~held],
        )
        boosters.append(booster)
        for row, count in enumerate(ROUNDS):
            staged[row, held] = np.asarray(booster.predict(rows[held], raw_score=True, num_iteration=count))
        line[held] = PurchaseRegression.fit(shape[~held], days[~held], expected[~held]).log_factor(shape[held])
    blends = {
        (row, share): share * staged[row] + (1.0 - share) * line for row in range(len(ROUNDS)) for share in SHARES
    }
    choice, power, spread = _choose(days, expected, blends)
    blend = blends[choice]
    silent = min(POWERS, key=lambda tried: _silent_loss(days, base.silent, scale(tried * blend, expected)))
    if power == 0.0 and silent == 0.0:
        return None
    made = spread_out(expected, power * blend, spread)
    return Factor(
        boosters=tuple(boosters),
        rounds=ROUNDS[choice[0]],
        regression=PurchaseRegression.fit(shape, days, expected),
        share=choice[1],
        purchases=power,
        silent=silent,
        spread=spread,
        figures={
            "window_days": float(window),
            "deviance": _deviance(days, made),
            "deviance_of_bg_nbd": _deviance(days, expected),
            "mae": float(np.abs(days - made).mean()),
            "mae_of_bg_nbd": float(np.abs(days - expected).mean()),
            "log_loss": _silent_loss(days, base.silent, scale(silent * blend, expected)),
            "log_loss_of_bg_nbd": _silent_loss(days, base.silent, np.zeros(len(days))),
        },
    )


def _choose(
    days: FloatArray, expected: FloatArray, blends: Mapping[tuple[int, float], FloatArray]
) -> tuple[tuple[int, float], float, float]:
    """Blend, power and spread with the least mean absolute error whose deviance is at most the expectation's own."""
    most = _deviance(days, expected) + 1e-12
    found = [((next(iter(blends)), 0.0, 0.0), float(np.abs(days - expected).mean()))]
    for choice, blend in blends.items():
        for power in POWERS[1:]:
            for spread in SPREADS:
                made = spread_out(expected, power * blend, spread)
                if _deviance(days, made) <= most:
                    found.append(((choice, power, spread), float(np.abs(days - made).mean())))
    return min(found, key=lambda tried: tried[1])[0]


def purchase_days(log: pd.DataFrame, customers: "pd.Index[Any]") -> FloatArray:
    """Distinct UTC days with a purchase, by customer, shape (m,)."""
    days = log.groupby("customer_id")["occurred_at"].agg(lambda times: times.dt.floor("D").nunique())
    return days.reindex(customers).fillna(0.0).to_numpy(dtype=np.float64)


def _deviance(count: FloatArray, expected: FloatArray) -> float:
    """Mean Poisson deviance, halved."""
    ratio = np.where(count > 0.0, count / expected, 1.0)
    return float(np.mean(count * np.log(ratio) - count + expected))


def believed(expected: FloatArray, log_factor: FloatArray) -> FloatArray:
    """Expected purchases times factors that leave their sum alone, shape (m,)."""
    return np.asarray(expected * np.exp(scale(log_factor, expected)))


def spread_out(expected: FloatArray, log_factor: FloatArray, spread: float) -> FloatArray:
    """Expected purchases times factors, to the power of 1 + spread on the expectation; their sum stays, shape (m,)."""
    return believed(expected, log_factor + spread * np.log(np.maximum(expected, 1e-12)))


def believe(silent: FloatArray, log_factor: FloatArray) -> FloatArray:
    """The probability of no purchase when the rate behind it is multiplied by a factor: a power of it."""
    return np.asarray(np.power(np.clip(silent, 1e-12, 1.0), np.exp(log_factor)))


def _silent_loss(days: FloatArray, silent: FloatArray, log_factor: FloatArray) -> float:
    return float(row_log_loss((days == 0.0).astype(np.float64), believe(silent, log_factor)).mean())
