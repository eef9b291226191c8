"""What learns in a simulated world: trees on the whole log, and a correction that follows its newest rows.

Both are the product's: ``training.booster.fit_booster`` and ``training.newest``. Rows whose label is open take part in
both, by the share of acceptances that is known at their age (``newest.Maturity``). The trees are trained again
whenever what is known has grown by two fifths, and after 30,000 decisions at the latest; the correction every morning.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from worlds_log import Log
from worlds_trees import Forest
from worlds_truth import FloatArray, IntArray, World

from foretouch.core.bundle import ModelInput
from foretouch.training.booster import fit_booster
from foretouch.training.newest import HALF_LIVES, NOTHING, REACH, Correction, Maturity, Rows, choose_half_life, grow

GROWTH, LATEST_DECISIONS = 1.4, 30_000
"""The trees are trained again when what is known is so many times that of the last training, or at the latest."""
LEAST_KNOWN = 0.02
"""Rows of an age at which a smaller share of acceptances is known are not learnt from yet."""
REFUSALS_PER_ACCEPTANCE = 10
"""A forest sees at most so many, each counting for those that it does not see; every forest draws its own."""

NUMBERS = ("age", "spend", "visits", "love", "noise_1", "noise_2")
"""Attributes of people whose pairs are multiplied: every pair, whether it means anything or not."""
INPUTS = (
    *(ModelInput(name=name, view="person") for name in NUMBERS),
    ModelInput(name="segment", view="person", kind="category", levels=tuple("012345")),
    *(ModelInput(name=name, view="log") for name in ("contacts_7d", "contacts_30d", "days_since_contact")),
    *(ModelInput(name=name, view="log") for name in ("accepted", "accepted_category", "days_since_category")),
    ModelInput(name="contacts_category", view="log"),
    ModelInput(name="offer", view="offer", kind="category", levels=tuple(str(index) for index in range(32))),
    ModelInput(name="category", view="offer", kind="category", levels=tuple("0123")),
    ModelInput(name="channel", view="offer", kind="category", levels=tuple("01")),
    ModelInput(name="value", view="offer"),
    ModelInput(name="depth", view="offer"),
    ModelInput(name="recent_rate", view="log"),
    ModelInput(name="recent_rate_alike", view="log"),
    ModelInput(name="recent_over_expected", view="log"),
    ModelInput(name="rate_alike_lately", view="log"),
    *(ModelInput(name=f"{first}_x_{second}", view="cross") for first, second in combinations(NUMBERS, 2)),
)
PARAMETERS: Mapping[str, Any] = {
    "objective": "binary",
    "metric": "binary_logloss",
    "learning_rate": 0.15,
    "max_bin": 63,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.9,
    "bagging_freq": 1,
    "lambda_l2": 20.0,
    "cat_smooth": 20.0,
    "max_cat_threshold": 8,
    "min_data_per_group": 50,
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How trees are grown.

    Attributes:
        trees: LightGBM parameters besides ``PARAMETERS``.
        rounds: Most trees.
        rows_per_tree: With fewer rows than ``rounds`` times that, there are fewer trees: a young log is soon learnt by
            heart.
    """

    trees: Mapping[str, Any]
    rounds: int
    rows_per_tree: int = 1

    def rounds_for(self, rows: int) -> int:
        """Trees for so many rows."""
        return max(min(self.rounds, rows // self.rows_per_tree), LEAST_ROUNDS)


LEAST_ROUNDS = 20
RECIPES = (
    Recipe(trees={"num_leaves": 15, "min_data_in_leaf": 40, "extra_trees": True}, rounds=150, rows_per_tree=120),
    Recipe(trees={"num_leaves": 15, "min_data_in_leaf": 40, "extra_trees": True}, rounds=150, rows_per_tree=120),
)
"""A propensity is the mean of both, which differ in their draws: on one log two such forests were worth 66 and 59 %."""

PERSON = tuple(at for at, column in enumerate(INPUTS) if column.view in {"person", "cross"}) + tuple(
    at
    for at, column in enumerate(INPUTS)
    if column.name in {"contacts_7d", "contacts_30d", "days_since_contact", "accepted"}
)
"""Columns that are the same for all candidates of a customer."""
OFFER = tuple(at for at, column in enumerate(INPUTS) if column.view == "offer" or column.name == "recent_rate")
"""Columns that are the same for all customers."""
SEGMENT = next(at for at, column in enumerate(INPUTS) if column.name == "segment")


class Learner:
    """One contestant's models.

    Attributes:
        rate: Observed rate of acceptance among the newest closed rows.
        contacts: Rows that the trees in use have learnt from, an open one as the share of it that was known.
        half_life: Of the correction in use, in days; None is no correction.
    """

    def __init__(self, world: World, log: Log, category: IntArray) -> None:
        self.rate = 0.03
        self.half_life: float | None = None
        self._world, self._log, self._category = world, log, category
        self._forests: list[Forest] = []
        self._base = 0.0
        self._correction: Correction = NOTHING
        self._raw: dict[int, FloatArray] = {}
        self._trained = 0
        self._known = np.zeros(world.offers, dtype=bool)
        self.contacts = 0

    def morning(self, day: int) -> None:
        """Trains what is due, by what is known."""
        maturity = self._log.maturity(day, self._world.window_days)
        late = (day - self._trained) * self._world.per_day >= LATEST_DECISIONS
        if not self._forests or late or self._log.known_rows(day, maturity) >= GROWTH * self.contacts:
            self._train(day, maturity)
        self._correction = NOTHING
        if self.half_life is not None:
            rows = self._newest(day)
            self._correction = grow(rows, day, self.half_life, inputs=INPUTS, maturity=maturity, seed=day + 1)

    def knows(self, offer: IntArray, category: IntArray) -> NDArray[np.bool_]:
        """Whether the trees learnt from contacts of each offer or of its category, as ``new_offers.knows``.

        Args:
            offer: Shape (n,).
            category: Of each, shape (n,).
        """
        return np.asarray(self._known[offer] | np.isin(category, self._category[self._known]), dtype=bool)

    def chances(self, rows: NDArray[np.float32], category: IntArray) -> FloatArray:
        """Propensities of the same n candidates for each of m customers, shape (m, n).

        Args:
            rows: Features, shape (m, n, inputs).
            category: Of each candidate, shape (n,).
        """
        found = [forest.table(rows, groups=category, of_row=PERSON, of_candidate=OFFER) for forest in self._forests]
        raw = _mean_log_odds([part + self._base for part in found])
        if self._correction.booster is not None:
            segment = rows[:, 0, SEGMENT].astype(np.intp)
            kinds, first = np.unique(segment, return_index=True)
            added = self._correction.raw(rows[first].reshape(-1, rows.shape[-1])).reshape(len(kinds), -1)
            raw = raw + added[np.searchsorted(kinds, segment)]
        return np.asarray(1.0 / (1.0 + np.exp(-raw)), dtype=np.float64)

    def _train(self, day: int, maturity: Maturity) -> None:
        """The trees; how fast the correction forgets is judged by how the last trees did since they were trained."""
        window = self._world.window_days
        if self._forests:
            self.half_life = choose_half_life(
                self._newest(day), self._trained, day, inputs=INPUTS, maturity=maturity, seed=day + 1
            )
        known = self._log.known(day, window)
        self.rate = float(known.label[known.age >= window][-20_000:].mean())
        share = maturity.at(known.age)
        used = share >= LEAST_KNOWN
        rows, label, share = known.rows[used], known.label[used], share[used]
        self._base = float(np.log(self.rate / (1.0 - self.rate)))
        self._known = np.bincount(known.offer[used], minlength=self._world.offers) > 0
        self._forests = [
            self._forest(recipe, rows, label, self._base + np.log(share), [self._world.seed, day + 100, index])
            for index, recipe in enumerate(RECIPES)
        ]
        self._raw, self._trained, self.contacts = {}, day, self._log.known_rows(day, maturity)

    def _forest(
        self, recipe: Recipe, rows: NDArray[np.float32], label: FloatArray, start: FloatArray, seed: list[int]
    ) -> Forest:
        rng = np.random.default_rng(seed)
        accepted = int(label.sum())
        share = min(1.0, REFUSALS_PER_ACCEPTANCE * max(accepted, LEAST_ROUNDS) / max(len(label) - accepted, 1))
        used = (label > 0.0) | (rng.random(len(label)) < share)
        booster = fit_booster(
            rows[used].astype(np.float64),
            label[used],
            inputs=INPUTS,
            parameters={**PARAMETERS, **recipe.trees},
            rounds=recipe.rounds_for(len(label)),
            seed=int(rng.integers(2**31)),
            threads=1,
            weight=np.where(label[used] > 0.0, 1.0, 1.0 / share),
            offset=start[used],
        )
        return Forest(booster)

    def _newest(self, day: int) -> Rows:
        """The rows that a correction could look at, with the log-odds of the trees in use."""
        blocks = self._log.since(day - REACH * max(HALF_LIVES))
        for block in blocks:
            if block.day not in self._raw:
                self._raw[block.day] = _mean_log_odds([forest.raw(block.rows) + self._base for forest in self._forests])
        return Rows(
            matrix=np.concatenate([block.rows for block in blocks]),
            raw=np.concatenate([self._raw[block.day] for block in blocks]),
            day=np.concatenate([np.full(len(block.who), float(block.day)) for block in blocks]),
            known=np.concatenate([np.where(block.accepted, block.day + block.delay, np.inf) for block in blocks]),
        )


def _mean_log_odds(parts: list[FloatArray]) -> FloatArray:
    """Log-odds of the mean of the chances of several forests."""
    chance = np.clip(np.mean([1.0 / (1.0 + np.exp(-part)) for part in parts], axis=0), 1e-9, 1.0 - 1e-9)
    return np.asarray(np.log(chance / (1.0 - chance)), dtype=np.float64)
