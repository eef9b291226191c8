"""Assigned and exposed: what share of each arm's units was in fact reached.

The analysis is by intention to treat: every assigned unit counts. Beside it stands the share that had a contact known
to have gone out (a delivery, a confirmation or an answer) within the longest window, whoever decided it, alike for
every arm: an effect of assignment over the difference of these shares is the effect per reached unit, if assignment
works through contacts alone (Bloom 1984).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta

from foretouch.core.outcomes import ACTIVATING
from foretouch.core.state.connection import from_micros, marks, stream, to_micros
from foretouch.core.state.opening import read_state
from foretouch.core.workspace import Workspace
from foretouch.experiments.log.exposures import Exposure


def reached_units(
    workspace: Workspace,
    exposures: Sequence[Exposure],
    *,
    window: timedelta,
    received_by: datetime,
    aliases: Mapping[str, str],
) -> list[bool] | None:
    """Which units were reached within the window of their first exposure.

    Args:
        workspace: Whose outcomes.
        exposures: Units whose window is over.
        window: From the first exposure.
        received_by: Outcomes received later are not known yet.
        aliases: From an alias to the customer it stands for.

    Returns:
        One flag per unit; ``None`` where no sign of any delivery was ever posted.
    """
    state = read_state(workspace)
    if state is None:
        return None
    units: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(exposures):
        for customer in item.customers:
            units[customer].append(index)
    starts = [to_micros(item.at) for item in exposures]
    length = window // timedelta(microseconds=1)
    kinds = sorted(ACTIVATING)
    query = f"SELECT customer_id, occurred_at FROM outcomes WHERE type IN ({marks(len(kinds))}) AND received_at <= ?"  # noqa: S608 - marks only
    reached, posted = [False] * len(exposures), False
    with closing(state):
        for customer, at in stream(state, query, (*kinds, to_micros(received_by))):
            posted = True
            for index in units.get(aliases.get(customer, customer), ()):
                reached[index] |= starts[index] <= at < starts[index] + length
    return reached if posted else None


def shares_by_arm(exposures: Sequence[Exposure], flags: Sequence[bool]) -> dict[str, float]:
    """Share of each arm's units whose flag is set."""
    by_arm: dict[str, list[bool]] = defaultdict(list)
    for item, flag in zip(exposures, flags, strict=True):
        by_arm[item.arm].append(flag)
    return {arm: sum(found) / len(found) for arm, found in sorted(by_arm.items())}


def newest_outcome(workspace: Workspace, received_by: datetime) -> datetime | None:
    """When the newest outcome was received; ``None`` without any."""
    state = read_state(workspace)
    if state is None:
        return None
    with closing(state):
        found = state.execute(
            "SELECT max(received_at) FROM outcomes WHERE received_at <= ?", (to_micros(received_by),)
        ).fetchone()
    return None if found is None or found[0] is None else from_micros(found[0])
