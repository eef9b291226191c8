"""``foretouch evaluate-policy``: what a candidate would have earned per decision, from the workspace's own log.

All estimators of ``estimators.py`` with the joint weight of candidate and slot::

    w = pi(candidate) / logged probability of it  x  pi(slot | candidate) / logged probability of the slot

The second factor is 1 where the candidate policy does not change the timing. Standard errors take whole customers as
one draw, since the windows of one customer's decisions overlap.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from foretouch.core.errors import NotReadyError
from foretouch.core.workspace import Workspace
from foretouch.serving.decision.candidates import Key
from foretouch.training.off_policy.candidate import PolicyCandidate
from foretouch.training.off_policy.drawn import Drawn
from foretouch.training.off_policy.estimators import (
    Estimate,
    Rounds,
    effective_sample_size,
    estimate_all,
    max_weight_share,
    weight_share_of_top,
)
from foretouch.training.off_policy.evidence import reasons_to_refuse, unsupported_share
from foretouch.training.off_policy.log import PerAction, PolicyLog, Reason
from foretouch.training.off_policy.logged import LoggedDecisions, RewardKind, read_logged
from foretouch.training.off_policy.reward_model import cross_fitted_rewards, customer_folds
from foretouch.training.off_policy.sentence import sentences
from foretouch.training.task import FloatArray

LEVEL: Final = 0.95
DEFINITIONS: Final = {
    "value": "mean reward per decision that the candidate would have earned",
    "reward": "the customer's goal (or revenue) in the window of the decision, contacted or not",
    "weight": "candidate's probability over the logged one, of candidate and slot together",
    "se": "round terms summed by customer: whole customers are one draw",
    "difference": "candidate less the policies that decided, by DR of both on the same rows: mean of"
    " sum_a (pi - pi_logged) q + (w - 1) (r - q); exactly 0 for the same policy",
    "dm": "the reward model alone: its interval does not know how good the model is, never decide on it",
}


@dataclass(frozen=True, kw_only=True)
class Amount:
    """A mean with its standard error and 95 % interval."""

    value: float
    se: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Valuation:
    """What a candidate is worth, or why the log cannot say.

    Attributes:
        candidate: What was valued.
        decisions: The rows.
        since: Only decisions from then on were taken.
        logged: What the log earned on the same rows.
        estimates: By estimator.
        difference: Candidate less the policies that decided, by doubly robust estimation of both on the same rows.
        gains: Its terms by row, shape (n,): their mean is the difference.
        ess: Effective sample size, in rows.
        max_weight_share: Of the heaviest row.
        top_weight_share: Of the heaviest 1 % of rows.
        unsupported: Share of the candidate's choices on actions that were never logged.
        mean_weight: 1 with right propensities.
        reward_model: How it was made.
        reasons: Why the figures must not be believed; none is a verdict of ``ok``.
    """

    candidate: PolicyCandidate
    decisions: LoggedDecisions
    since: datetime | None
    logged: Amount
    estimates: Mapping[str, Amount]
    difference: Amount
    gains: FloatArray
    ess: float
    max_weight_share: float
    top_weight_share: float
    unsupported: float
    mean_weight: float
    reward_model: str
    reasons: tuple[Reason, ...]

    @property
    def verdict(self) -> str:
        """``ok`` or ``refused``."""
        return "refused" if self.reasons else "ok"

    def document(self) -> dict[str, Any]:
        """As JSON."""
        rows = self.decisions
        return {
            "policy": self.candidate.name,
            "policy_version": self.candidate.version,
            "tuned_through": _iso(self.candidate.tuned_through),
            "since": _iso(self.since),
            "verdict": self.verdict,
            "reasons": [{"code": reason.code, "text": reason.text} for reason in self.reasons],
            "sentence": sentences(
                name=self.candidate.name,
                refused=bool(self.reasons),
                codes=tuple(reason.code for reason in self.reasons),
                low=self.difference.low,
                high=self.difference.high,
                base=self.logged.value,
                kind=rows.reward_kind,
            ),
            "reward": rows.reward_kind,
            "n": len(rows),
            "customers": len(set(rows.customer_id)),
            "decided": [rows.decided_at.min().isoformat(), rows.decided_at.max().isoformat()],
            "in_range": rows.in_range,
            "left_out": dict(rows.left_out),
            "logged": _line(self.logged),
            "estimators": {name: _line(item) for name, item in self.estimates.items()},
            "difference": _line(self.difference),
            "ess": self.ess,
            "max_weight_share": self.max_weight_share,
            "weight_share_of_top_1_percent": self.top_weight_share,
            "support": {"actions": len(rows.actions), "unsupported_share": self.unsupported},
            "mean_weight": self.mean_weight,
            "timing": {
                "changed_share": rows.timing_changed,
                "weight": "candidate and slot" if rows.timing_changed > 0.0 else "candidate",
            },
            "reward_model": self.reward_model,
            "definitions": DEFINITIONS,
        }


def value_policy(
    workspace: Workspace,
    candidate: PolicyCandidate,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    sample: int = 20_000,
    reward: RewardKind | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Valuation:
    """Values a candidate on decisions later than everything it was tuned on.

    Raises:
        NotFoundError: There is no such decision in the log.
        NotReadyError: No decision of the range can tell, or too many actions.
    """
    start = max((moment for moment in (since, candidate.tuned_through) if moment is not None), default=None)
    rows = read_logged(workspace, candidate, since=start, until=until, sample=sample, reward=reward, progress=progress)
    if not len(rows):
        why = "; ".join(f"{reason} ({count})" for reason, count in rows.left_out.items())
        raise NotReadyError(f"none of {rows.in_range} decisions can tell: {why}", hint="foretouch rewards --out FILE")
    return judge(rows, candidate, since=start, seed=workspace.config.training.seed)


def judge(rows: LoggedDecisions, candidate: PolicyCandidate, *, since: datetime | None, seed: int) -> Valuation:
    """The valuation of rows that were decided again."""
    fold = customer_folds(rows.customer_id)
    qhat, how = cross_fitted_rewards(rows.reward, rows.action, rows.features, rows.propensity, fold, seed=seed)
    here = np.arange(len(rows))
    log = PolicyLog(
        actions=tuple(_name(key) for key in rows.actions),
        action=rows.action,
        reward=rows.reward,
        pscore=rows.pscore,
        pi=PerAction(table=rows.pi, row=here),
        qhat=PerAction(table=qhat, row=here),
        reward_model=how,
        declared_own=0,
        declared_unseen=True,
        drawn=Drawn(
            chance=rows.logged_pi, slot_chance=rows.slots[0], slot_ratio=rows.slots[1], slot_seen=rows.slot_ratio
        ),
    )
    rounds = Rounds(
        reward=rows.reward,
        weight=rows.pi[here, rows.action] / rows.pscore * rows.slot_ratio,
        direct=(rows.pi * qhat).sum(axis=1),
        predicted=qhat[here, rows.action],
    )
    estimates = {name: by_customer(item, rows.customer_id) for name, item in estimate_all(rounds).items()}
    earned = float(rows.reward.mean())
    logged = by_customer(_plain(earned, rows.reward - earned), rows.customer_id)
    gains = (
        rounds.direct - (rows.logged_pi * qhat).sum(axis=1) + (rounds.weight - 1.0) * (rows.reward - rounds.predicted)
    )
    difference = by_customer(_plain(float(gains.mean()), gains - gains.mean()), rows.customer_id)
    return Valuation(
        candidate=candidate,
        decisions=rows,
        since=since,
        logged=_amount(logged),
        estimates={name: _amount(item) for name, item in estimates.items()},
        difference=_amount(difference),
        gains=gains,
        ess=effective_sample_size(rounds.weight),
        max_weight_share=max_weight_share(rounds.weight),
        top_weight_share=weight_share_of_top(rounds.weight),
        unsupported=unsupported_share(log),
        mean_weight=float(rounds.weight.mean()),
        reward_model=how,
        reasons=tuple(reasons_to_refuse(log, rounds, estimates)),
    )


def paired_difference(ours: Valuation, theirs: Valuation) -> Amount:
    """One candidate less another on the decisions that both were valued on; whole customers are one draw.

    Args:
        ours: A candidate.
        theirs: Another one, valued on the same log.
    """
    place = {name: row for row, name in enumerate(theirs.decisions.decision_id)}
    both = np.array([row for row, name in enumerate(ours.decisions.decision_id) if name in place], dtype=np.int64)
    others = np.array([place[name] for name in ours.decisions.decision_id[both]], dtype=np.int64)
    terms = ours.gains[both] - theirs.gains[others]
    mean = float(terms.mean())
    return _amount(by_customer(_plain(mean, terms - mean), ours.decisions.customer_id[both]))


def _name(key: Key) -> str:
    """An action in words: ``tea/email``, ``no contact``."""
    return "/".join(part for part in key if part) or "no contact"


def by_customer(item: Estimate, customer_id: NDArray[np.object_]) -> Estimate:
    """The same estimate with a standard error that takes whole customers as one draw (CR1); NaN for one customer."""
    _, code = np.unique(customer_id.astype(str), return_inverse=True)
    sums = np.bincount(code, weights=item.terms)
    groups, n = len(sums), len(item.terms)
    spread = float(np.square(sums).sum())
    se = float(np.sqrt(spread * groups / (groups - 1.0))) / n if groups > 1 else float("nan")
    reach = float(norm.ppf((1.0 + LEVEL) / 2.0)) * se
    return replace(item, se=se, low=item.value - reach, high=item.value + reach)


def _plain(value: float, terms: FloatArray) -> Estimate:
    return Estimate(value=value, se=float("nan"), low=float("nan"), high=float("nan"), terms=terms)


def _amount(item: Estimate) -> Amount:
    return Amount(value=item.value, se=item.se, low=item.low, high=item.high)


def _line(item: Amount) -> dict[str, Any]:
    return {"value": item.value, "se": item.se, "ci": [item.low, item.high]}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
