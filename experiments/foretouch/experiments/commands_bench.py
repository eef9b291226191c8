"""``foretouch bench experiment`` and ``bench analysis``. Heavy imports happen inside each command."""

from pathlib import Path
from typing import Annotated, Any

import typer

from foretouch.core.cli import JsonOption
from foretouch.core.groups import command_group


def register(app: typer.Typer) -> None:
    """Adds this part's bench jobs to the root application."""
    group = command_group(app, "bench", "Benchmarks through the public door: any table of the shape.")
    group.command("experiment")(bench_experiment)
    group.command("analysis")(analysis)


def bench_experiment(
    rows: Annotated[
        list[Path],
        typer.Option("--rows", help="One row per unit, Parquet or CSV; or aggregates (.json), which add up."),
    ],
    spec: Annotated[Path, typer.Option("--spec", help="The experiment's spec, TOML or JSON.")],
    out: Annotated[Path, typer.Option("--out", help="Where the results JSON goes.")],
    save_aggregates: Annotated[
        Path | None, typer.Option("--save-aggregates", help="Where the sufficient statistics go, to be added up later.")
    ] = None,
) -> None:
    """Analyse any table of units: the results JSON that a report is made of."""
    from foretouch.experiments.files import analyze_files

    results = analyze_files(rows, spec, out, save_aggregates=save_aggregates)
    typer.echo(results.verdict.text_en, err=True)


def analysis(
    *,
    rows: Annotated[
        int, typer.Option(min=10_000, help="Of the experiment with one metric and a covariate.")
    ] = 10_000_000,
    wide_rows: Annotated[int, typer.Option(min=10_000, help="Of the one with 5 metrics and 20 segments.")] = 1_000_000,
    qini_rows: Annotated[int, typer.Option(min=10_000, help="Of the scored table.")] = 5_000_000,
    band_rows: Annotated[int, typer.Option(min=1_000, help="Of the scored table whose band is drawn.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="Turns that the parties take.")] = 3,
    peers: Annotated[bool, typer.Option(help="Also run tea-tasting, causalml and scikit-uplift.")] = True,
    environments: Annotated[
        Path | None, typer.Option(help="Where the peers' environments are kept (1.6 GB); else made anew each time.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="JSON file to write.")] = None,
    as_json: JsonOption = False,
) -> None:
    """What an analysis costs: ten million rows with CUPED, and a Qini of five million, beside the best libraries."""
    import tempfile

    from rich.console import Console

    from foretouch.core.terminal import hand_over
    from foretouch.experiments.bench.analysis import Plan, measure

    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="foretouch-bench-") as folder:
        home = (environments or Path(folder) / "environments") if peers else None
        plan = Plan(
            rows=rows,
            wide_rows=wide_rows,
            qini_rows=qini_rows,
            band_rows=band_rows,
            rounds=rounds,
            environments=home,
        )
        found = measure(plan, Path(folder), lambda text: console.print(f"{text} …", style="dim"))
    found["command"] += f" --rows {rows} --wide-rows {wide_rows} --qini-rows {qini_rows} --band-rows {band_rows}"
    found["command"] += f" --rounds {rounds}" + ("" if peers else " --no-peers")
    hand_over(found, out=out, as_json=as_json, show=show)


def show(found: dict[str, Any]) -> None:
    """Prints the parties side by side, then each target with what was found."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for what, parties in {**found["compared"], "ours alone": found["alone"]}.items():
        table = Table(what, "seconds", "CPU seconds", "peak MiB", box=None)
        for column in table.columns[1:]:
            column.justify = "right"
        for name, line in parties.items():
            table.add_row(name, f"{line['seconds']:.3f}", f"{line['cpu_seconds']:.3f}", f"{line['peak_mib']:,.0f}")
        console.print(table)
    for name, why in found["skipped"].items():
        console.print(f"{name} skipped: {why}", style="yellow", highlight=False)
    table = Table("target", "found", "must", "", box=None)
    for line in found["targets"]:
        value = "–" if line["found"] is None else f"{line['found']:.4g}"
        said = {None: "not measured", True: "holds", False: "falls short"}[line["met"]]
        table.add_row(line["target"], value, line["must"], said)
    console.print(table)
    console.print(found["note"], style="dim", highlight=False)
