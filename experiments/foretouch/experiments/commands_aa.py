"""``foretouch experiment aa``: past units split by lot again and again. Heavy imports happen inside the command."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption
from foretouch.experiments.options import AsOfOption, as_of_time

if TYPE_CHECKING:
    from foretouch.experiments.analysis.aa import Trial

SAID = {
    "ok": "as it should be",
    "too_many": "TOO MANY: intervals of this metric are too narrow on these data",
    "too_few": "fewer than asked for: intervals are wider than they need be",
}


def aa(
    key: Annotated[str | None, typer.Argument(help="The experiment's key, as in experiments/*.toml.")] = None,
    workspace: WorkspaceOption = None,
    rows: Annotated[
        Path | None, typer.Option("--rows", help="Past units, Parquet or CSV, instead of KEY and a workspace.")
    ] = None,
    spec: Annotated[Path | None, typer.Option("--spec", help="With --rows: the spec, TOML or JSON.")] = None,
    splits: Annotated[int, typer.Option(min=100, max=20_000, help="How often the units are split.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    as_of: AsOfOption = None,
    as_json: JsonOption = False,
) -> None:
    """A/A on past data: split units by lot, with nothing done to anybody, and count how often an effect is seen.

    Of an experiment, the trial stays in its report. Exits with 1 where a metric raises more false alarms than chance
    allows.
    """
    import json
    from dataclasses import asdict

    from foretouch.experiments.analysis.aa import trial
    from foretouch.experiments.files import read_rows, read_spec
    from foretouch.experiments.past_trials import keep_trial
    from foretouch.experiments.report.meanings import definitions_of

    if (key is None) == (rows is None) or (rows is None) != (spec is None):
        raise typer.BadParameter("name an experiment, or give --rows FILE and --spec FILE", param_hint="KEY")
    opened = None
    if rows is not None and spec is not None:
        table, ready = read_rows(rows), read_spec(spec)
        source = f"--rows {rows} --spec {spec}"
    else:
        from foretouch.core.workspace import Workspace
        from foretouch.experiments.log.experiment import place_of
        from foretouch.experiments.log.past import past_units
        from foretouch.experiments.specs import spec_of

        opened = Workspace.open(workspace)
        now = as_of_time(as_of, opened.clock.now())
        table, ready = past_units(opened, spec_of(opened, str(key)), now=now)
        source = f"{key} --as-of {now.isoformat()} {place_of(opened)}"
    found = trial(table, ready, splits=splits, seed=seed)
    if opened is not None:
        keep_trial(opened, ready.key, found, as_of=now, seed=seed)
    if as_json:
        command = f"foretouch experiment aa {source} --splits {splits} --seed {seed} --json"
        told = {"key": ready.key, **asdict(found), "definitions": definitions_of("aa"), "command": command}
        typer.echo(json.dumps(told, ensure_ascii=False))
    else:
        print_trial(ready.key, found)
    if any(item.code == "too_many" for item in found.metrics):
        raise typer.Exit(1)


def print_trial(key: str, found: "Trial") -> None:
    """Prints the rates of false alarms."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    sampled = "" if found.units == found.of else f" (a sample of {found.of:,})"
    console.print(f"{key}: {found.units:,} past units{sampled}, split by lot {found.splits:,} times")
    table = Table("metric", "false alarms", "95 % interval", "chance allows", "")
    for item in found.metrics:
        table.add_row(
            item.name,
            f"{100 * item.share:.1f}% of {item.splits:,}",
            f"{100 * item.ci[0]:.1f} … {100 * item.ci[1]:.1f}%",
            f"{100 * item.band[0]:.1f} … {100 * item.band[1]:.1f}%",
            SAID[item.code],
        )
    console.print(table)
    for name, _, english, chinese in found.refused:
        console.print(f"  no rate for {name}: {english} / {chinese}", soft_wrap=True, highlight=False)
