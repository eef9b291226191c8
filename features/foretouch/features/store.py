"""Feast in this process: entity, sources, views and services of a workspace, offline join, materialisation.

``feast`` is never called through a shell: its command line takes eight seconds to start.
"""

import fcntl
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Array, Float64, Int32, String

from foretouch.core import columns as c
from foretouch.core.errors import DataError, NotReadyError
from foretouch.core.models import ModelName
from foretouch.core.workspace import Workspace
from foretouch.features.build import BUILT_AT, EVENT_TIMESTAMP, offline_file
from foretouch.features.catalogue import (
    SERVICE_VIEWS,
    SERVICES,
    VIEWS,
    FeatureSpec,
    features_of,
    model_features,
    view_features,
)
from foretouch.features.online import OnlineFeatures, online_file

__all__ = ["OnlineFeatures", "apply", "feast_objects", "materialize", "open_store", "repo_config", "training_frame"]

PROJECT = "foretouch"
TYPES: dict[str, Any] = {"number": Float64, "category": String, "array": Array(Int32)}
ONLINE_STORE = "foretouch.features.online_store.PackedOnlineStore"


def feast_objects(workspace: Workspace) -> list[Any]:
    """Everything that ``feast apply`` registers for a workspace."""
    config = workspace.config
    customer = Entity(
        name="customer",
        join_keys=[c.CUSTOMER_ID],
        value_type=ValueType.STRING,
        description="The person.",
        owner="data science",
    )
    ttl = timedelta(days=config.features.snapshot_days, hours=config.features.max_age_hours)
    views = {}
    for name, spec in VIEWS.items():
        source = FileSource(
            name=f"{name}_history",
            path=str(offline_file(workspace, name)),
            timestamp_field=EVENT_TIMESTAMP,
            created_timestamp_column=BUILT_AT,
            description=f"History of {name}, written by `foretouch features build`.",
            owner=spec.owner,
        )
        views[name] = FeatureView(
            name=name,
            entities=[customer],
            ttl=ttl,
            schema=[_field(feature) for feature in view_features(config, name)],
            source=source,
            online=True,
            description=spec.text,
            owner=spec.owner,
            tags={"origin": config.workspace.origin},
        )
    services = [
        FeatureService(
            name=service,
            features=[views[name] for name in SERVICE_VIEWS[model]],
            description=f"What the {model} model is trained on and served with.",
            owner="data science",
            tags={"model": model},
        )
        for model, service in SERVICES.items()
    ]
    return [customer, *views.values(), *services]


def _field(spec: FeatureSpec) -> Field:
    return Field(name=spec.name, dtype=TYPES[spec.kind], description=spec.text_en, tags={"zh": spec.text_zh})


def repo_config(workspace: Workspace) -> RepoConfig:
    """Feast's configuration of a workspace: DuckDB over Parquet offline, SQLite online, an SQL registry."""
    folder = workspace.features_folder
    return RepoConfig(
        project=PROJECT,
        provider="local",
        registry={
            "registry_type": "sql",
            "path": f"sqlite:///{folder / 'registry.db'}",
            "cache_ttl_seconds": 3600,
        },
        offline_store={"type": "duckdb"},
        online_store={"type": ONLINE_STORE, "path": str(online_file(workspace))},
        entity_key_serialization_version=3,
        repo_path=folder,
    )


def _write_repo_file(workspace: Workspace) -> None:
    """``features/feature_store.yaml`` of the workspace, so that ``feast -c <workspace>/features ui`` works."""
    body = f"""# Written by `foretouch features apply`; read it with: feast -c {workspace.features_folder} ui
project: {PROJECT}
provider: local
registry:
  registry_type: sql
  path: sqlite:///{workspace.features_folder / "registry.db"}
  cache_ttl_seconds: 3600
offline_store:
  type: duckdb
online_store:
  type: {ONLINE_STORE}
  path: online.db
entity_key_serialization_version: 3
"""
    (workspace.features_folder / "feature_store.yaml").write_text(body, encoding="utf-8")


def open_store(workspace: Workspace) -> FeatureStore:
    """Feast's store of a workspace."""
    with _quiet():
        return FeatureStore(config=repo_config(workspace))


def _own_store(workspace: Workspace) -> FeatureStore:
    """Feast's store, reading this workspace's own history.

    The registry holds absolute paths (Feast's DuckDB store reads no others), so that a workspace that was copied, moved
    or restored elsewhere would go on reading where it came from: it is registered again.
    """
    store = open_store(workspace)
    with _quiet():
        sources = {view.name: view.batch_source for view in store.list_feature_views()}
    registered = {name: Path(source.path) for name, source in sources.items() if isinstance(source, FileSource)}
    if all(path.resolve() == offline_file(workspace, name).resolve() for name, path in registered.items()):
        return store
    apply(workspace)
    return open_store(workspace)


def apply(workspace: Workspace) -> dict[str, int]:
    """Registers entity, views and services; what is no more is removed.

    Returns:
        How many of each kind are registered.

    Raises:
        NotReadyError: The history was not built.
    """
    _require_history(workspace)
    objects = feast_objects(workspace)
    with _locked(workspace.features_folder / ".apply.lock"), _quiet():
        store = open_store(workspace)
        known = {item.name for item in objects}
        registered: list[Any] = [*store.list_feature_services(), *store.list_feature_views()]
        gone = [item for item in registered if item.name not in known]
        store.apply(objects, objects_to_delete=gone, partial=not gone)
    _write_repo_file(workspace)
    return {
        "entities": 1,
        "feature_views": len(VIEWS),
        "features": len(features_of(workspace.config)),
        "feature_services": len(SERVICES),
    }


def materialize(workspace: Workspace, *, until: datetime | None = None) -> datetime:
    """Writes everyone's latest snapshot to the online store; values pushed since then stay.

    Args:
        workspace: Whose features.
        until: The latest as-of time to take; the workspace's now if absent.

    Returns:
        The time it was materialised until.

    Raises:
        NotReadyError: The history was not built or not applied.
    """
    _require_history(workspace)
    end = until or workspace.clock.now()
    start = end - timedelta(days=workspace.config.features.snapshot_days, hours=1)
    store = _own_store(workspace)
    with _quiet():
        if not store.list_feature_views():
            raise NotReadyError("no feature view is registered", hint="foretouch features apply")
        store.materialize(start_date=start, end_date=end, disable_event_timestamp=False)
    return end


def training_frame(workspace: Workspace, model: ModelName, spine: pd.DataFrame) -> pd.DataFrame:
    """A spine with the features of a model's FeatureService, as they were known at each row's time.

    Args:
        workspace: Whose features.
        model: Names the service.
        spine: ``customer_id``, ``as_of`` (tz-aware) and any further columns, which are kept.

    Returns:
        The spine's rows in their order, then the service's features; missing where no snapshot is recent enough.

    Raises:
        NotReadyError: The history was not built or not applied.
        DataError: Feast lost or doubled a row.
    """
    _require_history(workspace)
    row = "spine_row"
    entities = spine[[c.CUSTOMER_ID, c.AS_OF]].rename(columns={c.AS_OF: EVENT_TIMESTAMP})
    entities = entities.assign(**{row: range(len(spine))})
    store = _own_store(workspace)
    with _quiet():
        try:
            service = store.get_feature_service(SERVICES[model])
        except Exception as error:
            raise NotReadyError(f"no feature service {SERVICES[model]}", hint="foretouch features apply") from error
        joined = store.get_historical_features(entity_df=entities, features=service).to_df()
    joined = joined.sort_values(row, ignore_index=True)
    if len(joined) != len(spine) or not (joined[row].to_numpy() == range(len(spine))).all():
        raise DataError(f"the offline join returned {len(joined)} rows for a spine of {len(spine)}")
    names = [spec.name for spec in model_features(model, workspace.config)]
    return pd.concat([spine.reset_index(drop=True), joined[names]], axis=1)


def _require_history(workspace: Workspace) -> None:
    """Refuses a history that is not there, or that lacks a feature of this release or configuration."""
    for view in VIEWS:
        path = offline_file(workspace, view)
        if not path.is_file():
            raise NotReadyError("the feature history is not built", hint="foretouch features build")
        stored = set(pq.read_schema(path).names)
        lacking = [spec.name for spec in view_features(workspace.config, view) if spec.name not in stored]
        if lacking:
            raise NotReadyError(f"the history of {view} lacks {', '.join(lacking)}", hint="foretouch features build")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time: Feast's registry takes the last writer's word."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Feast warns of its own deprecations on every call and prints its progress on stdout, which is for results."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield
