"""Value: expected revenue of a customer within the window.

The baseline is the expectation under BG/NBD and Gamma-Gamma. Both sides estimate a mean, and neither is fitted to the
absolute error, so mean absolute error compares them fairly and is what the model is chosen by, with the order of
customers (Spearman, normalised Gini) beside it. Squared error stands beside without a say: a handful of customers with
the largest spend decide it, and its interval is as wide as they are few.

The model itself is a blend of trees and of that purchase model, fitted on the rows that the trees saw and weighed on
rows kept apart (``purchase_part``). The baseline is fitted anew at each later snapshot: it knows more than the blend's
part does. The trees alone stand beside the blend without a say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from foretouch.core.models import ModelName
from foretouch.core.workspace import Workspace
from foretouch.serving.models.purchase_blend import PURCHASE_MODEL, PurchaseBlend
from foretouch.training.booster import golden_rows, predict_text
from foretouch.training.calibration import amount_intervals, apply, bands, scale_amount
from foretouch.training.data import encode
from foretouch.training.evaluation import compare
from foretouch.training.metrics import GINI, MAE, RMSE, SPEARMAN, amount_figures
from foretouch.training.probability import score_rows
from foretouch.training.purchase_part import blend_note, blended, history_inputs, purchase_part
from foretouch.training.purchases import expected_spend
from foretouch.training.support import support_and_rates
from foretouch.training.tabular import fit_trees, inputs_of, load_split, quantile_thresholds
from foretouch.training.targets import value_labels
from foretouch.training.task import Evaluation, Fitted, Split, TrainingRun

BG_NBD_GAMMA_GAMMA, TREES_ALONE = "bg_nbd_gamma_gamma", "trees_alone"
POWER = 1.3
"""Of Tweedie's variance, where the search space names none."""
BANDS = {"low": 1.0, "medium": 0.5, "high": 0.2}


@dataclass(frozen=True)
class ValueTask:
    """The value model."""

    name: ModelName = "value"

    def goal(self, workspace: Workspace) -> Mapping[str, Any]:
        """Revenue within the window, of every known customer."""
        goal = workspace.config.goals.value
        return {
            "what": f"revenue of {goal.value_event} within {goal.window_days:g} days",
            "among": "every known customer",
            "currency": workspace.config.workspace.currency,
            "margin": f"revenue x {goal.margin_rate:g}",
            **goal.model_dump(mode="json"),
        }

    def load(self, run: TrainingRun) -> Split:
        """Weekly snapshots of every known customer."""
        goal = run.workspace.config.goals.value
        return load_split(
            run,
            "value",
            event=goal.value_event,
            window_days=goal.window_days,
            labeller=partial(value_labels, goal=goal),
        )

    def fit(self, run: TrainingRun, split: Split) -> Fitted:
        """Trees and a purchase model, a calibrating factor where one is called for, bands low, medium, high."""
        config, seen = run.workspace.config, inputs_of(run, split, "value")
        unseen = history_inputs(split.fit.frame, seen) if seen else ()
        trees = fit_trees(run, split, "value", inputs=seen, unseen=unseen)
        matrix = encode(split.calibrate.frame, trees.inputs)
        purchases = purchase_part(
            config,
            split.fit,
            split.calibrate,
            inputs=trees.inputs,
            unseen=unseen,
            trees=predict_text(trees.text, matrix),
            power=float(trees.parameters.get("tweedie_variance_power", POWER)),
        )
        predict = partial(blended, trees.text, trees.inputs, purchases)
        raw = predict(matrix)
        calibration = scale_amount(raw, split.calibrate.label, split.calibrate.customer_id, seed=run.seed)
        score = apply(calibration, raw)
        return Fitted(
            target="amount",
            inputs=trees.inputs,
            model_text=trees.text,
            golden=golden_rows(trees.text, matrix, calibration, predict=predict),
            data_sha256=trees.data_sha256,
            calibration=calibration,
            intervals=amount_intervals(score, split.calibrate.label),
            bands=bands(list(BANDS), quantile_thresholds(score, list(BANDS.values())[1:])),
            parameters={**trees.parameters, "purchase_weight": purchases[PURCHASE_MODEL]["weight"]},
            extras={
                **purchases,
                "percentiles": [float(value) for value in np.quantile(score, np.linspace(0.0, 1.0, 101))],
                "band_shares": dict(BANDS),
                "margin_rate": config.goals.value.margin_rate,
                **support_and_rates(split.fit, split.calibrate, trees.inputs, amount=True),
            },
            notes=(
                "The score is revenue, not margin; margin = revenue x margin_rate.",
                "Intervals: where the revenue of four in five customers with such a score falls (80 %).",
                "Bands: high is the score that 20 % of the calibration rows reach, medium 50 %.",
                blend_note(purchases[PURCHASE_MODEL]),
            ),
        )

    def evaluate(self, run: TrainingRun, split: Split, fitted: Fitted) -> Evaluation:
        """Beside BG/NBD x Gamma-Gamma."""
        goal = run.workspace.config.goals.value
        test = split.test
        score = score_rows(fitted, test)
        alone = apply(fitted.calibration, predict_text(fitted.model_text, encode(test.frame, fitted.inputs)))
        expected = expected_spend(run.workspace, goal.value_event, test.frame, window_days=goal.window_days)
        sides = {BG_NBD_GAMMA_GAMMA: expected}
        if PurchaseBlend.of(fitted.inputs, fitted.extras) is not None:
            sides[TREES_ALONE] = alone
        return Evaluation(
            primary=MAE.name,
            metrics=amount_figures(test.label, score),
            baselines={name: amount_figures(test.label, theirs) for name, theirs in sides.items()},
            comparisons=tuple(
                compare(
                    metric,
                    label=test.label,
                    model=score,
                    reference=theirs,
                    cluster=test.customer_id,
                    baseline=name,
                    seed=run.seed,
                    decisive=name == BG_NBD_GAMMA_GAMMA and metric is not RMSE,
                )
                for name, theirs in sides.items()
                for metric in (MAE, SPEARMAN, GINI, RMSE)
            ),
            label=test.label,
            scores={"model": score, **sides},
        )


TASK = ValueTask()
