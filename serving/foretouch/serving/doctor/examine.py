"""Looks at every part of a workspace; one that cannot be looked at is a finding, and stops no other."""

from collections.abc import Iterator
from pathlib import Path

from foretouch.core.errors import ForetouchError
from foretouch.serving.doctor.files import (
    examine_data,
    examine_disk,
    examine_permissions,
    examine_settings,
    examine_workspace,
)
from foretouch.serving.doctor.finding import Finding, Part, Patient, fail
from foretouch.serving.doctor.log import examine_audit, examine_caps, examine_keys, examine_state
from foretouch.serving.doctor.machine import examine_clock, examine_versions
from foretouch.serving.doctor.models import examine_features, examine_models

PARTS: tuple[tuple[str, Part], ...] = (
    ("settings", examine_settings),
    ("data", examine_data),
    ("features", examine_features),
    ("models", examine_models),
    ("state", examine_state),
    ("audit", examine_audit),
    ("caps", examine_caps),
    ("keys", examine_keys),
    ("clock", examine_clock),
    ("disk", examine_disk),
    ("permissions", examine_permissions),
)
"""Each needs a workspace that opens."""


def examine(root: Path) -> Iterator[Finding]:
    """Every finding about a workspace, in the order in which things depend on each other.

    Args:
        root: The workspace's folder.
    """
    patient = Patient(root)
    yield from _looked_at("versions", examine_versions, patient)
    opened = list(_looked_at("workspace", examine_workspace, patient))
    yield from opened
    if any(finding.level == "fail" for finding in opened):
        return
    for name, part in PARTS:
        yield from _looked_at(name, part, patient)


def _looked_at(name: str, part: Part, patient: Patient) -> Iterator[Finding]:
    try:
        yield from part(patient)
    except ForetouchError as error:
        yield fail(name, error.message, error.hint or "mend what it names")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        yield fail(name, f"{type(error).__name__}: {error}", "mend what it names, then foretouch doctor again")
