"""What a customer's purchase history lets one expect, in closed form, from parameters that training fitted. Pure.

BG/NBD (Fader, Hardie and Lee 2005, equation 10) says how many purchases, Gamma-Gamma (Fader and Hardie 2013, equation
5) of what value. Numbers are worked out one customer at a time with the functions of ``math``, so that a row has the
same bits in training, in a batch and alone. Training fits the parameters with ``training.lifetime``, on arrays.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from scipy.special import hyp2f1

DAYS_PER_WEEK: Final = 7.0
_SOONEST: Final = 1e-6
"""Weeks between the first and the last of several purchases, at least."""
_NEAR_ONE: Final = 1e-5
_STEP: Final = 2e-4


@dataclass(frozen=True, kw_only=True)
class PurchaseModel:
    """BG/NBD and Gamma-Gamma with a horizon; rates are per week, money in the workspace's currency.

    Attributes:
        r: Shape of the rates of buying among customers.
        alpha: Their rate parameter, weeks.
        a: Of Beta(a, b), the probability of leaving after a purchase.
        b: Of it.
        p: Shape of a customer's values per purchase.
        q: Shape of their scales; above 1.
        v: Scale of these, in the currency.
        horizon_weeks: How far ahead it looks.
    """

    r: float
    alpha: float
    a: float
    b: float
    p: float
    q: float
    v: float
    horizon_weeks: float

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """From the numbers on a card.

        Raises:
            KeyError: One is missing.
        """
        return cls(**{name: float(stored[name]) for name in cls.__dataclass_fields__})

    def expected_revenue(self, purchases: float, recency_days: float, first_days: float, revenue: float) -> float:
        """Expected revenue within the horizon.

        Args:
            purchases: So far, the first one among them.
            recency_days: Days since the last one.
            first_days: Days since the first one.
            revenue: Of all of them.

        Returns:
            NaN where the history says nothing: no purchase, a missing figure, or numbers beyond the formulas' range.
        """
        if not purchases >= 1.0 or not math.isfinite(recency_days + first_days):
            return math.nan
        age = max(first_days, 0.0) / DAYS_PER_WEEK
        repeats = purchases - 1.0
        last = min(max(first_days - recency_days, 0.0) / DAYS_PER_WEEK, age)
        if repeats > 0.0:
            last = max(last, _SOONEST)
            age = max(age, last)
        try:
            expected = self._expected_purchases(repeats, last, age) * self._expected_value(purchases, revenue)
        except (OverflowError, ZeroDivisionError, ValueError):
            return math.nan
        return expected if expected >= 0.0 and math.isfinite(expected) else math.nan

    def _expected_purchases(self, repeats: float, last: float, age: float) -> float:
        """Equation 10 after Euler's transformation, as in ``training.lifetime``; at a = 1 the mean of both sides."""
        if abs(self.a - 1.0) < _NEAR_ONE:
            sides = [self._if_alive(1.0 + step, repeats, age) for step in (-_STEP, _STEP)]
            if_alive = (sides[0] + sides[1]) / 2.0
        else:
            if_alive = self._if_alive(self.a, repeats, age)
        return self._alive(repeats, last, age) * if_alive

    def _if_alive(self, a: float, repeats: float, age: float) -> float:
        c = a + self.b + repeats - 1.0
        z = self.horizon_weeks / (self.alpha + age + self.horizon_weeks)
        tail = math.pow(1.0 - z, a - 1.0) * float(hyp2f1(a + self.b - 1.0 - self.r, a - 1.0, c, z))
        return c / (a - 1.0) * (1.0 - tail)

    def _alive(self, repeats: float, last: float, age: float) -> float:
        """P(still a customer), Fader, Hardie and Lee (2008)."""
        if repeats == 0.0:
            return 1.0
        exponent = (
            math.log(self.a)
            - math.log(max(self.b + repeats - 1.0, 1e-300))
            + (self.r + repeats) * (math.log(self.alpha + age) - math.log(self.alpha + last))
        )
        return 1.0 / (1.0 + math.exp(min(exponent, 700.0)))

    def _expected_value(self, purchases: float, revenue: float) -> float:
        """Of the next purchase: between the customer's own mean and everyone's."""
        if not revenue > 0.0:
            return self.p * self.v / (self.q - 1.0)
        return self.p * (self.v + revenue) / (self.p * purchases + self.q - 1.0)
