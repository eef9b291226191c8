"""Makes what the peers need from a bench workspace: a Feast repository on SQLite, and the models as MLflow saves them.

    python benchmarks/peers/prepare.py WORKSPACE FOLDER

The offline file has one row per customer; Feast materialises it itself, into its own SQLite online store.
"""

import json
import sys
import warnings
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import lightgbm
import mlflow.lightgbm
import numpy as np
import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64
from mlflow.models import infer_signature


def store_at(folder: Path) -> FeatureStore:
    """Feast's store of the folder, as its own quick start configures one."""
    return FeatureStore(
        config=RepoConfig(
            project="peer",
            provider="local",
            registry={"registry_type": "file", "path": str(folder / "registry.db"), "cache_ttl_seconds": 3600},
            offline_store={"type": "duckdb"},
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            entity_key_serialization_version=3,
        )
    )


def materialise(workspace: Path, folder: Path, given: dict[str, Any]) -> None:
    """Registers the views and fills Feast's online store."""
    now = datetime.fromisoformat(given["now"])
    frame = pd.read_parquet(workspace / "features.parquet")
    frame["event_timestamp"] = pd.Timestamp(now - timedelta(hours=1))
    path = folder / "offline.parquet"
    frame.to_parquet(path)
    customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)
    source = FileSource(name="history", path=str(path), timestamp_field="event_timestamp")
    views = [
        FeatureView(
            name=view,
            entities=[customer],
            ttl=timedelta(days=365),
            schema=[Field(name=name, dtype=Float64) for name in names],
            source=source,
            online=True,
        )
        for view, names in given["views"].items()
    ]
    store = store_at(folder)
    store.apply([customer, *views])
    store.materialize(start_date=now - timedelta(days=2), end_date=now)


def main() -> None:
    """Writes the folder."""
    workspace, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    given = json.loads((workspace / "bench.json").read_text(encoding="utf-8"))
    for name, model in given["models"].items():
        booster = lightgbm.Booster(model_file=model["text"])
        inputs = pd.DataFrame(np.full((1, len(model["inputs"])), np.nan), columns=model["inputs"])
        signature = infer_signature(inputs, booster.predict(inputs))
        where = str(folder / "models" / name)
        mlflow.lightgbm.save_model(booster, where, pip_requirements=["lightgbm"], signature=signature)
    materialise(workspace, folder, given)


if __name__ == "__main__":
    main()
