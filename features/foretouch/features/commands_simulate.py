"""``foretouch simulate``: the same tables for any number of customers and days, with the truth beside them."""

from pathlib import Path
from typing import Annotated

import typer

from foretouch.core.cli import JsonOption


def register(app: typer.Typer) -> None:
    """Adds ``simulate`` to the root application."""
    app.command("simulate")(simulate)


def simulate(
    *,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for tables and truth only.")] = None,
    workspace: Annotated[
        Path | None, typer.Option("--workspace", "-w", help="Folder for a new workspace, configured and ingested.")
    ] = None,
    customers: Annotated[int, typer.Option(min=1, help="How many people.")] = 3_000,
    days: Annotated[int, typer.Option(min=14, help="Days of history.")] = 120,
    seed: Annotated[int, typer.Option(min=0, help="Of every draw.")] = 7,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that draw people; the world is the same.")] = 1,
    register: Annotated[
        bool,
        typer.Option(help="Hand people, consents and earlier sends to the service; training alone needs none of it."),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Simulate customers, events, offers and sends with a known truth. Nobody in it is real."""
    import json

    from rich.console import Console
    from rich.progress import Progress

    from foretouch.features.initialise import initialise
    from foretouch.features.simulation import Simulation, data_end, simulate_tables

    if (out is None) == (workspace is None):
        raise typer.BadParameter("give either --out DIR or --workspace DIR", param_hint="--out / --workspace")
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("Simulating", total=customers)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        if workspace is not None:
            folder = workspace
            world = Simulation(customers=customers, days=days, seed=seed, jobs=jobs, register=register)
            initialise(workspace, "simulated", simulation=world, progress=advance)
        elif out is not None:
            folder = out
            simulate_tables(out, customers=customers, days=days, seed=seed, jobs=jobs, progress=advance)
    result = {
        "folder": str(folder),
        "customers": customers,
        "days": days,
        "seed": seed,
        "data_end": data_end(days).isoformat(),
        "origin": "simulated",
    }
    if as_json:
        typer.echo(json.dumps(result))
        return
    typer.echo(f"Simulated {customers} customers over {days} days (seed {seed}) in {folder}; the truth is in truth/.")
    if workspace is not None:
        typer.echo(f"  next: foretouch features build --workspace {folder}")
    else:
        files = " ".join(f"--{name} {folder / name}.parquet" for name in ("customers", "events", "offers"))
        typer.echo(f"  next: foretouch ingest {files} …")
