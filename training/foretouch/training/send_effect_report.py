"""The effect of sending at an hour as part of the send-time model: learnt for its card, judged on later sends."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.errors import DataError, ForetouchError
from foretouch.serving.models.rhythm import Rhythm
from foretouch.serving.models.send_effect import DAY_HOURS, DAYS, EXTRA, SendEffect
from foretouch.training.evaluation import compare
from foretouch.training.metrics import Metric
from foretouch.training.ranking import Weighted
from foretouch.training.send_effect import Sends, choose, fit_effect, informative
from foretouch.training.send_effect_evidence import weigh
from foretouch.training.send_effect_rows import as_arrays, own_hours, read_hours
from foretouch.training.task import Comparison, FloatArray, TrainingRun

EVERYONE: Final = "everyone_best_send_hours"
OWN: Final = "own_most_active_hours"
BEST: Final = 3
LIFT: Final = f"effect_lift_best_{BEST}h"
NOT_IDENTIFIED: Final = "The effect of sending at an hour is not identified: {why}. Every hour is believed to do alike."


@dataclass(frozen=True, kw_only=True)
class EffectPart:
    """What the send-time model's card says of the effect.

    Attributes:
        extras: Under ``EXTRA``: the multipliers' parts, or why there are none; with the evidence by channel.
        notes: For people.
        digest: Hash of the sends learnt from; empty without any.
    """

    extras: Mapping[str, Any]
    notes: tuple[str, ...]
    digest: str = ""


def learn_effect(run: TrainingRun, rhythm: Rhythm, *, until: datetime) -> EffectPart:
    """Learns the effect from sends whose label had closed by a time.

    Args:
        run: Whose workspace.
        rhythm: Activity, for the customers' own hours.
        until: ``trained_through`` of the model.
    """
    try:
        frame = read_hours(run.workspace, until=until)
        if frame.empty:
            raise DataError("there is no past send whose outcome had closed")
        bare = as_arrays(frame, np.zeros((len(frame), DAY_HOURS)), np.full(len(frame), None, dtype=object))
        if not any(item.identified for item in weigh(bare)):
            return learn(bare)
        own, segment = own_hours(run.workspace, frame, rhythm)
    except ForetouchError as error:
        return _nothing(str(error), {})
    return learn(as_arrays(frame, own, segment))


def learn(sends: Sends) -> EffectPart:
    """The effect from sends, for the channels on which hours were varied."""
    evidence = weigh(sends)
    facts = {item.channel: item.to_extras() for item in evidence}
    missing = "; ".join(item.missing for item in evidence if not item.identified)
    told = [index for index, item in enumerate(evidence) if item.identified]
    if not told:
        return _nothing(missing, facts)
    used = sends.take(np.isin(sends.channel, told))
    strengths = choose(used)
    why = ", ".join(
        f"{item.sends} sends on {item.channel} at effectively {item.effective_hours:.1f} hours per customer"
        for item in evidence
        if item.identified
    )
    effect = fit_effect(used, strengths).effect(used, why=why + (f"; {missing}" if missing else ""))
    digest = hashlib.sha256()
    for array in (
        used.stratum,
        used.hour,
        used.channel,
        used.offer,
        used.segment,
        used.own,
        used.response,
        used.weight,
    ):
        digest.update(np.ascontiguousarray(array).tobytes())
    found = ", ".join(f"{name} ({value:g})" for name, value in strengths.items())
    notes = [
        f"The effect of sending at an hour is identified: {why}.",
        f"It differs by {found}; in brackets the precision of the prior, from held-out customers."
        if strengths
        else "No difference between hours held up on held-out customers: every multiplier is 1.",
    ]
    if missing:
        notes.append(f"Not identified: {missing}.")
    extras = {**effect.to_extras(), "evidence": facts, "strengths": strengths}
    return EffectPart(extras={EXTRA: extras}, notes=tuple(notes), digest=digest.hexdigest())


def _nothing(why: str, facts: Mapping[str, Any]) -> EffectPart:
    effect = SendEffect(identified=False, why=why)
    return EffectPart(
        extras={EXTRA: {**effect.to_extras(), "evidence": dict(facts), "strengths": {}}},
        notes=(NOT_IDENTIFIED.format(why=why),),
    )


@dataclass(frozen=True, kw_only=True)
class EffectFigures:
    """The effect on later sends, beside two rules; empty where it is not identified or nothing came later.

    Attributes:
        metrics: The model's figures.
        baselines: Each rule's.
        comparisons: Paired differences; promotion does not rest on them.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    comparisons: tuple[Comparison, ...] = ()


def judge_effect(run: TrainingRun, rhythm: Rhythm, extras: Mapping[str, Any], *, since: datetime) -> EffectFigures:
    """How much better sends did at the hours that the effect recommends, on sends after a time.

    Args:
        run: Whose workspace.
        rhythm: Activity, for the customers' own hours.
        extras: The card's.
        since: ``trained_through`` of the model.
    """
    effect = SendEffect.from_extras(extras)
    if not effect.identified:
        return EffectFigures()
    frame = read_hours(run.workspace, since=since)
    if frame.empty:
        return EffectFigures()
    own, segment = own_hours(run.workspace, frame, rhythm)
    return judge(as_arrays(frame, own, segment), effect, seed=run.seed)


def judge(sends: Sends, effect: SendEffect, *, seed: int) -> EffectFigures:
    """``effect_lift_best_3h`` of the effect and of two rules: everyone's best hours, the customer's most active ones.

    Among sends of customers who answered at least once, at different hours: responses of those that went out in a
    rule's three best hours of the day, over what the same customers' other sends would have brought instead (their
    leave-one-out mean). 1 is no better than the customers' average hour.
    """
    known = np.array([name in effect.everyone for name in sends.channels], dtype=bool)
    rows = informative(sends) & known[sends.channel] if len(sends) else np.zeros(0, dtype=bool)
    data = sends.take(rows)
    if len(data) == 0 or data.response.sum() < BEST:
        return EffectFigures()
    expected = others_mean(data)
    best = best_hours(data, effect)
    flags = {name: table[np.arange(len(data)), data.of_day] for name, table in best.items()}
    metric = lift(expected)
    if any((expected @ flag) <= 0.0 for flag in flags.values()):
        return EffectFigures()
    comparisons = tuple(
        compare(
            metric,
            label=data.response,
            model=flags["effect"],
            reference=flags[name],
            cluster=data.customer,
            baseline=name,
            seed=seed,
            decisive=False,
        )
        for name in (EVERYONE, OWN)
    )
    return EffectFigures(
        metrics={LIFT: comparisons[0].model},
        baselines={item.baseline: {LIFT: item.reference} for item in comparisons},
        comparisons=comparisons,
    )


def best_hours(sends: Sends, effect: SendEffect) -> dict[str, FloatArray]:
    """1 at each rule's best hours of the day per send, among the hours that were ever used, shape (n, 24) each."""
    effects, everyone = np.zeros((len(sends), 24)), np.zeros((len(sends), 24))
    for index, channel in enumerate(sends.channels):
        rows = np.flatnonzero(sends.channel == index)
        if not len(rows):
            continue
        common = np.exp(effect.everyone[channel]).reshape(DAYS, 24).mean(axis=0)
        everyone[rows] = np.where(effect.supported[channel], common, 0.0)
        for row in rows:
            segment = sends.segments[sends.segment[row]] if sends.segment[row] >= 0 else None
            of = effect.of(np.tile(sends.own[row] / DAYS, DAYS), segment)[channel].reshape(DAYS, 24).mean(axis=0)
            effects[row] = np.where(effect.supported[channel], of, 0.0)
    tried = np.stack([effect.supported.get(name, np.zeros(24, dtype=bool)) for name in sends.channels])[sends.channel]
    return {
        "effect": _top(effects),
        EVERYONE: _top(everyone),
        OWN: _top(np.where(tried, sends.own, -1.0)),
    }


def _top(table: FloatArray) -> FloatArray:
    chosen = np.argsort(-table, axis=1, kind="stable")[:, :BEST]
    flags = np.zeros_like(table)
    np.put_along_axis(flags, chosen, 1.0, axis=1)
    return flags


def others_mean(sends: Sends) -> FloatArray:
    """Mean response of the other sends of the same stratum, shape (n,): what no effect would lead one to expect."""
    _, stratum = np.unique(sends.stratum, return_inverse=True)
    total = np.bincount(stratum, weights=sends.response)[stratum]
    count = np.bincount(stratum)[stratum]
    return np.asarray((total - sends.response) / np.maximum(count - 1, 1))


def lift(expected: FloatArray) -> Metric:
    """Responses of flagged sends over what was to be expected of them; more is better."""

    def prepare(label: FloatArray, score: FloatArray) -> Weighted:
        def ratio(weight: FloatArray | None) -> float:
            taken = score if weight is None else weight * score
            below = float(taken @ expected)
            return float(taken @ label) / below if below > 0.0 else float("nan")

        return ratio

    return Metric(name=LIFT, better="up", prepare=prepare)


def effect_table(effect: SendEffect, own: NDArray[np.float64] | None = None) -> pd.DataFrame:
    """Multipliers by channel and hour of day (mean over the week) of one customer, or of nobody in particular."""
    shares = np.full(168, 1 / 168) if own is None else own
    table = {name: of.reshape(DAYS, 24).mean(axis=0) for name, of in effect.of(shares).items()}
    return pd.DataFrame(table).rename_axis("hour")
