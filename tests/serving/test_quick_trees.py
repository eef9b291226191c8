"""Trees walked in compiled code: the bits of LightGBM's own ``predict``, or the model goes LightGBM's way."""

import sys
from collections.abc import Mapping
from typing import Any

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray

from foretouch.serving.models import tree_kernels
from foretouch.serving.models.quick_trees import quick_or_none
from foretouch.serving.models.tree_table import CATEGORY, on_thresholds, read_trees

INPUTS = 12
NONE = np.empty((0, INPUTS))


def fit(seed: int = 0, trees: int = 60, missing: float = 0.1, **parameters: Any) -> lightgbm.Booster:
    """A small model of crossed inputs, the first half of which may be missing."""
    rng = np.random.default_rng(seed)
    rows = rng.gamma(2.0, 3.0, size=(3000, INPUTS))
    rows[:, : INPUTS // 2][rng.random((3000, INPUTS // 2)) < missing] = np.nan
    rows[:, 5] = np.where(np.isnan(rows[:, 5]), np.nan, rng.integers(0, 70, 3000))
    known = np.nan_to_num(rows)
    amount = known[:, 0] * known[:, 7] / 10.0 + np.sin(known[:, 1]) + known[:, 8] + 9.0 * (known[:, 5] % 7 == 3) + 1.0
    label = amount if parameters.get("amount") else (amount > np.median(amount)).astype(float)
    settings = {"objective": "binary", "num_leaves": 31, "verbose": -1, "num_threads": 1, "seed": 1, **parameters}
    settings.pop("amount", None)
    data = lightgbm.Dataset(rows, label, categorical_feature=settings.pop("categories", "auto"))
    return lightgbm.train(settings, data, trees)


def text_of(booster: lightgbm.Booster) -> str:
    return str(booster.model_to_string())


def rows_of(booster: lightgbm.Booster) -> Mapping[str, NDArray[np.float64]]:
    """Rows that share nothing, rows that share most of their inputs, both mixed, one, none, and a view."""
    alone = on_thresholds(read_trees(text_of(booster)), 203, seed=3)
    shared = np.repeat(alone[:7], 30, axis=0)
    shared[:, [2, 7, 8]] = alone[:, [2, 7, 8]][np.arange(len(shared)) % 203]
    same = np.repeat(alone[:1], 150, axis=0)  # more than walk together
    mixed = np.vstack([alone[:5], shared[:20], alone[5:8], shared[20:23], same])
    view = np.asfortranarray(mixed)[::2]
    return {
        "alone": alone,
        "shared": shared,
        "same": same,
        "mixed": mixed,
        "one": alone[:1],
        "view": view,
        "none": NONE,
    }


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"sigmoid": 2.5},
        {"objective": "cross_entropy"},
        {"objective": "regression", "amount": True},
        {"objective": "poisson", "amount": True},
        {"use_missing": False},
        {"missing": 0.0},
        {"categories": [5], "min_data_per_group": 20, "cat_smooth": 1.0},
        {"boosting": "dart"},
        {"num_leaves": 200, "min_data_in_leaf": 1},
    ],
    ids=lambda given: ",".join(f"{name}={value}" for name, value in given.items()) or "binary",
)
def test_every_row_has_the_bits_of_predict(parameters: dict[str, Any]) -> None:
    booster = fit(**parameters)
    quick, why = quick_or_none(booster, text_of(booster), NONE)
    assert quick is not None, why
    for name, rows in rows_of(booster).items():
        expected = booster.predict(rows, num_threads=1) if len(rows) else np.empty(0)
        assert quick.many(rows).tobytes() == np.asarray(expected).tobytes(), name


def test_the_compiled_walk_is_the_one_that_is_written() -> None:
    booster = fit(trees=12)
    trees = read_trees(text_of(booster)).trees
    rows = np.ascontiguousarray(rows_of(booster)["mixed"][:40])
    found, written = np.zeros(40), np.zeros(40)
    tree_kernels.walk(trees, rows, found)
    tree_kernels.walk.py_func(trees, rows, written)  # type: ignore[attr-defined]
    assert found.tobytes() == written.tobytes()
    assert len(set(found.tolist())) > 10


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"zero_as_missing": True}, "zeros as missing"),
        ({"linear_tree": True, "amount": True, "objective": "regression", "missing": 0.0}, "linear leaves"),
        ({"reg_sqrt": True, "amount": True, "objective": "regression"}, "not known"),
        ({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "averages"),
        ({"objective": "multiclass", "num_class": 2}, "several outputs"),
    ],
)
def test_other_kinds_of_trees_go_lightgbms_way(parameters: dict[str, Any], why: str) -> None:
    booster = fit(**parameters)
    quick, reason = quick_or_none(booster, text_of(booster), NONE)
    assert quick is None
    assert why in reason


def test_sets_of_categories_are_laid_out() -> None:
    trees = read_trees(text_of(fit(categories=[5], min_data_per_group=20, cat_smooth=1.0))).trees
    sets = trees.missing == CATEGORY
    assert set(trees.inputs[sets].tolist()) == {5}
    assert (np.diff(trees.word_starts)[sets] == 3).any()  # categories beyond 64


def test_a_leaf_that_differs_is_noticed() -> None:
    booster = fit(objective="regression", amount=True)
    text = text_of(booster)
    line = next(line for line in text.splitlines() if line.startswith("leaf_value="))
    others = " ".join(repr(float(value) * (1.0 + 1e-12)) for value in line.partition("=")[2].split())
    altered = text.replace(line, f"leaf_value={others}", 1)
    assert quick_or_none(booster, altered, NONE) == (None, "its scores differ from those of Booster.predict")
    assert quick_or_none(booster, text, NONE)[1] == ""


def test_small_models_and_machines_without_the_compiler_go_lightgbms_way(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = fit(trees=5), fit()
    assert quick_or_none(small, text_of(small), NONE) == (None, "the model is small")
    monkeypatch.setitem(sys.modules, "foretouch.serving.models.tree_kernels", None)
    assert quick_or_none(large, text_of(large), NONE) == (None, "numba is not installed")


def test_vectors_of_another_length_are_refused() -> None:
    booster = fit()
    quick, _ = quick_or_none(booster, text_of(booster), NONE)
    assert quick is not None
    with pytest.raises(ValueError, match=r"must be \(n, 12\)"):
        quick.many(np.zeros((3, 11)))
