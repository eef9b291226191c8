"""A model's health on the terminal: one line per model, its alarms in words, and where the pages are."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from foretouch.core.config import Config
from foretouch.core.hints import with_workspace
from foretouch.training.drift.check import Health
from foretouch.training.drift.sentences import LEVELS, NOTES, alarm_text, word
from foretouch.training.each import Refused

MOST_ALARMS = 5


def show(found: Sequence[Health], refused: Sequence[Refused], pages: Mapping[str, Path], config: Config) -> None:
    """Prints what was found; refusals go to stderr, as every error does."""
    console = Console(soft_wrap=True, highlight=False)
    for health in found:
        console.print(f"{health.model} {health.version}: {LEVELS[health.level]['en']}", style="bold", markup=False)
        for alarm in health.alarms[:MOST_ALARMS]:
            console.print(f"  {alarm_text(alarm, health, config, 'en')}", markup=False)
        if len(health.alarms) > MOST_ALARMS:
            console.print(f"  and {len(health.alarms) - MOST_ALARMS} more alarms on the page", markup=False)
        if health.decay is not None:
            shown = [
                f"{value:,.2f}" if health.model == "value" else f"{value:.1%}"
                for value in (health.decay.predicted, health.decay.observed)
            ]
            decay = health.decay
            text = word(
                "decay",
                "en",
                rows=decay.rows,
                customers=decay.customers,
                predicted=shown[0],
                observed=shown[1],
                ratio=decay.ratio,
                low=decay.low,
                high=decay.high,
            )
            console.print(f"  {text}", markup=False)
        for note in health.notes:
            console.print(f"  {NOTES[note]['en']}", markup=False)
    problems = Console(stderr=True, soft_wrap=True, highlight=False)
    for item in refused:
        problems.print(f"foretouch: {item.model} not checked: {item.error.message}", markup=False)
        if item.error.hint:
            problems.print(f"  next: {with_workspace(item.error.hint)}", markup=False)
    console.print(f"pages: {', '.join(str(path) for path in pages.values())}", markup=False)
    worst = [health.model for health in found if health.alarms]
    if worst:
        console.print(with_workspace(f"next: foretouch train {worst[0]}"), markup=False)
