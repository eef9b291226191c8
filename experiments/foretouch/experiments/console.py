"""Results and plans in the terminal."""

from rich.console import Console
from rich.table import Table

from foretouch.experiments.design import Plan
from foretouch.experiments.results import MetricResult, Results

MARKS = {"green": "[green]ok[/green]", "amber": "[yellow]look[/yellow]", "red": "[red]STOP[/red]"}


def print_results(results: Results, console: Console | None = None) -> None:
    """Prints trust lights, verdict and metrics; a broken experiment prints no numbers."""
    console = console or Console()
    for check in results.checks:
        console.print(f"  {MARKS[check.light]:<6} {check.text_en}")
    console.print(f"\n[bold]{results.verdict.text_en}[/bold]\n{results.verdict.text_zh}\n")
    if results.verdict.code != "broken" and results.metrics:
        console.print(_table(results))
    for refusal in results.refusals:
        where = " / ".join(item for item in (refusal.metric, refusal.contrast, refusal.segment) if item)
        console.print(f"  no number{f' for {where}' if where else ''}: {refusal.text_en}")
    if results.enrolment is not None and results.enrolment.mature == 0 and results.enrolment.entered:
        console.print("  next: foretouch experiment analyze KEY --window-days N reads a shorter window, all arms alike")


def _table(results: Results) -> Table:
    table = Table(title=f"{results.key}: difference to “{results.control}”")
    running = results.basis == "anytime"
    band = "anytime 95%" if running else "95%"
    for name in ("metric", "arm", "control", "treatment", "difference", band, "lift", "p", "p adjusted"):
        table.add_column(name, justify="left" if name in {"metric", "arm"} else "right")
    for row in results.metrics:
        table.add_row(*_cells(row, running=running))
    return table


def _cells(row: MetricResult, *, running: bool) -> list[str]:
    low, high = row.anytime_ci if running else row.ci
    return [
        f"{row.name} ({row.role})",
        row.contrast,
        f"{row.control_mean:.5g}",
        f"{row.treatment_mean:.5g}",
        f"{row.difference:+.4g}",
        f"{low:+.4g} … {high:+.4g}",
        "-" if row.lift is None else f"{100 * row.lift:+.1f}%",
        f"{row.anytime_p if running else row.p:.3g}",
        f"{row.p_adjusted:.3g}",
    ]


def print_plan(plan: Plan, console: Console | None = None) -> None:
    """Prints what each metric needs."""
    console = console or Console()
    console.print(
        f"{plan.key}: {plan.audience:,} could enter, {100 * plan.share:.0f}% of them treated; "
        f"power {100 * plan.power:.0f}%, two-sided alpha {plan.alpha:.4g} (Bonferroni over the decisions)"
    )
    table = Table()
    lifts = sorted({lift for metric in plan.metrics for lift in metric.units})
    for name in ("metric", "baseline", *(f"for {100 * lift:g}%" for lift in lifts), "seen with all"):
        table.add_column(name, justify="left" if name == "metric" else "right")
    for metric in plan.metrics:
        seen = "-" if metric.detectable_lift is None else f"{100 * metric.detectable_lift:.1f}%"
        needed = [f"{metric.units[lift]:,}" if lift in metric.units else "-" for lift in lifts]
        table.add_row(metric.name, f"{metric.baseline:.5g}", *needed, seen)
    console.print(table)
