"""The money curve: contact the top x % by score, and its best share with an honest interval.

With G(x) the gain curve per person (``training.uplift.curve``), v the value of an outcome and c the cost of a contact::

    M(x) = v G(x) - c x          per person of everyone

The best of many shares looks better than it is: the maximum picks luck. Over bootstrap samples b, with x_b the best
share of sample b, the mean of M_b(x_b) - M(x_b) says by how much (optimism; Efron and Tibshirani 1993, section 17.6),
and is taken off. Shares that cannot be told from the best one by the paired differences M_b(x*) - M_b(x) are its flat
range.
"""

from dataclasses import dataclass

import numpy as np

from foretouch.experiments.uplift.contract import MoneyCurve, MoneyPoint, Optimum
from foretouch.training.task import FloatArray
from foretouch.training.uplift.curve import CURVE_POINTS, DRAWS, DRAWS_LARGE, LARGE, Randomised, resample

Z = 1.959964
PER = 1000.0


@dataclass(frozen=True, kw_only=True)
class Gains:
    """The gain curve and its bootstrap.

    Attributes:
        shares: Of everyone, shape (points,).
        gain: Outcomes gained per person, shape (points,).
        drawn: The same of bootstrap samples, shape (draws, points).
    """

    shares: FloatArray
    gain: FloatArray
    drawn: FloatArray


def gains_of(rows: Randomised, *, seed: int, draws: int | None = None) -> Gains:
    """The gain curve on a grid of shares, and of bootstrap samples of whole rows.

    Args:
        rows: Randomised rows with their scores.
        seed: Of the draws.
        draws: 500, or 200 from 200,000 rows on.
    """
    many = (DRAWS_LARGE if len(rows) >= LARGE else DRAWS) if draws is None else draws
    shares = np.linspace(0.0, 1.0, CURVE_POINTS)

    def on_grid(weight: FloatArray | None) -> FloatArray:
        curve = rows.curve(weight)
        found = np.interp(shares * curve.total, curve.targeted, curve.gain) / curve.total
        return np.asarray(found, dtype=np.float64)

    drawn = np.empty((many, len(shares)))
    for index, weight in enumerate(resample(len(rows), None, draws=many, seed=seed)):
        drawn[index] = on_grid(weight)
    return Gains(shares=shares, gain=on_grid(None), drawn=drawn)


def money_curve(gains: Gains, *, value: float, cost: float, currency: str | None) -> MoneyCurve:
    """Money per 1,000 people by share, and the best share.

    Args:
        gains: From ``gains_of``.
        value: Of one outcome; margin, where the cost is to be taken off it.
        cost: Of one contact.
        currency: Of both.
    """
    shares = gains.shares
    money = PER * (value * gains.gain - cost * shares)
    drawn = PER * (value * gains.drawn - cost * shares)
    reach = Z * drawn.std(axis=0, ddof=1)
    return MoneyCurve(
        value_per_outcome=value,
        cost_per_contact=cost,
        currency=currency,
        points=tuple(
            MoneyPoint(share=float(x), money=float(m), ci=(float(m - r), float(m + r)))
            for x, m, r in zip(shares, money, reach, strict=True)
        ),
        optimum=_optimum(shares, money, drawn),
    )


def _optimum(shares: FloatArray, money: FloatArray, drawn: FloatArray) -> Optimum:
    best = int(np.argmax(money))
    chosen = np.argmax(drawn, axis=1)
    optimism = max(float(np.mean(drawn[np.arange(len(drawn)), chosen] - money[chosen])), 0.0)
    corrected = float(money[best]) - optimism
    reach = Z * float(drawn[:, best].std(ddof=1))
    apart = money[best] - money
    spread = Z * (drawn[:, [best]] - drawn).std(axis=0, ddof=1)
    same = apart <= spread
    low, high = best, best
    while low > 0 and same[low - 1]:
        low -= 1
    while high < len(shares) - 1 and same[high + 1]:
        high += 1
    ends = np.percentile(shares[chosen], (2.5, 97.5))
    return Optimum(
        share=float(shares[best]),
        share_ci=(float(ends[0]), float(ends[1])),
        money=corrected,
        ci=(corrected - reach, corrected + reach),
        optimism=optimism,
        flat=(float(shares[low]), float(shares[high])),
        pays=corrected - reach > 0.0,
        beats_everyone=not bool(same[-1]),
    )
