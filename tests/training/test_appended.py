"""Two models in one text: log-odds add up, for numbers and categories, known and unknown."""

import lightgbm as lgb
import numpy as np
import pytest
from numpy.typing import NDArray

from foretouch.core.bundle import ModelInput
from foretouch.training.appended import append_trees
from foretouch.training.booster import fit_booster, model_text

INPUTS = (
    ModelInput(name="age", view="person"),
    ModelInput(name="segment", view="person", kind="category", levels=tuple("012345")),
    ModelInput(name="spend", view="person"),
    ModelInput(name="offer", view="offer", kind="category", levels=tuple("01234567")),
)
SETTINGS = {"objective": "binary", "num_leaves": 7, "min_data_in_leaf": 10, "cat_smooth": 1.0, "min_data_per_group": 5}
COLUMNS = (3, 1)


def data(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(4)
    matrix = np.column_stack([rng.random(n), rng.integers(0, 6, n), rng.random(n), rng.integers(0, 8, n)]).astype(float)
    raw = -1.0 + matrix[:, 0] + np.where(matrix[:, 1] % 2 == 0, 1.0, -1.0) * np.where(matrix[:, 3] > 3, 1.0, -0.5)
    return matrix, (rng.random(n) < 1.0 / (1.0 + np.exp(-raw))).astype(np.float64)


def fitted(columns: tuple[int, ...], rounds: int, objective: str = "binary") -> str:
    matrix, label = data(3000)
    return model_text(
        fit_booster(
            matrix[:, list(columns)],
            label,
            inputs=[INPUTS[at] for at in columns],
            parameters={**SETTINGS, "objective": objective},
            rounds=rounds,
            seed=1,
            threads=1,
        )
    )


def log_odds(booster: lgb.Booster, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(booster.predict(matrix, raw_score=True, num_threads=1), dtype=np.float64)


def test_the_log_odds_are_the_sum_of_both() -> None:
    first, second = fitted((0, 1, 2, 3), 20), fitted(COLUMNS, 15)
    joined = lgb.Booster(model_str=append_trees(first, second, COLUMNS))
    assert joined.num_trees() == 35
    matrix, _ = data(500)
    matrix[:40, 1] = np.nan
    matrix[20:60, 3] = 99.0  # a level that neither has seen
    one = log_odds(lgb.Booster(model_str=first), matrix)
    two = log_odds(lgb.Booster(model_str=second), matrix[:, list(COLUMNS)])
    both = log_odds(joined, matrix)
    np.testing.assert_allclose(both, one + two, rtol=0, atol=1e-12)
    assert np.abs(two).max() > 0.3
    np.testing.assert_array_equal(log_odds(lgb.Booster(model_str=joined.model_to_string()), matrix), both)


def test_what_cannot_be_joined_is_refused() -> None:
    first, second = fitted((0, 1, 2, 3), 3), fitted(COLUMNS, 3)
    with pytest.raises(ValueError, match=r"the added trees see \['offer', 'segment'\]"):
        append_trees(first, second, (1, 3))
    with pytest.raises(ValueError, match="not columns"):
        append_trees(first, second, (3, 9))
    with pytest.raises(ValueError, match="objective == 'regression'"):
        append_trees(first, fitted(COLUMNS, 3, "regression"), COLUMNS)
