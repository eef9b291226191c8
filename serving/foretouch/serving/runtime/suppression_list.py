"""The suppression list: changed in one transaction with its audit line, by HTTP and by the command line alike."""

from collections.abc import Sequence
from datetime import datetime

from foretouch.core.contact import SuppressionEntry
from foretouch.core.errors import DataError, NotFoundError
from foretouch.core.state.access import append_audit
from foretouch.core.state.connection import Connection
from foretouch.core.state.db import State
from foretouch.core.state.suppressions import REMOVED, add_suppressions, list_suppressions, remove_suppression


def suppress(
    state: State, customer_id: str, entries: Sequence[SuppressionEntry], *, now: datetime, actor: str
) -> list[SuppressionEntry]:
    """Puts a customer on the list and returns all the customer's lines.

    Raises:
        DataError: A line would have ended already.
    """
    for entry in entries:
        if entry.until is not None and entry.until <= now:
            raise DataError(f"until == {entry.until.isoformat()}, must be later than now ({now.isoformat()})")

    def job(connection: Connection) -> list[SuppressionEntry]:
        add_suppressions(connection, entries, now)
        _note(connection, "suppression.add", customer_id, entries, now=now, actor=actor)
        return list_suppressions(connection, customer_id)

    return state.write(job)


def unsuppress(
    state: State, customer_id: str, *, channel: str | None, purpose: str | None, now: datetime, actor: str
) -> tuple[list[SuppressionEntry], list[SuppressionEntry]]:
    """Takes a customer off the list: the lines of exactly this channel and purpose, or all of them.

    Returns:
        The lines that were taken off, and those that are left.

    Raises:
        NotFoundError: There is no such line.
    """

    def job(connection: Connection) -> tuple[list[SuppressionEntry], list[SuppressionEntry]]:
        held = list_suppressions(connection, customer_id)
        gone = [entry for entry in held if channel in {None, entry.channel} and purpose in {None, entry.purpose}]
        if not gone:
            which = f"channel {channel or 'any'!r}, purpose {purpose or 'any'!r}"
            raise NotFoundError(
                f"customer {customer_id!r} is on no such line ({which})", hint="foretouch suppress list"
            )
        for entry in gone:
            remove_suppression(connection, customer_id, entry.channel, entry.purpose)
        _note(connection, REMOVED, customer_id, gone, now=now, actor=actor)
        return gone, [entry for entry in held if entry not in gone]

    return state.write(job)


def _note(
    connection: Connection,
    action: str,
    customer_id: str,
    entries: Sequence[SuppressionEntry],
    *,
    now: datetime,
    actor: str,
) -> None:
    detail = {"customer_id": customer_id, "lines": [entry.model_dump(mode="json") for entry in entries]}
    append_audit(connection, actor=actor, action=action, detail=detail, now=now)
