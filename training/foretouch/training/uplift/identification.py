"""Whether the effect of a contact can be told from a log at all: randomised controls, overlap, balance.

Identified means: for contacts and controls alike, the probability of what was done is on record and lies strictly
between 0 and 1 (a holdout's share, a policy's own draw), in the same weeks. Where contacts and controls were told apart
otherwise, whatever is measured may be the targeting: the model is then kept as a description, its card says
``identified: false``, and no decision is given an uplift.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from foretouch.core.errors import ForetouchError
from foretouch.training.booster import fit_booster
from foretouch.training.metrics import AUC
from foretouch.training.task import FloatArray
from foretouch.training.uplift.trial import Trial, deal_trial

MIN_EFFECTIVE = 100.0
"""Least effective rows of contacts and of controls."""
OVERLAP_AUC = 0.95
"""From here on, what was known beforehand tells contacts from controls: there is nobody to compare."""
BALANCE_AUC = 0.65
"""Randomised arms that differ more than this were not dealt by the probabilities on record."""
_FOLDS, _ROUNDS = 3, 40


class NotIdentifiedError(ForetouchError):
    """The log cannot tell the effect of a contact."""

    code = "uplift_not_identified"


@dataclass(frozen=True, kw_only=True)
class Identification:
    """What can be said.

    Attributes:
        identified: Whether differences are effects.
        reason: Why they are not; empty if they are.
        figures: Diagnostics by name, for the card.
        notes: In words, for the card.
    """

    identified: bool
    reason: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def identify(trial: Trial, *, randomised: "np.ndarray[tuple[int], np.dtype[np.bool_]]", seed: int) -> Identification:
    """Judges a comparison of contacts (arm 1) with controls (arm 0).

    Args:
        trial: Its rows, weighted.
        randomised: Rows whose probability is on record and strictly between 0 and 1, shape (n,).
        seed: Of the folds of the diagnostic.

    Raises:
        NotIdentifiedError: Too few effective rows, or no overlap.
    """
    effective = {
        name: effective_rows(trial.counts[trial.arm == arm]) for name, arm in (("contacts", 1), ("controls", 0))
    }
    for name, rows in effective.items():
        if rows < MIN_EFFECTIVE:
            raise NotIdentifiedError(
                f"uplift is not identified: the {name} weigh as much as {rows:.0f} rows of equal probability,"
                f" need {MIN_EFFECTIVE:.0f}",
                hint="let the experiment run longer, or give its arms and the policy's floor larger shares",
            )
    score = arm_score(trial, seed=seed)
    apart = AUC((trial.arm == 1).astype(np.float64), score)
    apart = max(apart, 1.0 - apart)
    if apart >= OVERLAP_AUC:
        raise NotIdentifiedError(
            f"uplift is not identified: no overlap, what was known beforehand tells contacts from controls"
            f" (AUC {apart:.2f}, 0.5 is a coin, refused from {OVERLAP_AUC:g})",
            hint="hold out customers at random: an experiment with an arm no_contact in experiments/*.toml",
        )
    name, difference = largest_difference(trial)
    figures = {
        "effective_contacts": effective["contacts"],
        "effective_controls": effective["controls"],
        "overlap_auc": apart,
        "largest_standardised_difference": difference,
        "randomised_share": float(randomised.mean()),
    }
    overlap = (
        f"Overlap: contacts are told from controls with AUC {apart:.2f} (0.5 is a coin); the input that differs most is"
        f" {name}, by {difference:+.2f} standard deviations."
    )
    if not randomised.all():
        reason = (
            f"not identified: {1.0 - randomised.mean():.0%} of the rows were chosen without a logged probability"
            " between 0 and 1, so contacts may differ from controls by how they were chosen"
        )
    elif apart > BALANCE_AUC:
        reason = (
            f"not identified: contacts and controls differ in what was known beforehand (AUC {apart:.2f}, at most"
            f" {BALANCE_AUC:g}), so they were not dealt by the probabilities on record"
        )
    else:
        return Identification(identified=True, figures=figures, notes=(overlap,))
    return Identification(
        identified=False, reason=reason, figures=figures, notes=(f"Warning, observational data: {reason}.", overlap)
    )


def effective_rows(weight: FloatArray) -> float:
    """Rows of equal weight with the same variance of a mean: (sum w)^2 / sum w^2 (Kish 1965); 0 for none."""
    return float(weight.sum() ** 2 / np.square(weight).sum()) if len(weight) else 0.0


def arm_score(trial: Trial, *, seed: int) -> FloatArray:
    """Probability of a contact given what was known beforehand, by models that have not met the row, shape (n,)."""
    fold = deal_trial(trial, _FOLDS, seed=seed)
    label, score = (trial.arm == 1).astype(np.float64), np.empty(len(trial.arm))
    parameters = {
        "objective": "binary",
        "metric": "binary_logloss",
        "learning_rate": 0.1,
        "num_leaves": 8,
        "min_data_in_leaf": max(len(label) // 100, 20),
        "lambda_l2": 10.0,
    }
    for index in range(_FOLDS):
        held = fold == index
        booster = fit_booster(
            trial.matrix[~held],
            label[~held],
            inputs=trial.inputs,
            parameters=parameters,
            rounds=_ROUNDS,
            seed=seed,
            threads=1,
            weight=trial.counts[~held],
        )
        score[held] = np.asarray(booster.predict(trial.matrix[held], num_threads=1))
    return score


def largest_difference(trial: Trial) -> tuple[str, float]:
    """The input whose weighted means differ most between arms, in standard deviations (Austin 2009)."""
    found = ("none", 0.0)
    for index, column in enumerate(trial.inputs):
        values, known = trial.matrix[:, index], np.isfinite(trial.matrix[:, index])
        arms = [known & (trial.arm == arm) for arm in (1, 0)]
        if column.kind == "category" or min(int(rows.sum()) for rows in arms) < 2:
            continue
        means = [np.average(values[rows], weights=trial.counts[rows]) for rows in arms]
        spread = float(np.sqrt(np.mean([values[rows].var() for rows in arms])))
        difference = float(means[0] - means[1]) / spread if spread > 0.0 else 0.0
        if abs(difference) > abs(found[1]):
            found = (column.name, difference)
    return found
