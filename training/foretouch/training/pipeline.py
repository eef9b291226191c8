"""One road for every model: load, fit, judge, draw, log, bundle, alias."""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from foretouch.core.bundle import ModelCard, read_aliases, read_bundle, write_aliases, write_bundle
from foretouch.core.clock import monotonic
from foretouch.core.errors import BundleError, ConfigError
from foretouch.core.models import ModelName
from foretouch.core.workspace import Workspace
from foretouch.features.catalogue import SERVICES
from foretouch.serving.models.bundles import load_scorer
from foretouch.training import plots, registry
from foretouch.training.card import card_page, make_card
from foretouch.training.data import encode
from foretouch.training.gate.later import with_gate
from foretouch.training.leaks import suspects, warning_of
from foretouch.training.log.skew_card import skew_of
from foretouch.training.refit import keep_judged, refit
from foretouch.training.task import Comparison, Evaluation, Fitted, ModelTask, Split, TrainingRun

TASKS: dict[ModelName, str] = {
    "lead": "foretouch.training.lead",
    "churn": "foretouch.training.churn",
    "value": "foretouch.training.value",
    "offer": "foretouch.training.offer",
    "send-time": "foretouch.training.send_time",
    "uplift": "foretouch.training.uplift.task",
}
"""Module of each model; its ``TASK`` is what the pipeline runs."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training left behind.

    Attributes:
        card: As in the bundle.
        comparisons: The model beside each baseline on later data.
        bundle: The bundle's folder.
        reports: Folder of plots and the card's page.
        seconds: How long it took.
    """

    card: ModelCard
    comparisons: tuple[Comparison, ...]
    bundle: Path
    reports: Path
    seconds: float

    @property
    def wins(self) -> bool:
        """Whether the model beats every decisive baseline."""
        return all(item.wins for item in self.comparisons if item.decisive)


def training_run(
    workspace: Workspace, *, trials: int | None = None, say: Callable[[str], None] = lambda _: None
) -> TrainingRun:
    """Run options from the workspace's configuration."""
    section = workspace.config.training
    return TrainingRun(
        workspace=workspace,
        seed=section.seed,
        trials=section.trials if trials is None else trials,
        threads=section.threads,
        say=say,
    )


def load_task(model: ModelName) -> ModelTask:
    """The task of a model.

    Raises:
        ConfigError: There is no such model.
    """
    if model not in TASKS:
        raise ConfigError(f"model == {model!r}, must be one of {', '.join(TASKS)}")
    task: ModelTask = import_module(TASKS[model]).TASK
    return task


def train(run: TrainingRun, model: ModelName) -> Trained:
    """Trains one model and registers it as ``challenger``.

    Raises:
        DataError: Too little data; the message says what is missing.
        BundleError: The written bundle does not give the golden outputs again.
    """
    started = monotonic()
    task = load_task(model)
    run.say(f"{model}: rows and features")
    split = task.load(run)
    run.say(f"{model}: {len(split.fit)} rows to fit, {len(split.calibrate)} to calibrate, {len(split.test)} later ones")
    leak = warning_of(suspects(split))
    if leak:
        run.say(f"{model}: {leak}")
    fitted = task.fit(run, split)
    run.say(f"{model}: later data beside the baselines")
    evaluation = with_gate(run, task, split, fitted, task.evaluate(run, split, fitted))
    run.say(f"{model}: MLflow and bundle")
    served, newest = refit(run, task, split, fitted)
    skew, warned = skew_of(run, model, newest)
    notes = (*served.notes, *((leak,) if leak else ()), *warned)
    served = replace(served, notes=notes, extras={**served.extras, **skew})
    card, bundle, reports = _export(run, task, newest, served, _Judgement(split, fitted, evaluation))
    return Trained(
        card=card,
        comparisons=evaluation.comparisons,
        bundle=bundle,
        reports=reports,
        seconds=monotonic() - started,
    )


@dataclass(frozen=True)
class _Judgement:
    """What was judged, on which rows, and the figures."""

    split: Split
    fitted: Fitted
    evaluation: Evaluation


def _export(
    run: TrainingRun, task: ModelTask, split: Split, fitted: Fitted, judgement: _Judgement
) -> tuple[ModelCard, Path, Path]:
    """Logs, registers and writes the model that is served, with the figures of the one that was judged."""
    workspace, model, evaluation = run.workspace, task.name, judgement.evaluation
    client = registry.connect(workspace)
    figures = registry.RunFigures(
        parameters={
            **fitted.parameters,
            "seed": run.seed,
            "trials": run.trials,
            "calibration": fitted.calibration.method,
        },
        metrics=_flat_metrics(evaluation),
        tags={
            "data_sha256": fitted.data_sha256,
            "model_sha256": hashlib.sha256(fitted.model_text.encode()).hexdigest(),
            "feature_service": SERVICES[model],
            "trained_through": split.trained_through.isoformat(),
            "judged_through": judgement.split.trained_through.isoformat(),
            "primary_metric": evaluation.primary,
            "data_origin": workspace.config.workspace.origin,
            **{f"split.{key}": str(value) for key, value in split.description.items()},
        },
    )
    with registry.start_run(client, workspace, model, figures) as run_id:
        version = registry.register_model(client, model, run_id, fitted, split)
        card = make_card(
            model=model,
            version=version,
            feature_service=SERVICES[model],
            goal=task.goal(workspace),
            split=split,
            fitted=fitted,
            evaluation=evaluation,
            seed=run.seed,
            created_at=workspace.clock.now(),
            run_id=run_id,
        )
        folder = write_bundle(
            workspace.bundles, card, fitted.model_text, fitted.golden, members_text=fitted.members_text
        )
        check_bundle(workspace.bundles, model, version)
        reports = workspace.reports / "models" / model / version
        pages = _reports(reports, card, judgement)
        if "refit" in card.extras:
            keep_judged(workspace, card, judgement.fitted, judgement.split)
        registry.log_files(client, run_id, sorted(folder.iterdir()), "bundle")
        registry.log_files(client, run_id, pages, "reports")
    aliases = {**read_aliases(workspace.bundles, model), "challenger": version}
    registry.set_aliases(client, model, aliases)
    write_aliases(workspace.bundles, model, aliases)
    return card, folder, reports


def check_bundle(store: Path, model: ModelName, version: str) -> None:
    """Loads a bundle as the service will: hashes, the trees' text, and every golden row bit for bit.

    Raises:
        BundleError: It is damaged, an output differs, or it has trees but no golden rows.
    """
    bundle = read_bundle(store, model, version)
    if bundle.model_text and not bundle.golden.inputs:
        raise BundleError(f"bundle {model} {version} has no golden rows", hint=f"foretouch train {model}")
    load_scorer(store, model, version)


def _flat_metrics(evaluation: Evaluation) -> dict[str, float]:
    flat = dict(evaluation.metrics)
    for name, figures in evaluation.baselines.items():
        flat |= {f"{name}.{key}": value for key, value in figures.items()}
    for item in evaluation.comparisons:
        flat |= {
            f"{item.baseline}.{item.metric}.difference": item.difference,
            f"{item.baseline}.{item.metric}.low": item.low,
            f"{item.baseline}.{item.metric}.high": item.high,
        }
    return flat


def _reports(folder: Path, card: ModelCard, judgement: _Judgement) -> list[Path]:
    """Writes the plots and the card's page, whole or not at all."""
    split, fitted, evaluation = judgement.split, judgement.fitted, judgement.evaluation
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as draft_name:
        draft = Path(draft_name) / "draft"
        draft.mkdir()
        (draft / "card.md").write_text(card_page(card), encoding="utf-8")
        label = evaluation.label
        if fitted.model_text and all(column.name in split.test.frame.columns for column in fitted.inputs):
            plots.shap_summary(
                draft / "shap.png", fitted.model_text, encode(split.test.frame, fitted.inputs), fitted.inputs
            )
        if label is not None and "model" in evaluation.scores:
            amount = fitted.target == "amount"
            score = evaluation.scores["model"]
            plots.save_plot(
                draft / "calibration.png",
                lambda figure: plots.draw_calibration(figure, label, score, amount=amount),
            )
            plots.save_plot(draft / "gain.png", lambda figure: plots.draw_gain(figure, label, evaluation.scores))
        for name, draw in evaluation.plots.items():
            plots.save_plot(draft / f"{name}.png", draw)
        draft.rename(folder)
    return sorted(folder.iterdir())
