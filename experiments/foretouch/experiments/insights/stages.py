"""The stages at which rules drop candidates, in the order in which they are asked, and how far a decision came."""

from collections.abc import Iterable
from typing import Final, get_args

from foretouch.core.decisions import Stage

STAGES: Final[tuple[str, ...]] = (
    "requested",
    "dates",
    "channel",
    "purpose",
    "consent",
    "suppression",
    "eligibility",
    "applicability",
    "suitability",
    "cool_down",
    "caps",
    "quiet_hours",
    "fallback",
    "model",
    "holdout",
)
"""In the order of ``docs/rules.md``; a holdout is the last to take candidates away."""
LEFT: Final = len(STAGES)
"""Reached by a decision that had candidates left to choose from."""
CHOSEN: Final = LEFT + 1
"""Reached by a decision that chose one: a contact."""

if set(STAGES) != set(get_args(Stage)):
    raise TypeError(f"stages {sorted(set(STAGES) ^ set(get_args(Stage)))} are only on one side")


def reached_by(stages: Iterable[str]) -> int:
    """The latest stage at which a decision's last candidates were dropped; 0 where it never had any.

    A decision survives every stage before it.
    """
    return max((STAGES.index(stage) for stage in stages), default=0)
