"""How long one score takes on this machine."""

from pathlib import Path
from typing import Final

import numpy as np

from foretouch.core.bundle import read_bundle
from foretouch.core.clock import monotonic
from foretouch.serving.models.bundles import load_scorer
from foretouch.serving.models.scoring import predict_vectors

CALLS: Final = 300
WARM_UP: Final = 20


def median_milliseconds(store: Path, model: str, version: str) -> float | None:
    """Median time of one raw score of a bundle, loaded as the service loads it; None for a model without trees.

    Raises:
        BundleError: The bundle is damaged.
        NotFoundError: There is no such bundle.
    """
    bundle = read_bundle(store, model, version)
    if not bundle.model_text or not bundle.golden.inputs:
        return None
    scorer = load_scorer(store, model, version)
    rows = np.array([[np.nan if cell is None else cell for cell in row] for row in bundle.golden.inputs])
    one = getattr(scorer, "predict_one", None)
    vectors = rows.tolist()
    times = []
    for index in range(WARM_UP + CALLS):
        place = index % len(rows)
        started = monotonic()
        if one is None:
            predict_vectors(scorer, rows[place : place + 1])
        else:
            one(vectors[place])
        times.append(monotonic() - started)
    return 1000.0 * float(np.median(times[WARM_UP:]))
