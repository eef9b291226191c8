"""A decision in words, for the terminal: what, why, and what was dropped by which rule."""

from datetime import datetime
from textwrap import fill
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from foretouch.core.decisions import Action, DecisionRecord, Reason, Suppression
from foretouch.serving.history.replay import Replay

COLOURS = {"decided": "green", "degraded": "yellow", "fallback": "yellow", "suppressed": "red", "control": "cyan"}
SHOWN = 12
"""Candidates and differences listed before "and n more"."""
NAMED = 4
"""Offers named per rule before "and n more"."""


def show_decision(record: DecisionRecord, console: Console) -> None:
    """Prints a decision, its reasons, its candidates and what the rules dropped; times are the customer's own."""
    head = Text(f"{record.status}", style=f"bold {COLOURS[record.status]}")
    head.append(f"  {record.status_reason}", style="not bold default")
    console.print(head)
    facts = f"customer {record.customer_id}, touchpoint {record.touchpoint}, purpose {record.purpose}"
    _say(console, f"{facts}, {_local(record.decided_at, record)}")
    _say(console, f"decision {record.decision_id}")
    if not record.logged:
        _say(console, "not logged, nothing reserved", style="yellow")
    for action in record.action:
        _show_action(action, record, console)
    for assignment in record.experiments:
        kind = " (holdout)" if assignment.holdout else ""
        _say(console, f"experiment {assignment.key}: arm {assignment.arm}{kind}")
    _show_candidates(record, console)
    _show_suppressed(record, console)
    for warning in record.warnings:
        _say(console, f"note: {warning}", style="yellow")
    models = ", ".join(f"{model.name} {model.version}" for model in record.models) or "none"
    _say(console, f"models: {models}; step: {record.fallback_step}; seed: {record.seed}", style="dim")


def next_step(record: DecisionRecord) -> str:
    """The command to try after a decision."""
    if record.logged:
        return f"foretouch replay {record.decision_id}"
    return f"foretouch decide --customer {record.customer_id}"


def _say(console: Console, text: str, *, indent: int = 2, style: str = "") -> None:
    """One line; what does not fit goes on below it, indented alike."""
    margin = " " * indent
    wrapped = fill(
        text,
        width=console.width,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
    console.print(Text(wrapped, style=style), soft_wrap=True)


def _show_action(action: Action, record: DecisionRecord, console: Console) -> None:
    treatment = f" ({action.treatment_id})" if action.treatment_id else ""
    when = _local(action.send_at, record)
    where = f" in {action.placement}" if action.placement else ""
    what = f"contact by {action.channel} with {action.offer_id}{treatment}{where}"
    _say(console, f"{action.rank}. {what}, send {when}", style="bold")
    if action.send is not None:
        runner_up = action.send.runner_up_at
        second = f", then {_local(runner_up, record)}" if runner_up is not None else ""
        explored = "; this slot was explored" if action.send.explored else ""
        chance = f"slot probability {action.send.slot_probability:.3g}"
        _say(console, f"best slot {_local(action.send.best_at, record)}{second}; {chance}{explored}", indent=5)
    parts = [f"priority {_number(action.priority)}", f"selection probability {_number(action.selection_probability)}"]
    if action.propensity is not None:
        around = action.propensity_interval
        parts.append(
            f"propensity {action.propensity:.3g}" + (f" [{around.low:.3g}, {around.high:.3g}]" if around else "")
        )
    parts.extend([f"value {_number(action.value)}", f"cost {_number(action.cost)}"])
    _say(console, ", ".join(parts), indent=5)
    for reason in action.reason_codes:
        _say(console, f"{_mark(reason)} {reason.text}", indent=5)


def _mark(reason: Reason) -> str:
    return {"up": "▲", "down": "▼", "none": "•"}[reason.direction]


def _show_candidates(record: DecisionRecord, console: Console) -> None:
    left = [candidate for candidate in record.candidates if candidate.dropped_by is None]
    left.sort(key=lambda item: (-(item.selection_probability or 0.0), item.offer_id or "", item.channel or ""))
    table = Table("candidate", "channel", "propensity", "value", "priority", "probability", box=None, pad_edge=True)
    for column in table.columns[2:]:
        column.justify = "right"
    for candidate in left[:SHOWN]:
        table.add_row(
            candidate.offer_id or "no contact",
            candidate.channel or "",
            _number(candidate.propensity),
            _number(candidate.value),
            _number(candidate.priority),
            _number(candidate.selection_probability),
        )
    console.print(table)
    if len(left) > SHOWN:
        _say(console, f"and {len(left) - SHOWN} more candidates", style="dim")


def _show_suppressed(record: DecisionRecord, console: Console) -> None:
    if not record.suppressed:
        return
    dropped = sum(candidate.dropped_by is not None for candidate in record.candidates)
    _say(console, f"{dropped} of {len(record.candidates) - 1} candidates dropped by rules:")
    groups: dict[tuple[str, str, str | None], list[Suppression]] = {}
    for item in record.suppressed:
        groups.setdefault((item.stage, item.rule, item.channel), []).append(item)
    for (stage, rule, channel), items in groups.items():
        names = ["every offer that is on" if item.offer_id == "*" else item.offer_id for item in items]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        where = f" by {channel}" if channel else ""
        alike = all((item.text, item.until) == (items[0].text, items[0].until) for item in items)
        text = items[0].text if alike else f"e.g. {names[0]}: {items[0].text}"
        until = f", until {_local(items[0].until, record)}" if items[0].until is not None and alike else ""
        _say(console, f"{', '.join(names[:NAMED])}{more}{where}: {stage}/{rule}{until}: {text}", indent=4)


def show_replay(found: Replay, record: DecisionRecord, policy: str | None, console: Console) -> None:
    """Prints whether a replay came out the same, and if not, what changed."""
    if found.identical:
        console.print(f"identical: {record.decision_id} comes out the same in every field", style="green")
        _say(console, f"{record.status}: {record.status_reason}")
        return
    under = f" under policy {policy}" if policy is not None else ""
    console.print(
        f"changed{under}: {len(found.differences)} fields differ", style="yellow" if policy else "red", highlight=False
    )
    for item in found.differences[:SHOWN]:
        _say(console, f"{item.path}: {_short(item.logged)} → {_short(item.replayed)}")
    if len(found.differences) > SHOWN:
        _say(console, f"and {len(found.differences) - SHOWN} more (--json shows all)", style="dim")
    show_decision(found.decision, console)


def _local(at: datetime, record: DecisionRecord) -> str:
    """A moment on the customer's clock, with the zone's name; UTC where none is known."""
    name = record.request.send_window.time_zone or record.counters.time_zone or "UTC"
    try:
        return f"{at.astimezone(ZoneInfo(name)):%a %Y-%m-%d %H:%M} {name}"
    except (ValueError, OSError, KeyError):
        return f"{at:%a %Y-%m-%d %H:%M} UTC"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
