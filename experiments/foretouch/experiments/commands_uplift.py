"""``foretouch experiment uplift``: is a score good at saying whom to contact, and how many pay?"""

from pathlib import Path
from typing import Annotated

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption
from foretouch.experiments.commands_insights import time_option


def uplift(
    out: Annotated[Path, typer.Option("--out", help="Folder for the pages and the JSON.")],
    rows: Annotated[
        Path | None, typer.Option("--rows", help="One row per person of a randomised test, Parquet or CSV.")
    ] = None,
    experiment: Annotated[
        str | None, typer.Option("--experiment", help="Instead of --rows: an experiment of the workspace.")
    ] = None,
    score: Annotated[
        str | None,
        typer.Option("--score", help="Column: higher is contacted first. With --experiment: a feature, else its own."),
    ] = None,
    treatment: Annotated[
        str | None, typer.Option("--treatment", help="Column: 1 was contacted, 0 was not, by lot.")
    ] = None,
    outcome: Annotated[str | None, typer.Option("--outcome", help="Column: what is gained, 0/1 or an amount.")] = None,
    workspace: WorkspaceOption = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="With --experiment: the answer as it was then.")] = None,
    value: Annotated[
        float | None, typer.Option("--value-per-outcome", help="Margin of one outcome: gives the money curve.")
    ] = None,
    cost: Annotated[float | None, typer.Option("--cost-per-contact", min=0.0, help="Cost of one contact.")] = None,
    currency: Annotated[str | None, typer.Option("--currency", help="Of both, such as EUR.")] = None,
    title: Annotated[str | None, typer.Option("--title", help="Of the page; the file's name by default.")] = None,
    lang: Annotated[str, typer.Option("--lang", help="en, zh or both.")] = "both",
    as_json: JsonOption = False,
) -> None:
    """Whom to contact: Qini with its band, money by share of people contacted, tenths; a page per language and JSON."""
    from foretouch.core.workspace import Workspace
    from foretouch.experiments.report.money_names import known_currency
    from foretouch.experiments.uplift.answers import uplift_sentences
    from foretouch.experiments.uplift.judge import Worth, judge_file
    from foretouch.experiments.uplift.of_experiment import judge_experiment
    from foretouch.experiments.uplift.page import write_uplift

    if lang not in {"en", "zh", "both"}:
        raise typer.BadParameter(f"{lang!r} must be en, zh or both", param_hint="--lang")
    if value is None and (cost is not None or currency is not None):
        raise typer.BadParameter("a cost or a currency needs --value-per-outcome", param_hint="--value-per-outcome")
    worth = None if value is None else Worth(value=value, cost=cost or 0.0, currency=known_currency(currency))
    if experiment is not None:
        if rows is not None:
            raise typer.BadParameter("name either rows or an experiment", param_hint="--experiment")
        opened = Workspace.open(workspace)
        now = time_option(as_of, "--as-of") or opened.clock.now()
        found = judge_experiment(opened, experiment, score=score, worth=worth, now=now)
    elif rows is None or score is None or treatment is None or outcome is None:
        raise typer.BadParameter(
            "needs --score, --treatment and --outcome, or --experiment KEY instead of all four", param_hint="--rows"
        )
    else:
        found = judge_file(rows, score=score, treatment=treatment, outcome=outcome, title=title, worth=worth)
    languages = ("en", "zh") if lang == "both" else (lang,)
    written = write_uplift(found, out, languages)
    said = [sentence for code in languages for sentence in uplift_sentences(found, code)]
    told = [found.model_dump_json(indent=2)] if as_json else [*said, *(f"  {path}" for path in written.values())]
    for line in told:
        typer.echo(line)
