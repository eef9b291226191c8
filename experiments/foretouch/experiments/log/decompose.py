"""What each part of the decision earns, from the standing arms: random, propensity only, no levers, rules only, whole.

Every arm holds customers dealt out by chance under the same contact rules, so that the difference of two arms is what
the parts between them add. Assignment is intention to treat: everyone assigned counts, contacted or not. A part is
withheld, with the reason, where one of its arms is missing or has fewer than ``SMALLEST`` customers with a complete
window, and everything is where the experiment itself is broken. Intervals hold for all shown parts at once
(Bonferroni), and at every look while the experiment runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from foretouch.core.errors import NotFoundError
from foretouch.core.experiment import ExperimentSpec, Metric
from foretouch.core.schema import Contract, Time
from foretouch.core.workspace import Workspace
from foretouch.experiments.analysis.analyze import Context, analyze
from foretouch.experiments.analysis.effects import t_quantile
from foretouch.experiments.analysis.table import cap_of, column_of
from foretouch.experiments.log.experiment import place_of
from foretouch.experiments.log.frame import Frame, build_frame
from foretouch.experiments.report import numbers
from foretouch.experiments.report.catalogue import LANGUAGES, Catalogue, Phrase
from foretouch.experiments.report.meanings import definitions_of
from foretouch.experiments.results import MetricResult
from foretouch.experiments.specs import spec_of

PARTS: Final[dict[str, tuple[str, str]]] = {
    "contacting": ("no_contact", "policy"),
    "deciding": ("business_as_usual", "policy"),
    "choosing": ("random", "policy"),
    "ranking": ("random", "propensity_only"),
    "weighing": ("propensity_only", "policy"),
    "rules": ("random", "rules_only"),
    "models": ("rules_only", "policy"),
    "levers": ("no_levers", "policy"),
}
"""By part: the kind of arm without it, and the kind with it."""
SMALLEST: Final = 100
TEXTS = Catalogue("parts")
Range = tuple[float, float]


class ArmValue(Contract):
    """One arm's mean per customer."""

    arm: str
    kind: str
    title: dict[str, str]
    n: int
    mean: float | None
    ci: Range | None
    """95 %, of this arm alone."""


class PartValue(Contract):
    """What one part adds per customer."""

    part: str
    without: str
    """The arm without it."""
    included: str
    """The arm with it."""
    difference: float | None = None
    ci: Range | None = None
    state: Literal["adds", "costs", "unclear", "withheld"]
    withheld: Literal["arm_missing", "arm_too_small", "broken", "no_variance"] | None = None
    text_en: str
    text_zh: str


class Decomposition(Contract):
    """The value of the whole, split."""

    schema_version: Literal[1] = 1
    key: str
    metric: str
    title: dict[str, str]
    window_days: float
    as_of: Time
    currency: str | None
    """Of a metric that is revenue; null for others."""
    basis: Literal["fixed", "anytime"]
    alpha: float
    """Of each part's interval."""
    arms: tuple[ArmValue, ...]
    parts: tuple[PartValue, ...]
    definitions: dict[str, str] = Field(default_factory=dict)
    """What each number means, by the name of its field, else of what encloses it."""
    command: str = ""
    """What gives these very numbers again."""


def portfolio_of(workspace: Workspace) -> str:
    """The key of the standing experiment.

    Raises:
        NotFoundError: There is none.
    """
    found = next((spec.key for spec in workspace.experiments() if spec.portfolio), None)
    if found is None:
        raise NotFoundError(
            "no experiment has portfolio = true: nothing splits the value of the whole",
            hint="copy experiments/portfolio.toml.example, or name an experiment",
        )
    return found


def decompose(
    workspace: Workspace, key: str | None = None, *, now: datetime, shorten_to_days: float | None = None
) -> Decomposition:
    """Splits the value of the whole into parts.

    Args:
        workspace: Whose log, events and experiments.
        key: The experiment; the standing one if absent.
        now: The workspace's time.
        shorten_to_days: Caps the metric's window, for all arms alike.

    Raises:
        NotFoundError: There is no such experiment.
        ConfigError: Its spec names measures that there are not.
    """
    spec = spec_of(workspace, key or portfolio_of(workspace))
    frame = build_frame(workspace, spec, now=now, shorten_to_days=shorten_to_days)
    metric = _main(frame.spec)
    frame = replace(frame, rows=_capped(frame.rows, metric))
    kinds = {arm: spec.arms[arm].kind if arm in spec.arms else "policy" for arm in spec.weights}
    by_kind: dict[str, str] = {}
    for arm in sorted(spec.weights, key=lambda name: -spec.weights[name]):
        by_kind.setdefault(kinds[arm], arm)
    sizes = {arm: int((frame.rows[spec.arm] == arm).sum()) for arm in spec.weights}
    wanted = {part: (by_kind.get(base), by_kind.get(over)) for part, (base, over) in PARTS.items()}
    there = {part: pair for part, pair in wanted.items() if None not in pair}
    broken = analyze(frame.rows, frame.spec.replace(segments=(), time=None), _context(frame)).verdict.code == "broken"
    told = [part for part, pair in there.items() if min(sizes[str(arm)] for arm in pair) >= SMALLEST]
    alpha = spec.alpha / max(len(told), 1)
    revenue = metric.event is not None and metric.measure == "value" and metric.value_per_unit is None
    currency = workspace.config.workspace.currency if revenue else None
    case = _Case(frame=frame, metric=metric, sizes=sizes, currency=currency, alpha=alpha)
    place = place_of(workspace)
    shorter = "" if shorten_to_days is None else f" --window-days {shorten_to_days:g}"
    parts = []
    for part, (base, over) in there.items():
        pair, reason = (str(base), str(over)), None
        if broken:
            reason = "broken"
        elif part not in told:
            reason = "arm_too_small"
        parts.append(_part(part, pair, reason, case))
    return Decomposition(
        key=spec.key,
        metric=metric.name,
        title=metric.title,
        window_days=frame.enrolment.window_days[metric.name],
        as_of=now,
        currency=currency,
        basis="anytime" if frame.running else "fixed",
        alpha=alpha,
        arms=tuple(_arm(frame.rows, spec, metric, arm, kinds[arm]) for arm in spec.weights),
        parts=tuple(parts),
        definitions=definitions_of("parts"),
        command=f"foretouch experiment decompose {spec.key}{shorter} --as-of {now.isoformat()} {place} --json",
    )


def _main(spec: ExperimentSpec) -> Metric:
    """The first primary metric of means; else the first metric."""
    return next((item for item in spec.metrics if item.role == "primary"), spec.metrics[0])


def _capped(rows: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The metric capped once over all arms, so that every difference is of the same values."""
    if metric.winsor is None or metric.kind != "mean" or rows.empty:
        return rows
    column = column_of(metric)
    values = rows[column].to_numpy(dtype=float)
    return rows.assign(**{column: np.minimum(values, cap_of(values, metric))})


def _context(frame: Frame) -> Context:
    return Context(running=frame.running, enrolment=frame.enrolment, refused=frame.refused)


def _difference(frame: Frame, metric: Metric, base: str, over: str, *, alpha: float) -> MetricResult | None:
    """The comparison of two arms; ``None`` where nothing varies."""
    spec = frame.spec
    rows = frame.rows[frame.rows[spec.arm].isin([base, over])]
    total = spec.weights[base] + spec.weights[over]
    pair = spec.replace(
        control=base,
        weights={base: spec.weights[base] / total, over: spec.weights[over] / total},
        arms={},
        earlier_weights=(),
        segments=(),
        time=None,
        alpha=alpha,
        metrics=(metric.replace(winsor=None, role="secondary"),),
    )
    sizes = {arm: int((rows[spec.arm] == arm).sum()) for arm in (base, over)}
    # whether groups have the size they should is judged on everyone, before; here the pair is taken as it is
    share = sizes[base] / sum(sizes.values())
    found = analyze(rows, pair.replace(weights={base: share, over: 1.0 - share}), Context(running=frame.running))
    return next(iter(found.metrics), None)


def _arm(rows: pd.DataFrame, spec: ExperimentSpec, metric: Metric, arm: str, kind: str) -> ArmValue:
    own = rows[rows[spec.arm] == arm]
    fields: dict[str, Any] = {"arm": arm, "kind": kind, "title": dict(_title(spec, arm)), "n": len(own)}
    if metric.kind not in {"mean", "proportion"} or len(own) < 2:
        return ArmValue(**fields, mean=None, ci=None)
    values = own[column_of(metric)].to_numpy(dtype=np.float64)
    mean, n = float(values.mean()), len(values)
    spread = t_quantile(0.975, n - 1.0) * float(values.std(ddof=1)) / n**0.5
    return ArmValue(**fields, mean=mean, ci=(mean - spread, mean + spread))


def _title(spec: ExperimentSpec, arm: str) -> Phrase:
    given = spec.arms[arm].title if arm in spec.arms else {}
    return {code: given.get(code, arm.replace("_", " ")) for code in LANGUAGES}


@dataclass(frozen=True, kw_only=True)
class _Case:
    """What every part is told from."""

    frame: Frame
    metric: Metric
    sizes: Mapping[str, int]
    currency: str | None
    alpha: float


def _part(part: str, pair: tuple[str, str], reason: str | None, case: _Case) -> PartValue:
    frame, metric = case.frame, case.metric
    names = {arm: _title(frame.spec, arm) for arm in pair}
    said: dict[str, object] = {"part": TEXTS[f"part_{part}"], "without": names[pair[0]], "included": names[pair[1]]}
    fields: dict[str, Any] = {"part": part, "without": pair[0], "included": pair[1]}
    found = None if reason else _difference(frame, metric, *pair, alpha=case.alpha)
    if found is None:
        reason = reason or "no_variance"
        small = min(pair, key=lambda arm: case.sizes[arm])
        said |= {"arm": names[small], "n": numbers.count(case.sizes[small]), "least": SMALLEST}
        texts = TEXTS.both(f"withheld_{reason}", **said)
        fields |= {"state": "withheld", "withheld": reason}
    else:
        interval = found.anytime_ci if frame.running else found.ci
        state = "unclear"
        if interval[0] > 0.0 or interval[1] < 0.0:
            state = "adds" if (found.difference > 0.0) == (metric.better == "up") else "costs"
        low, high, middle = (_shown(value, metric, case.currency) for value in (*interval, found.difference))
        title = {code: metric.title.get(code, metric.name) for code in LANGUAGES}
        texts = TEXTS.both(state, **said, metric=title, value=middle, low=low, high=high)
        fields |= {"difference": found.difference, "ci": interval, "state": state}
    return PartValue.model_validate({**fields, "text_en": texts["en"], "text_zh": texts["zh"]})


def _shown(value: float, metric: Metric, currency: str | None) -> Phrase:
    if metric.kind == "proportion":
        return numbers.points([value], sign=True)[0]
    return numbers.money(value, currency) if currency else numbers.amount(value, sign=True)
