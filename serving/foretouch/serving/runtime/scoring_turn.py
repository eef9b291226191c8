"""The scores of all decisions of the log's next group, worked out together before its transaction begins."""

from foretouch.core.clock import monotonic
from foretouch.serving.decision.early_scores import EarlyScores, Expected, score_early

LEAST_USED = 0.5
"""Share of decisions that use their offers' scores, below which these are not worked out early: what the rules drop
would be scored for nothing, which costs as much as scoring together saves."""
MEMORY = 64
"""Over about how many decisions that share is taken."""


class Turn:
    """One decision's place among those that are scored together.

    Args:
        expected: The decision.

    Attributes:
        expected: The decision.
        scores: Its scores, once its group was scored; None where it scores for itself.
        ms: How long the group took, milliseconds.
    """

    __slots__ = ("expected", "ms", "scores")

    def __init__(self, expected: Expected) -> None:
        self.expected = expected
        self.scores: EarlyScores | None = None
        self.ms = 0.0


class Turns:
    """Scores groups of decisions, and learns whether their offers are worth scoring early."""

    def __init__(self) -> None:
        self._used = 1.0

    def note(self, *, used: bool) -> None:
        """A decision was made: did a model's scores of offers take part in it?"""
        self._used += (used - self._used) / MEMORY

    @property
    def with_offers(self) -> bool:
        """Whether most decisions of late used scores of offers."""
        return self._used >= LEAST_USED

    def take(self, turns: list[Turn]) -> None:
        """Scores the decisions of one group, model by model."""
        before = monotonic()
        found = score_early([turn.expected for turn in turns], with_offers=self.with_offers)
        ms = (monotonic() - before) * 1000.0
        for turn, scores in zip(turns, found, strict=True):
            turn.scores, turn.ms = scores, ms
