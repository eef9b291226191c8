"""Uplift: how much a contact with an offer raises the chance of the goal, learned from the log, over no contact.

Contacts and controls of the decision log become one population of pairs (customer, offer), weighted by the inverse of
logged probabilities, on which contact or no contact is as good as tossed (``balance``, ``pairing``). On it the
learners of ``learners`` are cross-fitted by customer and one is chosen; offers then get a shift of their
own, shrunk where few contacts tell (``shrinkage``). What the service loads is one text of trees fitted to the chosen
learner's own numbers, and it is that text that is judged on later rows (``judge``).

Where the log cannot tell the effect, there is no model (``NotIdentifiedError`` says why). Where contacts and others can
be compared but were not dealt by chance, the card says ``identified: false``, nothing is claimed, nothing is promoted
without being forced, and the service answers null with the reason.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from foretouch.core.bundle import Calibration, ModelInput
from foretouch.core.columns import CUSTOMER_ID
from foretouch.core.models import ModelName
from foretouch.core.workspace import Workspace
from foretouch.serving.models.uplift_shifts import Shifts
from foretouch.training.booster import golden_rows, predict_text
from foretouch.training.data import dataset_hash
from foretouch.training.task import Evaluation, Fitted, Split, TrainingRun
from foretouch.training.uplift.channels import Channels, by_channel, chance_of_channel
from foretouch.training.uplift.identification import identify
from foretouch.training.uplift.judge import BEST_SHARE, judge, net_score
from foretouch.training.uplift.learners import FOLDS, ArmUplift, Settings, fit_uplift
from foretouch.training.uplift.logged import (
    CATEGORY,
    CHANNEL,
    COUNT,
    RANDOMISED,
    TREATED,
    UpliftPart,
    model_inputs,
    read_population,
    split_population,
    trial_of,
)
from foretouch.training.uplift.served import distil, explained, intervals
from foretouch.training.uplift.shrinkage import fit_shifts
from foretouch.training.uplift.trial import Trial

ONE_THREAD_ROWS = 50_000
_MEANING = "Uplift is the chance of the goal with a contact less that without, in the window of the decision"
_PAIRED = "Controls are paired with an offer that contacts like them had"
_PERSON = "The interval of a person is that of people with the same score"
NOTES: Final = (
    f"{_MEANING}; later contacts within the window count with the first.",
    f"{_PAIRED}; offers with few contacts are drawn towards the others.",
    "Features that earlier contacts write (sends, responses) are no inputs: who is held out has none.",
    f"{_PERSON}: spread of the cross-fitted models, error of the average and of the slope, and what it may not show.",
)


class UpliftTask:
    """Rows are decisions, contacted or not; the label is the customer's goal within the window of the decision."""

    name: ModelName = "uplift"

    def goal(self, workspace: Workspace) -> Mapping[str, Any]:
        """What a contact is to raise, and over what."""
        config = workspace.config
        return {
            "goal": dict(config.goals.offer.acceptance),
            "window_days": config.reward.window_days,
            "over": "no contact, for customers whom the rules would let us contact",
            "scope": "customers with a logged decision",
        }

    def load(self, run: TrainingRun) -> Split:
        """Contacts and controls of the log, earlier and later.

        Raises:
            NotIdentifiedError: The log cannot tell the effect of a contact.
            DataError: A part has too few rows.
        """
        population = read_population(run)
        treated = int(population.frame[TREATED].sum())
        run.say(f"uplift: {treated} contacts, {len(population.frame) - treated} controls")
        return split_population(population)

    def fit(self, run: TrainingRun, split: Split) -> Fitted:
        """Cross-fits by customer on the earlier rows, shrinks offers and channels, and makes what the service loads."""
        earlier = [split.fit, split.calibrate]
        inputs = model_inputs(run.workspace, split.fit.frame)
        trial = trial_of(earlier, inputs)
        randomised = np.concatenate([part.frame[RANDOMISED].to_numpy(dtype=bool) for part in earlier])
        found = identify(trial, randomised=randomised, seed=run.seed)
        threads = run.threads if len(trial.arm) > ONE_THREAD_ROWS else 1
        settings = Settings.of(len(trial.arm), seed=run.seed, threads=threads)
        run.say(f"uplift: learners of {len(trial.arm)} rows, {FOLDS} folds of customers")
        arm = fit_uplift(trial, settings)[0]
        own = arm.predict(trial.matrix)
        text = distil(trial.matrix, own, trial.counts, inputs=inputs, seed=run.seed, threads=threads)
        base = predict_text(text, trial.matrix)
        shifts = _shifts(trial, arm, split)
        channels = _channels(trial, arm, split)
        return Fitted(
            target="difference",
            inputs=inputs,
            model_text=text,
            golden=golden_rows(text, trial.matrix, Calibration()),
            data_sha256=_digest(split, inputs),
            intervals=intervals(base, arm.se),
            parameters={
                "learner": arm.learner,
                "folds": FOLDS,
                **{f"rounds_{name}": rounds for name, rounds in arm.rounds.items()},
                **{f"outcome.{name}": value for name, value in settings.outcome.items()},
                **{f"effect.{name}": value for name, value in settings.effect.items()},
            },
            extras={
                "identified": found.identified,
                "uplift_reason": found.reason or None,
                "identification": dict(found.figures),
                "shifts": shifts.extras(),
                "uplift_by_channel": channels.extras(),
                BEST_SHARE: _best_share(split, trial, arm),
                "learner": arm.learner,
                "dr_loss_less_constant": dict(arm.losses),
                "slope_left_out": [arm.slope, arm.slope_se],
                "hidden_sd": arm.hidden_sd,
                "served_share_of_variance": explained(own, base),
            },
            notes=(
                *found.notes,
                *NOTES,
                channels.note,
                f"Learner {arm.learner}: lowest DR loss on customers left out.",
            ),
        )

    def evaluate(self, run: TrainingRun, split: Split, fitted: Fitted) -> Evaluation:
        """Later rows, beside a random order and the order of the response."""
        return judge(run, split, fitted, Shifts.of(fitted.extras["shifts"]))[0]


def _shifts(trial: Trial, arm: ArmUplift, split: Split) -> Shifts:
    """What offers and channels do beyond the model, from the residuals of contacts."""
    treated = trial.arm == 1
    columns = [
        np.concatenate(
            [part.frame[name].astype(object).fillna("").to_numpy(dtype=object) for part in (split.fit, split.calibrate)]
        )
        for name in ("offer_id", CATEGORY, CHANNEL)
    ]
    offer, category, channel = (values[treated] for values in columns)
    return fit_shifts(
        (trial.outcome - arm.expected_treated)[treated],
        trial.counts[treated],
        offer=offer,
        category=category,
        channel=channel,
    )


def _channels(trial: Trial, arm: ArmUplift, split: Split) -> Channels:
    """What the log says of channels beside each other."""
    treated = trial.arm == 1
    frame = pd.concat([part.frame for part in (split.fit, split.calibrate)], ignore_index=True)[treated]
    return by_channel(
        (trial.outcome - arm.expected_treated)[treated],
        trial.counts[treated],
        channel=frame[CHANNEL].astype(object).fillna("").to_numpy(dtype=object),
        chance=chance_of_channel(frame),
        cluster=frame[CUSTOMER_ID].to_numpy(dtype=object),
    )


def _best_share(split: Split, trial: Trial, arm: ArmUplift) -> float:
    """Share of people, by expected money, at which money after costs was largest among the earlier rows.

    Scores are those of models that have not met the row, so that the share is not chosen on what they remember.
    """
    parts = (split.fit, split.calibrate)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    left_out, response = (np.split(values, ends) for values in (arm.out_of_fold, arm.expected_treated))
    expected = np.concatenate([net_score(*item) for item in zip(parts, left_out, response, strict=True)])
    net = np.concatenate([part.net for part in parts if isinstance(part, UpliftPart)])
    order = np.argsort(-expected, kind="stable")
    weight, treated, money = trial.counts[order], trial.arm[order] == 1, net[order]
    gained = np.cumsum(weight * money * treated) - np.cumsum(weight * money * ~treated)
    best = int(np.argmax(gained))
    if gained[best] <= 0.0:
        return 0.0
    return float(np.ceil(100.0 * weight[: best + 1].sum() / weight.sum()) / 100.0)


def _digest(split: Split, inputs: tuple[ModelInput, ...]) -> str:
    """SHA-256 of the rows learned from: ids, times, labels and inputs, and who was contacted at which weight."""
    digest = hashlib.sha256(dataset_hash(split.fit, split.calibrate, inputs=inputs).encode())
    for part in (split.fit, split.calibrate):
        digest.update(np.ascontiguousarray(part.frame[[TREATED, COUNT]].to_numpy(dtype=np.float64)).tobytes())
    return digest.hexdigest()


TASK = UpliftTask()
