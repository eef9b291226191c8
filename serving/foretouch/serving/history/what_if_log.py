"""What-if over the log: a sample of decisions under another policy, and what the logged outcomes say of it."""

from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime
from importlib.metadata import entry_points
from typing import Any

import pandas as pd

from foretouch.core.canonical import content_hash
from foretouch.core.errors import ConfigError, NotFoundError
from foretouch.core.policy import PolicySpec
from foretouch.core.state.db import State
from foretouch.core.state.log import count_decisions, read_decision, sample_decisions
from foretouch.core.workspace import Workspace
from foretouch.serving.decision.candidates import Key
from foretouch.serving.decision.policies import check_policy
from foretouch.serving.decision.selection import NO_CONTACT
from foretouch.serving.history.replay_log import Replayer
from foretouch.serving.history.shadow import first_key
from foretouch.serving.history.what_if import Pair, Tally, decide_both, unknown_segments
from foretouch.serving.history.what_if_report import Evidence, WhatIf

ESTIMATORS_GROUP = "foretouch.off_policy"
"""Entry point ``evaluate``: from a table of ``action``, ``reward``, ``pscore`` and ``pi_<action>`` to estimates."""
Estimators = Callable[[pd.DataFrame], Mapping[str, Any]]


def what_if(
    state: State,
    replayer: Replayer,
    workspace: Workspace,
    policy: PolicySpec,
    *,
    sample: int,
    since: datetime | None = None,
    until: datetime | None = None,
    segments: tuple[str, ...] = (),
    losers: int = 20,
    evidence: bool = True,
    progress: Callable[[int], None] = lambda _: None,
) -> WhatIf:
    """A policy over a sample of logged decisions.

    Args:
        state: The log.
        replayer: Finds what each was made from.
        workspace: Whose outcomes and events.
        policy: Takes the place of every policy; rules, holdouts, features and models stay as they were.
        sample: Most decisions, every k-th of the range.
        since: Decided at or after.
        until: Decided before.
        segments: Customer attributes or features whose groups are shown apart.
        losers: Most customers named among those who lose.
        evidence: Also what the logged outcomes say.
        progress: Told how many decisions are done.

    Raises:
        ConfigError: The policy cannot be followed.
        NotFoundError: There is no decision in the range.
    """
    check_policy(policy)
    connection = state.read()
    in_range = count_decisions(connection, since=since, until=until)
    if not in_range:
        raise NotFoundError("no decision is in the log in that range", hint="foretouch decide --customer ID")
    tally, left_out, pairs = Tally(segments), dict[str, int](), list[Pair]()
    names = sample_decisions(connection, sample, since=since, until=until)
    for done, decision_id in enumerate(names, start=1):
        record = read_decision(connection, decision_id)
        try:
            found = decide_both(record, replayer.inputs_of(record), policy)
        except NotFoundError:
            found = "what it was made from is gone"
        if isinstance(found, str):
            left_out[found] = left_out.get(found, 0) + 1
        else:
            tally.add(found)
            if evidence and len(found.base.selection.picks) <= 1 and record.request.placements is None:
                pairs.append(found)
        progress(done)
    model_based = tally.result(losers=losers)
    return WhatIf(
        policy=policy.name,
        policy_version=content_hash(policy),
        since=since,
        until=until,
        in_range=in_range,
        sampled=len(names),
        left_out=left_out,
        model_based=model_based,
        evidence=_evidence(workspace, pairs) if evidence else Evidence(available=False, reason="it was not asked for"),
        warnings=(
            "outcomes of the changed policy were never seen: only the logged-evidence numbers rest on outcomes",
            *(
                f"segment {name!r} is no attribute or feature of any customer in the sample"
                for name in unknown_segments(model_based.by_segment)
            ),
        ),
    )


def _evidence(workspace: Workspace, pairs: list[Pair]) -> Evidence:
    """Inverse propensity scoring of the goal, contacted or not, over decisions whose window is closed."""
    from foretouch.serving.history.rewards import rewards  # noqa: PLC0415 - DuckDB, only where outcomes are asked about

    estimators = load_estimators()
    if estimators is None:
        reason = "the off-policy estimators are not available: this installation is without foretouch[training]"
        return Evidence(available=False, reason=reason)
    by_revenue = workspace.config.reward.goal == "revenue"
    wanted = {pair.record.decision_id for pair in pairs}
    earned: dict[str, float] = {}
    for row in rewards(workspace, as_of=workspace.clock.now()):
        if row.decided.decision_id in wanted and row.goal_mature and row.decided.rank <= 1:
            earned[row.decided.decision_id] = row.revenue if by_revenue else float(row.goal_occurred)
    kept = [pair for pair in pairs if pair.record.decision_id in earned]
    name = "revenue in the window" if by_revenue else "whether the goal happened in the window"
    reward = f"{name}, contacted or not, per decision"
    if not kept:
        reason = "no sampled decision has a closed window yet"
        return Evidence(available=False, reason=reason, reward=reward)
    result = estimators(evidence_table(kept, earned))
    lines = result["estimators"]
    return Evidence(
        available=True,
        reward=reward,
        decisions=len(kept),
        base_mean=sum(earned[pair.record.decision_id] for pair in kept) / len(kept),
        effective_sample_size=result["ess"],
        ips=lines["ips"],
        snips=lines["snips"],
        verdict=result["verdict"],
        refusals=tuple(result["reasons"]),
    )


def evidence_table(pairs: list[Pair], earned: Mapping[str, float]) -> pd.DataFrame:
    """One row per decision: ``action``, ``reward``, ``pscore``, and ``pi_<action>`` under the changed policy.

    Args:
        pairs: Decisions with one draw each.
        earned: Reward by decision id.
    """
    actions: dict[Key, int] = {NO_CONTACT: 0}
    for pair in pairs:
        for course in (pair.base, pair.changed):
            for key in course.selection.probabilities:
                actions.setdefault(key, len(actions))
    rows = []
    for pair in pairs:
        chosen = first_key(pair.base)
        shares = pair.changed.selection.probabilities
        rows.append(
            {
                "action": actions[chosen],
                "reward": earned[pair.record.decision_id],
                "pscore": pair.base.selection.probabilities[chosen],
                **{f"pi_{number}": float(shares.get(key, 0.0)) for key, number in actions.items()},
            }
        )
    return pd.DataFrame(rows)


def load_estimators() -> Estimators | None:
    """The off-policy estimators, where the training part is installed."""
    for entry in entry_points(group=ESTIMATORS_GROUP):
        if entry.name == "evaluate":
            try:
                loaded: Estimators = entry.load()
            except ImportError:
                return None
            return loaded
    return None


def policy_of(workspace: Workspace, policy: PolicySpec | None, name: str | None) -> PolicySpec:
    """The policy that was given, by value or by name.

    Raises:
        ConfigError: None or both were given, there is no file of that name, or it cannot be followed.
    """
    if (policy is None) == (name is None):
        raise ConfigError("give policy (the policy itself) or policy_name (a file in policies/), one of the two")
    if policy is not None:
        return policy
    return workspace.policy(name or "")


def what_if_here(workspace: Workspace, policy: str, **options: Any) -> WhatIf:
    """A what-if from the command line, on a workspace's own log.

    Raises:
        ForetouchError: As in ``what_if``; the workspace has no log; or there is no such policy.
    """
    from foretouch.core.state.opening import open_state  # noqa: PLC0415 - opens servers where they are configured
    from foretouch.serving.models.bundles import BundleStore  # noqa: PLC0415 - LightGBM

    spec = workspace.policy(policy)
    with closing(open_state(workspace)) as state:
        store = BundleStore(workspace.bundles)
        champions = store.refresh()
        replayer = Replayer(state, workspace.bundles, champions.scorers)
        return what_if(state, replayer, workspace, spec, **options)
