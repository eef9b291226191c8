"""What a model's card says, worked out once: how to make its vector, and what its raw score means. Pure.

Every figure is the one that the card's own methods give, to the last bit; a test compares them.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretouch.core.bundle import ModelCard

FloatArray = NDArray[np.float64]
InputKey = tuple[str, tuple[str, ...] | None]
"""An input's name, and its levels where it is a category."""

_NAN = math.nan
_LEAST: Mapping[str, float] = {"probability": 0.0, "difference": -1.0}
"""Targets that are bounded: by this below, by 1 above."""


class ScorePlan:
    """The hot path's reading of a card.

    Args:
        card: What the model is.
    """

    __slots__ = (
        "_calibration",
        "_categories",
        "_edges",
        "_high",
        "_knots",
        "_least",
        "_low",
        "_names",
        "_numbers",
        "_percentiles",
        "_upper",
        "card",
        "probability",
    )

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self.probability = card.target == "probability"
        self._calibration = card.calibration
        self._knots = _knots(card)
        self._edges = (np.array(self._knots[0]), np.array(self._knots[1]))
        self._least = _LEAST.get(card.target)
        self._names = tuple(item.name for item in card.inputs)
        self._categories = {
            index: _levels(item.levels) for index, item in enumerate(card.inputs) if item.kind == "category"
        }
        self._numbers = tuple(None if item.kind == "category" else item.name for item in card.inputs)
        bins = card.intervals
        self._upper = () if bins is None else bins.upper_edges
        self._low = () if bins is None else bins.low
        self._high = () if bins is None else bins.high
        self._percentiles = _percentiles(card)

    def vector(self, values: Mapping[str, Any]) -> list[float]:
        """``ModelCard.encode``: the model's input vector from feature values by name; what is missing is NaN."""
        encoded = encode_numbers(values, self._numbers)
        for index, levels in self._categories.items():
            encoded[index] = encode_category(levels, values.get(self._names[index]))
        return encoded

    @property
    def input_keys(self) -> tuple[InputKey, ...]:
        """What each input is made from: models whose inputs have the same key give it the same number."""
        return tuple([(item.name, item.levels if item.kind == "category" else None) for item in self.card.inputs])

    def pairs(self, customer: Mapping[str, Any], offers: Sequence[Mapping[str, Any]]) -> FloatArray:
        """Vectors of one customer with several offers, shape (n, inputs).

        Args:
            customer: The customer's values by name, encoded once.
            offers: Per offer what differs; these values win over the customer's.
        """
        base = self.vector(customer)
        matrix = np.empty((len(offers), len(base)))
        matrix[:] = base
        columns = [] if not offers else [index for index, name in enumerate(self._names) if name in offers[0]]
        for index in columns:
            name, levels = self._names[index], self._categories.get(index)
            values = [offer.get(name) for offer in offers]
            matrix[:, index] = (
                [_number(value) for value in values]
                if levels is None
                else [encode_category(levels, value) for value in values]
            )
        return matrix

    def code(self, index: int, value: Any) -> float:
        """A value as the input at an index has it; NaN where it is missing, or a level not seen in training."""
        levels = self._categories.get(index)
        return _number(value) if levels is None else encode_category(levels, value)

    def calibrated(self, raw: float) -> float:
        """The calibrated score of one raw score; a probability is kept inside [0, 1], a difference inside [-1, 1]."""
        x, y = self._knots
        if x and x[0] < raw < x[-1]:  # ``Calibration.apply`` between knots
            low = bisect_right(x, raw) - 1
            share = (raw - x[low]) / (x[low + 1] - x[low])
            value = y[low] + share * (y[low + 1] - y[low])
        else:
            value = self._calibration.apply(raw)
        if self._least is None:
            return value
        return self._least if value < self._least else min(value, 1.0)

    def all_calibrated(self, raw: FloatArray) -> FloatArray:
        """``calibrated`` of every raw score, shape (n,), with the very same bits."""
        x, y = self._edges
        if len(x) < 2:
            return np.array([self.calibrated(value) for value in raw.tolist()], dtype=np.float64)
        low = np.clip(np.searchsorted(x, raw, side="right") - 1, 0, len(x) - 2)
        with np.errstate(all="ignore"):  # outside the knots these are not used
            share = (raw - x[low]) / (x[low + 1] - x[low])
            value = y[low] + share * (y[low + 1] - y[low])
        outside = ~((x[0] < raw) & (raw < x[-1]))
        if outside.any():
            value[outside] = [self._calibration.apply(one) for one in raw[outside].tolist()]
        if self._least is None:
            return np.asarray(value)
        return np.where(value < self._least, self._least, np.where(value > 1.0, 1.0, value))

    def all_spans(self, scores: FloatArray) -> list[tuple[float, float] | None]:
        """``span`` of every calibrated score, shape (n,)."""
        if not self._upper:
            return [None] * len(scores)
        index = np.minimum(np.searchsorted(self._upper, scores), len(self._low) - 1)
        low, high = np.asarray(self._low)[index], np.asarray(self._high)[index]
        low, high = np.where(scores < low, scores, low), np.where(scores > high, scores, high)
        return list(zip(low.tolist(), high.tolist(), strict=True))

    @property
    def has_spans(self) -> bool:
        """Whether the card gives intervals."""
        return bool(self._upper)

    def span(self, score: float) -> tuple[float, float] | None:
        """Low and high end of the card's interval of a calibrated score, widened to hold it; None without one."""
        if not self._upper:
            return None
        index = min(bisect_left(self._upper, score), len(self._low) - 1)
        low, high = self._low[index], self._high[index]
        return (min(low, score), max(high, score))

    def level(self, score: float) -> float:
        """A score on the scale [0, 1]; see ``scoring.level``."""
        if self.probability:
            return score
        amounts = self._percentiles
        if amounts is None:
            return 0.5
        below = bisect_right(amounts, score)
        if below == 0:
            return 0.0
        if below == len(amounts):
            return 1.0
        left, right = amounts[below - 1], amounts[below]
        return (below - 1 + (score - left) / (right - left)) / (len(amounts) - 1)


def _knots(card: ModelCard) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Knots that rise, of a calibration by interpolation; else none."""
    given = card.calibration
    rising = given.method == "isotonic" and all(low <= high for low, high in pairwise(given.x))
    return (given.x, given.y) if rising else ((), ())


def encode_numbers(values: Mapping[str, Any], names: Sequence[str | None]) -> list[float]:
    """Numbers by name; what is missing or no number is NaN, and so is what has no name."""
    get: Callable[[str | None], Any] = values.get  # type: ignore[assignment]
    return [
        value if type(value) is float and value - value == 0.0 else _number(value)
        for value in [get(name) for name in names]
    ]


def encode_category(levels: Mapping[str, float], value: Any) -> float:
    """The code of a level; NaN where it is missing or was not seen in training."""
    return _NAN if value is None else levels.get(str(value), _NAN)


def _number(value: Any) -> float:
    if value is None:
        return _NAN
    number = float(value)
    return number if math.isfinite(number) else _NAN


def _levels(levels: Sequence[str]) -> dict[str, float]:
    """Code by level; of a level that is named twice the first, as ``tuple.index`` finds it."""
    found: dict[str, float] = {}
    for index, name in enumerate(levels):
        found.setdefault(name, float(index))
    return found


def _percentiles(card: ModelCard) -> tuple[float, ...] | None:
    amounts = card.extras.get("percentiles")
    if not isinstance(amounts, (list, tuple)) or len(amounts) < 2:
        return None
    return tuple(float(value) for value in amounts)
