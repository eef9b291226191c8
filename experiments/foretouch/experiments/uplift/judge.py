"""A score on randomised rows: everything that the page shows, from training's own curves."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foretouch.core.canonical import file_hash
from foretouch.core.errors import DataError
from foretouch.experiments.report.meanings import definitions_of
from foretouch.experiments.uplift.contract import CurvePoint, Measured, TenthResult, UpliftResults
from foretouch.experiments.uplift.money import Gains, Z, gains_of, money_curve
from foretouch.experiments.uplift.quadrants import quadrants
from foretouch.training.bench.tables import binary, need_columns, numbers, read_table
from foretouch.training.task import FloatArray
from foretouch.training.uplift.curve import Interval, Randomised, UpliftEvaluation, evaluate_uplift
from foretouch.training.uplift.deciles import uplift_by_tenth


@dataclass(frozen=True, kw_only=True)
class Worth:
    """Prices of the money curve.

    Attributes:
        value: Of one outcome.
        cost: Of one contact.
        currency: Of both; None is the rows' own units.
    """

    value: float
    cost: float = 0.0
    currency: str | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.value) and np.isfinite(self.cost)):
            raise DataError("value per outcome and cost per contact must be finite numbers")
        if self.cost < 0.0:
            raise DataError(f"cost per contact == {self.cost:g}, must be >= 0")


def judge_score(
    score: FloatArray,
    treated: FloatArray,
    outcome: FloatArray,
    *,
    names: tuple[str, str],
    title: str,
    worth: Worth | None = None,
    seed: int = 0,
    draws: int | None = None,
) -> UpliftResults:
    """Qini with its band, gain and money by share, tenths and bounds of the four kinds.

    Args:
        score: Higher is contacted first, shape (n,).
        treated: 0 or 1, by lot, shape (n,).
        outcome: What is gained, shape (n,).
        names: What the score and the outcome are called.
        title: Of the page.
        worth: Prices; without them there is no money curve.
        seed: Of the bootstrap.
        draws: Bootstrap draws; None is training's own choice.

    Raises:
        DataError: The rows cannot be compared.
    """
    found = evaluate_uplift(score, treated, outcome, seed=seed, draws=draws)
    gains = gains_of(Randomised(score, treated, outcome), seed=seed, draws=draws)
    money = None
    if worth is not None:
        money = money_curve(gains, value=worth.value, cost=worth.cost, currency=worth.currency)
    return UpliftResults(
        title=title,
        score=names[0],
        outcome=names[1],
        binary=bool(np.isin(outcome, (0.0, 1.0)).all()),
        n=len(score),
        treated=int(treated.sum()),
        control=int(len(treated) - treated.sum()),
        average=_average(treated, outcome),
        qini=_measured(found.qini),
        auuc=_measured(found.auuc),
        better_than_random=found.better_than_random,
        curve=_points(found, gains),
        tenths=_tenths(score, treated, outcome),
        money=money,
        quadrants=quadrants(score, treated, outcome),
        draws=found.draws,
        definitions=definitions_of("uplift"),
    )


def judge_file(
    rows: Path, *, score: str, treatment: str, outcome: str, title: str | None = None, worth: Worth | None = None
) -> UpliftResults:
    """The same of the columns of a table.

    Raises:
        DataError: The table cannot be read, lacks a column, or its rows cannot be compared.
    """
    frame = read_table(rows)
    need_columns(frame, rows, score=score, treatment=treatment, outcome=outcome)
    made = judge_score(
        numbers(frame, score),
        binary(frame, treatment),
        numbers(frame, outcome),
        names=(score, outcome),
        title=title or rows.stem,
        worth=worth,
    )
    command = f"foretouch experiment uplift --rows {rows.name} --score {score} --treatment {treatment}"
    command += f" --outcome {outcome}"
    if worth is not None:
        command += f" --value-per-outcome {worth.value:g} --cost-per-contact {worth.cost:g}"
        command += f" --currency {worth.currency}" if worth.currency else ""
    return made.replace(command=f"{command} --out .", inputs={"rows_sha256": file_hash(rows)})


def _average(treated: FloatArray, outcome: FloatArray) -> Measured:
    with_contact, without = outcome[treated == 1.0], outcome[treated == 0.0]
    parts = [arm.var(ddof=1) / len(arm) if len(arm) > 1 else np.nan for arm in (with_contact, without)]
    value, se = float(with_contact.mean() - without.mean()), float(np.sqrt(sum(parts)))
    return Measured(value=value, se=se, ci=(value - Z * se, value + Z * se))


def _measured(interval: Interval) -> Measured:
    return Measured(value=interval.value, se=interval.se, ci=(interval.low, interval.high))


def _points(found: UpliftEvaluation, gains: Gains) -> tuple[CurvePoint, ...]:
    curve = found.curve
    qini = np.interp(found.shares * curve.total, curve.targeted, curve.qini) / curve.total
    spread = gains.drawn.std(axis=0, ddof=1)
    return tuple(
        CurvePoint(
            share=float(share),
            qini=float(qini[index]),
            low=float(found.low[index]),
            high=float(found.high[index]),
            chord=float(share * qini[-1]),
            gain=float(gains.gain[index]),
            gain_se=float(spread[index]),
        )
        for index, share in enumerate(found.shares)
    )


def _tenths(score: FloatArray, treated: FloatArray, outcome: FloatArray) -> tuple[TenthResult, ...]:
    """By the doubly robust outcome with both arms' means as outcome models: unbiased under a lot of any share."""
    share = float(treated.mean())
    y1, y0 = float(outcome[treated == 1.0].mean()), float(outcome[treated == 0.0].mean())
    pseudo = y1 - y0 + np.where(treated == 1.0, (outcome - y1) / share, -(outcome - y0) / (1.0 - share))
    return tuple(
        TenthResult(rows=item.rows, score=item.predicted, uplift=item.observed, ci=(item.low, item.high))
        for item in uplift_by_tenth(score, pseudo)
    )
