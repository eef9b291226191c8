"""``foretouch bench lead``: the probability of a label for the rows of a second table, learned from a first.

Stratified folds serve everything: the search (Optuna, defaults first), the number of rounds, the penalty of the
linear model, the share of each in the blend, and the calibration. All of it is judged on rows left out, and at the end
both models are fitted on every row.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.canonical import content_hash
from foretouch.core.errors import DataError
from foretouch.core.workspace import Workspace
from foretouch.training.bench.design import Design, LinearDesign, linear_score, ridge_logistic
from foretouch.training.bench.tables import binary, need_columns, need_unique, read_table, write_table
from foretouch.training.booster import fit_booster
from foretouch.training.metrics import AUC, LOG_LOSS, calibration_line, expected_calibration_error, row_log_loss
from foretouch.training.task import FloatArray, TrainingRun
from foretouch.training.tuning import Attempt, Tuned, read_space, tune

FOLDS = 5
TRIALS = 12
MAX_ROUNDS = 500
PATIENCE = 40
BAGS = 5
PENALTIES = (1000.0, 300.0, 100.0, 30.0)
"""From strong to weak: each fit starts from the one before."""
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the trees in the blend that are tried."""
MIN_OF_EACH = 20
TOP = 0.2
THREADS = 1
"""Small tables gain nothing from more, and lose much on a machine that is shared."""


@dataclass(frozen=True, kw_only=True)
class LeadModel:
    """Trees and a linear model on one design, blended on the log-odds and calibrated.

    Attributes:
        design: Of the table.
        linear: Of the linear model.
        boosters: LightGBM models that differ by seed; their log-odds are averaged.
        beta: Of the linear model.
        share: Of the trees.
        slope: Of Platt's line on the blended log-odds.
        intercept: Of it.
        summary: What was chosen, and the figures on rows left out.
    """

    design: Design
    linear: LinearDesign
    boosters: tuple[Any, ...]
    beta: FloatArray
    share: float
    slope: float
    intercept: float
    summary: dict[str, Any]

    def predict(self, frame: pd.DataFrame) -> FloatArray:
        """Calibrated probabilities, shape (n,)."""
        matrix = self.design.encode(frame)
        trees = np.mean([booster.predict(matrix, raw_score=True, num_threads=1) for booster in self.boosters], axis=0)
        blended = self.share * trees + (1.0 - self.share) * linear_score(self.linear.apply(matrix), self.beta)
        return _sigmoid(self.slope * blended + self.intercept)


def fit_lead(
    train: pd.DataFrame, label: FloatArray, *, without: tuple[str, ...], trials: int = TRIALS, seed: int = 0
) -> LeadModel:
    """Searches, blends and calibrates in cross-validation, then fits on all rows.

    Args:
        train: Rows with any columns.
        label: 0 or 1, shape (n,).
        without: Columns that are no inputs.
        trials: Of the search; 0 takes the defaults.
        seed: Of every draw.

    Raises:
        DataError: Too few rows of a class, or no usable column.
    """
    fewest = int(min(label.sum(), (1.0 - label).sum()))
    if fewest < MIN_OF_EACH:
        raise DataError(f"{fewest} rows have the rarer label, need {MIN_OF_EACH} to learn from", hint="a longer table")
    design = Design.learn(train, without=without)
    matrix = design.encode(train)
    fold = stratified_folds(label, FOLDS, seed=seed)
    tuned = _search(design, matrix, label, fold, trials=trials, seed=seed)
    rounds = int(tuned.notes["rounds"])
    trees, lines = np.empty(len(label)), np.empty((len(PENALTIES), len(label)))
    for index in range(FOLDS):
        held = fold == index
        boosters = _fit_trees(design, matrix[~held], label[~held], tuned.parameters, rounds, seed=seed, bags=2)
        trees[held] = np.mean([booster.predict(matrix[held], raw_score=True) for booster in boosters], axis=0)
        linear = LinearDesign.learn(design, matrix[~held])
        seen, unseen = linear.apply(matrix[~held]), linear.apply(matrix[held])
        beta = None
        for row, penalty in enumerate(PENALTIES):
            beta = ridge_logistic(seen, label[~held], penalty=penalty, start=beta)
            lines[row, held] = linear_score(unseen, beta)
    penalty, share = min(
        ((row, share) for row in range(len(PENALTIES)) for share in SHARES),
        key=lambda choice: _loss(label, choice[1] * trees + (1.0 - choice[1]) * lines[choice[0]]),
    )
    blended = share * trees + (1.0 - share) * lines[penalty]
    slope, intercept = calibration_line(label, _sigmoid(blended))
    if not np.isfinite(slope) or slope <= 0.0:
        slope, intercept = 1.0, 0.0
    linear = LinearDesign.learn(design, matrix)
    out_of_fold = _sigmoid(slope * blended + intercept)
    return LeadModel(
        design=design,
        linear=linear,
        boosters=tuple(_fit_trees(design, matrix, label, tuned.parameters, rounds, seed=seed, bags=BAGS)),
        beta=ridge_logistic(linear.apply(matrix), label, penalty=PENALTIES[penalty]),
        share=share,
        slope=slope,
        intercept=intercept,
        summary={
            "rows": len(label),
            "rate": float(label.mean()),
            "columns": len(design.columns),
            "columns_dropped": list(design.dropped),
            "share_of_trees": share,
            "penalty": PENALTIES[penalty],
            "rounds": rounds,
            "parameters": tuned.parameters,
            "trials": tuned.trials,
            "left_out": {
                "log_loss": LOG_LOSS(label, out_of_fold),
                "auc": AUC(label, out_of_fold),
                "top_fifth_capture": capture(label, out_of_fold, share=TOP),
                "ece_equal_mass_10": expected_calibration_error(label, out_of_fold),
            },
        },
    )


def stratified_folds(label: FloatArray, folds: int, *, seed: int) -> NDArray[np.int64]:
    """The fold of each row, shape (n,): each class is dealt evenly, in a drawn order."""
    rng = np.random.default_rng([seed, folds])
    fold = np.empty(len(label), dtype=np.int64)
    for value in np.unique(label):
        rows = np.flatnonzero(label == value)
        fold[rng.permutation(rows)] = np.arange(len(rows)) % folds
    return fold


def capture(label: FloatArray, score: FloatArray, *, share: float) -> float:
    """Share of the positive labels among the top int(n share) rows by score (stable order)."""
    top = np.argsort(-score, kind="stable")[: int(len(score) * share)]
    return float(label[top].sum() / label.sum())


def _sigmoid(log_odds: FloatArray) -> FloatArray:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(log_odds, -30.0, 30.0))))


def _loss(label: FloatArray, log_odds: FloatArray) -> float:
    return float(row_log_loss(label, _sigmoid(log_odds)).mean())


def _fit_trees(
    design: Design,
    matrix: FloatArray,
    label: FloatArray,
    parameters: dict[str, Any],
    rounds: int,
    *,
    seed: int,
    bags: int,
) -> list[Any]:
    return [
        fit_booster(
            matrix,
            label,
            inputs=design.inputs,
            parameters=parameters,
            rounds=rounds,
            seed=seed + bag,
            threads=THREADS,
        )
        for bag in range(bags)
    ]


def _search(
    design: Design, matrix: FloatArray, label: FloatArray, fold: NDArray[np.int64], *, trials: int, seed: int
) -> Tuned:
    """Parameters with the least log loss over the folds."""

    def objective(attempt: Attempt) -> float:
        losses, rounds = [], []
        for index in range(FOLDS):
            held = fold == index
            booster = fit_booster(
                matrix[~held],
                label[~held],
                inputs=design.inputs,
                parameters=attempt.parameters,
                rounds=MAX_ROUNDS,
                seed=seed,
                threads=THREADS,
                valid=(matrix[held], label[held]),
                patience=PATIENCE,
            )
            losses.append(float(booster.best_score["valid_0"]["binary_logloss"]))
            rounds.append(booster.best_iteration)
            attempt.report(index, float(np.mean(losses)))
        attempt.notes["rounds"] = max(round(float(np.mean(rounds))), 1)
        return float(np.mean(losses))

    with tempfile.TemporaryDirectory() as folder:
        run = TrainingRun(workspace=Workspace(Path(folder)), seed=seed, trials=trials, threads=THREADS)
        return tune(
            objective,
            run=run,
            model="bench_lead",
            space=read_space("bench_lead"),
            data_sha256=content_hash([matrix.shape, float(np.nansum(matrix)), float(label.sum())]),
        )


def run(  # noqa: PLR0917 - the options of the command
    train: Path, test: Path, id_column: str, label: str, out: Path, trials: int, seed: int
) -> dict[str, Any]:
    """Reads both tables, fits, writes id and probability per test row, and returns what was done.

    Raises:
        DataError: A column is missing, ids repeat, labels are not 0 and 1, or there is too little of them.
    """
    seen = read_table(train, texts=[id_column])
    unseen = read_table(test, texts=[id_column])
    need_columns(seen, train, id=id_column, label=label)
    need_columns(unseen, test, id=id_column)
    need_unique(unseen, id_column)
    model = fit_lead(seen, binary(seen, label), without=(id_column, label), trials=trials, seed=seed)
    probability = model.predict(unseen)
    write_table(pd.DataFrame({id_column: unseen[id_column], "probability": probability}), out)
    return {**model.summary, "test_rows": len(unseen), "mean_probability": float(probability.mean())}
