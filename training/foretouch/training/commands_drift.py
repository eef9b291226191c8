"""``foretouch drift``: is each champion still of its time? Heavy imports happen inside the command."""

from pathlib import Path
from typing import Annotated

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption
from foretouch.core.models import ModelName

CHECKED: tuple[ModelName, ...] = ("lead", "churn", "value", "offer", "send-time", "uplift")
WHERE_SERVED = frozenset({"send-time", "uplift"})
"""Without a champion there is nothing to say of them, unless they are asked for."""


def register(app: typer.Typer) -> None:
    """Adds the command to the root application."""
    app.command("drift")(drift)


def drift(
    models: Annotated[
        list[str] | None, typer.Argument(help=f"Which models: {', '.join(CHECKED)}; all that serve if none is named.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder; the workspace's reports/ if absent.")] = None,
    fail_on_alarm: Annotated[
        bool, typer.Option("--fail-on-alarm", help="Exit with 1 where there is an alarm.")
    ] = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Champions beside today's customers: moved inputs, moved scores, predictions that no longer hold."""
    from foretouch.core.bundle import read_aliases
    from foretouch.core.terminal import print_json
    from foretouch.core.workspace import Workspace
    from foretouch.training.drift.check import check_model
    from foretouch.training.drift.console import show
    from foretouch.training.drift.page import as_json, write_pages
    from foretouch.training.each import for_each
    from foretouch.training.output import steps

    unknown = sorted(set(models or ()) - set(CHECKED))
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: must be among {', '.join(CHECKED)}", param_hint="MODELS")
    opened = Workspace.open(workspace)
    served = {name for name in WHERE_SERVED if "champion" in read_aliases(opened.bundles, name)}
    wanted = [name for name in CHECKED if (name in models if models else name in served or name not in WHERE_SERVED)]
    with steps() as say:
        say(f"{', '.join(wanted)}: then and now")
        found, refused = for_each(wanted, lambda name: check_model(opened, name))
    data, pages = write_pages(found, refused, opened.config, out or opened.root / "reports")
    if json:
        files = {"json": str(data), **{f"page_{language}": str(path) for language, path in pages.items()}}
        print_json({**as_json(found, refused, opened.config), "files": files})
    else:
        show(found, refused, pages, opened.config)
    if refused and not found:
        raise typer.Exit(1)
    if fail_on_alarm and any(health.alarms for health in found):
        raise typer.Exit(1)
