"""Weights under which contacts and controls of a log are one population: inverse propensities within weeks. Pure.

The propensity of a row is the probability of its arm times that of what the arm then did; a holdout does nothing with
probability 1. A contact's weight is the chance of its offer, given what the model sees of the customer, over that
propensity (a stabilised weight, Robins and others 2000): what a policy chose for reasons that the model sees needs no
weight, what it chose for others is corrected, and offers stay as frequent as they are.

Where the same thing was done in several arms (no contact in a holdout and by a policy's own draw), each arm estimates
the same mean, however small its share of customers, and they are mixed by their effective rows. Within a week,
contacts and controls then weigh the same, so that neither season nor the day on which an experiment began can pass for
an effect.
"""

from dataclasses import dataclass

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from foretouch.training.task import FloatArray
from foretouch.training.uplift.identification import effective_rows

MIN_PER_WEEK = 10
"""Least contacts and controls of a week; a week with fewer is left out."""
MAX_WEIGHT = 20.0
"""Largest weight, in units of the mean of its side and week (truncated importance sampling, Ionides 2008)."""
HELD = "no_contact"
WEEK = pd.Timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Balanced:
    """Which rows are used, and how much each counts.

    Attributes:
        used: Shape (n,).
        weight: Mean 1 over the rows used; NaN elsewhere, shape (n,).
        week: Running number of the row's week, shape (n,).
        randomised: Whether the propensity lies strictly between 0 and 1, shape (n,).
        unknown: Rows left out because no probability is on record.
        alone: Rows left out because their week lacks contacts or controls.
        cut: Rows whose weight was cut at ``MAX_WEIGHT``.
    """

    used: NDArray[np.bool_]
    weight: FloatArray
    week: NDArray[np.int64]
    randomised: NDArray[np.bool_]
    unknown: int
    alone: int
    cut: int


def balance(rows: pd.DataFrame, chances: FloatArray | None = None) -> Balanced:
    """Weights of logged rows.

    Args:
        rows: ``as_of``, ``offer_id`` (None is no contact), ``arm``, ``arms``, ``arm_probability``,
            ``offer_probability`` and ``contact_probability``, as ``training.log.rows`` gives them.
        chances: Of each contact's offer given the customer, shape (n,); None is the policy's own.
    """
    treated = rows["offer_id"].notna().to_numpy()
    held = (rows["arm"] == HELD).to_numpy() & ~treated
    within, of_arm = (rows[name].to_numpy(dtype=np.float64) for name in ("offer_probability", "arm_probability"))
    chance = np.where(held, 1.0, within) * of_arm
    contact = rows["contact_probability"].to_numpy(dtype=np.float64)
    stable = np.where(treated, within / contact if chances is None else chances, 1.0)
    known = np.isfinite(chance) & (chance > 0.0) & np.isfinite(stable) & (stable > 0.0)
    as_of = pd.to_datetime(rows["as_of"], utc=True)
    week = np.zeros(0, dtype=np.int64) if rows.empty else np.asarray((as_of - as_of.min()) // WEEK, dtype=np.int64)
    weeks = int(week.max()) + 1 if len(week) else 0
    sides = [np.bincount(week[known & side], minlength=weeks) for side in (treated, ~treated)]
    enough = (sides[0] >= MIN_PER_WEEK) & (sides[1] >= MIN_PER_WEEK)
    used = known & enough[week] if weeks else known
    weight = np.full(len(rows), np.nan)
    weight[used] = stable[used] / chance[used]
    arm = np.array([_kinds(text) for text in rows["arms"]], dtype=object)
    for side in (treated, ~treated):
        for name in sorted(set(arm[used & side])):
            group = used & side & (arm == name)
            weight[group] *= effective_rows(weight[group]) / weight[group].sum()
    cut = 0
    for number in np.flatnonzero(enough):
        here = used & (week == number)
        for side in (treated, ~treated):
            own = here & side
            scaled = weight[own] / weight[own].mean()
            cut += int((scaled > MAX_WEIGHT).sum())
            scaled = np.minimum(scaled, MAX_WEIGHT)
            weight[own] = scaled / scaled.sum() * here.sum() / 2.0
    return Balanced(
        used=used,
        weight=weight,
        week=week,
        randomised=known & (chance < 1.0 - 1e-12),
        unknown=int((~known).sum()),
        alone=int((known & ~used).sum()),
        cut=cut,
    )


def _kinds(arms: str) -> str:
    """The kinds of a row's arms, in words: rows of the same kinds were dealt with the same probabilities."""
    return " ".join(str(item["kind"]) for item in orjson.loads(arms))
