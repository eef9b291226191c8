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
from foretouch.training.gate.backtest import BACKTEST
from foretouch.training.gate.latency import median_milliseconds
from foretouch.training.gate.later import figure_of, gate_figures
from foretouch.training.gate.routine import changes_beside
from foretouch.training.gate.table import LOG, NO_LOG, Basis, Check, Gate
from foretouch.training.gate.words import say
from foretouch.training.off_policy.candidate import PolicyCandidate, read_candidate
from foretouch.training.off_policy.valuation import Valuation, paired_difference, value_policy
from foretouch.training.refit import judged_store
from foretouch.training.task import Comparison

WITH_POLICY: Final = frozenset({"offer", "uplift"})
"""Models that choose; the others have no policy of their own."""
NOISE_MS: Final = 0.1
AGAIN: Final = say("again")


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
    rows = [*_baselines(card), *_beside(workspace, figures, other), *_backtest(figures, other)]
    rows += [*_calibration(workspace, card, figures)]
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
            what=say("baseline", metric=item.metric, baseline=item.baseline),
            passed=item.wins,
            figure=_interval(item),
            bound=say("interval_above" if item.better == "up" else "interval_below"),
            why="" if item.wins else say("baseline_lost"),
        )
    if not decisive:
        yield Check(
            check="baseline",
            what=say("baseline_any"),
            passed=False,
            figure=say("none"),
            bound=say("at_least_one"),
            why=say("baseline_none"),
        )


def _beside(workspace: Workspace, figures: Any, champion: str | None) -> Iterator[Check]:
    """No worse than the champion on the same later rows."""
    if champion is None:
        return
    margin, least = workspace.config.promotion.worse_margin, workspace.config.promotion.min_rows
    compared = None if figures is None else figures.get("champion")
    if compared != champion or not figures.get("comparisons"):
        yield Check(
            check="champion",
            what=say("champion_rows", version=champion),
            passed=False,
            figure=say("not_compared"),
            bound=say("worse_bound", margin=f"{margin:.0%}"),
            why=_not_compared(figures, champion, least),
        )
        return
    sentence = "champion_as_judged" if figures.get("as_judged") else "champion"
    for line in figures["comparisons"]:
        item = Comparison(**line)
        allowed = margin * abs(item.reference)
        worst = -item.low if item.better == "up" else item.high
        passed = bool(worst <= allowed)
        yield Check(
            check="champion",
            what=say(sentence, metric=item.metric, version=champion),
            passed=passed,
            figure=_interval(item),
            bound=say("worse_bound_of", margin=f"{margin:.0%}", allowed=f"{allowed:.4g}"),
            why="" if passed else say("may_be_worse", worst=f"{worst:.4g}"),
        )


def _backtest(figures: Any, champion: str | None) -> Iterator[Check]:
    """How the champion has kept its word since its data; it decides nothing about the challenger."""
    found = (figures or {}).get(BACKTEST)
    if champion is None or not found or found["version"] != champion:
        return
    shown = {name: f"{found[name]:.4g}" for name in ("predicted", "observed")}
    shown |= {name: f"{found[name]:.2f}" for name in ("ratio", "low", "high")}
    yield Check(
        check="backtest",
        what=say("backtest", version=champion),
        passed=None,
        figure=say("backtest_figure", rows=found["rows"], **shown),
        bound=say("informs"),
    )


def _not_compared(figures: Any, champion: str, least: int) -> str:
    if figures is None:
        return AGAIN
    if figures.get("champion") != champion:
        return say("trained_beside", version=figures.get("champion") or "no champion")
    if figures.get("not_compared"):
        return str(figures["not_compared"])
    rows = figures.get("rows_later_than_champion", 0)
    return say("rows_needed", rows=rows, least=least)


def _calibration(workspace: Workspace, card: ModelCard, figures: Any) -> Iterator[Check]:
    """A probability can be taken at its word; an amount is right on average."""
    section = workspace.config.promotion
    if card.target not in {"probability", "amount"}:
        return
    if figures is None:
        yield Check(
            check="calibration", what=say("later"), passed=False, figure=say("not_measured"), bound="", why=AGAIN
        )
        return
    ranges = {"mean_ratio": section.mean_ratio}
    if card.target == "probability":
        ranges = {"slope": section.slope, **ranges}
    for name, (least, most) in ranges.items():
        figure = figure_of(figures.get(name))
        passed = figure is not None and figure.reaches(least, most)
        yield Check(
            check="calibration",
            what=say(name),
            passed=passed,
            figure=say("none") if figure is None else f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]",
            bound=say("reaches", least=f"{least:g}", most=f"{most:g}"),
            why="" if passed else say("not_its_word"),
        )
    if card.target == "probability":
        beyond = figures["ece"] - figures["ece_by_chance"]
        passed = bool(beyond <= section.max_ece)
        yield Check(
            check="calibration",
            what=say("ece"),
            passed=passed,
            figure=say("ece_figure", ece=f"{figures['ece']:.4f}", chance=f"{figures['ece_by_chance']:.4f}"),
            bound=say("ece_bound", most=f"{section.max_ece:g}"),
            why="" if passed else say("not_its_word"),
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
        what=say("groups"),
        passed=None if not lines else not off,
        figure=say("groups_figure", held=len(lines) - len(off), all=len(lines)) if lines else say("no_group"),
        bound=say("reaches_each", least=f"{least:g}", most=f"{most:g}"),
        why="; ".join(off) if lines else say("no_segment", least=section.min_rows),
    )
    report = [line for line in figures.get("fairness", ()) if line["selection_ratio"] is not None]
    if report:
        worst = min(report, key=lambda line: line["selection_ratio"])
        bounded = section.min_selection_ratio > 0.0
        holds = worst["selection_ratio"] >= section.min_selection_ratio
        yield Check(
            check="segment",
            what=say("fairness"),
            passed=holds if bounded else None,
            figure=say(
                "fairness_figure",
                ratio=f"{worst['selection_ratio']:.2f}",
                feature=worst["feature"],
                group=worst["group"],
            ),
            bound=say("at_least", least=f"{section.min_selection_ratio:g}") if bounded else say("no_bound"),
            why="" if holds else say("selected_rarely"),
        )


def _latency(workspace: Workspace, model: str, card: ModelCard, champion: str | None) -> Iterator[Check]:
    """Fast enough beside the bound and the champion."""
    section = workspace.config.promotion
    taken = median_milliseconds(workspace.bundles, model, card.version)
    if taken is None:
        return
    limit, most = f"{section.max_latency_ms:g}", section.max_latency_ms
    bound = say("latency_bound", most=limit)
    if champion is not None:
        try:
            theirs = median_milliseconds(workspace.bundles, model, champion)
        except ForetouchError:
            theirs = None
        if theirs is not None:
            allowed = max(section.max_latency_ratio * theirs, NOISE_MS)
            most = min(most, allowed)
            bound = say("latency_bound_of", most=limit, ratio=f"{section.max_latency_ratio:g}", theirs=f"{theirs:.3f}")
    passed = taken <= most
    yield Check(
        check="latency",
        what=say("latency"),
        passed=passed,
        figure=f"{taken:.3f} ms",
        bound=bound,
        why="" if passed else say("slow"),
    )


def _policy(workspace: Workspace, model: str, card: ModelCard, champion: str | None) -> _Evidence:
    """For a model that chooses: what its choices would have earned on the log, beside those that were made."""
    if model not in WITH_POLICY:
        return _Evidence(rows=(), basis=NO_LOG)
    section = workspace.config.promotion
    what = say("policy")
    if champion is None:
        bound = say("gain_bound", margin=f"{section.policy_margin:+.0%}")
        return _Evidence(rows=(_told(what, bound, say("first")),), basis=NO_LOG)
    changed = changes_beside(workspace, card, champion)
    margin = section.policy_margin if changed else min(-section.retrain_margin, section.policy_margin)
    bound = say("gain_bound", margin=f"{margin:+.0%}")
    candidate = read_candidate(workspace, f"{model}@{card.version}")
    judged = None if changed else _champion_as_judged(workspace, model, champion)
    later = _decisions_since(workspace, candidate.tuned_through)
    if later < section.policy_rows:
        why = say("later_decisions", count=later, least=section.policy_rows)
        return _Evidence(rows=(_told(what, bound, why),), basis=NO_LOG)
    try:
        since = None if judged is None else judged.tuned_through
        found = value_policy(workspace, candidate, since=since, sample=section.policy_sample)
        gain = found.difference
        if judged is not None:
            other = value_policy(workspace, judged, since=candidate.tuned_through, sample=section.policy_sample)
            gain = paired_difference(found, other)
    except ForetouchError as error:
        return _Evidence(rows=(_told(what, bound, error.message),), basis=NO_LOG)
    if len(found.decisions) < min(section.policy_rows, section.policy_sample):
        why = say("can_tell", count=len(found.decisions), least=section.policy_rows, left=_left(found))
        return _Evidence(rows=(_told(what, bound, why),), basis=NO_LOG)
    needed = margin * found.logged.value
    figures = {"margin": f"{margin:+.0%}", "needed": f"{needed:+.5f}"}
    bound = say("retrain_bound" if judged is None else "retrain_bound_like", **figures)
    if changed:
        bound = say("gain_bound_of", changed=", ".join(changed), **figures)
    if found.reasons:
        passed, why = False, "; ".join(f"{reason.code}: {reason.text}" for reason in found.reasons)
    else:
        passed = bool(gain.low >= needed)
        why = "" if passed else say("may_earn_less", less=f"{needed - gain.low:.4g}")
    row = Check(
        check="policy",
        what=what,
        passed=passed,
        figure=say(
            "gain",
            gain=f"{gain.value:+.5f}",
            low=f"{gain.low:+.5f}",
            high=f"{gain.high:+.5f}",
            logged=f"{found.logged.value:.5f}",
            ess=f"{found.ess:.0f}",
            rows=len(found.decisions),
        ),
        bound=bound,
        why=why,
    )
    return _Evidence(rows=(row,), basis=LOG, policy=found.document())


def _champion_as_judged(workspace: Workspace, model: str, champion: str) -> PolicyCandidate | None:
    """The champion without the rows that judged it, as the challenger is valued; None where it serves as it was judged.

    What decided was fitted again with newer rows than any challenger that is valued on the decisions after them has
    seen: beside it a retrain would lose for that alone.
    """
    if judged_store(workspace, model, champion) == workspace.bundles:
        return None
    return read_candidate(workspace, f"{model}@{champion}")


def _told(what: str, bound: str, why: str) -> Check:
    return Check(check="policy", what=what, passed=None, figure=NO_LOG, bound=bound, why=why)


def _left(found: Valuation) -> str:
    return ", ".join(f"{reason} ({count})" for reason, count in found.decisions.left_out.items()) or "the log is short"


def _decisions_since(workspace: Workspace, since: Any) -> int:
    state = read_state(workspace)
    if state is None:
        return 0
    with closing(state):
        return count_decisions(state, since=since)


def _interval(item: Comparison) -> str:
    return say(
        "interval",
        model=f"{item.model:.4g}",
        reference=f"{item.reference:.4g}",
        difference=f"{item.difference:+.4g}",
        low=f"{item.low:+.4g}",
        high=f"{item.high:+.4g}",
    )
