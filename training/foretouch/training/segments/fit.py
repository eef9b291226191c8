"""Clusters of today's customers: k-means, with as many clusters as other draws of customers agree on.

For each number of clusters, two clusterings are made of random four fifths of the customers, every customer is given to
a cluster of either, and their agreement is the adjusted Rand index (Hubert and Arabie 1985); the mean over several
such pairs is the stability (Ben-Hur, Elisseeff and Guyon 2002). The largest number that is stable enough is taken.
"""

from contextlib import closing

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans  # type: ignore[import-untyped]
from sklearn.metrics import adjusted_rand_score  # type: ignore[import-untyped]

from foretouch.core import columns as c
from foretouch.core.clusters import Cluster, ClusterFeature, ClusterModel
from foretouch.core.errors import ConfigError, DataError
from foretouch.core.rng import derive_seed
from foretouch.core.workspace import Workspace
from foretouch.features.build import build_features
from foretouch.features.catalogue import features_of
from foretouch.features.clusters import nearest, standard_units
from foretouch.features.tables import connect
from foretouch.training.segments.words import describe
from foretouch.training.targets import spine
from foretouch.training.task import FloatArray

PAIRS = 10
DRAWN = 0.8
STARTS = 10
MIN_CUSTOMERS = 100
SKEWED = 1.0
"""Features that are never negative and skewer than this are taken as logarithms."""
SMALLEST = 0.02
"""Least share of customers in a cluster."""
FAR = 4.0
"""Standard units beyond which a customer is drawn in before the centres are found: no cluster of a few odd ones."""


def fit_clusters(workspace: Workspace) -> tuple[ClusterModel, pd.DataFrame]:
    """Makes the clusters of a workspace's customers as of now.

    Returns:
        The clusters, and the customers' features with the column ``cluster``.

    Raises:
        ConfigError: A feature of ``[segments]`` is none, or no number.
        DataError: Too few customers, or no number of clusters is stable.
    """
    section, known = workspace.config.segments, features_of(workspace.config)
    for name in section.features:
        if name not in known or known[name].kind != "number":
            numbers = ", ".join(spec.name for spec in known.values() if spec.kind == "number")
            raise ConfigError(f"segments.features: {name!r} is no feature that is a number", hint=f"one of: {numbers}")
    with closing(connect(workspace)) as connection:
        rows = spine(connection, [workspace.clock.now()])
    if len(rows) < MIN_CUSTOMERS:
        raise DataError(
            f"{len(rows)} customers, need {MIN_CUSTOMERS} for clusters",
            hint="foretouch ingest --customers F --events F",
        )
    frame = build_features(workspace, rows)
    features = tuple(_feature(name, frame[name]) for name in section.features if _varies(frame[name]))
    if not features:
        raise DataError("no feature of [segments] differs between customers", hint="foretouch features show ID")
    points = np.clip(standard_units(features, {item.name: frame[item.name] for item in features}), -FAR, FAR)
    seed = workspace.config.training.seed
    stability = {number: stability_of(points, number, seed=seed) for number in range(2, section.most + 1)}
    chosen = choose(stability, section.stability)
    if chosen is None:
        figures = ", ".join(f"{number}: {value:.2f}" for number, value in stability.items())
        raise DataError(
            f"no number of clusters is stable: agreement by number {figures}, need {section.stability:g}",
            hint="other features in [segments] of foretouch.toml; RFM tier and lifecycle stage need no clusters",
        )
    centres = _ordered(_fit(points, chosen, seed))
    bare = ClusterModel(
        made_at=workspace.clock.now(),
        features=features,
        clusters=tuple(
            Cluster(name=f"cluster-{index + 1}", centre=tuple(centre), share=0.0, text_en="", text_zh="")
            for index, centre in enumerate(centres.tolist())
        ),
        stability={str(number): round(value, 4) for number, value in stability.items()},
    )
    frame["cluster"] = nearest(bare, standard_units(features, {item.name: frame[item.name] for item in features}))
    return describe(bare, frame, workspace.config), frame.drop(columns=[c.AS_OF])


def choose(stability: dict[int, float], least: float) -> int | None:
    """The largest number of clusters whose stability reaches ``least``; None where none does."""
    return max((number for number, value in stability.items() if value >= least), default=None)


def stability_of(points: FloatArray, number: int, *, seed: int) -> float:
    """Mean agreement of pairs of clusterings made of other draws; 0 where a cluster holds next to nobody.

    Args:
        points: Customers in standard units, shape (n, features).
        number: Of clusters.
        seed: Of draws and starts.
    """
    rng = np.random.default_rng(derive_seed(str(seed), "segments", str(number)))
    agreements = []
    for pair in range(PAIRS):
        labels = []
        for side in range(2):
            drawn = rng.choice(len(points), size=round(DRAWN * len(points)), replace=False)
            centres = _fit(points[drawn], number, derive_seed(str(seed), "segments", str(number), str(pair), str(side)))
            labels.append(_assigned(points, centres))
            if np.bincount(labels[-1], minlength=number).min() < SMALLEST * len(points):
                return 0.0
        agreements.append(float(adjusted_rand_score(labels[0], labels[1])))
    return float(np.mean(agreements))


def _fit(points: FloatArray, number: int, seed: int) -> FloatArray:
    model = KMeans(n_clusters=number, n_init=STARTS, random_state=seed % 2**32).fit(points)
    return np.asarray(model.cluster_centers_, dtype=np.float64)


def _assigned(points: FloatArray, centres: FloatArray) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    distances = ((points[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2)
    labels: np.ndarray[tuple[int], np.dtype[np.int64]] = distances.argmin(axis=1)
    return labels


def _ordered(centres: FloatArray) -> FloatArray:
    """By the sum of their coordinates, so that the same clusters get the same names whatever the starts were."""
    return np.round(centres[np.argsort(-centres.sum(axis=1), kind="stable")], 9)


def _varies(column: "pd.Series[float]") -> bool:
    known = column.dropna()
    return len(known) > 0 and bool(known.min() < known.max())


def _feature(name: str, column: "pd.Series[float]") -> ClusterFeature:
    values = pd.to_numeric(column).to_numpy(dtype=np.float64)
    known = values[np.isfinite(values)]
    spread = float(known.std())
    skewed = spread > 0 and float((((known - known.mean()) / spread) ** 3).mean()) > SKEWED
    logarithm = bool(skewed and known.min() >= 0.0)
    missing = float(np.median(known))
    filled = np.where(np.isfinite(values), values, missing)
    scaled = np.log1p(filled) if logarithm else filled
    return ClusterFeature(
        name=name,
        logarithm=logarithm,
        missing=missing,
        mean=float(scaled.mean()),
        scale=max(float(scaled.std()), 1e-9),
    )
