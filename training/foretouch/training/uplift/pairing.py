"""A customer and an offer together, for contacts and for controls alike.

A contact is a pair already. A control got nothing: it is paired with the offer that a contact like it would have had,
drawn from the offers' chances given what was known of the customer and the day, as the contacts of the log show them.
What a control does is the same whatever offer it stands beside; the draw only makes both sides one population of pairs,
on which the effect of a contact is a function of customer and offer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.bundle import ModelInput
from foretouch.core.offers import Offer
from foretouch.core.rng import bucket, derive_seed
from foretouch.features.crosses import CUSTOMER_SHARE, pair_part
from foretouch.training.booster import fit_booster
from foretouch.training.data import encode
from foretouch.training.task import FloatArray

MAX_OFFERS = 40
"""With more offers, or fewer than ``MIN_ROWS`` contacts of one, chances do not depend on the customer."""
MIN_ROWS = 20
_ROUNDS, _FOLDS = 60, 3


@dataclass(frozen=True, kw_only=True)
class OfferChances:
    """Which offer a contact has, given what was known of the customer and the day.

    Attributes:
        names: Of the offers, sorted.
        code: Index of each row's offer; -1 is no contact, shape (n,).
        table: Chance of each offer, by models that have not met the customer, shape (n, offers); None where it does
            not depend on the customer.
    """

    names: NDArray[np.object_]
    code: NDArray[np.int64]
    table: FloatArray | None

    @property
    def own(self) -> FloatArray | None:
        """Chance of the offer that each contact had; NaN for no contact, shape (n,)."""
        if self.table is None:
            return None
        rows = np.arange(len(self.code))
        return np.where(self.code >= 0, self.table[rows, self.code], np.nan)

    def only(self, rows: NDArray[np.bool_]) -> "OfferChances":
        """Those of some rows."""
        return replace(self, code=self.code[rows], table=None if self.table is None else self.table[rows])


def offer_chances(rows: pd.DataFrame, *, inputs: tuple[ModelInput, ...], seed: int) -> OfferChances:
    """Learns which offers contacts have.

    Args:
        rows: ``customer_id``, ``offer_id`` (None is no contact), ``as_of`` and every customer input.
        inputs: The customer's.
        seed: Of the trees.
    """
    treated = rows["offer_id"].notna().to_numpy()
    names = np.array(sorted(set(rows["offer_id"][treated].astype(str))), dtype=object)
    code = np.asarray(pd.Categorical(rows["offer_id"].where(treated), categories=list(names)).codes, dtype=np.int64)
    counts = np.bincount(code[treated], minlength=len(names))
    if not inputs or not 2 <= len(names) <= MAX_OFFERS or counts.min() < MIN_ROWS:
        return OfferChances(names=names, code=code, table=None)
    day = (pd.to_datetime(rows["as_of"], utc=True).dt.as_unit("us").astype("int64") / 86_400e6).to_numpy()
    matrix = np.column_stack([encode(rows, inputs), day])
    fold = np.array([int(bucket("uplift-offers", str(name)) * _FOLDS) for name in rows["customer_id"]])
    table = np.empty((len(rows), len(names)))
    parameters = {
        "objective": "multiclass",
        "num_class": len(names),
        "learning_rate": 0.1,
        "num_leaves": 8,
        "min_data_in_leaf": max(int(treated.sum()) // 100, MIN_ROWS),
        "lambda_l2": 10.0,
    }
    for index in range(_FOLDS):
        held, used = fold == index, treated & (fold != index)
        booster = fit_booster(
            matrix[used],
            code[used].astype(np.float64),
            inputs=(*inputs, ModelInput(name="day", view="cross")),
            parameters=parameters,
            rounds=_ROUNDS,
            seed=seed,
            threads=1,
        )
        table[held] = np.asarray(booster.predict(matrix[held], num_threads=1))
    return OfferChances(names=names, code=code, table=table)


def stand_ins(
    rows: pd.DataFrame, weight: FloatArray, week: NDArray[np.int64], *, chances: OfferChances, seed: int
) -> pd.DataFrame:
    """``offer_id`` and ``channel`` of every row: a contact's own, a control's drawn.

    Args:
        rows: ``offer_id`` and ``channel``.
        weight: How often each counts, shape (n,).
        week: Running number of its week, shape (n,); only offers of the same week are drawn.
        chances: Of the same rows.
        seed: Of the draws.
    """
    rng = np.random.default_rng(derive_seed(str(seed), "uplift-stand-ins"))
    pairs = rows[["offer_id", "channel"]].astype(object).copy()
    names, code = chances.names, chances.code
    treated, channels = code >= 0, rows["channel"].to_numpy(dtype=object)
    for number in np.unique(week):
        controls, seen = np.flatnonzero((week == number) & ~treated), np.flatnonzero((week == number) & treated)
        share = np.bincount(code[seen], weights=weight[seen], minlength=len(names))
        table = np.tile(share, (len(controls), 1))
        if chances.table is not None:
            known = np.where(share > 0.0, chances.table[controls], 0.0)
            table = np.where(known.sum(axis=1, keepdims=True) > 0.0, known, table)
        ends = np.cumsum(table / table.sum(axis=1, keepdims=True), axis=1)
        drawn = np.minimum((rng.random(len(controls))[:, None] > ends).sum(axis=1), len(names) - 1)
        for offer in np.unique(drawn):
            own, like = controls[drawn == offer], seen[code[seen] == offer]
            odds = weight[like] / weight[like].sum()
            pairs.iloc[own, 0] = names[offer]
            pairs.iloc[own, 1] = channels[rng.choice(like, size=len(own), p=odds)]
    return pairs


def pair_columns(rows: pd.DataFrame, offers: Mapping[str, Offer], names: tuple[str, ...]) -> pd.DataFrame:
    """Features of every row's offer and of customer and offer together, as the service works them out.

    Args:
        rows: ``offer_id``, ``as_of`` and the customer's features.
        offers: By id.
        names: Of ``pair_part``'s features.
    """
    shares = [str(name) for name in rows.columns if str(name).startswith(CUSTOMER_SHARE)]
    values = rows[shares].to_numpy(dtype=np.float64)
    found = []
    for offer_id, as_of, row in zip(rows["offer_id"], rows["as_of"], values, strict=True):
        customer = {name: None if np.isnan(cell) else cell for name, cell in zip(shares, row.tolist(), strict=True)}
        part = pair_part(customer, offers[offer_id], as_of.to_pydatetime())
        found.append([part[name] for name in names])
    return pd.DataFrame(found, columns=list(names), index=rows.index)
