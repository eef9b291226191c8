"""What this part's commands print: tables for people, JSON for programs, progress on stderr."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace

from rich import box
from rich.console import Console
from rich.table import Table

from foretouch.core.hints import with_workspace
from foretouch.core.terminal import print_json
from foretouch.core.workspace import Workspace
from foretouch.training.each import Refused
from foretouch.training.gate.table import Gate, told
from foretouch.training.pipeline import Trained
from foretouch.training.promotion import Moved, PromotionRefusedError
from foretouch.training.schedule import BusyError, Due
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


def _comparison(item: Comparison) -> dict[str, object]:
    return {**asdict(item), "wins": item.wins}


def show_busy(error: BusyError, *, as_json: bool) -> None:
    """Another training is at work: said on stderr, and on stdout for programs."""
    if as_json:
        print_json([{"error": {"code": error.code, "message": error.message, "hint": error.hint}}])
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(f"foretouch: {error.message}", markup=False)
    console.print(f"  next: {error.hint}", markup=False)


def show_trained(
    trained: Sequence[Trained],
    refused: Sequence[Refused],
    workspace: Workspace,
    *,
    as_json: bool,
    waiting: Sequence[Due] = (),
) -> None:
    """Each model's figures on later data beside its baselines', with intervals; then what could not be trained.

    Args:
        trained: What was trained.
        refused: What could not be.
        workspace: Where.
        as_json: For programs.
        waiting: Models without enough new rows.
    """
    if as_json:
        print_json([_trained(item) for item in trained] + [_waiting(item) for item in waiting] + _refusals(refused))
        return
    console = Console(soft_wrap=True, highlight=False)
    _say_waiting(waiting, console)
    if trained:
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
    _say_refused(refused, "not trained")
    winners = [item.card.model for item in trained if item.wins]
    if winners:
        commands = " && ".join(f"foretouch promote {model}" for model in winners)
        whole = len(winners) > 1 and len(winners) == len(trained) and not refused
        console.print(with_workspace(f"next: {'foretouch promote all' if whole else commands}"), markup=False)
    if len(winners) < len(trained):
        console.print("what is not better than its baselines is not promoted: more data, more --trials", markup=False)
    if trained:
        database = workspace.mlflow_folder / "mlflow.db"
        if database.is_file():
            console.print(f"runs: mlflow ui --backend-store-uri sqlite:///{database}", markup=False)


def _say_waiting(waiting: Sequence[Due], console: Console) -> None:
    for item in waiting:
        since = "the beginning" if item.since is None else item.since.isoformat()
        text = f"{item.model}: {item.new_rows} new rows since {since}, {item.needed} are needed: not trained"
        console.print(text, markup=False)


def _waiting(item: Due) -> dict[str, object]:
    return {
        "model": item.model,
        "trained": False,
        "new_rows": item.new_rows,
        "needed": item.needed,
        "since": None if item.since is None else item.since.isoformat(),
    }


def _trained(item: Trained) -> dict[str, object]:
    return {
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


def _refusals(refused: Sequence[Refused]) -> list[dict[str, object]]:
    return [
        {
            "model": item.model,
            "error": {
                "code": item.error.code,
                "message": item.error.message,
                "hint": with_workspace(item.error.hint or "") or None,
            },
            **({"table": item.error.gate.document()} if isinstance(item.error, PromotionRefusedError) else {}),
        }
        for item in refused
    ]


def _say_refused(refused: Sequence[Refused], what: str) -> None:
    """One message for all models that lack the same thing, on stderr like every error."""
    together: dict[tuple[str, str], list[str]] = {}
    for item in refused:
        together.setdefault((item.error.message, item.error.hint or ""), []).append(item.model)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    for (message, hint), models in together.items():
        subject = "" if message.startswith(models[0]) else f"{', '.join(models)} {what}: "
        console.print(f"foretouch: {subject}{message}", markup=False)
        if hint:
            console.print(f"  next: {with_workspace(hint)}", markup=False)


def say_left_out(without: Sequence[Refused]) -> None:
    """Models that may be done without, and why they were not trained, on stderr; no failure."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    for item in without:
        console.print(f"{item.model} left out: {item.error.message}", markup=False)


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.1f}"


def show_moved(moved: Sequence[Moved], refused: Sequence[Refused], *, as_json: bool) -> None:
    """What a promotion or a rollback changed, what it rested on, and what was refused."""
    if as_json:
        lines: list[dict[str, object]] = [
            {
                **asdict(replace(item, table=None)),
                "comparisons": [_comparison(line) for line in item.comparisons],
                "table": None if item.table is None else item.table.document(),
            }
            for item in moved
        ]
        print_json(lines + _refusals(refused))
        return
    console = Console(soft_wrap=True, highlight=False)
    for item in moved:
        if item.table is not None:
            show_gate(item.table, console)
        was = f" (was {item.replaced})" if item.replaced else ""
        how = f"{item.gate}, overruled by --force" if item.forced else item.gate
        console.print(f"{item.model}: {item.alias} is now version {item.version}{was}; gate: {how}", markup=False)
    for refusal in refused:
        if isinstance(refusal.error, PromotionRefusedError):
            show_gate(refusal.error.gate, console)
    _say_refused(refused, "not promoted")
    if moved:
        console.print(with_workspace("next: foretouch serve (a running service notices by itself)"), markup=False)


def show_gate(gate: Gate, console: Console) -> None:
    """The gate's table, a line per check."""
    beside = f"beside champion {gate.champion}" if gate.champion else "the first of its kind"
    console.print(f"{gate.model} {gate.version}, {beside}; gate {gate.basis}: {gate.verdict}", markup=False)
    for row in gate.rows:
        why = f"; {row.why}" if row.why else ""
        console.print(
            f"  {told(row.passed):<3}  {row.check:<11}  {row.what}: {row.figure} (must be: {row.bound}){why}",
            markup=False,
        )


def show_versions(lines: Sequence[VersionLine], *, as_json: bool) -> None:
    """Every version with its aliases and figures."""
    if as_json:
        print_json([asdict(line) for line in lines])
        return
    console = Console()
    if not lines:
        console.print(with_workspace("no model yet; next: foretouch train all"), highlight=False)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("model", "version", "aliases", "on later data", "beats baselines", "trained through"):
        table.add_column(title, overflow="fold")
    for line in lines:
        table.add_row(
            line.model,
            line.version,
            ", ".join(line.aliases),
            line.problem or (f"{line.primary} {_number(line.metrics[line.primary])}" if line.primary else ""),
            "yes" if line.wins else "no",
            line.trained_through.date().isoformat() if line.trained_through else "",
        )
    console.print(table)
