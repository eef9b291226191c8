"""What later sends say of each offer: accepted beside expected, drawn towards its category and towards everything.

The ratio of an offer's acceptances to those the model expects is a Poisson rate with a Gamma prior: with a prior of
strength s and mean m it is (accepted + s m) / (expected + s) (Marshall 1991, empirical Bayes for rates in small areas).
An offer's prior is its category's ratio, a category's prior is everyone's ratio; the strength of either is chosen by
marginal likelihood (negative binomial), so that offers that hardly differ beyond chance are drawn together entirely.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaincinv, gammaln

from foretouch.training.task import FloatArray

STRENGTHS: Final = tuple(float(value) for value in np.geomspace(0.5, 2000.0, 25))
"""Prior strengths that are tried, in expected acceptances."""
LEVEL: Final = 0.95
SMALLEST: Final = 1e-6
"""A prior's mean is at least this."""


def by_offer(
    label: FloatArray, score: FloatArray, *, offer: Sequence[str], category: Sequence[str]
) -> list[dict[str, Any]]:
    """Each offer's evidence, the one with most sends first.

    Args:
        label: 1 accepted, 0 not, shape (n,).
        score: Probabilities of acceptance, above 0, shape (n,).
        offer: Offer of each row, n of them.
        category: Category of each row's offer.

    Returns:
        By offer: ``offer_id``, ``category``, ``sends``, ``accepted``, ``expected``, ``ratio`` (raw), ``ratio_shrunk``
        with ``low`` and ``high`` (95 % of its posterior).
    """
    rows = pd.DataFrame({"offer": offer, "category": category, "label": label, "score": score})
    offers = rows.groupby(["offer", "category"]).agg(
        sends=("label", "size"), accepted=("label", "sum"), expected=("score", "sum")
    ).reset_index()  # fmt: skip
    kinds = offers.groupby("category")[["accepted", "expected"]].sum()
    overall = float((rows["label"].sum() + 0.5) / (rows["score"].sum() + 0.5))  # half an acceptance as expected
    kind_ratio, _ = shrink(
        kinds["accepted"].to_numpy(dtype=np.float64),
        kinds["expected"].to_numpy(dtype=np.float64),
        np.full(len(kinds), overall),
    )
    of_kind = dict(zip(kinds.index, kind_ratio, strict=True))
    accepted = offers["accepted"].to_numpy(dtype=np.float64)
    expected = offers["expected"].to_numpy(dtype=np.float64)
    prior = np.array([of_kind[kind] for kind in offers["category"]])
    ratio, strength = shrink(accepted, expected, prior)
    shape, rate = accepted + strength * np.maximum(prior, SMALLEST), expected + strength
    low, high = (gammaincinv(shape, tail) / rate for tail in ((1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0))
    table = [
        {
            "offer_id": str(line.offer),
            "category": str(line.category),
            "sends": int(line.sends),  # type: ignore[arg-type]
            "accepted": int(accepted[index]),
            "expected": float(expected[index]),
            "ratio": float(accepted[index] / expected[index]),
            "ratio_shrunk": float(ratio[index]),
            "low": float(low[index]),
            "high": float(high[index]),
        }
        for index, line in enumerate(offers.itertuples(index=False))
    ]
    return sorted(table, key=lambda item: (-item["sends"], item["offer_id"]))


def shrink(accepted: FloatArray, expected: FloatArray, prior: FloatArray) -> tuple[FloatArray, float]:
    """Posterior means of ratios, shape (m,), and the strength of the prior with the largest marginal likelihood.

    Args:
        accepted: Counts, shape (m,).
        expected: What was expected of each, above 0, shape (m,).
        prior: Mean of each ratio's prior, above 0 where anything was accepted, shape (m,).
    """
    mean = np.maximum(prior, SMALLEST)
    strength = max(STRENGTHS, key=lambda tried: _marginal(accepted, expected, tried * mean, tried))
    return (accepted + strength * mean) / (expected + strength), strength


def _marginal(accepted: FloatArray, expected: FloatArray, shape: NDArray[np.float64], rate: float) -> float:
    """Log-likelihood of Poisson counts whose rates are Gamma(shape, rate): negative binomial, without constants."""
    each = (
        gammaln(accepted + shape) - gammaln(shape) + shape * np.log(rate) - (accepted + shape) * np.log(expected + rate)
    )
    return float(each.sum())
