"""The purchase model's part in the value model: fitted on the features' own history, weighed on rows kept apart.

BG/NBD and Gamma-Gamma know how buying comes and goes, and little else; trees know everything, and nothing of what they
have not seen. On later data the two together err less than either. The weight is the one whose expectation has the
least Tweedie deviance, the loss that the trees were fitted by, on the calibration part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import pandas as pd

from foretouch.core.bundle import ModelInput
from foretouch.core.config import Config
from foretouch.core.errors import DataError
from foretouch.features.catalogue import PURCHASES
from foretouch.serving.models.purchase_blend import HISTORY, PURCHASE_MODEL, PurchaseBlend
from foretouch.serving.models.purchase_model import DAYS_PER_WEEK, PurchaseModel
from foretouch.training.booster import predict_text
from foretouch.training.data import encode
from foretouch.training.lifetime import BetaGeometric, GammaGamma, PurchaseHistory
from foretouch.training.task import Dataset, Fitted, FloatArray

WEIGHTS: Final = tuple(step / 20.0 for step in range(21))
"""Of the purchase model, tried from the least."""
WHY: Final = "why_none"
UNSEEN: Final = "trees_do_not_see"
"""Names of inputs that only the purchase model reads."""
SOONEST: Final = 1e-6
"""Weeks between the first and the last of several purchases, at least."""


def history_inputs(frame: pd.DataFrame, seen: Sequence[ModelInput]) -> tuple[ModelInput, ...]:
    """The inputs that the purchase model needs and the trees do not have; none where the rows lack one of them."""
    if not set(HISTORY) <= set(frame.columns):
        return ()
    have = {item.name for item in seen}
    return tuple(ModelInput(name=name, view=PURCHASES) for name in HISTORY if name not in have)


def fit_purchases(config: Config, part: Dataset) -> tuple[PurchaseModel, Mapping[str, float]]:
    """The purchase model of the newest row of every customer who has bought, and a typical buyer's history.

    Raises:
        DataError: The features' purchases are not the goal's, or there are too few to learn from.
    """
    goal, counted = config.goals.value, config.features.purchase_event
    if goal.value_event != counted:
        raise DataError(f"the goal counts {goal.value_event!r}, the features' purchases are {counted!r}")
    missing = sorted(set(HISTORY) - set(part.frame.columns))
    if missing:
        raise DataError(f"the rows lack {', '.join(missing)}")
    newest = part.frame.sort_values("as_of", kind="stable").drop_duplicates("customer_id", keep="last")
    rows = newest[list(HISTORY)].apply(pd.to_numeric).to_numpy(dtype=np.float64, na_value=np.nan)
    rows = rows[(rows[:, 0] >= 1.0) & np.isfinite(rows[:, 1] + rows[:, 2])]
    history = _history(rows)
    bought, spent = BetaGeometric.fit(history), GammaGamma.fit(_all_purchases(history))
    model = PurchaseModel(**asdict(bought), **asdict(spent), horizon_weeks=goal.window_days / DAYS_PER_WEEK)
    return model, dict(zip(HISTORY, map(float, np.median(np.nan_to_num(rows), axis=0)), strict=True))


def _history(rows: FloatArray) -> PurchaseHistory:
    purchases, recency, first, revenue = rows.T
    repeats = purchases - 1.0
    age = np.maximum(first, 0.0) / DAYS_PER_WEEK
    last = np.where(repeats > 0, np.clip((first - recency) / DAYS_PER_WEEK, SOONEST, None), 0.0)
    return PurchaseHistory(
        frequency=repeats,
        recency=last,
        age=np.maximum(age, last),
        monetary=np.maximum(np.nan_to_num(revenue), 0.0) / purchases,
    )


def _all_purchases(history: PurchaseHistory) -> PurchaseHistory:
    """For Gamma-Gamma, to whom the first purchase's value says as much as that of any other."""
    return PurchaseHistory(
        frequency=history.frequency + 1.0,
        recency=np.maximum(history.recency, SOONEST),
        age=np.maximum(history.age, SOONEST),
        monetary=history.monetary,
    )


def purchase_part(
    config: Config,
    fit: Dataset,
    calibrate: Dataset,
    *,
    inputs: Sequence[ModelInput],
    unseen: Sequence[ModelInput],
    trees: FloatArray,
    power: float,
) -> dict[str, Any]:
    """What the card says of the purchase model: parameters, typical buyer, weight; or why it has no part.

    Args:
        config: The goal.
        fit: Rows that it is fitted on.
        calibrate: Rows that the weight is chosen on.
        inputs: The model's columns, those of ``HISTORY`` among them.
        unseen: Those of them that the trees do not have.
        trees: The trees' expectation on ``calibrate``, shape (n,).
        power: Tweedie's, of the variance.
    """
    names = [item.name for item in unseen]
    try:
        model, typical = fit_purchases(config, fit)
    except DataError as error:
        return {PURCHASE_MODEL: {"weight": 0.0, WHY: error.message, UNSEEN: names}}
    stored = {UNSEEN: names, "parameters": asdict(model), "typical": typical}
    whole = PurchaseBlend.of(inputs, {PURCHASE_MODEL: {**stored, "weight": 1.0}})
    if whole is None:
        raise AssertionError("a weight of 1 is a blend")
    expected = whole.all_expected(encode(calibrate.frame, inputs))
    weight, deviances = choose_weight(calibrate.label, trees, expected, power=power)
    told = {
        "deviance_of_trees": deviances[0],
        "deviance_of_purchase_model": deviances[-1],
        "deviance_of_blend": min(deviances),
        "rows_it_knows": int(np.isfinite(expected).sum()),
        "rows": len(expected),
    }
    why = {} if weight else {WHY: "on the calibration part it makes the trees no better"}
    return {PURCHASE_MODEL: {**stored, "weight": weight, "calibrate": told, **why}}


def choose_weight(
    label: FloatArray, trees: FloatArray, expected: FloatArray, *, power: float
) -> tuple[float, list[float]]:
    """The weight of the purchase model with the least Tweedie deviance, the smaller of equals, and every deviance.

    Args:
        label: Revenue, shape (n,).
        trees: The trees' expectation, shape (n,), above 0.
        expected: The purchase model's, shape (n,); NaN where it knows nothing: the trees stand alone there.
        power: Of the variance, between 1 and 2.
    """
    theirs = np.where(np.isfinite(expected), expected, trees)
    deviances = [tweedie(label, (1.0 - weight) * trees + weight * theirs, power=power) for weight in WEIGHTS]
    return WEIGHTS[int(np.argmin(deviances))], deviances


def tweedie(label: FloatArray, mean: FloatArray, *, power: float) -> float:
    """Mean Tweedie loss of an expectation, up to what the labels alone decide (Jorgensen 1987), as LightGBM has it."""
    kept = np.maximum(mean, 1e-10)
    return float(np.mean(kept ** (2.0 - power) / (2.0 - power) - label * kept ** (1.0 - power) / (1.0 - power)))


def raw_scores(fitted: Fitted, matrix: FloatArray) -> FloatArray:
    """Raw scores of encoded rows, shape (n,): exactly what serving computes from the text and the card."""
    return blended(fitted.model_text, fitted.inputs, fitted.extras, matrix)


def blended(text: str, inputs: Sequence[ModelInput], extras: Mapping[str, Any], matrix: FloatArray) -> FloatArray:
    """``raw_scores`` of a model that is not put together yet."""
    trees = predict_text(text, matrix)
    blend = PurchaseBlend.of(inputs, extras)
    return trees if blend is None else blend.all_mixed(trees, matrix)


def blend_note(stored: Mapping[str, Any]) -> str:
    """What the card says of the blend, in words."""
    weight = float(stored["weight"])
    if weight == 0.0:
        return f"Trees alone: the purchase model (BG/NBD and Gamma-Gamma) has no part, since {stored[WHY]}."
    return (
        f"A blend: {1.0 - weight:.0%} trees, {weight:.0%} purchase model (BG/NBD and Gamma-Gamma); the weight has the"
        " least Tweedie deviance on the calibration part. Who has not bought yet is answered by the trees alone."
        " MLflow's own flavour of the model holds the trees; the bundle holds both."
    )
