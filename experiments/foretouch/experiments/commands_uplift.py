"""``foretouch experiment uplift``: is a score good at saying whom to contact, and how many pay?"""

from pathlib import Path
from typing import Annotated

import typer

from foretouch.core.cli import JsonOption


def uplift(
    rows: Annotated[Path, typer.Option("--rows", help="One row per person of a randomised test, Parquet or CSV.")],
    score: Annotated[str, typer.Option("--score", help="Column: higher is contacted first.")],
    treatment: Annotated[str, typer.Option("--treatment", help="Column: 1 was contacted, 0 was not, by lot.")],
    outcome: Annotated[str, typer.Option("--outcome", help="Column: what is gained, 0/1 or an amount.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the pages and the JSON.")],
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
    from foretouch.experiments.report.money_names import known_currency
    from foretouch.experiments.uplift.answers import uplift_sentences
    from foretouch.experiments.uplift.judge import Worth, judge_file
    from foretouch.experiments.uplift.page import write_uplift

    if lang not in {"en", "zh", "both"}:
        raise typer.BadParameter(f"{lang!r} must be en, zh or both", param_hint="--lang")
    if value is None and (cost is not None or currency is not None):
        raise typer.BadParameter("a cost or a currency needs --value-per-outcome", param_hint="--value-per-outcome")
    worth = None
    if value is not None:
        worth = Worth(value=value, cost=cost or 0.0, currency=known_currency(currency))
    found = judge_file(rows, score=score, treatment=treatment, outcome=outcome, title=title, worth=worth)
    languages = ("en", "zh") if lang == "both" else (lang,)
    written = write_uplift(found, out, languages)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    for code in languages:
        for sentence in uplift_sentences(found, code):
            typer.echo(sentence)
    for path in written.values():
        typer.echo(f"  {path}")
