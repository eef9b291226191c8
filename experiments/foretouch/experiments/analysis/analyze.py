"""The analysis of one experiment: a table of units and its spec in, results out. Pure."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from foretouch.core.canonical import content_hash
from foretouch.core.experiment import Arm, ExperimentSpec, Metric
from foretouch.experiments.analysis import checks
from foretouch.experiments.analysis.balance import Balance
from foretouch.experiments.analysis.contrasts import Contrast
from foretouch.experiments.analysis.cumulative import looks
from foretouch.experiments.analysis.definitions import used
from foretouch.experiments.analysis.entries import metric_result
from foretouch.experiments.analysis.multiplicity import benjamini_hochberg, holm
from foretouch.experiments.analysis.plan_of_looks import Stage, decisive_of, stage_of, state_of
from foretouch.experiments.analysis.refusals import Refused
from foretouch.experiments.analysis.segments import segment_results
from foretouch.experiments.analysis.source import RowSource, Source
from foretouch.experiments.analysis.table import Units
from foretouch.experiments.analysis.trust import column_lights, segment_light, segment_splits
from foretouch.experiments.report import verdict
from foretouch.experiments.report.names import named
from foretouch.experiments.results import Check, Enrolment, MetricResult, Refusal, Results, Split
from foretouch.experiments.uplift.contract import UpliftResults

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Context:
    """What the rows themselves do not say.

    Attributes:
        running: The experiment has not reached its planned end: certainty is judged by the anytime-valid answers.
        currency: Of money figures.
        origin: Where the data come from.
        money_is_revenue: Metrics whose unit already is revenue, by name.
        enrolment: How units came from the decision log.
        checks: Further lights for the trust strip.
        refused: What is wrong with the frame as a whole.
        assumptions: What the data lack.
        command: What reproduces this.
        workspace: How a command names the workspace.
        data_hash: SHA-256 of the rows' source.
    """

    running: bool = False
    currency: str | None = None
    origin: str = "own"
    money_is_revenue: frozenset[str] = frozenset()
    enrolment: Enrolment | None = None
    checks: tuple[Check, ...] = ()
    refused: tuple[Refused, ...] = ()
    assumptions: tuple[dict[str, object], ...] = ()
    command: str = ""
    workspace: str = ""
    data_hash: str = ""


def analyze(rows: "pd.DataFrame", spec: ExperimentSpec, context: Context | None = None) -> Results:
    """Analyses one row per unit.

    Args:
        rows: Unit, arm and metric columns as the spec names them.
        spec: The experiment.
        context: What the rows do not say.

    Returns:
        Results; what is broken appears in ``refusals`` with a named reason and has no number. Where the whole is
        broken (``verdict.BREAKING``) there is no metric at all.

    Raises:
        DataError: The unit or arm column is not in the table.
    """
    context = context or Context()
    units = Units.of(rows, spec)
    titles = {arm: named(arm_titles(spec), arm) for arm in units.arms}
    hashed = context.data_hash or _hash(rows)
    return analyze_source(
        RowSource(units=units), replace(context, data_hash=hashed), lights=column_lights(units, titles)
    )


def analyze_source(source: Source, context: Context, *, lights: tuple[Check, ...] = ()) -> Results:
    """Analyses rows or aggregates alike.

    Args:
        source: What answers the analysis' questions.
        context: What the data do not say.
        lights: Of checks that need rows.

    Returns:
        As ``analyze``.
    """
    spec = source.spec
    randomised = spec.assignment == "randomised"
    enrolment = context.enrolment
    sizes = source.counts if enrolment is None else enrolment.entered_by_arm
    stage = stage_of(spec, units=sum(source.counts.values()), running=context.running)
    split = checks.split_of(sizes, spec, running=stage.running)
    balance = Balance.of(source)
    whole = _of_the_whole(source, context, split, balance)
    refusals = [_refusal(item) for item in whole]
    readable = sum(source.counts.values()) > 0 and not any(item.code in verdict.BREAKING for item in whole)
    prepared = _prepared(source, refusals) if readable else []
    contrasts: list[Contrast] = []
    for metric in prepared:
        for arm in range(1, len(source.arms)):
            if spec.weights[source.arms[arm]] == 0.0:
                continue
            try:
                contrasts.append(source.contrast(metric, arm))
            except Refused as reason:
                refusals.append(_refusal(reason, metric=metric.name, contrast=source.arms[arm]))
    metrics = _adjusted(contrasts, spec, stage, context)
    splits = segment_splits(source, running=stage.running) if randomised else ()
    unfit = [(item.segment, item.value) for item in splits if not item.ok]
    segments, heterogeneity, problems = segment_results(source, contrasts, without=unfit) if readable else ((), (), [])
    refusals += [_refusal(reason, metric=name, segment=segment) for reason, name, segment in problems]
    if contrasts and spec.time is not None and not source.days():
        refusals.append(_refusal(Refused("no_days", value=spec.time)))
    uplift: dict[str, UpliftResults] = {}
    unscored: list[tuple[Refused, str]] = []
    if randomised and spec.score is not None and isinstance(source, RowSource):
        from foretouch.experiments.analysis.scored import judged_score  # noqa: PLC0415 - half a second of scipy.stats

        uplift, unscored = judged_score(
            source.units, source.rows_of(prepared), currency=context.currency, revenue=context.money_is_revenue
        )
    refusals += [_refusal(reason, metric=name, segment=spec.score) for reason, name in unscored]
    titles = {arm: named(arm_titles(spec), arm) for arm in source.arms}
    misplaced = any(item.code in verdict.MISPLACED for item in whole)
    shown = (
        *verdict.assignment_lights(split, titles, misplaced=misplaced, randomised=randomised),
        *segment_light(splits),
        *balance.lights(randomised=randomised),
        *lights,
        *context.checks,
    )
    if any(check.code == "arms_some" for check in shown):
        shown = tuple(check for check in shown if check.code != "arms_ok")
    families = {"decisions": "holm", "secondary": "benjamini-hochberg", "segments": "benjamini-hochberg"}
    members = {
        "decisions": sum(item.role != "secondary" for item in metrics),
        "secondary": sum(item.role == "secondary" for item in metrics),
        "segments": len(segments),
    }
    draft = Results(
        key=spec.key,
        control=spec.control,
        alpha=spec.alpha,
        title=spec.title,
        metric_titles={metric.name: metric.title for metric in spec.metrics if metric.title},
        arm_titles=arm_titles(spec),
        arm_kinds={} if enrolment is None else {arm: spec.arms.get(arm, Arm()).kind for arm in source.arms},
        starts_at=spec.starts_at,
        ends_at=spec.ends_at,
        weights=spec.weights,
        currency=context.currency,
        origin=context.origin,
        basis=stage.basis,
        running=stage.running,
        assignment=spec.assignment,
        sequential=state_of(spec, stage),
        n=sum(source.counts.values()),
        srm=split,
        srm_segments=splits,
        arms=source.counts,
        checks=shown,
        metrics=tuple(metrics),
        segments=segments,
        heterogeneity=heterogeneity,
        cumulative=looks(source, contrasts),
        uplift=uplift,
        multiplicity={name: {"method": families[name], "size": members[name]} for name in families},
        verdict=verdict.PENDING,
        refusals=tuple(refusals),
        definitions=used(
            covariates=any(metric.covariates for metric in spec.metrics),
            cluster=spec.cluster is not None,
            kinds={metric.kind for metric in spec.metrics},
            winsor=any(metric.winsor is not None for metric in spec.metrics),
            segments=bool(spec.segments),
            strata=any(metric.strata for metric in spec.metrics),
            basis=stage.basis,
            log=enrolment is not None,
        ),
        enrolment=enrolment,
        assumptions=context.assumptions,
        command=context.command,
        workspace=context.workspace,
        inputs={"sha256": context.data_hash, "spec_sha256": content_hash(spec)},
    )
    verdicts = verdict.verdicts(draft, spec)
    return draft.model_copy(update={"verdicts": verdicts, "verdict": verdict.overall(verdicts, metrics)})


def arm_titles(spec: ExperimentSpec) -> dict[str, dict[str, str]]:
    """The titles that the spec gives its arms, by arm and language."""
    return {name: arm.title for name, arm in spec.arms.items() if arm.title}


def _prepared(source: Source, refusals: list[Refusal]) -> list[Metric]:
    prepared = []
    for metric in source.spec.metrics:
        try:
            source.prepare(metric)
        except Refused as reason:
            refusals.append(_refusal(reason, metric=metric.name))
        else:
            prepared.append(metric)
    return prepared


def _of_the_whole(source: Source, context: Context, split: Split, balance: Balance) -> list[Refused]:
    """What is wrong with the experiment as a whole."""
    spec = source.spec
    randomised = spec.assignment == "randomised"
    of_frame = {item.code for item in context.refused}
    whole = [*(item for item in source.refused if item.code not in of_frame), *context.refused]
    if sum(source.counts.values()) == 0 and not context.refused:
        whole.append(Refused("no_units"))
    elif randomised and not split.ok:
        whole.append(Refused("split_mismatch", value=_split_text(split.observed, split.expected)))
    if not randomised:
        whole.append(Refused("not_randomised"))
    elif balance.hopeless:
        whole.append(Refused("groups_unlike", column=balance.worst))
    if whole and not any(item.code in verdict.WAITING for item in whole):
        small = [arm for arm, size in source.counts.items() if size < 2 and spec.weights[arm] > 0.0]
        whole += [Refused("arm_too_small", column=arm, value=source.counts[arm]) for arm in small]
    return whole


def _adjusted(contrasts: list[Contrast], spec: ExperimentSpec, stage: Stage, context: Context) -> list[MetricResult]:
    """Results with p adjusted: Holm over decisions, Benjamini-Hochberg over the secondary metrics."""
    decisive = [decisive_of(item.effect, item.pair, spec, stage) for item in contrasts]
    p = [item.p for item in decisive]
    adjusted = list(p)
    for decided, correction in ((True, holm), (False, benjamini_hochberg)):
        members = [i for i, item in enumerate(contrasts) if (item.metric.role != "secondary") is decided]
        for i, value in zip(members, correction([p[i] for i in members]), strict=True):
            adjusted[i] = value
    return [
        metric_result(item, test, spec, p_adjusted=value, currency=context.currency, revenue=context.money_is_revenue)
        for item, test, value in zip(contrasts, decisive, adjusted, strict=True)
    ]


def _refusal(reason: Refused, **where: str | None) -> Refusal:
    return Refusal(code=reason.code, text_en=reason.text("en"), text_zh=reason.text("zh"), **where)


def _split_text(observed: dict[str, int], expected: dict[str, float]) -> str:
    return ", ".join(f"{arm} {observed[arm]:,} / {expected[arm]:,.0f}" for arm in observed)


def _hash(rows: "pd.DataFrame") -> str:
    import pandas as pd  # noqa: PLC0415 - whoever has rows has it already

    digest = pd.util.hash_pandas_object(rows, index=False).to_numpy()
    return content_hash([list(map(str, rows.columns)), f"{int(np.add.reduce(digest)):x}"])
