"""MLflow: one experiment and one registered model per model. The only module that imports ``mlflow``.

Tracking is a SQLite file in the workspace unless ``MLFLOW_TRACKING_URI`` is set. What is logged is native: LightGBM's
own format, JSON, Markdown and PNG. Nothing is pickled, and reading pickles is switched off.
"""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import lightgbm as lgb
import mlflow
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.tracking import MlflowClient

from foretouch.core.bundle import ModelCard
from foretouch.core.cli import QUIET_LIBRARIES
from foretouch.core.errors import NotReadyError
from foretouch.core.workspace import Workspace
from foretouch.training.booster import column_names, predict_text
from foretouch.training.data import encode
from foretouch.training.task import Fitted, Split

EXAMPLE_ROWS = 5
PARAMETER_LENGTH = 500
TRACKING_VARIABLE, REGISTRY_VARIABLE = "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"


@dataclass(frozen=True, kw_only=True)
class RunFigures:
    """What a run is logged with."""

    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


def registered_name(model: str) -> str:
    """Name of a model in the registry."""
    return f"foretouch-{model}"


def connect(workspace: Workspace) -> MlflowClient:
    """A client of the workspace's tracking store and registry; makes them at first use.

    MLflow writes what it is told into the environment, where every process that is started later would take one
    workspace's store for a server that somebody named: the environment is left as it was.
    """
    os.environ.update(QUIET_LIBRARIES)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*noload.*", module=r"mlflow\..*")  # theirs, of SQLAlchemy
    uri = _given_uri()
    if uri is None:
        workspace.mlflow_folder.mkdir(parents=True, exist_ok=True)
        uri = f"sqlite:///{workspace.mlflow_folder / 'mlflow.db'}"
    before = {name: os.environ.get(name) for name in (TRACKING_VARIABLE, REGISTRY_VARIABLE)}
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _given_uri() -> str | None:
    """The tracking server that the environment names."""
    return os.environ.get(TRACKING_VARIABLE) or None


@contextmanager
def start_run(client: MlflowClient, workspace: Workspace, model: str, figures: RunFigures) -> Iterator[str]:
    """A run in the model's experiment, ended well or as failed; yields its id."""
    name = registered_name(model)
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        experiment_id = experiment.experiment_id
    elif _given_uri() is not None:
        experiment_id = client.create_experiment(name)
    else:
        experiment_id = client.create_experiment(
            name, artifact_location=(workspace.mlflow_folder / "artifacts" / model).as_uri()
        )
    with mlflow.start_run(experiment_id=experiment_id, run_name=model) as run:
        mlflow.log_params({key: str(value)[:PARAMETER_LENGTH] for key, value in figures.parameters.items()})
        mlflow.log_metrics(dict(figures.metrics))
        mlflow.set_tags(dict(figures.tags))
        yield str(run.info.run_id)


def register_model(client: MlflowClient, model: str, run_id: str, fitted: Fitted, split: Split) -> str:
    """Logs the native model and registers it as a new version, which is returned.

    A model without trees has no flavour of MLflow's: its version points at the bundle that is logged with the run.
    """
    name = registered_name(model)
    _ensure_model(client, name)
    if not fitted.model_text:
        source = f"{client.get_run(run_id).info.artifact_uri}/bundle"
        return str(client.create_model_version(name, source, run_id=run_id, await_creation_for=0).version)
    info = mlflow.lightgbm.log_model(
        lgb.Booster(model_str=fitted.model_text),
        name="model",
        pip_requirements=[f"lightgbm=={package_version('lightgbm')}"],
        signature=_signature(fitted, split),
    )
    made = client.create_model_version(
        name,
        info.model_uri,
        run_id=run_id,
        model_id=info.model_id,
        await_creation_for=0,
        description="Raw scores; bundle/card.json of the run holds the calibration, bands and percentiles.",
    )
    return str(made.version)


def _ensure_model(client: MlflowClient, name: str) -> None:
    try:
        client.get_registered_model(name)
    except MlflowException:
        client.create_registered_model(name)


def _signature(fitted: Fitted, split: Split) -> Any:
    """Input columns as floats, one raw score out."""
    present = [column.name for column in fitted.inputs if column.name in split.fit.frame.columns]
    if len(present) == len(fitted.inputs):
        matrix = encode(split.fit.frame.head(EXAMPLE_ROWS), fitted.inputs)
    else:
        matrix = pd.DataFrame(list(fitted.golden.inputs[:EXAMPLE_ROWS]), dtype="float64").to_numpy()
    example = pd.DataFrame(matrix, columns=column_names(fitted.inputs))
    return infer_signature(example, predict_text(fitted.model_text, matrix))


def log_files(client: MlflowClient, run_id: str, files: Sequence[Path], folder: str) -> None:
    """Logs files as artifacts of a run."""
    for path in files:
        client.log_artifact(run_id, str(path), folder)


def log_gate(
    client: MlflowClient, card: ModelCard, *, document: Mapping[str, Any], page: str, tags: Mapping[str, str]
) -> None:
    """Logs a gate's table to the run that made a model, and its verdict to the model's version.

    Args:
        client: Of the workspace.
        card: The model's; one without a run has no place to log to.
        document: The table as JSON.
        page: The table as Markdown.
        tags: For the registered version.

    Raises:
        NotReadyError: The run or the version is not in this registry.
    """
    if card.mlflow_run_id is None:
        return
    try:
        client.log_dict(card.mlflow_run_id, dict(document), "gate/gate.json")
        client.log_text(card.mlflow_run_id, page, "gate/gate.md")
        for name, value in tags.items():
            client.set_model_version_tag(registered_name(card.model), card.version, name, value)
    except MlflowException as error:
        raise NotReadyError(
            f"the registry has no run or version of {card.model} {card.version}: {error.message}",
            hint=f"foretouch train {card.model}",
        ) from error


def versions(client: MlflowClient, model: str) -> list[ModelVersion]:
    """Registered versions of a model, newest first."""
    found = client.search_model_versions(f"name = '{registered_name(model)}'")
    return sorted(found, key=lambda item: int(item.version), reverse=True)


def set_aliases(client: MlflowClient, model: str, aliases: Mapping[str, str]) -> None:
    """Makes the registry's aliases of a model exactly these.

    Raises:
        NotReadyError: The model or a version is not registered here.
    """
    name = registered_name(model)
    try:
        present = dict(client.get_registered_model(name).aliases)
        for alias in sorted(set(present) - set(aliases)):
            client.delete_registered_model_alias(name, alias)
        for alias, version in aliases.items():
            if str(present.get(alias)) != version:
                client.set_registered_model_alias(name, alias, version)
    except MlflowException as error:
        raise NotReadyError(
            f"the registry has no such version of {name}: {error.message}", hint=f"foretouch train {model}"
        ) from error
