"""``foretouch bench ope``: what a policy would have earned, from a log of any system, or a refusal with its reasons."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from foretouch.core.canonical import file_hash
from foretouch.training.bench.tables import read_table, write_json
from foretouch.training.off_policy.estimators import (
    ESTIMATORS,
    Estimate,
    effective_sample_size,
    estimate_all,
    max_weight_share,
    weight_share_of_top,
)
from foretouch.training.off_policy.evidence import reasons_to_refuse
from foretouch.training.off_policy.log import PolicyLog, Reason, UnusableLog, make_log

LEVEL = 0.95
DEFINITIONS = {
    "weight": "w = pi(a | x, position) / pscore of the logged action",
    "ess": "(sum w)^2 / sum w^2",
    "se": "standard deviation of the round terms (n - 1) over sqrt(n); ratio estimators by the delta method",
    "ci": "value +- 1.96 se (95 %)",
    "dm": "the reward model alone: its interval does not know how good the model is, never decide on it",
}


def evaluate(log: pd.DataFrame, policy: pd.DataFrame | None = None) -> dict[str, Any]:
    """The result of DESIGN's ``bench ope`` for a log and a policy.

    Without a usable log every number is null; with thin or contradictory evidence the numbers are there to look at
    and the verdict is ``refused``.
    """
    try:
        made = make_log(log, policy)
    except UnusableLog as refusal:
        return _result(n=len(log), estimates=None, reasons=refusal.reasons)
    rounds = made.rounds()
    estimates = estimate_all(rounds, level=LEVEL)
    reasons = reasons_to_refuse(made, rounds, estimates)
    return {
        **_result(n=len(log), estimates=estimates, reasons=reasons),
        "ess": effective_sample_size(rounds.weight),
        "max_weight_share": max_weight_share(rounds.weight),
        "weight_share_of_top_1_percent": weight_share_of_top(rounds.weight),
        "mean_weight": float(rounds.weight.mean()),
        "mean_reward_of_log": float(made.reward.mean()),
        **_about(made),
    }


def _about(log: PolicyLog) -> dict[str, Any]:
    return {"actions": len(log.actions), "reward_model": log.reward_model, "smallest_pscore": float(log.pscore.min())}


def _result(
    *, n: int, estimates: Mapping[str, Estimate] | None, reasons: tuple[Reason, ...] | list[Reason]
) -> dict[str, Any]:
    return {
        "n": n,
        "ess": None,
        "max_weight_share": None,
        "estimators": {name: _line(estimates[name] if estimates else None) for name in ESTIMATORS},
        "verdict": "refused" if reasons else "ok",
        "reasons": [{"code": reason.code, "text": reason.text} for reason in reasons],
        "definitions": DEFINITIONS,
    }


def _line(estimate: Estimate | None) -> dict[str, Any]:
    if estimate is None:
        return {"value": None, "se": None, "ci": None}
    return {"value": estimate.value, "se": estimate.se, "ci": [estimate.low, estimate.high]}


def run(log: Path, policy: Path | None, out: Path) -> dict[str, Any]:
    """Reads the tables, evaluates, writes the JSON and returns it.

    Raises:
        DataError: A file cannot be read.
    """
    result = evaluate(read_table(log), None if policy is None else read_table(policy))
    result["inputs"] = {"log_sha256": file_hash(log)} | ({"policy_sha256": file_hash(policy)} if policy else {})
    write_json(result, out)
    return result
