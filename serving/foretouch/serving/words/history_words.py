"""What-ifs and shadows in words, for the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from foretouch.core.config import ShadowSection
from foretouch.serving.history.shadow_report import Disagreement, ShadowReport
from foretouch.serving.history.what_if_report import Beside, Evidence, Group, Totals, WhatIf

SHOWN = 12
"""Rows per table before "and n more" (``--json`` shows all)."""


def show_what_if(found: WhatIf, console: Console) -> None:
    """Prints what a policy would have changed; model-based and logged-evidence numbers stand apart."""
    model = found.model_based
    head = f"policy {found.policy} on {found.sampled} of {found.in_range} logged decisions"
    console.print(f"[bold]{head}[/bold]", highlight=False)
    for reason, count in found.left_out.items():
        console.print(f"  {count} left out: {reason}", highlight=False)
    console.print(
        f"[bold]{model.label}[/bold]: expected over the draw; {model.same_choice:.1%} choose the same", highlight=False
    )
    console.print(_table("", [Group(name="all", **dict(model.totals))]))
    for title, groups in (("offer", model.by_offer), ("channel", model.by_channel), *model.by_segment.items()):
        if groups:
            console.print(_table(title, groups[:SHOWN]))
            if len(groups) > SHOWN:
                console.print(f"  and {len(groups) - SHOWN} more (--json shows all)", style="dim", highlight=False)
    lose = f"{model.customers_losing_contact} of {model.customers} customers lose contact"
    console.print(f"  {lose}, {model.customers_losing_value} lose expected value", highlight=False)
    if model.losing_segments:
        console.print(f"  segments that lose: {', '.join(model.losing_segments[:SHOWN])}", highlight=False)
    for loser in model.losers[:5]:
        console.print(f"  {loser.customer_id}: value {_pair(loser.value)}, reach {_pair(loser.reach)}", highlight=False)
    _show_evidence(found.evidence, console)
    for warning in found.warnings:
        console.print(f"note: {warning}", style="yellow", highlight=False, markup=False)


def _show_evidence(evidence: Evidence, console: Console) -> None:
    if not evidence.available:
        console.print(f"[bold]{evidence.label}[/bold]: not available: {evidence.reason}", highlight=False)
        return
    console.print(f"[bold]{evidence.label}[/bold]: {evidence.reward}; {evidence.decisions} decisions", highlight=False)
    console.print(f"  as logged: {_number(evidence.base_mean)} per decision", highlight=False)
    for name, line in (("IPS", evidence.ips), ("SNIPS", evidence.snips)):
        if line is not None and line.get("value") is not None:
            low, high = line["ci"]
            console.print(f"  {name}: {line['value']:.4g} [{low:.4g}, {high:.4g}]", highlight=False)
    console.print(f"  effective sample size {_number(evidence.effective_sample_size)}", highlight=False)
    for refusal in evidence.refusals:
        console.print(f"  refused: {refusal['text']}", style="yellow", highlight=False)


def show_shadow(reports: Sequence[ShadowReport], section: ShadowSection, console: Console) -> None:
    """Prints how each shadow disagrees with the champion, or how to have one."""
    if not reports:
        on = section.policy is not None or section.challengers
        say = "no decision in the range has a shadow" + ("" if on else ": none is configured")
        console.print(say, highlight=False)
        if not on:
            console.print('next: in foretouch.toml, [shadow] policy = "NAME" or challengers = true', highlight=False)
        return
    for report in reports:
        models = f", challengers {', '.join(report.models)}" if report.models else ""
        console.print(f"[bold]shadow policy {report.policy}{models}[/bold]", highlight=False)
        console.print(f"  {_share(report.overall)}", highlight=False)
        if report.value_difference is not None:
            low, high = _number(report.value_low), _number(report.value_high)
            said = f"{report.value_difference:.4g} [{low}, {high}]"
            console.print(f"  expected value per decision, model-based: {said} over {report.valued}", highlight=False)
        for title, lines in (("touchpoint", report.by_touchpoint), ("champion's offer", report.by_offer)):
            for line in lines[:SHOWN]:
                console.print(f"  {title} {line.name}: {_share(line)}", highlight=False)


def _share(line: Disagreement) -> str:
    return f"differs in {line.differs} of {line.decisions} ({line.share:.1%} [{line.low:.1%}, {line.high:.1%}])"


def _table(title: str, groups: Sequence[Group]) -> Table:
    table = Table(title, "decisions", "reach", "spend", "expected value", box=None, pad_edge=True)
    for column in table.columns[1:]:
        column.justify = "right"
    for group in groups:
        table.add_row(group.name, str(group.decisions), *_cells(group))
    return table


def _cells(totals: Totals) -> tuple[str, str, str]:
    return _pair(totals.reach), _pair(totals.spend), _pair(totals.value)


def _pair(pair: Beside) -> str:
    return f"{pair.base:.4g} → {pair.changed:.4g}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
