"""The machine: versions of what is installed, the clock, and the time zones."""

import sqlite3
import sys
import zoneinfo
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, timedelta
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from foretouch.core.state.connection import from_micros
from foretouch.core.state.opening import read_state
from foretouch.serving.doctor.finding import Finding, Patient, fail, ok, warn

OLDEST_SQLITE = (3, 35, 0)
"""The first with ``RETURNING``."""
AHEAD = timedelta(minutes=5)
"""A log that is further ahead of the clock than this was written by another clock."""


def examine_versions(_: Patient) -> Iterator[Finding]:
    """Whether what is installed is what this release needs."""
    needed = [Requirement(line) for line in requires("foretouch") or ()]
    wrong: list[str] = []
    checked = 0
    for requirement in needed:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        checked += 1
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is not installed")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement.name} is {found}, must be {requirement.specifier}")
    if wrong:
        yield fail("versions", "; ".join(wrong), "make setup, or pip install --upgrade foretouch")
    else:
        python = ".".join(map(str, sys.version_info[:3]))
        yield ok("versions", f"foretouch {version('foretouch')}, Python {python}, {checked} packages as required")
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        bound = ".".join(map(str, OLDEST_SQLITE))
        yield fail("versions", f"SQLite is {sqlite3.sqlite_version}, must be at least {bound}", "a newer Python")


def examine_clock(patient: Patient) -> Iterator[Finding]:
    """The workspace's clock against its own log, and whether time zones are known."""
    kind, now = patient.workspace.config.clock.kind, patient.now
    text = f"{now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC ({kind})"
    latest = None
    connection = read_state(patient.workspace)
    if connection is not None:
        with closing(connection):
            latest = connection.execute("SELECT MAX(decided_at) FROM decisions").fetchone()[0]
    if latest is not None and from_micros(latest) > now + AHEAD:
        text += f": the log has a decision of {from_micros(latest):%Y-%m-%d %H:%M:%S} UTC, which is later"
        step = (
            "move clock.json forward" if kind == "manual" else "set the machine's clock, or [clock] in foretouch.toml"
        )
        yield fail("clock", text, step)
    else:
        yield ok("clock", text)
    if not zoneinfo.available_timezones():
        yield fail("clock", "no time zone is known", "pip install tzdata")
        return
    config = patient.workspace.config
    if config.clock.kind == "offset" and config.workspace.origin == "own":
        yield warn("clock", "an offset clock is meant for samples", 'kind = "system" under [clock] of foretouch.toml')
