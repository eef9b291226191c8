"""The state: the log of decisions, its audit chain, keys, and counters of caps beside it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

from foretouch.core.state.access import audit_end, list_keys, verify_audit
from foretouch.core.state.caps import CapQuestion, read_generation
from foretouch.core.state.opening import open_caps, read_state
from foretouch.serving.doctor.finding import Finding, Patient, fail, ok, warn

CHECKED_BYTES = 2 * 1024**3
"""A larger file is not read through: that would take minutes."""
NO_LOG = "nothing has been decided yet: there is no state.db"


def examine_state(patient: Patient) -> Iterator[Finding]:
    """The log: readable, whole, and how much is in it."""
    connection = read_state(patient.workspace)
    if connection is None:
        yield ok("state", NO_LOG)
        return
    with closing(connection):
        counted = ", ".join(
            f"{connection.execute(f'SELECT COUNT(*) FROM {table}').fetchone()[0]:,} {table}"  # noqa: S608 - our own words
            for table in ("decisions", "outcomes", "events", "quarantine")
        )
        size = patient.workspace.state_file.stat().st_size if isinstance(connection, sqlite3.Connection) else 0
        if not size or size > CHECKED_BYTES:
            yield ok("state", counted)
            return
        said = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        if said == "ok":
            yield ok("state", f"{counted}; {size / 1e6:,.0f} MB, of one piece")
        else:
            step = "stop the service, keep a copy of state.db, then bring a backup back"
            yield fail("state", f"state.db is damaged: {said}", step)


def examine_audit(patient: Patient) -> Iterator[Finding]:
    """The audit chain: no line edited, moved or taken out."""
    connection = read_state(patient.workspace)
    if connection is None:
        yield ok("audit", NO_LOG)
        return
    with closing(connection):
        broken = verify_audit(connection)
        if broken is None:
            yield ok("audit", f"{audit_end(connection)[0]:,} lines, each linked to the one before")
        else:
            yield fail(
                "audit", f"line {broken} was edited or moved, or the one before it is gone", "foretouch audit verify"
            )


def examine_keys(patient: Patient) -> Iterator[Finding]:
    """Whether anybody can ask the service."""
    connection = read_state(patient.workspace)
    keys = []
    if connection is not None:
        with closing(connection):
            keys = list_keys(connection)
    usable = [key for key in keys if key.usable(patient.now)]
    deciding = [key for key in usable if "decide" in key.scopes]
    if not deciding:
        yield warn("keys", "no usable key may ask for decisions", "foretouch keys create --scope decide")
        return
    soon = [
        key.id for key in usable if key.expires_at is not None and key.expires_at < patient.now + timedelta(days=14)
    ]
    if soon:
        yield warn("keys", f"{', '.join(soon)} expire within 14 days", "foretouch keys create --scope decide")
    else:
        yield ok("keys", f"{len(usable)} usable")


def examine_caps(patient: Patient) -> Iterator[Finding]:
    """The store that counts caps, where there is one beside the log."""
    store = open_caps(patient.workspace)
    if store is None:
        yield ok("caps", "counted with the log")
        return
    with closing(store):
        connection = read_state(patient.workspace)
        generation = None
        if connection is not None:
            with closing(connection):
                generation = read_generation(connection)
        if generation is None:
            yield warn("caps", f"{store.label} has not been filled yet", "foretouch caps rebuild")
            return
        policy = patient.settings.contact_policy
        nobody = CapQuestion.of(
            policy, customer_id="doctor", household_id=None, now=patient.now, since=patient.now, offers={}
        )
        store.look(nobody, generation)
        yield ok("caps", f"{store.label} answers and counts what the log says")
