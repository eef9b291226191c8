"""What learns in a simulated world: trees on the whole log, and a correction that follows its newest rows.

Both are the product's: ``training.booster.fit_booster`` and ``training.newest``. The trees are trained again whenever
the closed rows have grown by two fifths, and after 30,000 decisions at the latest; the correction every morning.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from worlds_log import Log
from worlds_trees import Forest
from worlds_truth import FloatArray, World

from foretouch.core.bundle import ModelInput
from foretouch.training.booster import fit_booster
from foretouch.training.newest import HALF_LIVES, NOTHING, REACH, Correction, Maturity, Rows, choose_half_life, grow

GROWTH, LATEST_DECISIONS = 1.4, 30_000
"""The trees are trained again when the closed rows are so many times those of the last training, or at the latest."""

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
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 50.0,
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
    Recipe(trees={"num_leaves": 15, "min_data_in_leaf": 40, "extra_trees": True}, rounds=180, rows_per_tree=120),
    Recipe(trees={"num_leaves": 8, "min_data_in_leaf": 40}, rounds=100, rows_per_tree=200),
)
"""A propensity is the mean of both: random splits find interactions that no single split shows."""


class Learner:
    """One contestant's models.

    Attributes:
        rate: Observed rate of acceptance among the newest closed rows.
        contacts: Rows that the trees in use have learnt from.
        half_life: Of the correction in use, in days; None is no correction.
    """

    def __init__(self, world: World, log: Log) -> None:
        self.rate = 0.03
        self.half_life: float | None = None
        self._world, self._log = world, log
        self._forests: list[Forest] = []
        self._correction: Correction = NOTHING
        self._raw: dict[int, FloatArray] = {}
        self._trained = 0
        self.contacts = 0

    def morning(self, day: int) -> None:
        """Trains what is due, by what is known."""
        closed = self._log.closed_rows(day, self._world.window_days)
        late = (day - self._trained) * self._world.per_day >= LATEST_DECISIONS
        if not self._forests or late or closed >= GROWTH * self.contacts:
            self._train(day)
        self._correction = NOTHING
        if self.half_life is not None:
            rows = self._newest(day)
            maturity = Maturity.of(rows, day, self._world.window_days)
            self._correction = grow(rows, day, self.half_life, inputs=INPUTS, maturity=maturity, seed=day + 1)

    def chance(self, rows: NDArray[np.float32]) -> FloatArray:
        """Propensities, shape (n,).

        Args:
            rows: Features, shape (n, inputs).
        """
        raw = self._log_odds(rows) + self._correction.raw(rows)
        return np.asarray(1.0 / (1.0 + np.exp(-raw)), dtype=np.float64)

    def _train(self, day: int) -> None:
        """The trees; how fast the correction forgets is judged by how the last trees did since they were trained."""
        window = self._world.window_days
        if self._forests:
            rows = self._newest(day)
            maturity = Maturity.of(rows, day, window)
            self.half_life = choose_half_life(
                rows, self._trained - window, day, inputs=INPUTS, maturity=maturity, seed=day + 1
            )
        matrix, label = self._log.closed(day, window)
        self.rate = float(label[-20_000:].mean())
        self._forests = [
            Forest(
                fit_booster(
                    matrix.astype(np.float64),
                    label,
                    inputs=INPUTS,
                    parameters={**PARAMETERS, **recipe.trees},
                    rounds=recipe.rounds_for(len(label)),
                    seed=day + 1,
                    threads=1,
                )
            )
            for recipe in RECIPES
        ]
        self._raw, self._trained, self.contacts = {}, day, len(label)

    def _newest(self, day: int) -> Rows:
        """The rows that a correction could look at, with the log-odds of the trees in use."""
        blocks = self._log.since(day - REACH * max(HALF_LIVES))
        for block in blocks:
            if block.day not in self._raw:
                self._raw[block.day] = self._log_odds(block.rows)
        return Rows(
            matrix=np.concatenate([block.rows for block in blocks]),
            raw=np.concatenate([self._raw[block.day] for block in blocks]),
            day=np.concatenate([np.full(len(block.who), float(block.day)) for block in blocks]),
            known=np.concatenate([np.where(block.accepted, block.day + block.delay, np.inf) for block in blocks]),
        )

    def _log_odds(self, rows: NDArray[np.float32]) -> FloatArray:
        found = [1.0 / (1.0 + np.exp(-forest.raw(rows))) for forest in self._forests]
        chance = np.clip(np.mean(found, axis=0), 1e-9, 1.0 - 1e-9)
        return np.asarray(np.log(chance / (1.0 - chance)), dtype=np.float64)
