"""``foretouch associations``: which offers go together. Heavy imports happen inside the command."""

from pathlib import Path
from typing import Annotated

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption


def register(app: typer.Typer) -> None:
    """Adds the command to the root application."""
    app.command("associations")(associations)


def associations(
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV or Parquet file of all rules; or .html, a page to browse.")
    ] = None,
    language: Annotated[str, typer.Option("--language", help="Of the page: en or zh.")] = "en",
    min_both: Annotated[
        int, typer.Option("--min-both", min=1, help="Customers who must have been sent both offers.")
    ] = 20,
    top: Annotated[int, typer.Option("--top", min=1, help="Rules that are shown.")] = 15,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Says which offers were accepted by the same customers, of those who were sent both."""
    from contextlib import closing

    from rich.console import Console

    from foretouch.core.terminal import print_json, waiting
    from foretouch.core.workspace import Workspace
    from foretouch.features.history_sample import read_sample
    from foretouch.features.offers import load_catalogue
    from foretouch.features.tables import connect
    from foretouch.training.associations import associate
    from foretouch.training.associations_page import associations_page
    from foretouch.training.bench.tables import need_writable, write_table
    from foretouch.training.sends import read_sends

    if language not in {"en", "zh"}:
        raise typer.BadParameter(f"{language!r}: must be en or zh", param_hint="--language")
    page = out is not None and out.suffix == ".html"
    if out is not None and not page:
        need_writable(out)
    opened = Workspace.open(workspace)
    catalogue = load_catalogue(opened)
    with waiting("sends and what became of them"):
        with closing(connect(opened)) as connection:
            kept = read_sample(opened).sends
            sends = read_sends(connection, catalogue, opened.config.goals.offer, kept=kept)
        found = associate(sends, min_both_sent=min_both)
    if out is not None and page:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(associations_page(found, catalogue, language), encoding="utf-8")
    elif out is not None:
        write_table(found.rules, out)
    if json:
        rules = [
            {key: value if value == value else None for key, value in rule.items()}  # noqa: PLR0124 - NaN
            for rule in found.rules.to_dict(orient="records")
        ]
        print_json(
            {
                "customers": found.customers,
                "offers": found.offers,
                "sends": len(sends),
                "min_both_sent": min_both,
                "rules": rules,
                "out": None if out is None else str(out),
            }
        )
        return
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{len(found.rules)} rules of {found.offers} offers and {found.customers} customers", markup=False)
    for rule in found.rules.head(top).itertuples(index=False):
        console.print(
            f"{rule.offer_id} -> {rule.then_offer_id}: lift {rule.lift:.2f} ({rule.lift_low:.2f} to"
            f" {rule.lift_high:.2f}), shrunk {rule.lift_shrunk:.2f}; {rule.accepted_both} of {rule.sent_both} both",
            markup=False,
        )
    if out is not None:
        console.print(f"written to {out}", markup=False)
