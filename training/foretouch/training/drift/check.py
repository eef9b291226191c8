"""One champion's health: its inputs, its scores and its predictions, judged by the bounds of the configuration."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import pandas as pd

from foretouch.core import columns as c
from foretouch.core.bundle import ModelInput, read_aliases, read_bundle
from foretouch.core.config import DriftSection
from foretouch.core.errors import NotReadyError
from foretouch.core.models import ModelName
from foretouch.core.workspace import Workspace
from foretouch.training.data import encode
from foretouch.training.drift.decay import Decay
from foretouch.training.drift.evidence import CONTACT_MODELS, Evidence, read_evidence
from foretouch.training.drift.stability import Stability, beyond_chance, category_stability, number_stability

Level = Literal["ok", "watch", "alarm"]
AlarmKind = Literal["feature", "missing", "score", "calibration"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One input of a model, then and now.

    Attributes:
        feature: Its name.
        stability: How far it moved.
        importance: Its share of the gain of all the model's splits, 0 to 1.
        level: By the bounds of the configuration.
    """

    feature: str
    stability: Stability
    importance: float
    level: Level


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """Something that moved further than a bound.

    Attributes:
        kind: What moved.
        feature: Which input; empty for scores and predictions.
        figure: How far: a PSI, a change of the missing share, or observed over predicted.
        bound: The bound it passed.
        change: The bin that moved most, with its share before and now, or predicted and observed.
    """

    kind: AlarmKind
    feature: str
    figure: float
    bound: float
    change: tuple[str, float, float]


@dataclass(frozen=True, kw_only=True)
class Health:
    """What was found of one champion.

    Attributes:
        model: Which model.
        version: Its champion.
        trained_through: How far its data reach.
        as_of: Until when the current rows are known.
        reference_rows: Rows that it may have learnt from.
        current_rows: Rows of now.
        columns: Its inputs, the most important movement first; empty where there is nothing to compare with.
        score: Its scores, then and now.
        score_means: Mean calibrated score, then and now.
        decay: Predictions beside outcomes; None where no label has closed since it was made.
        alarms: The worst first.
        notes: What could not be looked at, and why.
    """

    model: ModelName
    version: str
    trained_through: datetime
    as_of: datetime
    reference_rows: int
    current_rows: int
    columns: tuple[Column, ...]
    score: Stability | None
    score_means: tuple[float, float] | None
    decay: Decay | None
    alarms: tuple[Alarm, ...]
    notes: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        """The worst of what was found."""
        if self.alarms:
            return "alarm"
        return "watch" if any(column.level == "watch" for column in self.columns) else "ok"


def check_model(workspace: Workspace, model: ModelName) -> Health:
    """Looks after the champion of a model.

    Raises:
        NotReadyError: There is no champion, or no feature history.
        DataError: There are no contacts, or too few to tell an effect.
        BundleError: Its bundle is damaged.
    """
    version = read_aliases(workspace.bundles, model).get("champion")
    if version is None:
        raise NotReadyError(
            f"model {model} has no champion", hint=f"foretouch train {model} && foretouch promote {model}"
        )
    bundle = read_bundle(workspace.bundles, model, version)
    card, bounds = bundle.card, workspace.config.drift
    found = read_evidence(workspace, bundle)
    before, now, decay = found.before, found.now, found.decay
    contacts = model in CONTACT_MODELS
    notes: list[str] = []
    columns: tuple[Column, ...] = ()
    score: Stability | None = None
    means: tuple[float, float] | None = None
    score_beyond = False
    if found.scores is None:
        notes.append("no_contacts" if contacts else "nothing_to_compare")
    elif min(_units(before, now)) < bounds.min_customers:
        notes.append("too_few_to_compare")
    else:
        score = number_stability(*found.scores, units=_units(before, now))
        columns, score_beyond = compare_inputs(found, bounds, score)
        means = float(found.scores[0].mean()), float(found.scores[1].mean())
        if found.filling:
            notes.append("still_filling")
    if decay is None:
        notes.append("no_contacts_matured" if contacts else "nothing_matured")
    elif not decay.enough:
        notes.append("too_few_matured")
    return Health(
        model=model,
        version=version,
        trained_through=card.trained_through,
        as_of=workspace.clock.now(),
        reference_rows=len(before),
        current_rows=len(now),
        columns=columns,
        score=score,
        score_means=means,
        decay=decay,
        alarms=tuple(alarms_of(columns, score, decay, bounds, score_beyond=score_beyond)),
        notes=tuple(notes),
    )


def compare_inputs(found: Evidence, bounds: DriftSection, score: Stability) -> tuple[tuple[Column, ...], bool]:
    """Every input of a model, then and now; those whose movement weighs most in the model come first.

    Whether a movement is more than chance is asked of all inputs and the scores together.

    Args:
        found: Rows then and now.
        bounds: Of the configuration.
        score: How far the scores moved.

    Returns:
        The columns, and whether the scores moved by more than chance.
    """
    moved = {
        item.name: _stability(
            item, found.before, found.now, _units(found.before, found.now, found.units.get(item.name))
        )
        for item in found.inputs
    }
    asked = [name for name in moved if name not in found.filling]
    beyond = beyond_chance([*(moved[name].p_value for name in asked), score.p_value], bounds.false_alarms)
    beyond_of = {
        **{name: moved[name].p_value <= bounds.false_alarms for name in found.filling if name in moved},
        **dict(zip(asked, beyond, strict=False)),
    }
    columns = []
    for name, stability in moved.items():
        level = level_of(stability, bounds, beyond=beyond_of[name])
        columns.append(
            Column(
                feature=name,
                stability=stability,
                importance=found.importance.get(name, 0.0),
                level="watch" if level == "alarm" and name in found.filling else level,
            )
        )
    ordered = sorted(columns, key=lambda column: (-column.stability.psi * column.importance, column.feature))
    return tuple(ordered), beyond[-1]


def level_of(moved: Stability, bounds: DriftSection, *, beyond: bool) -> Level:
    """``alarm``, ``watch`` or ``ok``: over a bound, and by more than chance alone would move it.

    Args:
        moved: How far.
        bounds: Of the configuration.
        beyond: Whether that is more than chance.
    """
    change = abs(moved.missing[1] - moved.missing[0])
    if beyond and (moved.psi >= bounds.psi_alarm or change >= bounds.missing_alarm):
        return "alarm"
    return "watch" if beyond and moved.psi >= bounds.psi_watch else "ok"


def alarms_of(
    columns: Sequence[Column],
    score: Stability | None,
    decay: Decay | None,
    bounds: DriftSection,
    *,
    score_beyond: bool = False,
) -> list[Alarm]:
    """What passed a bound: predictions that no longer hold first, then scores, then inputs by their weight.

    Args:
        columns: Inputs with their levels.
        score: How far the scores moved; None where they are not compared.
        decay: Predictions beside outcomes.
        bounds: Of the configuration.
        score_beyond: Whether the scores moved by more than chance.
    """
    alarms: list[Alarm] = []
    if decay is not None and decay.enough:
        most = bounds.calibration_ratio
        if decay.low > most or decay.high < 1.0 / most:
            change = ("predicted and observed", decay.predicted, decay.observed)
            bound = most if decay.low > most else 1.0 / most
            alarms.append(Alarm(kind="calibration", feature="", figure=decay.ratio, bound=bound, change=change))
    if score is not None and level_of(score, bounds, beyond=score_beyond) == "alarm":
        alarms.append(_moved("score", "", score, bounds))
    alarms += [
        _moved("feature", column.feature, column.stability, bounds) for column in columns if column.level == "alarm"
    ]
    return alarms


def _moved(kind: AlarmKind, feature: str, moved: Stability, bounds: DriftSection) -> Alarm:
    before, now = moved.missing
    if kind == "feature" and abs(now - before) >= bounds.missing_alarm:
        change = ("missing", before, now)
        return Alarm(kind="missing", feature=feature, figure=now - before, bound=bounds.missing_alarm, change=change)
    bin_ = moved.most_moved
    return Alarm(
        kind=kind,
        feature=feature,
        figure=moved.psi,
        bound=bounds.psi_alarm,
        change=(bin_.label, bin_.reference, bin_.current),
    )


def _stability(item: ModelInput, before: pd.DataFrame, now: pd.DataFrame, units: tuple[int, int]) -> Stability:
    if item.kind == "category":
        sides = [[None if pd.isna(cell) else str(cell) for cell in rows[item.name]] for rows in (before, now)]
        return category_stability(sides[0], sides[1], units=units)
    numbers = [encode(rows[[item.name]], (item,))[:, 0] for rows in (before, now)]
    return number_stability(numbers[0], numbers[1], units=units)


def _units(before: pd.DataFrame, now: pd.DataFrame, unit: str | None = None) -> tuple[int, int]:
    """Independent units of both sides: customers, or what else a column belongs to."""
    name = unit or c.CUSTOMER_ID
    return before[name].nunique(), now[name].nunique()
