"""The workspace's files: configuration, settings, data, permissions, and room on the disk."""

import os
import shutil
import stat
from collections.abc import Iterator

from foretouch.serving.doctor.finding import Finding, Patient, fail, ok, warn

GIB = 1024**3
FULL_BELOW = 0.2 * GIB
"""Free bytes below which the log may not be written any more."""
TIGHT_BELOW = 2.0 * GIB
"""Free bytes from which on somebody should make room."""


def examine_workspace(patient: Patient) -> Iterator[Finding]:
    """The folder and ``foretouch.toml``."""
    config = patient.workspace.config
    yield ok("workspace", f"{config.workspace.name} in {patient.workspace.root}, {config.workspace.currency}")


def examine_settings(patient: Patient) -> Iterator[Finding]:
    """Policies, rules, experiments and offers, as a service would read them at its start."""
    settings = patient.settings
    rules = settings.contact_policy
    counted = len(rules.caps) + len(rules.quiet_hours) + len(rules.working_hours) + len(rules.cool_downs)
    yield ok(
        "settings",
        f"{len(settings.policies.policies)} policies, {counted} contact rules, "
        f"{len(settings.engagement.rules)} engagement rules, {len(settings.experiments.experiments)} experiments",
    )
    for warning in settings.warnings:
        yield warn("settings", warning, "correct the name, or bring the offers: foretouch ingest --offers FILE")
    offers = len(settings.catalogue.offers)
    if offers == 0:
        yield warn("offers", "there is no offer: every answer is no contact", "foretouch ingest --offers FILE")
    else:
        yield ok("offers", f"{offers} offers")


def examine_data(patient: Patient) -> Iterator[Finding]:
    """Canonical tables, and what was refused."""
    workspace = patient.workspace
    missing = [name for name in ("customers", "consents", "events") if not _is_there(patient, name)]
    if missing:
        step = "foretouch ingest " + " ".join(f"--{name} FILE" for name in missing)
        yield warn("data", f"no {', '.join(missing)} have been ingested", step)
    else:
        yield ok("data", "customers, consents and events have been ingested")
    refused = {path.stem: _lines(path) for path in sorted(workspace.quarantine.glob("*.jsonl"))}
    refused = {name: count for name, count in refused.items() if count}
    if refused:
        listed = ", ".join(f"{count} of {name}" for name, count in refused.items())
        where = workspace.quarantine.relative_to(workspace.root)
        yield warn(
            "data", f"rows were refused: {listed}", f"read the reasons in {where}/, mend the source, ingest again"
        )


def examine_permissions(patient: Patient) -> Iterator[Finding]:
    """Whether the service can write, and nobody else can read its keys."""
    workspace = patient.workspace
    if not os.access(workspace.root, os.W_OK | os.X_OK):
        yield fail("permissions", "the workspace cannot be written", f"chmod u+rwx {workspace.root}")
        return
    unwritable = [path.name for path in workspace.root.glob("state.db*") if not os.access(path, os.R_OK | os.W_OK)]
    if unwritable:
        yield fail(
            "permissions", f"{', '.join(unwritable)} cannot be written", f"chmod u+rw {workspace.root}/state.db*"
        )
    open_to_all = [
        path for path in [workspace.secrets, *workspace.secrets.glob("*.key")] if path.exists() and _others_may(path)
    ]
    if open_to_all:
        names = ", ".join(str(path.relative_to(workspace.root)) for path in open_to_all)
        step = f"chmod 700 {workspace.secrets} && chmod 600 {workspace.secrets}/*.key"
        yield fail("permissions", f"other users may read {names}", step)
    if not unwritable and not open_to_all:
        yield ok("permissions", "the workspace can be written, its secrets are the owner's alone")


def examine_disk(patient: Patient) -> Iterator[Finding]:
    """Room for the log."""
    free = shutil.disk_usage(patient.workspace.root).free
    text = f"{free / GIB:.1f} GiB free"
    if free < FULL_BELOW:
        yield fail("disk", f"{text}: the log will not be written", "make room on the disk of the workspace")
    elif free < TIGHT_BELOW:
        yield warn("disk", f"{text}: about {free / 15_000:,.0f} decisions", "make room on the disk of the workspace")
    else:
        yield ok("disk", text)


def _is_there(patient: Patient, name: str) -> bool:
    path = patient.workspace.table(name)
    return path.is_file() or path.with_suffix("").is_dir()


def _lines(path: os.PathLike[str]) -> int:
    with open(path, "rb") as file:  # noqa: PTH123 - any path
        return sum(1 for _ in file)


def _others_may(path: os.PathLike[str]) -> bool:
    return bool(os.stat(path).st_mode & (stat.S_IRWXG | stat.S_IRWXO))  # noqa: PTH116 - any path
