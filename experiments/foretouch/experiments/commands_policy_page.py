"""``foretouch experiment policy``: what other policies would have earned, as a page."""

from pathlib import Path
from typing import Annotated

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption


def policy(
    policies: Annotated[
        list[str], typer.Argument(metavar="P…", help="policy, a file of policies/ (bold), or MODEL@VERSION.")
    ],
    workspace: WorkspaceOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the files; reports/ of the workspace by default.")
    ] = None,
    since: Annotated[str | None, typer.Option("--since", help="Decided at or after: a date or a time.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Decided before: a date or a time.")] = None,
    sample: Annotated[int, typer.Option("--sample", min=1, help="Most decisions, evenly spread.")] = 20_000,
    reward: Annotated[str | None, typer.Option("--reward", help="goal or revenue; default: the workspace's.")] = None,
    lang: Annotated[str, typer.Option("--lang", help="en, zh or both.")] = "both",
    as_json: JsonOption = False,
) -> None:
    """What other policies would have earned on the log: estimates beside each other, and how good the evidence is."""
    from foretouch.core.moments import moment_of
    from foretouch.core.terminal import waiting
    from foretouch.core.workspace import Workspace
    from foretouch.experiments.policy.compare import compare_policies
    from foretouch.experiments.policy.page import write_policies
    from foretouch.training.off_policy.candidate import read_candidate

    if lang not in {"en", "zh", "both"}:
        raise typer.BadParameter(f"{lang!r} must be en, zh or both", param_hint="--lang")
    if reward not in {None, "goal", "revenue"}:
        raise typer.BadParameter(f"{reward!r}, must be goal or revenue", param_hint="--reward")
    opened = Workspace.open(workspace)
    candidates = [read_candidate(opened, one, tuned_through=None) for one in policies]
    with waiting("deciding the log again"):
        found = compare_policies(
            opened,
            candidates,
            since=moment_of("--since", since),
            until=moment_of("--until", until),
            sample=sample,
            reward="revenue" if reward == "revenue" else "goal" if reward == "goal" else None,
        )
    languages = ("en", "zh") if lang == "both" else (lang,)
    written = write_policies(found, out or opened.reports, languages)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    for item in found.policies:
        for code in languages:
            typer.echo(item.text_zh if code == "zh" else item.text_en)
    for path in written.values():
        typer.echo(f"  {path}")
