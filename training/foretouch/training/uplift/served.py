"""What the service needs of a fitted uplift: one text of trees, and how sure it is by score."""

import numpy as np

from foretouch.core.bundle import ModelInput, ScoreIntervals
from foretouch.training.booster import fit_booster, model_text
from foretouch.training.task import FloatArray

Z = 1.959964
BINS = 20
ROUNDS = 150


def distil(
    matrix: FloatArray,
    uplift: FloatArray,
    weight: FloatArray,
    *,
    inputs: tuple[ModelInput, ...],
    seed: int,
    threads: int,
) -> str:
    """One LightGBM text that says what the chosen learner says, whatever that is made of.

    Its trees are fitted to the learner's own numbers, which hold no noise of outcomes: they may be fine.

    Args:
        matrix: Encoded inputs, shape (n, inputs).
        uplift: What the learner says of them, shape (n,).
        weight: How often each row counts, shape (n,).
        inputs: The columns.
        seed: Of every draw.
        threads: Of LightGBM.
    """
    parameters = {
        "objective": "regression",
        "metric": "l2",
        "learning_rate": 0.1,
        "num_leaves": 16,
        "min_data_in_leaf": max(len(matrix) // 500, 10),
        "max_bin": 255,
    }
    return model_text(
        fit_booster(
            matrix,
            uplift,
            inputs=inputs,
            parameters=parameters,
            rounds=ROUNDS,
            seed=seed,
            threads=threads,
            weight=weight,
        )
    )


def explained(uplift: FloatArray, served: FloatArray) -> float:
    """Share of the variance of the learner's uplift that the served trees have; 1 where there is none to have."""
    spread = float(uplift.var())
    return 1.0 if spread <= 1e-18 else 1.0 - float(np.mean(np.square(uplift - served))) / spread


def intervals(score: FloatArray, se: FloatArray, *, level: float = 0.95) -> ScoreIntervals:
    """The interval of a person's uplift, by twentieth of the score.

    In each: the mean score, give or take 1.96 root mean squares of the standard errors of its people.

    Args:
        score: As served, shape (n,).
        se: Standard error of each person's uplift, shape (n,).
        level: 0.95.
    """
    order = np.argsort(score, kind="stable")
    edges: list[float] = []
    low: list[float] = []
    high: list[float] = []
    for part in np.array_split(order, BINS):
        if not len(part) or (edges and score[part[-1]] <= edges[-1]):
            continue
        reach = Z * float(np.sqrt(np.mean(np.square(se[part]))))
        middle = float(score[part].mean())
        edges.append(float(score[part[-1]]))
        low.append(max(middle - reach, -1.0))
        high.append(min(middle + reach, 1.0))
    return ScoreIntervals(upper_edges=tuple(edges), low=tuple(low), high=tuple(high), level=level)
