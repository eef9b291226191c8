"""What has changed lately: small trees beside a model, grown on its newest rows alone.

A model of a whole log is an average over the time that the log covers, and knows nothing of rows whose labels are
still open. Dropping old rows would follow a change and forget all that did not change; a correction keeps the model::

    log-odds = model + correction,    each row of the correction weighing 2 ^ (-age / half-life)

The correction sees the model's categories alone (offer, its category, channel, segment): a few cells with many rows
each, which shrinkage holds near 0 where they have few. Rows whose label is open take part at once: a row of age a that
will be accepted is known to be so with probability ``maturity(a)``, which closed rows tell, so that its chance of an
acceptance *by now* is taken as chance x maturity(a); that enters as log(maturity) on the log-odds, which is exact for
small chances.

Whether to correct, and how fast to forget, is chosen by what would have predicted the newest days best from what was
known before them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from foretouch.core.bundle import ModelInput
from foretouch.training.booster import column_names
from foretouch.training.task import FloatArray

HALF_LIVES = (16.0, 8.0, 4.0)
"""Days, longest first: a shorter one must predict better by more than chance."""
ROUNDS = 40
REACH = 4.0
"""Rows older than so many half-lives are left out: they weigh less than 2 ^ -4."""
FOLDS = 2
"""The newest days are predicted in so many spans."""
LEAST_ROWS, LEAST_OF_EACH_CLASS = 1_000, 30
"""With less to learn from or to predict, nothing is corrected."""
PARAMETERS: Mapping[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.3,
    "num_leaves": 8,
    "min_data_in_leaf": 30,
    "feature_fraction": 0.6,
    "extra_trees": True,
    "lambda_l2": 5.0,
    "cat_smooth": 20.0,
    "min_data_per_group": 50,
}


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Logged contacts, labels open or closed, n of them.

    Attributes:
        matrix: The model's encoded inputs, shape (n, inputs).
        raw: Log-odds by the model that is to be corrected, shape (n,).
        day: When each was decided, in days on any scale, shape (n,).
        known: Day on which its acceptance became known; infinite for none, shape (n,).
    """

    matrix: NDArray[np.float32] | FloatArray
    raw: FloatArray
    day: FloatArray
    known: FloatArray

    def take(self, which: NDArray[np.bool_]) -> "Rows":
        """Some of them."""
        return Rows(matrix=self.matrix[which], raw=self.raw[which], day=self.day[which], known=self.known[which])


@dataclass(frozen=True, kw_only=True)
class Maturity:
    """How many acceptances are known by age.

    Attributes:
        waits: Days from decision to acceptance of closed rows, sorted; without any, all are known at once.
        window_days: After so many days a row is closed.
    """

    waits: FloatArray
    window_days: float

    @classmethod
    def of(cls, rows: Rows, now: float, window_days: float) -> "Maturity":
        """From rows that are closed at ``now``; acceptances after the window are none."""
        wait = (rows.known - rows.day)[rows.day + window_days <= now]
        return cls(waits=np.sort(wait[wait <= window_days]), window_days=window_days)

    def at(self, age: FloatArray) -> FloatArray:
        """Share of the acceptances that is known at an age in days, in [0, 1]."""
        if not len(self.waits):
            return np.ones_like(age)
        share = np.searchsorted(self.waits, age, side="right") / len(self.waits)
        return np.asarray(np.where(age >= self.window_days, 1.0, share), dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class Correction:
    """Trees that are added to a model's log-odds.

    Attributes:
        booster: Of the columns ``columns``; None adds nothing.
        columns: Which of the model's inputs it sees.
    """

    booster: lgb.Booster | None
    columns: tuple[int, ...]

    def raw(self, matrix: NDArray[np.float32] | FloatArray) -> FloatArray:
        """What is added to the log-odds of each row, shape (n,).

        Args:
            matrix: The model's encoded inputs, shape (n, inputs).
        """
        if self.booster is None:
            return np.zeros(len(matrix))
        values, back = np.unique(matrix[:, list(self.columns)], axis=0, return_inverse=True)  # few cells, many rows
        added = self.booster.predict(np.asarray(values, dtype=np.float64), raw_score=True, num_threads=1)
        return np.asarray(added, dtype=np.float64)[back.reshape(-1)]


NOTHING = Correction(booster=None, columns=())


def grow(
    rows: Rows,
    now: float,
    half_life_days: float | None,
    *,
    inputs: Sequence[ModelInput],
    maturity: Maturity,
    seed: int,
    threads: int = 1,
) -> Correction:
    """The correction by what is known at ``now``.

    Args:
        rows: Logged contacts; those decided at ``now`` or later are left out, and later acceptances are not seen.
        now: On the scale of ``rows.day``.
        half_life_days: Of a row's weight; None is no correction.
        inputs: Names and kinds of the model's columns.
        maturity: How many acceptances are known by age.
        seed: Of every draw.
        threads: LightGBM threads.
    """
    columns = tuple(index for index, column in enumerate(inputs) if column.kind == "category")
    if half_life_days is None or not columns:
        return NOTHING
    age = now - rows.day
    share = maturity.at(age)
    used = (age > 0.0) & (age <= REACH * half_life_days) & (share > 0.0)
    label = _label(rows, now, maturity)[used]
    if not _enough(label):
        return NOTHING
    names = column_names([inputs[index] for index in columns])
    data = lgb.Dataset(
        np.asarray(rows.matrix[used][:, list(columns)], dtype=np.float64),
        label=label,
        weight=np.exp2(-age[used] / half_life_days),
        init_score=rows.raw[used] + np.log(share[used]),
        feature_name=names,
        categorical_feature=names,
    )
    settings = {
        **PARAMETERS,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed % 2**31,
        "num_threads": threads,
        "verbosity": -1,
    }
    return Correction(booster=lgb.train(settings, data, num_boost_round=ROUNDS), columns=columns)


def choose_half_life(
    rows: Rows,
    since: float,
    now: float,
    *,
    inputs: Sequence[ModelInput],
    maturity: Maturity,
    seed: int,
    threads: int = 1,
) -> float | None:
    """The half-life that would have predicted the newest days best from what was known before them; None is none.

    The days are cut into ``FOLDS`` spans, each predicted by corrections that were grown at its beginning, as they are
    in use. A correction must have a lower log loss than none, and a shorter half-life than a longer one, by more than
    the standard error of the paired difference.

    Args:
        rows: Logged contacts.
        since: The model behind ``rows.raw`` has not seen labels of rows decided then or later.
        now: On the scale of ``rows.day``.
        inputs: Names and kinds of the model's columns.
        maturity: How many acceptances are known by age.
        seed: Of every draw.
        threads: LightGBM threads.
    """
    share = maturity.at(now - rows.day)
    held = (rows.day >= since) & (rows.day < now) & (share > 0.0)
    label = _label(rows, now, maturity)
    if not _enough(label[held]):
        return None
    edges = np.linspace(since, now, FOLDS + 1)
    best: float | None = None
    best_loss = _loss(label[held], rows.raw[held], share[held])
    for half_life in HALF_LIVES:
        raw = rows.raw.copy()
        for start, end in pairwise(edges.tolist()):
            fold = held & (rows.day >= start) & (rows.day < end)
            found = grow(rows, start, half_life, inputs=inputs, maturity=maturity, seed=seed, threads=threads)
            raw[fold] += found.raw(rows.matrix[fold])
        loss = _loss(label[held], raw[held], share[held])
        gain = best_loss - loss
        if gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)):
            best, best_loss = half_life, loss
    return best


def _label(rows: Rows, now: float, maturity: Maturity) -> FloatArray:
    """1 for acceptances within the window that are known at ``now``, shape (n,)."""
    return ((rows.known <= now) & (rows.known - rows.day <= maturity.window_days)).astype(np.float64)


def _enough(label: FloatArray) -> bool:
    ones = int(label.sum())
    return len(label) >= LEAST_ROWS and min(ones, len(label) - ones) >= LEAST_OF_EACH_CLASS


def _loss(label: FloatArray, raw: FloatArray, share: FloatArray) -> FloatArray:
    """Log loss of every row, shape (n,), of being known to be accepted by now."""
    chance = np.clip(share / (1.0 + np.exp(-raw)), 1e-9, 1.0 - 1e-9)
    return np.asarray(-np.where(label > 0.5, np.log(chance), np.log1p(-chance)), dtype=np.float64)
