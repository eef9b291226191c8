"""``foretouch segments``: clusters of customers. Heavy imports happen inside the command."""

from pathlib import Path
from typing import Annotated

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption


def register(app: typer.Typer) -> None:
    """Adds the command to the root application."""
    app.command("segments")(segments)


def segments(
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV or Parquet file: customer_id, cluster, rfm_tier, lifecycle_stage.")
    ] = None,
    language: Annotated[str, typer.Option("--language", help="en or zh.")] = "en",
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Makes clusters of today's customers, as many as are stable, and says what sets each apart."""
    from rich.console import Console

    from foretouch.core.clusters import write_clusters
    from foretouch.core.hints import with_workspace
    from foretouch.core.terminal import print_json, waiting
    from foretouch.core.workspace import Workspace
    from foretouch.training.bench.tables import need_writable, write_table
    from foretouch.training.segments.fit import fit_clusters

    if language not in {"en", "zh"}:
        raise typer.BadParameter(f"{language!r}: must be en or zh", param_hint="--language")
    opened = Workspace.open(workspace)
    if out is not None:
        need_writable(out)
    with waiting("clusters of today's customers"):
        model, frame = fit_clusters(opened)
    path = write_clusters(opened.segments_folder, model)
    if out is not None:
        write_table(frame[["customer_id", "cluster", "rfm_tier", "lifecycle_stage"]], out)
    if json:
        print_json({**model.model_dump(mode="json"), "file": str(path), "out": None if out is None else str(out)})
        return
    console = Console(soft_wrap=True, highlight=False)
    for cluster in model.clusters:
        text = cluster.text_zh if language == "zh" else cluster.text_en
        console.print(f"{cluster.name}  {cluster.share:.0%}  {text}", markup=False)
    figures = ", ".join(f"{number}: {value:.2f}" for number, value in model.stability.items())
    console.print(f"stability by number of clusters: {figures}", markup=False)
    if not opened.config.segments.clusters:
        console.print("to use them in rules and reports: [segments] clusters = true in foretouch.toml", markup=False)
    steps = " && ".join(f"foretouch features {step}" for step in ("build", "apply", "materialize"))
    console.print(with_workspace(f"next: {steps}"), markup=False)
