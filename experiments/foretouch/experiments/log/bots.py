"""Whose record is only bots': units of whom no person's event, open or click is known, but a machine's is."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.outcomes import MACHINES
from foretouch.core.state.connection import marks, stream, to_micros
from foretouch.core.state.opening import read_state
from foretouch.core.workspace import Workspace
from foretouch.experiments.log.exposures import Exposure

OPENS = tuple(sorted({*MACHINES, *MACHINES.values()}))
"""Opens and clicks, by people and by machines."""


@dataclass(frozen=True, kw_only=True)
class Bots:
    """Who is taken for a bot, one flag per unit.

    Attributes:
        now: By all that is known; machines that open messages only come to arms that get messages.
        before: By events before the first exposure alone, which no arm had a hand in.
    """

    now: NDArray[np.bool_]
    before: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        connection: duckdb.DuckDBPyConnection,
        members: pd.DataFrame,
        exposures: Sequence[Exposure],
        *,
        received_by: datetime,
        aliases: Mapping[str, str],
    ) -> "Bots":
        """Looks through events, and through opens and clicks that were posted.

        Args:
            workspace: Whose outcomes.
            connection: With the view ``events``.
            members: Whose events count for each unit: ``row`` and ``customer_id``.
            exposures: The units, in the order of ``row``.
            received_by: What was received later is not known yet.
            aliases: From an alias to the customer it stands for.
        """
        rows = members["row"].to_numpy(dtype=np.int64)
        starts = pd.DatetimeIndex([item.at for item in exposures]).as_unit("us")
        places = pd.DataFrame({"row": rows, "customer_id": members["customer_id"].to_numpy(), "start": starts[rows]})
        connection.register("exposure_starts", places)
        answer = connection.execute(
            "SELECT w.row, e.is_bot AS bot, bool_or(e.occurred_at < w.start) AS earlier FROM exposure_starts w"
            " JOIN events e ON e.customer_id = w.customer_id WHERE e.received_at <= ? GROUP BY w.row, e.is_bot",
            [received_by],
        ).df()
        connection.unregister("exposure_starts")
        machine, person = np.zeros((2, len(exposures)), dtype=bool), np.zeros((2, len(exposures)), dtype=bool)
        for seen, flagged in ((machine, True), (person, False)):
            found = answer[answer["bot"] == flagged]
            seen[0, found["row"].to_numpy(dtype=np.int64)] = True
            seen[1, found.loc[found["earlier"].astype(bool), "row"].to_numpy(dtype=np.int64)] = True
        units: dict[str, list[int]] = {}
        for row, customer in zip(rows.tolist(), members["customer_id"], strict=True):
            units.setdefault(customer, []).append(row)
        for customer, by_machine in _opens(workspace, received_by):
            seen = machine if by_machine else person
            seen[0, units.get(aliases.get(customer, customer), [])] = True
        now, before = machine & ~person
        return cls(now=now, before=before)


def _opens(workspace: Workspace, received_by: datetime) -> list[tuple[str, bool]]:
    """Customer, and whether a machine did it: each pair once."""
    state = read_state(workspace)
    if state is None:
        return []
    by_machine = marks(len(MACHINES))
    query = (
        f"SELECT DISTINCT customer_id, is_bot OR type IN ({by_machine}) FROM outcomes"  # noqa: S608 - marks only
        f" WHERE type IN ({marks(len(OPENS))}) AND received_at <= ?"
    )
    with closing(state):
        return [
            (str(customer), bool(machine))
            for customer, machine in stream(state, query, (*MACHINES.values(), *OPENS, to_micros(received_by)))
        ]
