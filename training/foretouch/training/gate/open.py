"""The gate: every check of a challenger, from its card, its bundle and the decision log."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from foretouch.core.bundle import ModelCard
from foretouch.core.errors import ForetouchError
from foretouch.core.models import ModelName
from foretouch.core.state.log import count_decisions
from foretouch.core.state.opening import read_state
from foretouch.core.workspace import Workspace
from foretouch.training.card import comparisons_of
from foretouch.training.gate.latency import median_milliseconds
from foretouch.training.gate.later import figure_of, gate_figures
from foretouch.training.gate.table import LOG, NO_LOG, Basis, Check, Gate
from foretouch.training.off_policy.candidate import read_candidate
from foretouch.training.off_policy.valuation import Valuation, value_policy
from foretouch.training.task import Comparison

WITH_POLICY: Final = frozenset({"offer", "uplift"})
"""Models that choose; the others have no policy of their own."""
NOISE_MS: Final = 0.1
AGAIN: Final = "train it again: its card is of before the gate asked for this"


@dataclass(frozen=True, kw_only=True)
class _Evidence:
    """What the log says of a challenger that chooses."""

    rows: tuple[Check, ...]
    basis: Basis
    policy: dict[str, Any] | None = None


def open_gate(workspace: Workspace, model: ModelName, card: ModelCard, *, champion: str | None) -> Gate:
    """Asks everything that stands between a challenger and its promotion.

    Args:
        workspace: Whose bounds (``[promotion]``), bundles and log.
        model: Which model.
        card: The challenger's.
        champion: The version that it would replace; None for a first one.

    Raises:
        BundleError: A bundle is damaged.
    """
    other = None if champion == card.version else champion
    evidence = _policy(workspace, model, card, other)
    figures = gate_figures(card.extras)
    rows = [*_baselines(card), *_beside(workspace, figures, other), *_calibration(workspace, card, figures)]
    rows += [*_segments(workspace, card, figures), *_latency(workspace, model, card, other), *evidence.rows]
    return Gate(
        model=model,
        version=card.version,
        champion=other,
        basis=evidence.basis,
        rows=tuple(rows),
        fairness=tuple((figures or {}).get("fairness", ())),
        policy=evidence.policy,
    )


def _baselines(card: ModelCard) -> Iterator[Check]:
    """Better than every decisive baseline on later data."""
    decisive = [item for item in comparisons_of(card) if item.decisive]
    for item in decisive:
        yield Check(
            check="baseline",
            what=f"{item.metric} beside {item.baseline}",
            passed=item.wins,
            figure=_interval(item),
            bound=f"95 % interval {'above' if item.better == 'up' else 'below'} 0",
            why="" if item.wins else "it does not beat this baseline on later data",
        )
    if not decisive:
        yield Check(
            check="baseline",
            what="any",
            passed=False,
            figure="none",
            bound="at least one",
            why="it was compared with no baseline",
        )


def _beside(workspace: Workspace, figures: Any, champion: str | None) -> Iterator[Check]:
    """No worse than the champion on the same later rows."""
    if champion is None:
        return
    margin, least = workspace.config.promotion.worse_margin, workspace.config.promotion.min_rows
    bound = f"worse by {margin:.0%} of the champion's figure at most"
    compared = None if figures is None else figures.get("champion")
    if compared != champion or not figures.get("comparisons"):
        yield Check(
            check="champion",
            what=f"later data beside {champion}",
            passed=False,
            figure="not compared",
            bound=bound,
            why=_not_compared(figures, champion, least),
        )
        return
    for line in figures["comparisons"]:
        item = Comparison(**line)
        allowed = margin * abs(item.reference)
        worst = -item.low if item.better == "up" else item.high
        passed = bool(worst <= allowed)
        yield Check(
            check="champion",
            what=f"{item.metric} beside champion {champion}",
            passed=passed,
            figure=_interval(item),
            bound=f"{bound} ({allowed:.4g})",
            why="" if passed else f"it may be worse by {worst:.4g}",
        )


def _not_compared(figures: Any, champion: str, least: int) -> str:
    if figures is None:
        return AGAIN
    if figures.get("champion") != champion:
        return f"it was trained beside {figures.get('champion') or 'no champion'}: train it again"
    if figures.get("not_compared"):
        return str(figures["not_compared"])
    rows = figures.get("rows_later_than_champion", 0)
    return f"{rows} rows are later than the champion's data, need {least}: train again when more have matured"


def _calibration(workspace: Workspace, card: ModelCard, figures: Any) -> Iterator[Check]:
    """A probability can be taken at its word; an amount is right on average."""
    section = workspace.config.promotion
    if card.target not in {"probability", "amount"}:
        return
    if figures is None:
        yield Check(check="calibration", what="later data", passed=False, figure="not measured", bound="", why=AGAIN)
        return
    ranges = {"mean_ratio": section.mean_ratio}
    if card.target == "probability":
        ranges = {"slope": section.slope, **ranges}
    names = {"slope": "slope of what happened on the score", "mean_ratio": "mean of what happened over mean score"}
    for name, (least, most) in ranges.items():
        figure = figure_of(figures.get(name))
        passed = figure is not None and figure.reaches(least, most)
        yield Check(
            check="calibration",
            what=names[name],
            passed=passed,
            figure="none" if figure is None else f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]",
            bound=f"interval reaches {least:g} to {most:g}",
            why="" if passed else "scores cannot be taken at their word",
        )
    if card.target == "probability":
        beyond = figures["ece"] - figures["ece_by_chance"]
        passed = bool(beyond <= section.max_ece)
        yield Check(
            check="calibration",
            what="ECE, ten bins of equal mass",
            passed=passed,
            figure=f"{figures['ece']:.4f}, of which chance {figures['ece_by_chance']:.4f}",
            bound=f"{section.max_ece:g} beyond chance at most",
            why="" if passed else "scores cannot be taken at their word",
        )


def _segments(workspace: Workspace, card: ModelCard, figures: Any) -> Iterator[Check]:
    """Right on average in every group with enough rows; the fairness report's own bound."""
    section = workspace.config.promotion
    if card.target not in {"probability", "amount"} or figures is None:
        return
    least, most = section.mean_ratio
    lines = figures.get("segments", ())
    off = []
    for line in lines:
        figure = figure_of(line["mean_ratio"])
        if figure is not None and not figure.among(len(lines)).reaches(least, most):
            off.append(f"{line['feature']}={line['group']} ({figure.value:.2f}, {line['rows']} rows)")
    yield Check(
        check="segment",
        what="mean of what happened over mean score, per group",
        passed=None if not lines else not off,
        figure=f"{len(lines) - len(off)} of {len(lines)} groups hold" if lines else "no group",
        bound=f"interval reaches {least:g} to {most:g} in each (Bonferroni)",
        why="; ".join(off) if lines else f"no feature of promotion.segments has a group of {section.min_rows} rows",
    )
    report = [line for line in figures.get("fairness", ()) if line["selection_ratio"] is not None]
    if report:
        worst = min(report, key=lambda line: line["selection_ratio"])
        bounded = section.min_selection_ratio > 0.0
        holds = worst["selection_ratio"] >= section.min_selection_ratio
        yield Check(
            check="segment",
            what="fairness: share selected over the largest group's",
            passed=holds if bounded else None,
            figure=f"{worst['selection_ratio']:.2f} at least ({worst['feature']}={worst['group']})",
            bound=f"{section.min_selection_ratio:g} at least" if bounded else "none: promotion.min_selection_ratio",
            why="" if holds else "a group is selected much more rarely than another",
        )


def _latency(workspace: Workspace, model: str, card: ModelCard, champion: str | None) -> Iterator[Check]:
    """Fast enough beside the bound and the champion."""
    section = workspace.config.promotion
    taken = median_milliseconds(workspace.bundles, model, card.version)
    if taken is None:
        return
    bound, most = f"{section.max_latency_ms:g} ms at most", section.max_latency_ms
    if champion is not None:
        try:
            theirs = median_milliseconds(workspace.bundles, model, champion)
        except ForetouchError:
            theirs = None
        if theirs is not None:
            allowed = max(section.max_latency_ratio * theirs, NOISE_MS)
            most = min(most, allowed)
            bound += f", {section.max_latency_ratio:g} times the champion's {theirs:.3f} ms"
    passed = taken <= most
    yield Check(
        check="latency",
        what="median time of one score",
        passed=passed,
        figure=f"{taken:.3f} ms",
        bound=bound,
        why="" if passed else "decisions would wait for it",
    )


def _policy(workspace: Workspace, model: str, card: ModelCard, champion: str | None) -> _Evidence:
    """For a model that chooses: what its choices would have earned on the log, beside those that were made."""
    if model not in WITH_POLICY:
        return _Evidence(rows=(), basis=NO_LOG)
    section = workspace.config.promotion
    what, bound = "earned on the decision log", f"lower bound of the gain: {section.policy_margin:+.0%} at least"
    if champion is None:
        why = "a first model: nothing in the log was decided by one"
        return _Evidence(rows=(_told(what, bound, why),), basis=NO_LOG)
    candidate = read_candidate(workspace, f"{model}@{card.version}")
    later = _decisions_since(workspace, candidate.tuned_through)
    if later < section.policy_rows:
        why = f"{later} decisions are later than its data, need {section.policy_rows}"
        return _Evidence(rows=(_told(what, bound, why),), basis=NO_LOG)
    try:
        found = value_policy(workspace, candidate, sample=section.policy_sample)
    except ForetouchError as error:
        return _Evidence(rows=(_told(what, bound, error.message),), basis=NO_LOG)
    if len(found.decisions) < min(section.policy_rows, section.policy_sample):
        why = f"{len(found.decisions)} later decisions can tell, need {section.policy_rows}: {_left(found)}"
        return _Evidence(rows=(_told(what, bound, why),), basis=NO_LOG)
    needed = section.policy_margin * found.logged.value
    if found.reasons:
        passed, why = False, "; ".join(f"{reason.code}: {reason.text}" for reason in found.reasons)
    else:
        passed = bool(found.difference.low >= needed)
        why = "" if passed else f"it may earn {needed - found.difference.low:.4g} less per decision than it must"
    row = Check(
        check="policy",
        what=what,
        passed=passed,
        figure=f"{found.difference.value:+.5f} [{found.difference.low:+.5f}, {found.difference.high:+.5f}] per decision"
        f" beside {found.logged.value:.5f}; worth {found.ess:.0f} of {len(found.decisions)} rows",
        bound=bound,
        why=why,
    )
    return _Evidence(rows=(row,), basis=LOG, policy=found.document())


def _told(what: str, bound: str, why: str) -> Check:
    return Check(check="policy", what=what, passed=None, figure=NO_LOG, bound=bound, why=why)


def _left(found: Valuation) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in found.decisions.left_out.items()) or "the log is short"


def _decisions_since(workspace: Workspace, since: Any) -> int:
    state = read_state(workspace)
    if state is None:
        return 0
    with closing(state):
        return count_decisions(state, since=since)


def _interval(item: Comparison) -> str:
    return f"{item.model:.4g} against {item.reference:.4g}: {item.difference:+.4g} [{item.low:+.4g}, {item.high:+.4g}]"
