"""Commands of the experiments part. Heavy imports happen inside each command, so that ``--help`` stays fast."""

from pathlib import Path
from typing import Annotated

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption
from foretouch.core.groups import command_group
from foretouch.experiments import commands_bench, commands_insights, commands_log
from foretouch.experiments.commands_aa import aa
from foretouch.experiments.commands_policy_page import policy
from foretouch.experiments.commands_uplift import uplift
from foretouch.experiments.options import AsOfOption, as_of_time

KeyArgument = Annotated[str, typer.Argument(help="The experiment's key, as in experiments/*.toml.")]
WindowOption = Annotated[
    float | None,
    typer.Option("--window-days", min=0.01, help="Cap every metric's window, to read a young experiment early."),
]


def register(app: typer.Typer) -> None:
    """Adds this part's commands to the root application."""
    group = command_group(app, "experiment", "Plan, analyse and report randomised comparisons.")
    group.command("analyze")(analyze)
    group.command("report")(report)
    group.command("design")(design)
    group.command("aa")(aa)
    group.command("uplift")(uplift)
    commands_log.register(group)
    group.command("policy")(policy)
    commands_insights.register(app)
    commands_bench.register(app)


def analyze(
    key: KeyArgument,
    workspace: WorkspaceOption = None,
    window_days: WindowOption = None,
    as_of: AsOfOption = None,
    as_json: JsonOption = False,
) -> None:
    """Analyse an experiment from the decision log and the events."""
    from foretouch.core.workspace import Workspace
    from foretouch.experiments.console import print_results
    from foretouch.experiments.files import json_text
    from foretouch.experiments.log.experiment import analyze_experiment

    opened = Workspace.open(workspace)
    results = analyze_experiment(opened, key, now=as_of_time(as_of, opened.clock.now()), shorten_to_days=window_days)
    if as_json:
        typer.echo(json_text(results), nl=False)
    else:
        print_results(results)


def report(
    key: Annotated[str | None, typer.Argument(help="The experiment's key, as in experiments/*.toml.")] = None,
    workspace: WorkspaceOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the files; reports/ of the workspace by default.")
    ] = None,
    lang: Annotated[str, typer.Option("--lang", help="en, zh or both.")] = "both",
    window_days: WindowOption = None,
    as_of: AsOfOption = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Also a PDF per language, printed by Chromium.")] = False,
    csv: Annotated[
        bool, typer.Option("--csv", help="Also a sheet: a row per metric and arm, and per segment.")
    ] = False,
    results_file: Annotated[
        Path | None,
        typer.Option("--results", help="A results JSON (bench experiment), instead of KEY and a workspace."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the report of an experiment: one HTML file per language, and the results as JSON; on demand PDF and CSV.

    An experiment that cannot be analysed gets its page too, with the reason and what to do.
    """
    import json

    from foretouch.core.errors import ConfigError
    from foretouch.core.workspace import Workspace
    from foretouch.experiments.log.experiment import analyze_experiment, refused_experiment
    from foretouch.experiments.report.output import read_results, write_all
    from foretouch.experiments.specs import spec_of

    if lang not in {"en", "zh", "both"}:
        raise typer.BadParameter(f"{lang!r} must be en, zh or both", param_hint="--lang")
    if (key is None) == (results_file is None):
        raise typer.BadParameter("name an experiment, or give --results FILE", param_hint="KEY")
    failure: ConfigError | None = None
    if results_file is not None:
        results, folder = read_results(results_file), out or results_file.parent
    else:
        opened = Workspace.open(workspace)
        spec, folder = spec_of(opened, str(key)), out or opened.reports
        now = as_of_time(as_of, opened.clock.now())
        try:
            results = analyze_experiment(opened, spec.key, now=now, shorten_to_days=window_days)
        except ConfigError as error:
            failure, results = error, refused_experiment(opened, spec, error)
    languages = ("en", "zh") if lang == "both" else (lang,)
    written = write_all(results, folder, languages, sheet=csv, pdf=pdf)
    if as_json:
        pages = {code: str(written[code]) for code in languages}
        others = {name: str(path) for name, path in written.items() if name not in languages}
        told = {"reports": pages, **others, "verdict": results.verdict.model_dump(mode="json")}
        typer.echo(json.dumps(told, ensure_ascii=False))
    else:
        for code in languages:
            typer.echo(results.verdict.text_en if code == "en" else results.verdict.text_zh)
        for path in written.values():
            typer.echo(f"  {path}")
    if failure is not None:
        raise failure


def design(
    key: KeyArgument,
    workspace: WorkspaceOption = None,
    power: Annotated[float, typer.Option("--power", min=0.5, max=0.999, help="Chance to find a true effect.")] = 0.8,
    as_of: AsOfOption = None,
    as_json: JsonOption = False,
) -> None:
    """How many customers an experiment needs, and what the present audience can show, from past data."""
    import json
    from dataclasses import asdict

    from foretouch.core.workspace import Workspace
    from foretouch.experiments.console import print_plan
    from foretouch.experiments.log.design import design as plan_of
    from foretouch.experiments.log.experiment import place_of
    from foretouch.experiments.report.meanings import definitions_of

    opened = Workspace.open(workspace)
    now = as_of_time(as_of, opened.clock.now())
    plan = plan_of(opened, key, now=now, power=power)
    if as_json:
        prices = [price.model_dump(mode="json") for price in plan.prices]
        command = (
            f"foretouch experiment design {key} --power {power:g} --as-of {now.isoformat()} {place_of(opened)} --json"
        )
        told = {**asdict(plan), "prices": prices, "definitions": definitions_of("design"), "command": command}
        typer.echo(json.dumps(told, ensure_ascii=False))
    else:
        print_plan(plan)
