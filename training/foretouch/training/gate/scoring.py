"""Two models of one kind on the same rows: what each says, in the form that this kind of model is compared in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from foretouch.core.bundle import Bundle
from foretouch.core.models import ModelName
from foretouch.serving.models.rhythm import Rhythm
from foretouch.training.activity import log_likelihoods, per_event
from foretouch.training.calibration import apply
from foretouch.training.data import encode
from foretouch.training.evaluation import compare
from foretouch.training.metrics import AUC, LOG_LOSS, MAE, SPEARMAN, Metric
from foretouch.training.purchase_part import raw_scores
from foretouch.training.send_time import Hours, predict_shares
from foretouch.training.task import Comparison, Dataset, Fitted, FloatArray, ModelTask, Split, TrainingRun

CHAMPION: Final = "champion"
QINI: Final = "qini"
DRAWS: Final = 300
"""Bootstrap draws; the ends of the intervals are then known to about a twelfth of their length."""
METRICS: Final[Mapping[str, tuple[Metric, ...]]] = {"probability": (LOG_LOSS, AUC), "amount": (MAE, SPEARMAN)}
"""What models of a target are compared by; ``distribution`` has its log-likelihood, ``difference`` its Qini."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What a model says of later rows.

    Attributes:
        label: What happened, shape (n,).
        model: The model's scores, shape (n,): calibrated, or for hours the log-likelihood of the row's later events.
    """

    label: FloatArray
    model: FloatArray


def fitted_of(bundle: Bundle) -> Fitted:
    """A bundle in the form in which training handles a model."""
    card = bundle.card
    return Fitted(
        target=card.target,
        inputs=card.inputs,
        model_text=bundle.model_text,
        golden=bundle.golden,
        data_sha256=card.data_sha256,
        calibration=card.calibration,
        intervals=card.intervals,
        bands=card.bands,
        parameters=card.parameters,
        extras=card.extras,
        notes=card.notes,
        members_text=bundle.members_text,
    )


def score_part(name: ModelName, fitted: Fitted, part: Dataset) -> FloatArray:
    """What a model says of the rows of a part, shape (n,).

    Raises:
        KeyError: A row lacks an input of the model.
    """
    if name == "send-time":
        hours = Hours.of(part, Rhythm.from_extras(fitted.extras).counts_feature)
        return log_likelihoods(hours.later, predict_shares(fitted, hours))
    if name == "uplift":
        from foretouch.serving.models.uplift_shifts import Shifts  # noqa: PLC0415 - a part of its own
        from foretouch.training.uplift.judge import served_score  # noqa: PLC0415

        return served_score(fitted.model_text, Shifts.of(fitted.extras["shifts"]), part, fitted.inputs)
    return apply(fitted.calibration, raw_scores(fitted, encode(part.frame, fitted.inputs)))


def champion_scores(
    run: TrainingRun, task: ModelTask, split: Split, *, mine: FloatArray | None, fitted: Fitted, champion: Fitted
) -> FloatArray:
    """The champion's scores of the test part, made in the way that gives the challenger its own.

    Args:
        run: Of the training.
        task: The kind of model.
        split: The rows.
        mine: The challenger's scores as its evaluation has them; None where it keeps none.
        fitted: The challenger.
        champion: The champion.
    """
    if mine is None or np.allclose(score_part(task.name, fitted, split.test), mine, rtol=1e-9, atol=1e-12):
        return score_part(task.name, champion, split.test)
    return task.evaluate(run, split, champion).scores["model"]  # a model with more to it than its trees


def compare_models(
    run: TrainingRun, name: ModelName, part: Dataset, model: FloatArray, champion: FloatArray, *, target: str
) -> tuple[Comparison, ...]:
    """Paired differences of challenger and champion on the same rows, whole customers drawn.

    Args:
        run: Its seed.
        name: Which model.
        part: The rows.
        model: The challenger's scores, shape (n,).
        champion: The champion's, shape (n,).
        target: What a score means.
    """
    if target == "difference":
        return (_by_qini(run, part, model, champion),)
    metrics = (per_event("activity_log_likelihood"),) if name == "send-time" else METRICS[target]
    return tuple(
        compare(
            metric,
            label=part.label,
            model=model,
            reference=champion,
            cluster=part.customer_id,
            baseline=CHAMPION,
            seed=run.seed,
            draws=DRAWS,
        )
        for metric in metrics
    )


def _by_qini(run: TrainingRun, part: Dataset, model: FloatArray, champion: FloatArray) -> Comparison:
    from foretouch.training.uplift.logged import COUNT, TREATED  # noqa: PLC0415 - a part of its own
    from foretouch.training.uplift.paired import qini_difference  # noqa: PLC0415

    frame = part.frame
    mine, theirs, apart = qini_difference(
        model,
        champion,
        frame[TREATED].to_numpy(dtype=np.float64),
        part.label,
        count=frame[COUNT].to_numpy(dtype=np.float64),
        cluster=part.customer_id,
        seed=run.seed,
    )
    return Comparison(
        baseline=CHAMPION,
        metric=QINI,
        better="up",
        model=mine,
        reference=theirs,
        difference=apart.value,
        low=apart.low,
        high=apart.high,
    )


def rows_of(part: Dataset, rows: NDArray[np.bool_]) -> Dataset:
    """Some rows of a part."""
    return Dataset(
        frame=part.frame[rows].reset_index(drop=True),
        label=part.label[rows],
        weight=None if part.weight is None else part.weight[rows],
    )
