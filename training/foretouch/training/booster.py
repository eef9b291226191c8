"""LightGBM, native and deterministic: the same rows and seed give the same model text, byte for byte."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightgbm as lgb
import numpy as np

from foretouch.core.bundle import Calibration, GoldenRows, ModelInput
from foretouch.training.task import FloatArray

GOLDEN_ROWS = 64


def fit_booster(
    matrix: FloatArray,
    label: FloatArray,
    *,
    inputs: Sequence[ModelInput],
    parameters: Mapping[str, Any],
    rounds: int,
    seed: int,
    threads: int,
    weight: FloatArray | None = None,
    offset: FloatArray | None = None,
    valid: "tuple[FloatArray, FloatArray] | None" = None,
    patience: int = 30,
    report: Callable[[int, float], None] | None = None,
) -> lgb.Booster:
    """Fits trees with ``lgb.train``.

    Args:
        matrix: Encoded inputs, shape (n, inputs).
        label: Shape (n,).
        inputs: Names and kinds of the columns.
        parameters: LightGBM parameters, ``objective`` and ``metric`` among them.
        rounds: Most boosting rounds.
        seed: Of every draw.
        threads: LightGBM threads.
        weight: Row weights, shape (n,).
        offset: Where the log-odds of each row start, shape (n,): the trees add to it, and their text does not hold it.
        valid: Matrix and label for early stopping.
        patience: Rounds without improvement on ``valid`` before it stops.
        report: Called every tenth round with (round, metric on ``valid``): the pruning hook.
    """
    names = column_names(inputs)
    categories = [name for name, column in zip(names, inputs, strict=True) if column.kind == "category"]
    settings = {
        **parameters,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed % 2**31,
        "num_threads": threads,
        "verbosity": -1,
    }
    train = lgb.Dataset(
        matrix,
        label=label,
        weight=weight,
        init_score=offset,
        feature_name=names,
        categorical_feature=categories,
        free_raw_data=False,
    )
    callbacks: list[Callable[..., Any]] = []
    valid_sets: list[lgb.Dataset] = []
    if valid is not None:
        valid_sets = [lgb.Dataset(valid[0], label=valid[1], reference=train, free_raw_data=False)]
        callbacks.append(lgb.early_stopping(patience, first_metric_only=True, verbose=False))
        if report is not None:
            callbacks.append(_reporter(report))
    return lgb.train(settings, train, num_boost_round=rounds, valid_sets=valid_sets, callbacks=callbacks)


def column_names(inputs: Sequence[ModelInput]) -> list[str]:
    """Names that LightGBM accepts (letters, digits, ``_``), unique, close to the inputs' own."""
    names: list[str] = []
    for index, column in enumerate(inputs):
        plain = re.sub(r"[^0-9A-Za-z_]+", "_", column.name)
        names.append(plain if plain not in names else f"{plain}__{index}")
    return names


def _reporter(report: Callable[[int, float], None]) -> Callable[..., None]:
    def call(environment: Any) -> None:
        if (environment.iteration + 1) % 10 == 0:
            report(environment.iteration + 1, float(environment.evaluation_result_list[0][2]))

    return call


def model_text(booster: lgb.Booster) -> str:
    """LightGBM's own text of the best iteration: what the bundle keeps."""
    text: str = booster.model_to_string(num_iteration=booster.best_iteration or None)
    return text


def predict_text(text: str, matrix: FloatArray) -> FloatArray:
    """Raw scores, shape (n,), of a model read back from its text: exactly what serving computes."""
    booster = lgb.Booster(model_str=text)
    raw: FloatArray = np.asarray(booster.predict(matrix, num_threads=1), dtype=np.float64)
    return raw


def golden_rows(
    text: str,
    matrix: FloatArray,
    calibration: Calibration,
    *,
    predict: Callable[[FloatArray], FloatArray] | None = None,
) -> GoldenRows:
    """Up to 64 input rows spread over ``matrix``, with the raw and calibrated outputs of the text read back.

    Args:
        text: LightGBM's own text.
        matrix: Encoded inputs, shape (n, inputs).
        calibration: From raw to calibrated.
        predict: Raw scores of a model that is more than its text; None where the text is all of it.
    """
    chosen = np.unique(np.linspace(0, len(matrix) - 1, num=min(GOLDEN_ROWS, len(matrix))).astype(int))
    rows = matrix[chosen]
    raw = predict_text(text, rows) if predict is None else predict(rows)
    return GoldenRows(
        inputs=tuple(tuple(None if np.isnan(cell) else float(cell) for cell in row) for row in rows),
        raw=tuple(float(score) for score in raw),
        calibrated=tuple(calibration.apply(float(score)) for score in raw),
    )
