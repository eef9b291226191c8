"""What the results say about questions that have a direction: is it better, is it no worse than the limit?"""

from typing import Literal

from foretouch.core.schema import Contract


class NonInferiority(Contract):
    """Is the treatment no worse than the control by more than the margin?"""

    margin: float
    """Absolute, in the metric's unit, in the harmful direction."""
    p: float
    """One-sided p against "worse by the margin or more"."""
    status: Literal["passed", "not_shown", "broken"]
    """By the two-sided interval (the anytime-valid one while the test runs): within the margin, across it, wholly
    beyond it."""
    anytime_p: float | None = None
    """The same question by the one-sided confidence sequence: below alpha at any look with probability at most alpha
    if the treatment is worse by the margin or more; absent in results of earlier releases."""


class OneSided(Contract):
    """The one-sided confidence sequence in the direction that is good for the metric, at error rate alpha."""

    side: Literal["at_least", "at_most"]
    """The difference is at least the bound (more is better), or at most (less is better)."""
    bound: float
    """Of the difference, in the metric's unit; holds at all looks together with probability 1 - alpha."""
    p: float
    """Of this look, against "no better": below alpha exactly when the bound is on the good side of zero."""
