"""What lead, churn and value share: rows from a goal, trees on a customer's features, calibration, golden rows."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.bundle import ModelInput
from foretouch.core.errors import DataError
from foretouch.core.models import ModelName
from foretouch.core.rng import bucket
from foretouch.features.catalogue import FeatureSpec, model_features
from foretouch.features.history_sample import read_sample
from foretouch.features.store import training_frame
from foretouch.features.tables import connect
from foretouch.training.booster import fit_booster
from foretouch.training.data import category_input, dataset_hash, encode
from foretouch.training.history import history_times
from foretouch.training.log.snapshots import PART, WEIGHT, with_logged
from foretouch.training.splits import SplitPlan, assign_parts, plan_split
from foretouch.training.targets import LABEL, data_span, spine
from foretouch.training.task import Dataset, FloatArray, Split, TrainingRun
from foretouch.training.tuning import Attempt, Tuned, read_space, tune

FOLDS = 3
MAX_ROUNDS = 300
PATIENCE = 20
TUNING_ROWS = 15_000
"""Trials see at most about so many rows: every k-th snapshot of every customer."""
WARM_UP = timedelta(days=28)
"""As-of times in the first four weeks of the data know too little to learn from."""
YEAR_DAYS = 365.0
AGES = frozenset({"tenure_days", "first_purchase_days"})
MEANS = ("basket_mean", "response_rate")
"""Means over a window are of one size however young the data are."""
MIN_ROWS: Mapping[str, int] = {"fit": 200, "calibrate": 50, "test": 50}
MIN_OF_EACH_CLASS: Mapping[str, int] = {"fit": 20, "calibrate": 5, "test": 5}

Labeller = Callable[[duckdb.DuckDBPyConnection, pd.DataFrame], pd.DataFrame]


def load_split(run: TrainingRun, model: ModelName, *, event: str, window_days: float, labeller: Labeller) -> Split:
    """Labelled rows of weekly snapshots with the features of the model's service.

    Args:
        run: The workspace.
        model: Whose feature service.
        event: The goal's event: labels reach as far as it does.
        window_days: Of the label.
        labeller: Labels a spine: ``targets.lead_labels`` and its kin, bound to a goal.

    Raises:
        DataError: Too little data; the message says what there is and what is needed.
    """
    workspace = run.workspace
    window = timedelta(days=window_days)
    with closing(connect(workspace)) as connection:
        span = data_span(connection, event, workspace.clock.now())
        times = mature_times(history_times(workspace), start=span.start, end=span.end, window=window)
        plan = plan_split(times, window)
        kept = read_sample(workspace).snapshots
        rows = labeller(connection, spine(connection, [*plan.fit, *plan.calibrate, *plan.test], kept=kept))
    rows["part"] = assign_parts(rows, plan)
    rows = rows[rows["part"] != ""].reset_index(drop=True)
    check_size(rows, amount=model == "value")
    frame, logged = with_logged(workspace, model, training_frame(workspace, model, rows), plan)
    parts = {name: _part(frame, name) for name in ("fit", "calibrate", "test")}
    return Split(
        fit=parts["fit"],
        calibrate=parts["calibrate"],
        test=parts["test"],
        trained_through=plan.trained_through,
        newest_through=plan.test[-1] + window,
        description={
            **describe(plan, parts),
            **logged,
            "history_days_of_fit": round((plan.fit[-1] - span.start) / timedelta(days=1), 2),
        },
    )


def _part(frame: pd.DataFrame, name: str) -> Dataset:
    rows = frame[frame["part"] == name].reset_index(drop=True)
    weight = rows[WEIGHT].to_numpy(dtype=np.float64) if WEIGHT in rows.columns else None
    kept = rows.drop(columns=[LABEL, PART, WEIGHT], errors="ignore")
    return Dataset(frame=kept, label=rows[LABEL].to_numpy(dtype=np.float64), weight=weight)


def mature_times(times: Sequence[datetime], *, start: datetime, end: datetime, window: timedelta) -> list[datetime]:
    """Snapshots with four weeks of history behind them and a label window inside the data, sorted."""
    return sorted(time for time in times if time >= start + WARM_UP and time + window <= end)


def describe(plan: SplitPlan, parts: Mapping[str, Dataset]) -> dict[str, Any]:
    """The split in words and numbers, for the card and MLflow."""
    text: dict[str, Any] = {}
    for name, times in (("fit", plan.fit), ("calibrate", plan.calibrate), ("test", plan.test)):
        part = parts[name]
        text[name] = (
            f"{times[0].date()} to {times[-1].date()}, {len(times)} snapshots, {len(part)} rows,"
            f" {len(np.unique(part.customer_id.astype(str)))} customers, mean label {part.label.mean():.4g}"
        )
    text["label_window_days"] = plan.window / timedelta(days=1)
    text["gap_before_test_days"] = (plan.test[0] - plan.calibrate[-1]) / timedelta(days=1)
    text["fit_and_calibrate_apart_by"] = plan.apart_by
    return text


def check_size(rows: pd.DataFrame, *, amount: bool) -> None:
    """Refuses to train on next to nothing.

    Raises:
        DataError: Says of which part there is how much, and how much is needed.
    """
    for name, need in MIN_ROWS.items():
        labels = rows.loc[rows["part"] == name, LABEL]
        if len(labels) < need:
            raise DataError(
                f"the {name} part has {len(labels)} rows, need {need}: too few customers in scope",
                hint="ingest more customers or a longer history",
            )
        if amount:
            continue
        fewest = int(min((labels == 1.0).sum(), (labels == 0.0).sum()))
        if fewest < MIN_OF_EACH_CLASS[name]:
            which = "did reach" if (labels == 1.0).sum() == fewest else "did not reach"
            raise DataError(
                f"the {name} part has {fewest} rows that {which} the goal, need {MIN_OF_EACH_CLASS[name]}",
                hint="ingest a longer history, or choose a more frequent goal in foretouch.toml",
            )


def make_inputs(
    specs: Sequence[FeatureSpec], frame: pd.DataFrame, *, history_days: float = YEAR_DAYS
) -> tuple[ModelInput, ...]:
    """The model's columns: every number and category of the service that varies in the fit rows.

    Args:
        specs: Features of the service.
        frame: The fit rows.
        history_days: Length of the data before the last of them. A feature that looks further back is left out: while
            the data are younger than its window it grows with the calendar, and later rows are unlike the fit rows.
    """
    inputs = []
    for spec in specs:
        if spec.kind == "array" or spec.name not in frame.columns or lookback_days(spec.name) > history_days:
            continue
        column = (
            category_input(spec.name, spec.view, frame[spec.name])
            if spec.kind == "category"
            else ModelInput(name=spec.name, view=spec.view)
        )
        values = encode(frame[[spec.name]], (column,))[:, 0]
        known = values[~np.isnan(values)]
        if len(known) and (known.min() != known.max() or len(known) < len(values)):
            inputs.append(column)
    return tuple(inputs)


def lookback_days(name: str) -> float:
    """How far back a count, sum or age reaches, in days, by its name; 0 for one that does not grow with the data.

    ``frequency_90d`` reaches 90 days; totals, tenure and the age of the first purchase reach a year or more.
    """
    window = re.fullmatch(r".*_(\d+)d", name)
    if window:
        return 0.0 if name.startswith(MEANS) else float(window.group(1))
    return YEAR_DAYS if name.endswith("_total") or name in AGES else 0.0


@dataclass(frozen=True, kw_only=True)
class Trees:
    """Trees fitted with tuned parameters.

    Attributes:
        inputs: The model's columns.
        text: LightGBM's own text.
        rounds: Boosting rounds.
        tuned: The search.
        data_sha256: Of the rows of fit and calibrate.
    """

    inputs: tuple[ModelInput, ...]
    text: str
    rounds: int
    tuned: Tuned
    data_sha256: str

    @property
    def parameters(self) -> dict[str, Any]:
        """What the card says about hyper-parameters."""
        return {
            **self.tuned.parameters,
            "rounds": self.rounds,
            "tuning_trials": self.tuned.trials,
            "tuning_pruned": self.tuned.pruned,
            "tuning_loss": self.tuned.value,
            "tuning_loss_of_defaults": self.tuned.default_value,
        }


def inputs_of(run: TrainingRun, split: Split, model: ModelName) -> tuple[ModelInput, ...]:
    """``make_inputs`` of a model's service and the rows it is fitted on."""
    return make_inputs(
        model_features(model, run.workspace.config),
        split.fit.frame,
        history_days=float(split.description.get("history_days_of_fit", YEAR_DAYS)),
    )


def fit_trees(
    run: TrainingRun,
    split: Split,
    model: ModelName,
    *,
    inputs: tuple[ModelInput, ...] | None = None,
    unseen: tuple[ModelInput, ...] = (),
) -> Trees:
    """Tunes on folds by customer inside the fit part, then fits on all of it with the mean number of rounds.

    Weights of the fit part count where trees are fitted, not where they are judged.

    The calibration part is not touched: it stays clean for calibration and thresholds.

    Args:
        run: Seed, trials, threads.
        split: Rows in three parts.
        model: Search space and feature service.
        inputs: The columns that the trees learn from; None for those of the service.
        unseen: Columns that the model has after them for another part of it; the trees see them missing.

    Raises:
        DataError: No feature varies.
    """
    space = read_space(model)
    seen = inputs_of(run, split, model) if inputs is None else inputs
    if not seen:
        raise DataError(f"no feature of {model} varies in the fit rows", hint="foretouch features build")
    chosen = (*seen, *unseen)
    everything, everyone = encode(split.fit.frame, chosen), split.fit.label
    everything[:, len(seen) :] = np.nan
    thin = thinned(split.fit, TUNING_ROWS)
    matrix, label = everything[thin], everyone[thin]
    every_weight = split.fit.weight
    weight = None if every_weight is None else every_weight[thin]
    fold = customer_folds(split.fit.customer_id[thin])
    data_sha256 = dataset_hash(split.fit, split.calibrate, inputs=chosen)

    def objective(attempt: Attempt) -> float:
        losses: list[float] = []
        rounds: list[int] = []
        for index in range(FOLDS):
            held = fold == index
            booster = fit_booster(
                matrix[~held],
                label[~held],
                inputs=chosen,
                parameters=attempt.parameters,
                rounds=MAX_ROUNDS,
                seed=run.seed,
                threads=run.threads,
                valid=(matrix[held], label[held]),
                patience=PATIENCE,
                report=attempt.report if index == 0 else None,
                weight=None if weight is None else weight[~held],
            )
            losses.append(float(next(iter(booster.best_score["valid_0"].values()))))
            rounds.append(booster.best_iteration)
            attempt.report((index + 1) * (MAX_ROUNDS + 1), float(np.mean(losses)))
        attempt.notes["rounds"] = max(round(float(np.mean(rounds))), 1)
        return float(np.mean(losses))

    tuned = tune(objective, run=run, model=model, space=space, data_sha256=data_sha256)
    rounds = int(tuned.notes["rounds"])
    booster = fit_booster(
        everything,
        everyone,
        inputs=chosen,
        parameters=tuned.parameters,
        rounds=rounds,
        seed=run.seed,
        threads=run.threads,
        weight=every_weight,
    )
    text: str = booster.model_to_string()
    return Trees(inputs=chosen, text=text, rounds=rounds, tuned=tuned, data_sha256=data_sha256)


def thinned(part: Dataset, most: int) -> NDArray[np.int64]:
    """Rows of every k-th as-of time, k chosen so that at most about ``most`` remain; the last time is always one."""
    times = np.sort(part.as_of.unique())
    step = max(-(-len(part) // most), 1)
    kept = part.as_of.isin(times[::-1][::step]).to_numpy()
    return np.flatnonzero(kept)


def customer_folds(customer_id: NDArray[np.object_], *, folds: int = FOLDS) -> NDArray[np.int64]:
    """The fold of each row, 0…folds-1, shape (n,): all rows of a customer share one."""
    fold = {customer: int(bucket("tuning-folds", str(customer)) * folds) for customer in pd.unique(customer_id)}
    return np.array([fold[customer] for customer in customer_id], dtype=np.int64)


def quantile_thresholds(score: FloatArray, shares: Sequence[float]) -> list[float]:
    """Scores above which the best ``share`` of rows lie, one per share.

    Args:
        score: Calibrated scores of the calibration rows, shape (n,).
        shares: Falling, e.g. 0.2 and 0.05 for bands that hold a fifth and a twentieth.
    """
    return [float(np.quantile(score, 1.0 - share)) for share in shares]
