"""What this part's commands print: tables for people, JSON for programs, progress on stderr."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from foretouch.core.canonical import canonical_json
from foretouch.training.pipeline import Trained
from foretouch.training.promotion import Moved
from foretouch.training.task import Comparison
from foretouch.training.versions import VersionLine


@contextmanager
def steps() -> Iterator[Callable[[str], None]]:
    """Yields a function that shows the step at hand: a spinner on a terminal, else a line on stderr."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: console.print(text, highlight=False)
        return
    with console.status("") as status:
        yield status.update


def print_json(value: object) -> None:
    """Prints a value as one line of JSON on stdout."""
    print(canonical_json(value).decode())


def _comparison(item: Comparison) -> dict[str, object]:
    return {**asdict(item), "wins": item.wins}


def show_trained(trained: Sequence[Trained], *, as_json: bool) -> None:
    """Each model's figures on later data beside its baselines', with intervals."""
    if as_json:
        print_json(
            [
                {
                    "model": item.card.model,
                    "version": item.card.version,
                    "primary_metric": item.card.extras.get("primary_metric"),
                    "metrics": item.card.metrics,
                    "comparisons": [_comparison(line) for line in item.comparisons],
                    "beats_baselines": item.wins,
                    "trained_through": item.card.trained_through.isoformat(),
                    "data_sha256": item.card.data_sha256,
                    "mlflow_run_id": item.card.mlflow_run_id,
                    "bundle": str(item.bundle),
                    "reports": str(item.reports),
                    "seconds": round(item.seconds, 1),
                }
                for item in trained
            ]
        )
        return
    console = Console(soft_wrap=True, highlight=False)
    console.print("On later data, the model beside its baselines (95 % paired bootstrap):")
    for item in trained:
        console.print(f"{item.card.model} {item.card.version}", style="bold")
        for line in item.comparisons:
            verdict = "better" if line.wins else ("not better" if line.decisive else "no say")
            interval = f"[{line.low:+.4g}, {line.high:+.4g}]"
            console.print(
                f"  {line.metric:<18} {_number(line.model):>8}  {line.baseline} {_number(line.reference)}"
                f"  {line.difference:+.4g} {interval} by {line.cluster}: {verdict}",
                markup=False,
            )
    for item in trained:
        console.print(f"{item.card.model} {item.card.version}: {item.seconds:.0f} s, plots and card in {item.reports}")
    console.print("next: foretouch promote MODEL, then foretouch serve; runs: mlflow ui", highlight=False)


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.1f}"


def show_moved(moved: Sequence[Moved], *, as_json: bool) -> None:
    """What a promotion or a rollback changed, and what it rested on."""
    if as_json:
        print_json(
            [{**asdict(item), "comparisons": [_comparison(line) for line in item.comparisons]} for item in moved]
        )
        return
    console = Console()
    for item in moved:
        was = f" (was {item.replaced})" if item.replaced else ""
        how = f"{item.gate}, overruled by --force" if item.forced else item.gate
        console.print(f"{item.model}: {item.alias} is now version {item.version}{was}; gate: {how}", highlight=False)


def show_versions(lines: Sequence[VersionLine], *, as_json: bool) -> None:
    """Every version with its aliases and figures."""
    if as_json:
        print_json([asdict(line) for line in lines])
        return
    console = Console()
    if not lines:
        console.print("no model yet; next: foretouch train all", highlight=False)
        return
    table = Table("model", "version", "aliases", "chosen by", "on later data", "beats baselines", "trained through")
    for line in lines:
        table.add_row(
            line.model,
            line.version,
            ", ".join(line.aliases),
            line.primary,
            line.problem or (_number(line.metrics[line.primary]) if line.primary in line.metrics else ""),
            "yes" if line.wins else "no",
            line.trained_through.date().isoformat() if line.trained_through else "",
        )
    console.print(table)
