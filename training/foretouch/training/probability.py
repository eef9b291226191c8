"""What lead and churn share: a calibrated probability with its interval and bands."""

from collections.abc import Mapping, Sequence

from foretouch.core.models import ModelName
from foretouch.training.booster import golden_rows, predict_text
from foretouch.training.calibration import apply, bands, calibrate_probability, probability_intervals
from foretouch.training.data import encode
from foretouch.training.purchase_part import raw_scores
from foretouch.training.support import support_and_rates
from foretouch.training.tabular import fit_trees, quantile_thresholds
from foretouch.training.task import Dataset, Fitted, FloatArray, Split, TrainingRun


def fit_probability(
    run: TrainingRun,
    split: Split,
    model: ModelName,
    *,
    band_shares: Mapping[str, float],
    notes: Sequence[str] = (),
) -> Fitted:
    """Trees on the fit part, calibration, intervals and bands on the calibration part.

    Args:
        run: Seed, trials, threads.
        split: Rows in three parts.
        model: Search space and feature service.
        band_shares: By band from lowest to highest, the share of calibration rows that reach at least it; the
            first is 1.
        notes: For the card.
    """
    trees = fit_trees(run, split, model)
    matrix = encode(split.calibrate.frame, trees.inputs)
    raw = predict_text(trees.text, matrix)
    calibration = calibrate_probability(raw, split.calibrate.label, split.calibrate.customer_id)
    score = apply(calibration, raw)
    thresholds = quantile_thresholds(score, list(band_shares.values())[1:])
    return Fitted(
        target="probability",
        inputs=trees.inputs,
        model_text=trees.text,
        golden=golden_rows(trees.text, matrix, calibration),
        data_sha256=trees.data_sha256,
        calibration=calibration,
        intervals=probability_intervals(score, split.calibrate.label, cluster=split.calibrate.customer_id),
        bands=bands(list(band_shares), thresholds),
        parameters=trees.parameters,
        extras={
            "band_shares": dict(band_shares),
            **support_and_rates(split.fit, split.calibrate, trees.inputs),
        },
        notes=(
            *notes,
            "Bands: the thresholds are the scores that "
            + ", ".join(f"{share:.0%} ({name})" for name, share in list(band_shares.items())[1:])
            + " of the calibration rows reach.",
            "Intervals: 95 % for the rate among customers with such a score (Jeffreys), from the calibration part.",
        ),
    )


def score_rows(fitted: Fitted, part: Dataset) -> FloatArray:
    """Calibrated scores of a part, shape (n,): what the service would say."""
    return apply(fitted.calibration, raw_scores(fitted, encode(part.frame, fitted.inputs)))
