"""Commands that look a workspace over: ``doctor`` and ``audit verify``."""

import json
from typing import Annotated

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption

MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


def register(app: typer.Typer) -> None:
    """Adds these commands to the root application."""
    app.command("doctor")(doctor)
    audit = typer.Typer(
        name="audit", help="The audit trail: who changed what.", no_args_is_help=True, rich_markup_mode=None
    )
    audit.callback()(_group)
    audit.command("verify")(verify)
    app.add_typer(audit)


def _group() -> None:
    """The audit trail: who changed what."""


def doctor(
    workspace: WorkspaceOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 on warnings too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look the whole workspace over, change nothing, and name the next command of what is wrong.

    Exits 1 if something fails.
    """
    import os
    from dataclasses import asdict
    from pathlib import Path

    from foretouch.core.hints import with_workspace
    from foretouch.core.terminal import print_json, waiting
    from foretouch.core.workspace import WORKSPACE_VARIABLE
    from foretouch.serving.doctor.examine import examine

    root = Path(workspace or os.environ.get(WORKSPACE_VARIABLE) or ".")
    with waiting("looking at every part"):
        findings = list(examine(root))
    counts = {level: sum(finding.level == level for finding in findings) for level in MARKS}
    if as_json:
        print_json({**counts, "findings": [asdict(finding) for finding in findings]})
    else:
        width = max(len(finding.part) for finding in findings)
        for finding in findings:
            typer.echo(f"{MARKS[finding.level]}  {finding.part:{width}}  {finding.text}")
            if finding.next_step:
                typer.echo(f"{'':4}  {'':{width}}  next: {with_workspace(finding.next_step)}")
        typer.echo(f"{counts['ok']} ok, {counts['warn']} to look at, {counts['fail']} wrong")
    if counts["fail"] or (strict and counts["warn"]):
        raise typer.Exit(1)


def verify(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Check the whole audit chain: no line edited, moved or taken out of the middle. Exits 1 if one was.

    Lines cut off at the end leave a whole chain: compare the last line's hash with one that was noted elsewhere.
    """
    from contextlib import closing

    from foretouch.core.errors import StateError
    from foretouch.core.state.access import audit_end, verify_audit
    from foretouch.core.state.opening import read_state
    from foretouch.core.workspace import Workspace

    connection = read_state(Workspace.open(workspace))
    broken, lines, last = None, 0, ""
    if connection is not None:
        with closing(connection):
            broken = verify_audit(connection)
            lines, last = audit_end(connection)
    if as_json:
        typer.echo(json.dumps({"holds": broken is None, "lines": lines, "broken_at": broken, "last_sha256": last}))
    elif broken is None:
        typer.echo(f"{lines} lines, each linked to the one before; the last is {last or 'none yet'}")
    if broken is not None:
        if as_json:
            raise typer.Exit(1)
        raise StateError(
            f"line {broken} of the audit was edited or moved, or the one before it is gone",
            hint="keep state.db as it is, and compare it with a backup from before",
        )
