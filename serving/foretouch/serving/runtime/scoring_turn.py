"""The scores of all decisions of the log's next group, worked out together before its transaction begins."""

from foretouch.core.clock import monotonic
from foretouch.serving.decision.early_scores import EarlyScores, Expected, score_early


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


def take_turns(turns: list[Turn]) -> None:
    """Scores the decisions of one group, model by model."""
    before = monotonic()
    found = score_early([turn.expected for turn in turns])
    ms = (monotonic() - before) * 1000.0
    for turn, scores in zip(turns, found, strict=True):
        turn.scores, turn.ms = scores, ms
