"""The rows of a randomised comparison, how they are dealt into folds, and the error of their means."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from foretouch.core.bundle import ModelInput
from foretouch.core.errors import DataError
from foretouch.training.task import FloatArray

IntArray = NDArray[np.int64]

MIN_ARM_ROWS = 100


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Rows of a randomised comparison of several arms.

    Attributes:
        matrix: Encoded inputs, shape (n, inputs).
        inputs: Names and kinds of the columns.
        arm: 0 for the control, 1…K for the treated arms, shape (n,).
        outcome: Shape (n,).
        weight: How often each row counts, above 0, shape (n,); None is once.
        cluster: Whose row it is, shape (n,); None is everybody's own.
    """

    matrix: FloatArray
    inputs: tuple[ModelInput, ...]
    arm: IntArray
    outcome: FloatArray
    weight: FloatArray | None = None
    cluster: NDArray[np.object_] | None = None

    def __post_init__(self) -> None:
        counts = np.bincount(self.arm)
        if len(counts) < 2 or counts.min() < MIN_ARM_ROWS:
            raise DataError(
                f"arms have {', '.join(str(count) for count in counts)} rows; need two arms of {MIN_ARM_ROWS} each"
            )
        if not np.isfinite(self.outcome).all():
            raise DataError("the outcome holds missing or infinite values")
        if self.outcome.min() == self.outcome.max():
            raise DataError(f"the outcome is {self.outcome[0]:g} in every row: there is no uplift to learn")
        if self.weight is not None and not (np.isfinite(self.weight).all() and self.weight.min() > 0.0):
            raise DataError(f"weights must be finite and above 0; the least is {self.weight.min():g}")

    def only(self, rows: NDArray[np.bool_]) -> "Trial":
        """Some of its rows."""
        return replace(
            self,
            matrix=self.matrix[rows],
            arm=self.arm[rows],
            outcome=self.outcome[rows],
            weight=None if self.weight is None else self.weight[rows],
            cluster=None if self.cluster is None else self.cluster[rows],
        )

    @property
    def counts(self) -> FloatArray:
        """How often each row counts, shape (n,)."""
        return np.ones(len(self.arm)) if self.weight is None else self.weight

    @property
    def arms(self) -> int:
        """Treated arms, K."""
        return int(self.arm.max())

    @property
    def binary(self) -> bool:
        """Whether the outcome is 0 or 1."""
        return bool(np.isin(self.outcome, (0.0, 1.0)).all())


def deal(arm: IntArray, folds: int, *, seed: int) -> IntArray:
    """The fold of each row, shape (n,): every arm is dealt evenly, in a drawn order."""
    rng = np.random.default_rng([seed, folds])
    fold = np.empty(len(arm), dtype=np.int64)
    for value in np.unique(arm):
        rows = np.flatnonzero(arm == value)
        fold[rng.permutation(rows)] = np.arange(len(rows)) % folds
    return fold


def deal_trial(trial: Trial, folds: int, *, seed: int) -> IntArray:
    """The fold of each row, shape (n,): whole clusters, those of every arm dealt evenly."""
    if trial.cluster is None:
        return deal(trial.arm, folds, seed=seed)
    _, first, code = np.unique(trial.cluster.astype(str), return_index=True, return_inverse=True)
    return np.asarray(deal(trial.arm[first], folds, seed=seed)[code])


def clustered_se(residual: FloatArray, trial: Trial) -> float:
    """Standard error of a weighted mean from its residuals, shape (n,), with whole clusters as units."""
    parts: FloatArray = residual * trial.counts
    if trial.cluster is not None:
        _, code = np.unique(trial.cluster.astype(str), return_inverse=True)
        parts = np.asarray(np.bincount(code, weights=parts), dtype=np.float64)
    units = len(parts)
    return float(np.sqrt(units / (units - 1.0) * np.square(parts).sum()) / trial.counts.sum())
