"""``foretouch bench lead``: the probability of a label for the rows of a second table, learned from a first.

Three kinds of model are blended: trees, a linear model on drawn-in numbers, and one on steps (``steps``). Stratified
folds serve everything: the search (Optuna, defaults first), the number of rounds, the penalties, the share of each in
the blend, and the calibration. All of it is judged on rows left out, and at the end every model is fitted on all rows.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.canonical import content_hash
from foretouch.core.errors import DataError
from foretouch.core.workspace import Workspace
from foretouch.training.bench.blend import Blend, best_of, choose
from foretouch.training.bench.design import Design, LinearDesign, linear_score, ridge_logistic
from foretouch.training.bench.steps import StepDesign
from foretouch.training.bench.tables import (
    binary,
    listed,
    need_columns,
    need_unique,
    need_writable,
    read_table,
    write_table,
)
from foretouch.training.booster import fit_booster
from foretouch.training.metrics import AUC, LOG_LOSS, expected_calibration_error
from foretouch.training.task import FloatArray, TrainingRun
from foretouch.training.tuning import Attempt, Tuned, read_space, tune

FOLDS = 5
TRIALS = 12
SEARCH_FROM = 1000
"""Rows with the rarer label from which on a search is worth its time: with fewer, which trial wins is chance."""
MAX_ROUNDS = 500
PATIENCE = 40
BAGS = 8
BAGS_LEFT_OUT = 3
"""Trees that differ by seed, at the end and in each fold."""
PENALTIES = {"linear": (1000.0, 300.0, 100.0, 30.0), "steps": (3000.0, 1000.0, 300.0)}
"""From strong to weak: each fit starts from the one before."""
EVEN = ("trees", "steps")
"""Models that share evenly unless other shares are surely better."""
MIN_OF_EACH = 20
TOP = 0.2
THREADS = 1
"""Small tables gain nothing from more, and lose much on a machine that is shared."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A linear model on one of its designs.

    Attributes:
        columns: Turns encoded inputs into its columns.
        beta: Intercept and coefficients.
    """

    columns: LinearDesign | StepDesign
    beta: FloatArray

    def score(self, matrix: FloatArray) -> FloatArray:
        """Log-odds, shape (n,)."""
        return linear_score(self.columns.apply(matrix), self.beta)


@dataclass(frozen=True, kw_only=True)
class LeadModel:
    """Trees and linear models on one design, blended on the log-odds and calibrated.

    Attributes:
        design: Of the table.
        boosters: LightGBM models that differ by seed; their log-odds are averaged.
        lines: Linear models by name.
        blend: Shares and Platt's line.
        summary: What was chosen, and the figures on rows left out.
    """

    design: Design
    boosters: tuple[Any, ...]
    lines: dict[str, Line]
    blend: Blend
    summary: dict[str, Any]

    def predict(self, frame: pd.DataFrame) -> FloatArray:
        """Calibrated probabilities, shape (n,)."""
        matrix = self.design.encode(frame)
        scores = {"trees": _mean_score(self.boosters, matrix)}
        return self.blend.apply(scores | {name: line.score(matrix) for name, line in self.lines.items()})


def fit_lead(
    train: pd.DataFrame, label: FloatArray, *, without: tuple[str, ...], trials: int | None = None, seed: int = 0
) -> LeadModel:
    """Searches, blends and calibrates in cross-validation, then fits on all rows.

    Args:
        train: Rows with any columns.
        label: 0 or 1, shape (n,).
        without: Columns that are no inputs.
        trials: Of the search; 0 takes the defaults. None searches ``TRIALS`` times from ``SEARCH_FROM`` rows on.
        seed: Of every draw.

    Raises:
        DataError: Too few rows of a class, or no usable column.
    """
    fewest = int(min(label.sum(), (1.0 - label).sum()))
    if fewest < MIN_OF_EACH:
        raise DataError(f"{fewest} rows have the rarer label, need {MIN_OF_EACH} to learn from", hint="a longer table")
    trials = (TRIALS if fewest >= SEARCH_FROM else 0) if trials is None else trials
    design = Design.learn(train, without=without)
    matrix = design.encode(train)
    fold = stratified_folds(label, FOLDS, seed=seed)
    tuned = _search(design, matrix, label, fold, trials=trials, seed=seed)
    rounds = int(tuned.notes["rounds"])
    trees = np.empty(len(label))
    left_out = {name: np.full((len(tried), len(label)), np.nan) for name, tried in PENALTIES.items()}
    for index in range(FOLDS):
        held = fold == index
        seen, own = matrix[~held], label[~held]
        boosters = _fit_trees(design, seen, own, tuned.parameters, rounds, seed=seed, bags=BAGS_LEFT_OUT)
        trees[held] = _mean_score(boosters, matrix[held])
        for name, columns in _linear_designs(design, seen).items():
            for row, line in enumerate(_path(columns, seen, own, PENALTIES[name])):
                left_out[name][row, held] = line.score(matrix[held])
    designs = {name: made for name, made in _linear_designs(design, matrix).items() if _complete(left_out[name])}
    chosen = {name: best_of(label, list(left_out[name])) for name in designs}
    scores = {"trees": trees} | {name: left_out[name][row] for name, row in chosen.items()}
    blend = choose(label, scores, even=EVEN)
    out_of_fold = blend.apply(scores)
    return LeadModel(
        design=design,
        boosters=tuple(_fit_trees(design, matrix, label, tuned.parameters, rounds, seed=seed, bags=BAGS)),
        lines={
            name: _path(designs[name], matrix, label, PENALTIES[name][: row + 1])[-1]
            for name, row in chosen.items()
            if blend.shares[name] > 0.0
        },
        blend=blend,
        summary={
            "rows": len(label),
            "rate": float(label.mean()),
            "columns": len(design.columns),
            "columns_dropped": list(design.dropped),
            "shares": {name: round(share, 2) for name, share in blend.shares.items()},
            "penalties": {name: PENALTIES[name][row] for name, row in chosen.items()},
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


def _linear_designs(design: Design, matrix: FloatArray) -> dict[str, LinearDesign | StepDesign]:
    """The linear models' columns by name; without ``steps`` where there are none."""
    steps = StepDesign.learn(design, matrix)
    return {"linear": LinearDesign.learn(design, matrix), **({} if steps is None else {"steps": steps})}


def _path(
    columns: LinearDesign | StepDesign, matrix: FloatArray, label: FloatArray, penalties: Sequence[float]
) -> list[Line]:
    """One linear model per penalty."""
    made, beta, lines = columns.apply(matrix), None, []
    for penalty in penalties:
        beta = ridge_logistic(made, label, penalty=penalty, start=beta)
        lines.append(Line(columns=columns, beta=beta))
    return lines


def _complete(scores: FloatArray) -> bool:
    return not bool(np.isnan(scores).any())


def _mean_score(boosters: Sequence[Any], matrix: FloatArray) -> FloatArray:
    """Mean log-odds of several models, shape (n,)."""
    return np.asarray(np.mean([each.predict(matrix, raw_score=True, num_threads=1) for each in boosters], axis=0))


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
    train: Path, test: Path, id_column: str, label: str, out: Path, trials: int | None, seed: int
) -> dict[str, Any]:
    """Reads both tables, fits, writes id and probability per test row, and returns what was done.

    Raises:
        DataError: A column is missing, ids repeat, labels are not 0 and 1, or there is too little of them.
    """
    need_writable(out)
    seen = read_table(train, texts=[id_column])
    unseen = read_table(test, texts=[id_column])
    need_columns(seen, train, id=id_column, label=label)
    need_columns(unseen, test, id=id_column)
    need_unique(unseen, id_column)
    absent = [str(name) for name in seen.columns if name not in {id_column, label} and name not in unseen.columns]
    if absent:
        raise DataError(
            f"{test.name} lacks {len(absent)} columns of {train.name}: {listed(absent)}",
            hint="both tables need the same columns; the label may be absent from --test",
        )
    model = fit_lead(seen, binary(seen, label), without=(id_column, label), trials=trials, seed=seed)
    probability = model.predict(unseen)
    write_table(pd.DataFrame({id_column: unseen[id_column], "probability": probability}), out)
    return {**model.summary, "test_rows": len(unseen), "mean_probability": float(probability.mean())}
