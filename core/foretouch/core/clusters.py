"""Clusters of customers as they are kept: what a customer is compared by, the centres, and each one in words."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from foretouch.core.errors import DataError
from foretouch.core.schema import Contract, Share, Time

FILE = "clusters.json"


class ClusterFeature(Contract):
    """How one feature enters the distance between a customer and a centre."""

    name: str
    logarithm: bool
    """Whether it is taken as log(1 + x): amounts and counts have long tails."""
    missing: float
    """What stands for a missing value, on the scale of the feature."""
    mean: float
    scale: float = Field(gt=0)
    """Mean and standard deviation after the logarithm; the distance is Euclidean in these units."""


class Cluster(Contract):
    """One cluster."""

    name: str
    centre: tuple[float, ...]
    """In standard units, one per feature."""
    share: Share
    """Of all customers when the clusters were made."""
    text_en: str
    text_zh: str
    """What sets its customers apart from everyone."""


class ClusterModel(Contract):
    """Clusters of a workspace's customers."""

    schema_version: Literal[1] = 1
    made_at: Time
    features: tuple[ClusterFeature, ...] = Field(min_length=1)
    clusters: tuple[Cluster, ...] = Field(min_length=2)
    stability: dict[str, float] = Field(default_factory=dict)
    """By number of clusters: the mean agreement (adjusted Rand index) of clusters made of other draws of customers."""


def read_clusters(folder: Path) -> ClusterModel | None:
    """The clusters kept in a folder; None where none were made.

    Raises:
        DataError: The file is not what ``write_clusters`` wrote.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return ClusterModel.from_line(path.read_bytes())
    except ValidationError as error:
        raise DataError(f"{path} cannot be read as clusters", hint="foretouch segments") from error


def write_clusters(folder: Path, model: ClusterModel) -> Path:
    """Replaces the clusters kept in a folder, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{FILE}.{os.getpid()}.tmp"
    draft.write_text(model.to_line(), encoding="utf-8")
    return draft.replace(folder / FILE)
