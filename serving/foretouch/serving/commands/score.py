"""``foretouch score``: scores, bands and reasons for everyone, and the hand-off of leads to sales."""

from pathlib import Path
from typing import Annotated

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption


def register(app: typer.Typer) -> None:
    """Adds these commands to the root application."""
    app.command("score")(score)


def score(
    model: Annotated[str, typer.Argument(help="lead, churn or value.")],
    out: Annotated[Path, typer.Option("--out", help="A .parquet or .csv file.")],
    *,
    audience: Annotated[
        Path | None, typer.Option("--audience", help="Parquet or CSV with customer_id; without it everyone.")
    ] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Also keep beside the online features what moves each customer's score.")
    ] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score everyone with the champion. Leads that reach the threshold of [lead_alert] are handed to sales."""
    import json

    from rich.console import Console
    from rich.progress import Progress

    from foretouch.core.clock import monotonic
    from foretouch.core.state.opening import open_state
    from foretouch.core.workspace import Workspace
    from foretouch.serving.jobs.ahead import explain_ahead
    from foretouch.serving.jobs.leads import HandOff, hand_off
    from foretouch.serving.jobs.scores import score_everyone

    opened = Workspace.open(workspace)
    console = Console(stderr=True)
    started = monotonic()
    with Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(f"Scoring {model}")

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        run = score_everyone(opened, model, out, audience=audience, progress=advance)
        kept = None
        if online:
            bar.update(task, description=f"Reasons of {model}", completed=0)
            kept = explain_ahead(opened, model, progress=advance)
    handed = HandOff(crossed=0, rearmed=0, delivered=0, waiting=0)
    if model == "lead":
        with open_state(opened) as state:
            handed = hand_off(opened, state, run.leads)
    result = {
        "model": run.model,
        "version": run.version,
        "out": str(run.out),
        "rows": run.rows,
        "scored": run.scored,
        "bands": run.bands,
        "notes": run.notes,
        **({} if kept is None else {"online": kept}),
        "seconds": round(monotonic() - started, 2),
        "hand_off": {
            "address": opened.config.lead_alert.url,
            "crossed": handed.crossed,
            "rearmed": handed.rearmed,
            "delivered": handed.delivered,
            "waiting": handed.waiting,
            "problem": handed.problem,
        },
    }
    if as_json:
        typer.echo(json.dumps(result))
    else:
        _show(result, lead=model == "lead")
    if handed.problem:
        typer.echo(f"{handed.waiting} leads wait: {handed.problem}", err=True)
        typer.echo(f"  next: foretouch score lead --out {out}   (delivers what waits)", err=True)


def _show(result: dict[str, object], *, lead: bool) -> None:
    typer.echo(
        f"{result['scored']} of {result['rows']} customers scored with {result['model']} {result['version']}"
        f" in {result['seconds']} s: {result['out']}"
    )
    for title in ("bands", "notes"):
        counts = result[title]
        if isinstance(counts, dict):
            for name, count in counts.items():
                typer.echo(f"  {count:>7}  {name}")
    hand_off = result["hand_off"]
    if lead and isinstance(hand_off, dict):
        if hand_off["address"]:
            typer.echo(f"Handed to sales: {hand_off['delivered']} ({hand_off['crossed']} crossed the threshold now)")
        else:
            typer.echo("No hand-off to sales: [lead_alert] in foretouch.toml names no url.")
