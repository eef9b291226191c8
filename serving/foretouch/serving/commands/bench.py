"""``foretouch bench serve``. Heavy imports happen inside the command, so that ``--help`` stays fast."""

from pathlib import Path
from typing import Annotated, Any

import typer

from foretouch.core.cli import JsonOption
from foretouch.core.groups import command_group


def register(app: typer.Typer) -> None:
    """Adds this part's bench job to the root application."""
    group = command_group(app, "bench", "Benchmarks through the public door: any table of the shape.")
    group.command("serve")(serve)


def serve(
    *,
    seconds: Annotated[float, typer.Option(min=0.2, help="Per server, number of clients and round.")] = 3.0,
    clients: Annotated[str, typer.Option(help="Numbers of connections, separated by commas.")] = "1,32",
    rounds: Annotated[int, typer.Option(min=1, help="Turns that the servers take.")] = 3,
    customers: Annotated[int, typer.Option(min=100, help="Customers of the workspace that is made.")] = 20_000,
    peers: Annotated[bool, typer.Option(help="Also run the assemblies that others would put together.")] = True,
    out: Annotated[Path | None, typer.Option("--out", help="JSON file to write.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Decisions per second, latency and CPU: ours, its bare parts, and what others would put together, side by side."""
    import tempfile

    from rich.console import Console

    from foretouch.core.errors import ConfigError
    from foretouch.core.terminal import hand_over
    from foretouch.serving.bench.serve import Plan, has_peers, measure
    from foretouch.serving.bench.world import Size

    wanted = [part.strip() for part in clients.split(",")]
    if not wanted or not all(part.isdigit() and 1 <= int(part) <= 256 for part in wanted):
        raise ConfigError(
            f"--clients == {clients!r}, must be numbers from 1 to 256 separated by commas",
            hint="foretouch bench serve --clients 1,32",
        )
    console = Console(stderr=True)
    if peers and not has_peers():
        console.print("no benchmarks/peers beside this installation: ours alone is measured", style="yellow")
    size = Size(customers=customers)
    plan = Plan(
        seconds=seconds,
        clients=tuple(sorted({int(part) for part in wanted})),
        rounds=rounds,
        size=size,
        peers=peers and has_peers(),
    )
    with tempfile.TemporaryDirectory(prefix="foretouch-bench-") as folder:
        found = measure(plan, Path(folder), lambda text: console.print(f"{text} …", style="dim"))
    options = f" --seconds {seconds:g} --rounds {rounds} --clients {clients} --customers {customers}"
    found["command"] += options + ("" if plan.peers else " --no-peers")
    hand_over(found, out=out, as_json=as_json, show=show)


def show(found: dict[str, Any]) -> None:
    """Prints the servers side by side, then each target with what was found."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for name, servers in found.items():
        if not name.startswith("clients="):
            continue
        table = Table(name.replace("=", ": "), "answers/s", "p50 ms", "p99 ms", "CPU µs", "client CPU µs", box=None)
        for column in table.columns[1:]:
            column.justify = "right"
        for server, line in servers.items():
            figures = ("per_second", "p50_ms", "p99_ms", "cpu_us", "client_cpu_us")
            table.add_row(server, *("–" if line[key] is None else f"{line[key]:,.5g}" for key in figures))
        console.print(table)
    table = Table("target", "found", "must", "aim", "", box=None)
    for line in found["targets"]:
        value = "–" if line["found"] is None else f"{line['found']:.4g}"
        said = {None: "not measured", True: "holds", False: "falls short"}[line["met"]]
        table.add_row(line["target"], value, line["must"], line["aim"], said + (", aim too" if line["aim_met"] else ""))
    console.print(table)
    console.print(found["note"], style="dim", highlight=False)
