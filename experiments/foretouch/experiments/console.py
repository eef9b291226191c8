"""Results and plans in the terminal."""

from rich.console import Console
from rich.table import Table

from foretouch.experiments.log.design import MetricPlan, Plan
from foretouch.experiments.report.steps import steps_of
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
    for step in steps_of(results):
        console.print(f"  next: {step['en']}", soft_wrap=True, highlight=False)


def _table(results: Results) -> Table:
    table = Table(title=f"{results.key}: compared with “{results.control}”")
    anytime = results.basis == "anytime"
    level = f"{100 * (1 - results.alpha):.4g}%"
    band = f"difference, {'anytime ' if anytime else ''}{level}"
    for name in ("metric", "arm", "control → arm", band, "lift", "p adj."):
        table.add_column(name, justify="left" if name in {"metric", "arm"} else "right")
    for row in results.metrics:
        table.add_row(*_cells(row))
    return table


def _cells(row: MetricResult) -> list[str]:
    low, high = row.decisive_ci
    return [
        row.name if row.role == "secondary" else f"{row.name} ({row.role})",
        row.contrast,
        f"{row.control_mean:.4g} → {row.treatment_mean:.4g}",
        f"{row.difference:+.3g} ({low:+.3g} … {high:+.3g})",
        "-" if row.lift is None else f"{100 * row.lift:+.1f}%",
        f"{row.p_adjusted:.2g}",
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
    for metric in plan.metrics:
        for line in _further(metric):
            console.print(line, highlight=False, soft_wrap=True)
    if plan.prices:
        told = "; ".join(f"{price.looks} x {price.factor:.2f}" for price in plan.prices)
        console.print(f"units needed by how often one looks: {told}", highlight=False)
        told = "; ".join(f"{price.looks} {100 * price.power:.0f}%" for price in plan.prices)
        console.print(f"power with the same number of units: {told}", highlight=False)


def _further(metric: MetricPlan) -> list[str]:
    """What covariates and clusters do to a metric's units, and how long it takes."""
    said = []
    if metric.variance_explained is not None:
        said.append(
            f"{metric.name}: covariates save {100 * metric.variance_explained:.0f}% of the units (counted above)"
        )
    if metric.cluster_factor is not None:
        said.append(f"{metric.name}: clusters cost {metric.cluster_factor:.2f} times the units (counted above)")
    reached = {lift: days for lift, days in (metric.days or {}).items() if days is not None}
    if metric.days is not None:
        told = "; ".join(f"{100 * lift:g}% in {days} day{'' if days == 1 else 's'}" for lift, days in reached.items())
        said.append(
            f"{metric.name}: at the pace of the last 28 days, enough have entered for {told or 'none of these'}"
        )
    return said
