"""The points rule of marketers: baseline of the lead model, and what answers for leads until there is one. Pure.

Points per recent event, added up; hot from a threshold. It is an order, not a probability: whoever gets points gets no
score.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.goals import LeadGoal
from foretouch.features.schemas import slug

POINTS_RULE: Final = "points_rule"
HOT, COLD = "hot", "cold"


def points(frame: pd.DataFrame, goal: LeadGoal) -> NDArray[np.float64]:
    """The points of each row, shape (n,): points x events of the last ``points_days``.

    Reads the ``recent_<event>`` features, which count the last ``points_days``.
    """
    total = np.zeros(len(frame))
    for event, each in goal.points.items():
        counts = pd.to_numeric(frame[feature_of(event)]).to_numpy(dtype=np.float64, na_value=0.0)
        total += each * counts
    return total


def points_by_event(values: Mapping[str, Any], goal: LeadGoal) -> dict[str, float]:
    """The points of one customer's features by event; what is missing counts as no event."""
    return {event: each * _count(values.get(feature_of(event))) for event, each in goal.points.items()}


def _count(value: Any) -> float:
    count = 0.0 if value is None else float(value)
    return count if isfinite(count) else 0.0


def feature_of(event: str) -> str:
    """The feature that counts an event of the points rule."""
    return f"recent_{slug(event)}"


def points_band(found: float, goal: LeadGoal) -> str:
    """``hot`` from ``hot_from`` points on, else ``cold``."""
    return HOT if found >= goal.hot_from else COLD


def said(goal: LeadGoal) -> str:
    """Why there are points in the place of a probability."""
    return f"no lead model yet: points of the marketers' rule, {HOT} from {goal.hot_from:g}; they are no probability"


def reasons(values: Mapping[str, Any], goal: LeadGoal, most: int) -> list[str]:
    """The events that brought the points, the most points first."""
    found = points_by_event(values, goal)
    ordered = sorted((event for event, gained in found.items() if gained), key=lambda event: -abs(found[event]))
    return [
        f"{event} x {found[event] / goal.points[event]:g} in {goal.points_days:g} days: {found[event]:g} points"
        for event in ordered[:most]
    ]
