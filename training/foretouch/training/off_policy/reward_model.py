"""A reward model for the direct method and its robust kin: boosted trees that never score a row they have seen.

A row is what was known of the customer, the action, and what the models of then thought of it. Folds are made of whole
customers, so that no goal of a customer in the windows of two decisions predicts itself.
"""

from typing import Final

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from foretouch.core.rng import bucket
from foretouch.training.off_policy.estimators import FOLDS, cross_fitted_means
from foretouch.training.task import FloatArray

LEAST_ROWS: Final = 500
"""With fewer rows every action has its own drawn-in mean, and no customer is told from another."""
ROUNDS: Final = 80
SETTINGS: Final = {
    "objective": "regression",
    "num_leaves": 8,
    "learning_rate": 0.05,
    "min_data_in_leaf": 40,
    "lambda_l2": 10.0,
    "cat_smooth": 50.0,
    "max_cat_to_onehot": 1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


def customer_folds(customer_id: NDArray[np.object_]) -> NDArray[np.int64]:
    """The fold of each row, 0…4, alike for all rows of a customer, shape (n,)."""
    return np.array([int(bucket("off-policy-folds", str(name)) * FOLDS) for name in customer_id], dtype=np.int64)


def cross_fitted_rewards(
    reward: FloatArray,
    action: NDArray[np.int64],
    features: FloatArray,
    propensity: FloatArray,
    fold: NDArray[np.int64],
    *,
    seed: int,
) -> tuple[FloatArray, str]:
    """The expected reward of every row under every action, from models that have not seen the row's customer.

    Args:
        reward: Shape (n,).
        action: Index of the logged action, shape (n,).
        features: Of the customer, shape (n, features); NaN is missing.
        propensity: What the models of then thought of each action, shape (n, actions); NaN is not known.
        fold: Shape (n,).
        seed: Of the trees.

    Returns:
        Shape (n, actions), and how it was made, in words.
    """
    n, actions = propensity.shape
    _, fold = np.unique(fold, return_inverse=True)
    if n < LEAST_ROWS or fold.max() == 0 or reward.min() == reward.max():
        return cross_fitted_means(reward, action, actions, fold)[fold], "cross-fitted mean per action"
    made = np.empty((n, actions))
    rows = np.arange(n)
    for index in range(int(fold.max()) + 1):
        seen, mine = fold != index, rows[fold == index]
        known = _columns(features[seen], propensity[rows[seen], action[seen]], action[seen])
        data = lgb.Dataset(known, reward[seen], categorical_feature=[known.shape[1] - 1], free_raw_data=True)
        booster = lgb.train({**SETTINGS, "seed": seed % 2**31}, data, ROUNDS)
        for number in range(actions):
            asked = _columns(features[mine], propensity[mine, number], np.full(len(mine), number))
            made[mine, number] = np.asarray(booster.predict(asked, num_threads=1))
    return made, f"boosted trees cross-fitted by customer, {int(fold.max()) + 1} folds"


def _columns(features: FloatArray, propensity: FloatArray, action: NDArray[np.int64]) -> FloatArray:
    return np.column_stack([features, propensity, action > 0, action])
