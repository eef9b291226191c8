"""The model beside a baseline on the same rows, with an interval: a paired bootstrap by customer."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from foretouch.core.rng import derive_seed
from foretouch.training.metrics import Metric
from foretouch.training.task import Comparison, FloatArray

DRAWS = 1000
LEVEL = 0.95


def compare(
    metric: Metric,
    *,
    label: FloatArray,
    model: FloatArray,
    reference: FloatArray,
    cluster: NDArray[np.object_],
    baseline: str,
    seed: int,
    cluster_name: str = "customer_id",
    decisive: bool = True,
    draws: int = DRAWS,
) -> Comparison:
    """The difference of a metric between two scores of the same rows, and its 95 % percentile interval.

    Whole clusters are drawn with replacement, since rows of one customer are not independent; both scores see the
    same draw (Efron and Tibshirani 1993, ch. 8 and 13).

    Args:
        metric: What is compared.
        label: Shape (n,).
        model: The model's scores, shape (n,).
        reference: The baseline's scores, shape (n,).
        cluster: What is drawn, shape (n,): customer ids.
        baseline: Name of the baseline.
        seed: Of the draws.
        cluster_name: What ``cluster`` holds.
        decisive: Whether promotion rests on it.
        draws: Bootstrap samples.
    """
    of_model, of_reference = metric.prepare(label, model), metric.prepare(label, reference)
    differences = np.array(
        [of_model(weight) - of_reference(weight) for weight in cluster_weights(cluster, draws=draws, seed=seed)]
    )
    tail = 100.0 * (1.0 - LEVEL) / 2.0
    low, high = np.nanpercentile(differences, [tail, 100.0 - tail])
    at_model, at_reference = of_model(None), of_reference(None)
    return Comparison(
        baseline=baseline,
        metric=metric.name,
        better=metric.better,
        model=at_model,
        reference=at_reference,
        difference=at_model - at_reference,
        low=float(low),
        high=float(high),
        cluster=cluster_name,
        decisive=decisive,
    )


def cluster_weights(cluster: NDArray[np.object_], *, draws: int, seed: int) -> Iterator[FloatArray]:
    """Row weights of bootstrap samples that draw whole clusters; each has shape (n,)."""
    _, codes = np.unique(cluster.astype(str), return_inverse=True)
    count = int(codes.max()) + 1
    rng = np.random.default_rng(derive_seed(str(seed), "bootstrap"))
    for _ in range(draws):
        yield np.bincount(rng.integers(count, size=count), minlength=count).astype(float)[codes]
