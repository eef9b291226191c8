"""An uplift model on later rows: better than random, calibrated, worth its costs; in figures, words and pictures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foretouch.core.bundle import ModelInput
from foretouch.serving.models.uplift_shifts import Shifts
from foretouch.training.booster import predict_text
from foretouch.training.data import encode
from foretouch.training.task import Comparison, Dataset, Evaluation, Fitted, FloatArray, Split, TrainingRun
from foretouch.training.uplift.curve import Interval, UpliftEvaluation, evaluate_uplift
from foretouch.training.uplift.deciles import Tenth, uplift_by_tenth
from foretouch.training.uplift.learners import Settings, outcome_models, pseudo_outcome
from foretouch.training.uplift.logged import COST, OFFER_COST, TREATED, WORTH, UpliftPart, trial_of
from foretouch.training.uplift.paired import qini_difference
from foretouch.training.uplift.trial import clustered_se

RANDOM, RESPONSE = "random", "response_model"
SHARES = (0.1, 0.2, 0.3, 0.5, 1.0)
BEST_SHARE = "best_share"


def served_score(text: str, shifts: Shifts, part: Dataset, inputs: Sequence[ModelInput]) -> FloatArray:
    """What the service would say of every pair, shape (n,)."""
    base = predict_text(text, encode(part.frame, inputs))
    offers = part.frame["offer_id"]
    categories = part.frame["offer_category"].astype(object).fillna("").astype(str)
    own = [shifts.of_offer(str(offer), category).mean for offer, category in zip(offers, categories, strict=True)]
    return np.asarray(np.clip(base + np.array(own), -1.0, 1.0), dtype=np.float64)


def net_score(part: Dataset, uplift: FloatArray, response: FloatArray) -> FloatArray:
    """Money that a contact is expected to bring, after the offer's and the channel's costs, shape (n,)."""
    frame = part.frame
    worth, cost, sent = (frame[name].to_numpy(dtype=np.float64) for name in (WORTH, OFFER_COST, COST))
    return np.asarray(worth * uplift - cost * response - sent)


@dataclass(frozen=True, kw_only=True)
class Later:
    """Everything measured on later rows.

    Attributes:
        goal: Curves of the goal's occurrence.
        revenue: Curves of revenue in the window; None where there is none.
        net: Curves of money after costs, by expected money.
        tenths: Calibration.
        average: Average effect and its interval.
        slope: Of the pseudo-outcome on the score.
        chosen_share: Share of people contacted, chosen on earlier rows.
        gain: Money after costs per 1,000 people when that share is contacted, with its interval.
    """

    goal: UpliftEvaluation
    revenue: UpliftEvaluation | None
    net: UpliftEvaluation
    tenths: tuple[Tenth, ...]
    average: Interval
    slope: float
    chosen_share: float
    gain: Interval


def judge(run: TrainingRun, split: Split, fitted: Fitted, shifts: Shifts) -> tuple[Evaluation, Later]:
    """Judges the served text and shifts on ``split.test``."""
    test, earlier = split.test, trial_of([split.fit, split.calibrate], fitted.inputs)
    trial = trial_of([test], fitted.inputs)
    score = served_score(fitted.model_text, shifts, test, fitted.inputs)
    expected = [model(trial.matrix) for model in outcome_models(earlier, Settings.of(len(earlier.arm), seed=run.seed))]
    pseudo = pseudo_outcome(trial, 1, expected[1], expected[0])
    treated = np.asarray(test.frame[TREATED], dtype=np.float64)
    shared: dict[str, Any] = {"count": trial.weight, "cluster": trial.cluster, "seed": run.seed}
    goal = evaluate_uplift(score, treated, test.label, shares=SHARES, **shared)
    if not isinstance(test, UpliftPart):
        raise TypeError("uplift is judged on rows of split_population")
    revenue = evaluate_uplift(score, treated, test.revenue, shares=SHARES, **shared) if test.revenue.any() else None
    share = float(fitted.extras[BEST_SHARE])
    net = evaluate_uplift(
        net_score(test, score, expected[1]),
        treated,
        test.net,
        shares=(share,) if share > 0.0 else (1.0,),
        **shared,
    )
    at = next(iter(net.uplift_at.values()))
    counts = trial.counts
    mean = float(np.average(pseudo, weights=counts))
    se = clustered_se(pseudo - mean, trial)
    deviation = score - np.average(score, weights=counts)
    spread = float(np.average(np.square(deviation), weights=counts))
    later = Later(
        goal=goal,
        revenue=revenue,
        net=net,
        tenths=uplift_by_tenth(score, pseudo, count=counts, cluster=trial.cluster),
        average=Interval(value=mean, se=se, low=mean - 1.96 * se, high=mean + 1.96 * se),
        slope=float(np.average(deviation * pseudo, weights=counts)) / spread if spread > 1e-18 else 0.0,
        chosen_share=share,
        gain=Interval(
            value=1000.0 * share * at.value,
            se=1000.0 * share * at.se,
            low=1000.0 * share * at.low,
            high=1000.0 * share * at.high,
        ),
    )
    mine, theirs, apart = qini_difference(score, expected[1], treated, test.label, **shared)
    identified = bool(fitted.extras["identified"])
    comparisons = (
        Comparison(
            baseline=RANDOM,
            metric="qini",
            better="up",
            model=mine,
            reference=0.0,
            difference=goal.qini.value,
            low=goal.qini.low,
            high=goal.qini.high,
        ),
        Comparison(
            baseline=RESPONSE,
            metric="qini",
            better="up",
            model=mine,
            reference=theirs,
            difference=apart.value,
            low=apart.low,
            high=apart.high,
            decisive=False,
        ),
    )
    evaluation = Evaluation(
        primary="qini",
        metrics=_metrics(later),
        baselines={RANDOM: {"qini": 0.0}, RESPONSE: {"qini": theirs}},
        comparisons=comparisons if identified else (),
        scores={"model": score},
        plots={"qini": _draw_curve(later), "uplift_by_tenth": _draw_tenths(later)},
        notes=_words(later, identified=identified),
        extras={"uplift_by_tenth": [_line(tenth) for tenth in later.tenths]},
    )
    return evaluation, later


def _metrics(later: Later) -> dict[str, float]:
    goal = later.goal
    found = {
        "qini": goal.qini.value,
        "qini_low": goal.qini.low,
        "qini_high": goal.qini.high,
        "better_than_random": float(goal.better_than_random),
        "auuc": goal.auuc.value,
        "auuc_low": goal.auuc.low,
        "auuc_high": goal.auuc.high,
        "average_uplift": later.average.value,
        "average_uplift_low": later.average.low,
        "average_uplift_high": later.average.high,
        "calibration_slope": later.slope,
        "tenths_within_interval": float(sum(tenth.holds for tenth in later.tenths)),
        "contacted_share": later.chosen_share,
        "net_gain_per_1000": later.gain.value,
        "net_gain_per_1000_low": later.gain.low,
        "net_gain_per_1000_high": later.gain.high,
    }
    for share, at in goal.uplift_at.items():
        if np.isfinite(at.value):
            name = f"uplift_at_{round(100 * share)}"
            found |= {name: at.value, f"{name}_low": at.low, f"{name}_high": at.high}
    if later.revenue is not None:
        qini = later.revenue.qini
        found |= {"qini_revenue": qini.value, "qini_revenue_low": qini.low, "qini_revenue_high": qini.high}
    return found


def _line(tenth: Tenth) -> Mapping[str, float]:
    return {
        "rows": tenth.rows,
        "predicted": tenth.predicted,
        "observed": tenth.observed,
        "low": tenth.low,
        "high": tenth.high,
    }


def _words(later: Later, *, identified: bool) -> tuple[str, ...]:
    if not identified:
        said = "the figures on later rows describe how contacts and others differ, whatever the cause."
        return (f"No effect is claimed: {said}",)
    goal, average, gain = later.goal, later.average, later.gain
    order = "is better than random" if goal.better_than_random else "cannot be told from random"
    held = sum(tenth.holds for tenth in later.tenths)
    effect = f"{average.value:+.4f} on average ({average.low:+.4f} to {average.high:+.4f}, 95 %)"
    qini = f"{goal.qini.value:+.5f} goals per person ({goal.qini.low:+.5f} to {goal.qini.high:+.5f})"
    money = f"{gain.value:+.2f} per 1,000 people after costs ({gain.low:+.2f} to {gain.high:+.2f})"
    noise = "a score of noise is called better in about 2.5 of 100 cases"
    tenths = f"In {held} of {len(later.tenths)} tenths by score"
    weights = "rows weigh the inverse of logged probabilities, intervals are bootstraps of customers"
    return (
        f"A contact raises the chance of the goal by {effect}.",
        f"The order of its scores {order}: Qini {qini}; {noise}.",
        f"{tenths} the 95 % interval of the measured uplift holds the predicted one.",
        f"Contacting the {later.chosen_share:.0%} with the largest expected gain brings {money}, beside nobody.",
        f"Qini = (area under y_t - y_c n_t / n_c - its chord) / N^2; {weights}.",
    )


def _draw_curve(later: Later) -> Callable[[Any], None]:
    def draw(figure: Any) -> None:
        goal = later.goal
        axes = figure.subplots()
        curve = goal.curve
        at = np.interp(goal.shares * curve.total, curve.targeted, curve.qini) / curve.total
        axes.fill_between(goal.shares, goal.low, goal.high, alpha=0.25, label="95 %")
        axes.plot(goal.shares, at, label="uplift model")
        axes.plot([0.0, 1.0], [0.0, float(at[-1])], linestyle=":", color="black", label="random order")
        axes.set_xlabel("share of people, by score")
        axes.set_ylabel("goals gained per person")
        axes.legend()

    return draw


def _draw_tenths(later: Later) -> Callable[[Any], None]:
    def draw(figure: Any) -> None:
        axes = figure.subplots()
        place = np.arange(1, len(later.tenths) + 1)
        middle = [tenth.observed for tenth in later.tenths]
        reach = [tenth.high - tenth.observed for tenth in later.tenths]
        axes.errorbar(place, middle, yerr=reach, fmt="o", capsize=3, label="measured, 95 %")
        axes.plot(place, [tenth.predicted for tenth in later.tenths], marker="x", linestyle="", label="predicted")
        axes.axhline(0.0, color="black", linewidth=0.5)
        axes.set_xlabel("tenth by score, the first is the top")
        axes.set_ylabel("uplift")
        axes.legend()

    return draw
