"""From frames to the matrix that LightGBM sees, the same as serving's, and the hash that names the data."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from foretouch.core.bundle import ModelInput
from foretouch.serving.models.scoring import Scorer, calibrate
from foretouch.training.task import Dataset, FloatArray


def encode(frame: pd.DataFrame, inputs: Sequence[ModelInput]) -> FloatArray:
    """The model's input matrix: ``core.bundle.encode_value`` on every cell, column by column.

    Args:
        frame: Has every input by name; what is missing in a cell becomes NaN.
        inputs: The model's columns, in order.

    Returns:
        Shape (rows, inputs).

    Raises:
        KeyError: A column is absent altogether.
    """
    matrix = np.empty((len(frame), len(inputs)), dtype=np.float64)
    for index, column in enumerate(inputs):
        series = frame[column.name]
        if column.kind == "category":
            codes = {level: float(code) for code, level in enumerate(column.levels)}
            text = series.astype(object)
            matrix[:, index] = [np.nan if _missing(cell) else codes.get(str(cell), np.nan) for cell in text]
        else:
            numbers = pd.to_numeric(series, errors="raise").to_numpy(dtype=np.float64, na_value=np.nan)
            matrix[:, index] = np.where(np.isfinite(numbers), numbers, np.nan)
    return matrix


def score_frame(scorer: Scorer, frame: pd.DataFrame) -> FloatArray:
    """Calibrated scores of a loaded model on rows with its inputs by name, shape (n,): what the service would say."""
    raw = np.asarray(scorer.predict(encode(frame, scorer.card.inputs)), dtype=np.float64)
    return np.array([calibrate(scorer.card, float(value)) for value in raw], dtype=np.float64)


def category_input(name: str, view: str, values: "pd.Series[str]") -> ModelInput:
    """A category with the levels seen in the fit rows, sorted; an unseen one is later encoded as NaN."""
    levels = sorted({str(cell) for cell in values.astype(object) if not _missing(cell)})
    return ModelInput(name=name, view=view, kind="category", levels=tuple(levels))


def joined_weights(*parts: Dataset) -> FloatArray | None:
    """The weights of several parts one after the other; None where no part has any."""
    if all(part.weight is None for part in parts):
        return None
    return np.concatenate([part.weights for part in parts])


def dataset_hash(*parts: Dataset, inputs: Sequence[ModelInput]) -> str:
    """SHA-256 of the rows that a model was fitted on: ids, as-of times, labels and encoded inputs, in order."""
    digest = hashlib.sha256()
    for column in inputs:
        digest.update(column.to_line().encode())
    for part in parts:
        digest.update("\x1f".join(str(customer) for customer in part.customer_id).encode())
        times = pd.to_datetime(part.as_of, utc=True).dt.as_unit("us").astype("int64").to_numpy()
        digest.update(np.ascontiguousarray(times).tobytes())
        digest.update(np.ascontiguousarray(part.label, dtype=np.float64).tobytes())
        if part.weight is not None:
            digest.update(np.ascontiguousarray(part.weight, dtype=np.float64).tobytes())
        digest.update(np.ascontiguousarray(encode(part.frame, inputs)).tobytes())
    return digest.hexdigest()


def _missing(cell: object) -> bool:
    return cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and np.isnan(cell))
