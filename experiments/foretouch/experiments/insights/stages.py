"""The stages at which rules drop candidates, in the order in which they are asked, and how far a decision came."""

from collections.abc import Iterable
from typing import Final, get_args

from foretouch.core.decisions import Stage

STAGES: Final[tuple[str, ...]] = get_args(Stage)
LEFT: Final = len(STAGES)
"""Reached by a decision that had candidates left to choose from."""
CHOSEN: Final = LEFT + 1
"""Reached by a decision that chose one: a contact."""


def reached_by(stages: Iterable[str]) -> int:
    """The latest stage at which a decision's last candidates were dropped; 0 where it never had any.

    A decision survives every stage before it.
    """
    return max((STAGES.index(stage) for stage in stages), default=0)
