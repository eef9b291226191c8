"""BG/NBD and Gamma-Gamma against another library, closed forms, simulation and brute force."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foretouch.core.errors import DataError
from foretouch.training.lifetime import (
    BetaGeometric,
    FloatArray,
    GammaGamma,
    PurchaseHistory,
    _bg_likelihood,
    _gg_likelihood,
    expected_value,
)
from foretouch.training.purchase_histories import histories_of

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "lifetimes.json").read_text())
ROWS: FloatArray = np.array(GOLDEN["rows"])


@pytest.fixture(name="history", scope="module")
def _history() -> PurchaseHistory:
    return PurchaseHistory(frequency=ROWS[:, 0], recency=ROWS[:, 1], age=ROWS[:, 2], monetary=ROWS[:, 3])


def simulate(n: int, model: BetaGeometric, age: float, after: float, seed: int) -> tuple[PurchaseHistory, FloatArray]:
    """Customers of a BG/NBD world: histories up to ``age`` and purchases in the ``after`` weeks that follow."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(model.r, 1.0 / model.alpha, n)
    leave = rng.beta(model.a, model.b, n)
    clock = np.zeros(n)
    alive = np.ones(n, dtype=bool)
    count, last, later = np.zeros(n), np.zeros(n), np.zeros(n)
    while alive.any():
        clock[alive] += rng.exponential(1.0, int(alive.sum())) / rate[alive]
        before = alive & (clock <= age)
        count[before] += 1
        last[before] = clock[before]
        later[alive & (clock > age) & (clock <= age + after)] += 1
        alive &= (clock <= age + after) & (rng.random(n) >= leave)
    history = PurchaseHistory(
        frequency=count, recency=last, age=np.full(n, age), monetary=np.where(count > 0, 1.0, 0.0)
    )
    return history, later


def slopes(of: Callable[[FloatArray], float], at: FloatArray) -> FloatArray:
    """Central differences."""
    steps = 1e-5 * np.eye(len(at))
    return np.array([(of(at + step) - of(at - step)) / 2e-5 for step in steps])


def test_fit_agrees_with_lifetimes(history: PurchaseHistory) -> None:
    model = BetaGeometric.fit(history)
    for name, expected in GOLDEN["bg_nbd"].items():
        assert getattr(model, name) == pytest.approx(expected, rel=2e-3), name
    assert model.log_likelihood(history) == pytest.approx(GOLDEN["bg_nbd_log_likelihood"], abs=1e-3)
    spend = GammaGamma.fit(history)
    for name, expected in GOLDEN["gamma_gamma"].items():
        assert getattr(spend, name) == pytest.approx(expected, rel=2e-3), name


def test_formulas_agree_with_lifetimes(history: PurchaseHistory) -> None:
    model = BetaGeometric(**GOLDEN["bg_nbd"])
    spend = GammaGamma(**GOLDEN["gamma_gamma"])
    np.testing.assert_allclose(model.probability_alive(history), ROWS[:, 4], rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(model.expected_purchases(history, GOLDEN["horizon"]), ROWS[:, 5], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(spend.expected_spend(history), ROWS[:, 6], rtol=1e-6)
    np.testing.assert_allclose(
        expected_value(model, spend, history, GOLDEN["horizon"]), ROWS[:, 5] * ROWS[:, 6], rtol=1e-5, atol=1e-6
    )


def test_gradients_are_those_of_the_likelihoods(history: PurchaseHistory) -> None:
    at = np.array([0.7, 4.0, 0.9, 3.0])
    x, recency, age = history.frequency, history.recency, history.age
    numeric = slopes(lambda p: _bg_likelihood(p, x, recency, age)[0], at)
    np.testing.assert_allclose(_bg_likelihood(at, x, recency, age)[1], numeric, rtol=1e-4, atol=1e-2)
    used = history.monetary > 0
    at = np.array([3.0, 4.0, 20.0])
    numeric = slopes(lambda p: _gg_likelihood(p, x[used], history.monetary[used])[0], at)
    np.testing.assert_allclose(_gg_likelihood(at, x[used], history.monetary[used])[1], numeric, rtol=1e-4, atol=1e-2)


def test_simulated_customers_give_their_parameters_and_their_future_back() -> None:
    truth = BetaGeometric(r=0.8, alpha=4.0, a=0.9, b=3.0)
    history, later = simulate(60_000, truth, age=40.0, after=8.0, seed=11)
    found = BetaGeometric.fit(history)
    for name in ("r", "alpha", "a", "b"):
        assert getattr(found, name) == pytest.approx(getattr(truth, name), rel=0.12), name
    silent = truth.probability_no_purchase(history, 8.0)
    expected = truth.expected_purchases(history, 8.0)
    groups = [history.frequency == 0, (history.frequency > 0) & (history.recency < 20), history.frequency > 6]
    for rows in groups:
        n = rows.sum()
        share = np.mean(later[rows] == 0)
        assert share == pytest.approx(silent[rows].mean(), abs=4 * np.sqrt(share * (1 - share) / n) + 1e-9)
        assert later[rows].mean() == pytest.approx(expected[rows].mean(), abs=4 * later[rows].std() / np.sqrt(n))


def test_no_purchase_is_certain_at_no_horizon_and_falls_with_it(history: PurchaseHistory) -> None:
    model = BetaGeometric(**GOLDEN["bg_nbd"])
    np.testing.assert_allclose(model.probability_no_purchase(history, 0.0), 1.0)
    steps = np.array([model.probability_no_purchase(history, horizon) for horizon in (1.0, 4.0, 13.0, 52.0)])
    assert (np.diff(steps, axis=0) < 0).all()
    forever = model.probability_no_purchase(history, 1e12)
    repeat = history.frequency > 3
    np.testing.assert_allclose(forever[repeat], 1.0 - model.probability_alive(history)[repeat], atol=1e-6)


def test_few_purchases_come_as_one(history: PurchaseHistory) -> None:
    """Over a short horizon at most one purchase comes: its expectation is 1 - P(none), also for frequent buyers."""
    model = BetaGeometric(**GOLDEN["bg_nbd"])
    busy = PurchaseHistory(
        frequency=np.array([300.0, 40.0, 1.0, 0.0]),
        recency=np.array([50.0, 20.0, 3.0, 0.0]),
        age=np.full(4, 52.0),
        monetary=np.array([20.0, 20.0, 20.0, 0.0]),
    )
    for who in (busy, history):
        none = model.probability_no_purchase(who, 1e-4)
        np.testing.assert_allclose(model.expected_purchases(who, 1e-4), 1.0 - none, rtol=1e-3, atol=1e-12)
    assert np.isfinite(model.expected_purchases(busy, 26.0)).all()


def test_expectation_has_no_hole_where_a_is_one(history: PurchaseHistory) -> None:
    below, at, above = (
        BetaGeometric(r=0.6, alpha=5.0, a=a, b=3.0).expected_purchases(history, 12.0) for a in (0.999, 1.0, 1.001)
    )
    assert ((at - below) * (above - at) >= 0).all()
    np.testing.assert_allclose(at, (below + above) / 2, rtol=1e-5)


def test_spend_lies_between_ones_own_mean_and_everyones(history: PurchaseHistory) -> None:
    model = GammaGamma(**GOLDEN["gamma_gamma"])
    everyone = model.p * model.v / (model.q - 1.0)
    own, found = history.monetary, model.expected_spend(history)
    np.testing.assert_allclose(found[own == 0], everyone)
    low, high = np.minimum(own, everyone), np.maximum(own, everyone)
    assert ((found >= low - 1e-9) & (found <= high + 1e-9))[own > 0].all()


def test_histories_match_brute_force() -> None:
    rng = np.random.default_rng(5)
    start = pd.Timestamp("2024-01-01", tz="UTC")
    events = pd.DataFrame(
        {
            "customer_id": rng.choice(["a", "b", "c", "d"], 60),
            "occurred_at": start + pd.to_timedelta(rng.uniform(0, 70, 60), unit="D"),
            "value": rng.uniform(1, 9, 60).round(2),
        }
    )
    events.loc[7, "value"] = np.nan
    for moment in [start + pd.Timedelta(days=days) for days in (0.5, 20, 41.3, 80)]:
        customers, found = histories_of(events, moment)
        past = events[events["occurred_at"] < moment]
        assert list(customers) == sorted(set(past["customer_id"]))
        for row, who in enumerate(customers):
            mine = past[past["customer_id"] == who]
            days: dict[int, float] = {}
            for at, value in zip(mine["occurred_at"], mine["value"].fillna(0.0), strict=True):
                days[(at.normalize() - start).days] = days.get((at.normalize() - start).days, 0.0) + value
            ordered = sorted(days)
            assert found.frequency[row] == len(ordered) - 1
            assert found.recency[row] == pytest.approx((ordered[-1] - ordered[0]) / 7)
            last_day = ((moment - pd.Timedelta(microseconds=1)).normalize() - start).days
            assert found.age[row] == pytest.approx((last_day - ordered[0]) / 7)
            repeat = [days[day] for day in ordered[1:]]
            assert found.monetary[row] == pytest.approx(float(np.mean(repeat)) if repeat else 0.0)


def test_nobody_has_a_history_before_the_first_purchase() -> None:
    at = pd.Timestamp("2024-01-01", tz="UTC")
    customers, found = histories_of(
        pd.DataFrame({"customer_id": ["a"], "occurred_at": [at], "value": [1.0]}), at.to_pydatetime()
    )
    assert len(customers) == len(found) == 0


def test_what_cannot_be_fitted_is_refused() -> None:
    none = np.zeros(30)
    with pytest.raises(DataError, match="BG/NBD needs 10 customers and a repeat purchase"):
        BetaGeometric.fit(PurchaseHistory(frequency=none, recency=none, age=none + 5, monetary=none))
    with pytest.raises(DataError, match="need 10 for the Gamma-Gamma model"):
        GammaGamma.fit(PurchaseHistory(frequency=none, recency=none, age=none + 5, monetary=none))
    with pytest.raises(DataError, match="need 0 <= recency <= age"):
        PurchaseHistory(frequency=none + 1, recency=none + 6, age=none + 5, monetary=none)


def test_expected_purchases_of_customers_who_are_all_alike_stay_finite(history: PurchaseHistory) -> None:
    """Where leaving hardly varies, a and b run away; the integral takes over and agrees with the closed form."""
    mild = BetaGeometric(r=1.2, alpha=3.4, a=2.0, b=27.0)
    integral = mild._expected_if_alive(history.frequency, mild.alpha + history.age, 12.0)
    closed = mild.expected_purchases(history, 12.0) / mild.probability_alive(history)
    assert integral == pytest.approx(closed, rel=2e-3)
    alike = BetaGeometric(r=1.2, alpha=3.4, a=12000.0, b=163000.0)
    found = alike.expected_purchases(history, 12.0)
    p = 12000.0 / 175000.0
    at_age = alike.alpha + history.age
    known = (1.0 - (at_age / (at_age + p * 12.0)) ** (alike.r + history.frequency)) / p
    assert found == pytest.approx(alike.probability_alive(history) * known, rel=2e-3)
