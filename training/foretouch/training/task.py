"""What a model's module must offer so that ``pipeline.py`` can train, judge and export it.

A task is one object per model, named ``TASK`` in its module (``lead.py``, ``churn.py``, ``value.py``, ``offer.py``,
``send_time.py``). It loads labelled rows in three parts that follow each other in time, fits on the first two, and is
judged on the last. The pipeline does the rest: plots, MLflow, the bundle, the alias.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.bundle import Band, Calibration, GoldenRows, ModelInput, ScoreIntervals
from foretouch.core.models import ModelName
from foretouch.core.workspace import Workspace

FloatArray = NDArray[np.float64]
Target = Literal["probability", "amount", "distribution", "difference"]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Labelled rows of one part of the data.

    Attributes:
        frame: One row per example, index 0…n-1: ``customer_id``, ``as_of`` (tz-aware) and every feature by name, not
            yet encoded.
        label: What happened afterwards, shape (n,); NaN is not allowed.
        weight: How much each row counts when trees are fitted, shape (n,), e.g. ``log.weights.inverse_propensity``;
            None is all alike.
    """

    frame: pd.DataFrame
    label: FloatArray
    weight: FloatArray | None = None

    @property
    def customer_id(self) -> NDArray[np.object_]:
        """Customer of each row, shape (n,): the cluster of every bootstrap."""
        return self.frame["customer_id"].to_numpy(dtype=object)

    @property
    def as_of(self) -> "pd.Series[pd.Timestamp]":
        """When each row's features were known, tz-aware."""
        return self.frame["as_of"]

    @property
    def weights(self) -> FloatArray:
        """Shape (n,): ones where no weight was given."""
        return np.ones(len(self.frame)) if self.weight is None else self.weight

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True, kw_only=True)
class Split:
    """The rows in time order; no label window of an earlier part reaches into a later part's as-of times.

    Attributes:
        fit: What the trees see.
        calibrate: What early stopping, calibration and thresholds see.
        test: Later rows, used once, for the figures on the card.
        trained_through: No row or label of ``fit`` and ``calibrate`` is later than this.
        description: As-of range, rows and customers of each part, in words for the card and MLflow.
        newest_through: No row or label of ``test`` is later than this; None where the model is never fitted with them.
    """

    fit: Dataset
    calibrate: Dataset
    test: Dataset
    trained_through: datetime
    description: Mapping[str, Any]
    newest_through: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """Run options: they belong to the run, hyper-parameters to the model.

    Attributes:
        workspace: Where data are read and results written.
        seed: Of every draw: tuning, sampling, bootstrap.
        trials: Optuna trials; 0 takes the defaults of the search space.
        threads: Threads of LightGBM.
        say: Receives one line per step, for people.
        parameters: Hyper-parameters that were chosen before: nothing is tuned.
    """

    workspace: Workspace
    seed: int
    trials: int
    threads: int
    say: Callable[[str], None] = field(default=lambda _: None)
    parameters: Mapping[str, Any] | None = None

    def journal(self, model: str) -> Path:
        """Optuna's journal file of a model."""
        return self.workspace.root / "mlflow" / "tuning" / f"{model}.journal"


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A model ready to be judged and exported: everything in the bundle that is not a figure.

    Attributes:
        target: What a score means.
        inputs: The model's columns, in order.
        model_text: LightGBM's own text; empty for a model without trees.
        golden: Inputs and the exact outputs that a loaded bundle must reproduce.
        members_text: LightGBM's own text of its bootstrap members, one output each; empty without any.
        parameters: Hyper-parameters, as chosen.
        data_sha256: Hash of the rows it was fitted and calibrated on (``data.frame_hash``).
        extras: What only this kind of model needs in service.
    """

    target: Target
    inputs: tuple[ModelInput, ...]
    model_text: str
    golden: GoldenRows
    data_sha256: str
    calibration: Calibration = field(default_factory=Calibration)
    intervals: ScoreIntervals | None = None
    bands: tuple[Band, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    extras: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    members_text: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The model beside one baseline on the same later rows.

    Attributes:
        baseline: Its name, e.g. ``points_rule``.
        metric: What is compared, e.g. ``average_precision``.
        better: Whether more or less of it is better.
        model: The model's figure.
        reference: The baseline's figure.
        difference: ``model - reference``.
        low: Lower end of the 95 % interval of the difference.
        high: Upper end of it.
        cluster: What the paired bootstrap drew: ``customer_id`` unless said otherwise.
        decisive: Whether promotion rests on it; a decisive one must exclude zero on the better side.
    """

    baseline: str
    metric: str
    better: Literal["up", "down"]
    model: float
    reference: float
    difference: float
    low: float
    high: float
    cluster: str = "customer_id"
    decisive: bool = True

    @property
    def wins(self) -> bool:
        """Whether the model is better and the interval excludes zero."""
        return self.low > 0.0 if self.better == "up" else self.high < 0.0


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Figures on later data.

    Attributes:
        primary: Name of the metric that the model is chosen by; a key of ``metrics``.
        metrics: The model's figures.
        baselines: Each baseline's figures on the same rows.
        comparisons: Paired differences; a model that does not win every decisive one is not promoted.
        label: Labels of the test rows, shape (n,), for the calibration plot and the gain chart; None for neither.
        scores: Scores on them by name: ``model`` first, then baselines, each shape (n,).
        plots: More plots by file name: each draws on the matplotlib figure that it is given.
        notes: What the figures say, in words, for the card.
        extras: What the card keeps besides.
    """

    primary: str
    metrics: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]]
    comparisons: tuple[Comparison, ...]
    label: FloatArray | None = None
    scores: Mapping[str, FloatArray] = field(default_factory=dict)
    plots: Mapping[str, Callable[[Any], None]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    extras: Mapping[str, Any] = field(default_factory=dict)


class ModelTask(Protocol):
    """One model: how its rows come to be, how it is fitted, how it is judged."""

    @property
    def name(self) -> ModelName:
        """Of the bundle, the registered model and the command."""
        ...

    def goal(self, workspace: Workspace) -> Mapping[str, Any]:
        """What is predicted, for the card: event, window, who is in scope."""
        ...

    def load(self, run: TrainingRun) -> Split:
        """Labelled rows with the features of the model's FeatureService (``features.catalogue.SERVICES[name]``).

        Raises:
            DataError: Too little data; the message says of what, how much there is and how much is needed.
        """
        ...

    def fit(self, run: TrainingRun, split: Split) -> Fitted:
        """Tunes, fits and calibrates on ``split.fit`` and ``split.calibrate``; never looks at ``split.test``."""
        ...

    def evaluate(self, run: TrainingRun, split: Split, fitted: Fitted) -> Evaluation:
        """Judges on ``split.test`` beside every baseline."""
        ...
