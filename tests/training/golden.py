"""Golden rows, recomputed from a model text."""

import numpy as np

from foretouch.core.bundle import Calibration, GoldenRows
from foretouch.core.errors import BundleError
from foretouch.training.booster import predict_text


def check_golden(text: str, golden: GoldenRows, calibration: Calibration) -> None:
    """Recomputes golden rows from a model text.

    Raises:
        BundleError: An output differs in a single bit.
    """
    rows = np.array([[np.nan if cell is None else cell for cell in row] for row in golden.inputs], dtype=np.float64)
    raw = predict_text(text, rows)
    for index, score in enumerate(raw):
        if float(score) != golden.raw[index] or calibration.apply(float(score)) != golden.calibrated[index]:
            raise BundleError(f"golden row {index}: {float(score)!r} is not the {golden.raw[index]!r} on record")
