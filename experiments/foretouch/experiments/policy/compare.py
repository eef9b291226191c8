"""Values some candidates on a workspace's log, and puts them beside each other."""

from collections.abc import Callable, Sequence
from datetime import datetime

from foretouch.core.canonical import content_hash
from foretouch.core.workspace import Workspace
from foretouch.experiments.log.experiment import place_of
from foretouch.experiments.policy.contract import Amount, PolicyEstimate, PolicyReason, PolicyResults
from foretouch.experiments.report.meanings import definitions_of
from foretouch.experiments.results import Light
from foretouch.training.off_policy.candidate import PolicyCandidate
from foretouch.training.off_policy.logged import RewardKind
from foretouch.training.off_policy.valuation import Amount as Valued
from foretouch.training.off_policy.valuation import Valuation, value_policy

GREEN_SHARE = 0.1
"""Effective rows, as a share of all, from which the overlap is good."""
GREEN_TOP = 0.25
"""Most of the weight that the heaviest 1 % of rows may have for that."""


def compare_policies(
    workspace: Workspace,
    candidates: Sequence[PolicyCandidate],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    sample: int = 20_000,
    reward: RewardKind | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> PolicyResults:
    """What each candidate would have earned per decision, or why the log cannot say.

    Args:
        workspace: Whose log.
        candidates: At least one.
        since: Decided at or after.
        until: Decided before.
        sample: Most decisions.
        reward: ``goal`` or ``revenue``; None is the workspace's.
        progress: Told how many decisions were read.

    Raises:
        NotFoundError: There is no such decision in the log.
        NotReadyError: No decision of the range can tell, or too many actions.
    """
    found = [
        value_policy(workspace, one, since=since, until=until, sample=sample, reward=reward, progress=progress)
        for one in candidates
    ]
    first = found[0]
    until = until or workspace.clock.now()  # the command stays that of these decisions while the log grows
    ends = "".join(f" --{name} {at.isoformat()}" for name, at in (("since", since), ("until", until)) if at is not None)
    names = " ".join(one.name for one in candidates)
    wanted = "" if reward is None else f" --reward {reward}"
    return PolicyResults(
        title=workspace.config.workspace.name,
        origin=workspace.config.workspace.origin,
        reward=first.decisions.reward_kind,
        currency=workspace.config.workspace.currency,
        logged=_amount(first.logged),
        policies=tuple(estimate_of(item) for item in found),
        definitions=definitions_of("policy"),
        command=f"foretouch experiment policy {names}{ends} --sample {sample}{wanted} {place_of(workspace)}",
        inputs={"decisions_sha256": content_hash([sorted(map(str, first.decisions.customer_id)), first.logged.value])},
    )


def estimate_of(found: Valuation) -> PolicyEstimate:
    """One valuation as an entry of ``policies``."""
    told = found.document()["sentence"]
    rows = found.decisions
    return PolicyEstimate(
        name=found.candidate.name,
        version=found.candidate.version,
        verdict="refused" if found.reasons else "ok",
        reasons=tuple(PolicyReason(code=item.code, text=item.text) for item in found.reasons),
        text_en=told["en"],
        text_zh=told["zh"],
        dr=_amount(found.estimates["dr"]),
        snips=_amount(found.estimates["snips"]),
        difference=_amount(found.difference),
        n=len(rows),
        customers=len(set(rows.customer_id)),
        ess=found.ess,
        max_weight_share=found.max_weight_share,
        top_weight_share=found.top_weight_share,
        unsupported=found.unsupported,
        mean_weight=found.mean_weight,
        left_out=dict(rows.left_out),
        overlap=_overlap(found),
    )


def _overlap(found: Valuation) -> Light:
    """Red where the evidence is too thin for a verdict, amber where few rows carry it, green else."""
    codes = {item.code for item in found.reasons}
    if codes & {"ess_below_200", "ess_below_1_percent", "no_support"}:
        return "red"
    if found.ess < GREEN_SHARE * len(found.decisions) or found.top_weight_share > GREEN_TOP:
        return "amber"
    return "green"


def _amount(item: Valued) -> Amount:
    return Amount(value=item.value, se=item.se, ci=(item.low, item.high))
