"""Uplift of several arms against one control: T, X, DR and R learners over LightGBM, chosen on rows left out.

With mu_a(x) the expected outcome under arm a, e_a its share among the rows, A the arm and Y the outcome of a row::

    T   mu_a(x) - mu_0(x)
    X   tau_1 fitted to Y - mu_0(x) on the treated, tau_0 to mu_a(x) - Y on the controls, weighted by the shares
        (Künzel and others 2019)
    DR  fitted to mu_a(x) - mu_0(x) + 1(A = a)(Y - mu_a(x)) / e_a - 1(A = 0)(Y - mu_0(x)) / e_0   (Kennedy 2020)
    R   fitted to (Y - m(x)) / (A - e) with weights (A - e)^2, on arm a and the control   (Nie and Wager 2021)

Everything is fitted once per outer fold on the other folds, mu and m by inner folds of those, so that no row is judged
by anything that has met it: cross-fitting the first stage alone lets outcomes of the judged rows into the second. The
judge is the DR loss, the mean squared distance to the DR pseudo-outcome, whose expectation is the uplift itself. The
mean of the four stands as a fifth learner. At the end the chosen one is fitted on all rows, and its uplift is drawn
towards the average effect by the slope that it had on rows left out (best linear predictor, Chernozhukov and others
2018), by at most 95 %, which keeps the order; it is drawn away from it only as far as the slope is above 1 by more than
its standard error.

Rows may count unequally (inverse propensities): then the shares, fits, losses and averages are those of the weighted
population, in which treatment is as good as tossed. Rows of one cluster (a customer) stay on one side of every fold.

How sure the chosen uplift is of one row comes from the same folds: the spread between the models that each left one
fold out (delete-a-group jackknife), the spread between the four learners on rows that they left out, the error of the
average, that of the slope, and how people may differ in ways that the score does not show. No data tell the last. It is
taken to be as much again as the score shows, and what so few rows could not have shown (``hidden_spread``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from foretouch.training.booster import fit_booster
from foretouch.training.task import FloatArray
from foretouch.training.uplift.trial import IntArray, Trial, clustered_se, deal, deal_trial

__all__ = ["LEARNERS", "ArmUplift", "Settings", "Trial", "deal", "fit_uplift", "outcome_models", "pseudo_outcome"]

FOLDS = 4
INNER_FOLDS = 3
MIN_SLOPE, MAX_SLOPE = 0.05, 1.5
ROUNDS: Final = (10, 20, 40, 80, 160)
"""Numbers of second-stage trees that are tried; the outcome models stop early on their own inner folds."""
OUTCOME_ROUNDS = 400
Z: Final = 1.959964
"""Standard deviations of a normal 95 % interval."""
PATIENCE = 30
LEARNERS: Final = ("t", "x", "dr", "r")
STAGES: Final = ("x_treated", "x_control", "dr", "r")
MEAN: Final = "mean"


Predict = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, kw_only=True)
class ArmUplift:
    """The chosen learner of one arm.

    Attributes:
        learner: Its name: t, x, dr, r or mean.
        losses: DR loss on rows left out by learner, less that of the constant average effect: below 0 is better than
            treating everyone alike.
        average: Average effect over all rows (DR, cross-fitted).
        average_se: Its standard error.
        slope: Of the pseudo-outcome on the uplift of rows left out: 1 is calibrated, 0 is noise.
        slope_se: Its standard error.
        hidden_sd: How people of one score may differ, as a standard deviation.
        rounds: Second-stage trees by stage.
        out_of_fold: Uplift of the training rows by models that have not met them, shape (n,).
        se: Standard error of the uplift of each training row, shape (n,).
        expected_treated: Outcome of each training row under the arm, by models that have not met it, shape (n,).
        pseudo: DR pseudo-outcome of each training row, shape (n,).
        predict: From encoded inputs to uplift, shape (n,).
    """

    learner: str
    losses: Mapping[str, float]
    average: float
    average_se: float
    slope: float
    slope_se: float
    hidden_sd: float
    rounds: Mapping[str, int]
    out_of_fold: FloatArray
    se: FloatArray
    expected_treated: FloatArray
    pseudo: FloatArray
    predict: Predict


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of the trees.

    Attributes:
        outcome: LightGBM parameters of the outcome models.
        effect: LightGBM parameters of the second stage.
        seed: Of every draw.
        threads: Of LightGBM.
    """

    outcome: Mapping[str, Any]
    effect: Mapping[str, Any]
    seed: int = 0
    threads: int = 1

    @classmethod
    def of(cls, rows: int, *, seed: int = 0, threads: int = 1) -> "Settings":
        """Shallow trees whose leaves hold a hundredth of the rows, at least 50."""
        leaf = max(rows // 100, 50)
        shared = {"bagging_freq": 1, "bagging_fraction": 0.7, "feature_fraction": 0.7, "max_bin": 63, "lambda_l2": 10.0}
        return cls(
            outcome={**shared, "learning_rate": 0.05, "num_leaves": 8, "min_data_in_leaf": leaf},
            effect={**shared, "learning_rate": 0.03, "num_leaves": 4, "min_data_in_leaf": leaf},
            seed=seed,
            threads=threads,
        )


def fit_uplift(trial: Trial, settings: Settings) -> list[ArmUplift]:
    """Fits every learner for every treated arm and chooses one each.

    Returns:
        One result per treated arm, in order.
    """
    fold = deal_trial(trial, FOLDS, seed=settings.seed)
    outer = [_fit_stages(trial, settings, fold != index) for index in range(FOLDS)]
    final = _fit_stages(trial, settings, np.ones(len(fold), dtype=bool))
    return [_choose(trial, fold, arm, outer, final) for arm in range(1, trial.arms + 1)]


def outcome_models(trial: Trial, settings: Settings) -> list[Predict]:
    """Expected outcome under the control and under every arm, fitted on all rows: each from inputs to shape (n,)."""
    fold = deal_trial(trial, INNER_FOLDS, seed=settings.seed)
    return [_outcome_model(trial, settings, fold, trial.arm == arm)[1] for arm in range(trial.arms + 1)]


@dataclass(frozen=True, kw_only=True)
class _Stages:
    """Both stages, fitted on some rows.

    Attributes:
        outcome: By arm, its expected outcome.
        second: By (arm, stage), LightGBM's model of the effect, of ``ROUNDS[-1]`` trees.
    """

    outcome: Mapping[int, Predict]
    second: Mapping[tuple[int, str], Any]

    def effects(self, arm: int, share: float, matrix: FloatArray, rounds: Mapping[str, int]) -> dict[str, FloatArray]:
        """Uplift of an arm by learner, shape (n,) each, with so many trees in each second stage."""
        by_stage = {name: _predictor(self.second[arm, name], rounds[name])(matrix) for name in STAGES}
        found = {
            "t": self.outcome[arm](matrix) - self.outcome[0](matrix),
            "x": share * by_stage["x_control"] + (1.0 - share) * by_stage["x_treated"],
            "dr": by_stage["dr"],
            "r": by_stage["r"],
        }
        return found | {MEAN: np.asarray(np.mean([found[name] for name in LEARNERS], axis=0))}


def _fit_stages(trial: Trial, settings: Settings, used: NDArray[np.bool_]) -> _Stages:
    """Fits both stages on the rows ``used``; their first stage is cross-fitted among themselves."""
    part = trial.only(used)
    fold = deal_trial(part, INNER_FOLDS, seed=settings.seed)
    mu, outcome = {}, {}
    for arm in range(part.arms + 1):
        mu[arm], outcome[arm] = _outcome_model(part, settings, fold, part.arm == arm)
    second: dict[tuple[int, str], Any] = {}
    for arm in range(1, part.arms + 1):
        treated, control = part.arm == arm, part.arm == 0
        both, share = treated | control, _share(part, arm)
        expected, _ = _outcome_model(part, settings, fold, both)
        residual = treated - share
        targets = {
            "x_treated": (treated, part.outcome - mu[0], None),
            "x_control": (control, mu[arm] - part.outcome, None),
            "dr": (np.ones(len(both), dtype=bool), pseudo_outcome(part, arm, mu[arm], mu[0]), None),
            "r": (both, (part.outcome - expected) / residual, np.square(residual)),
        }
        for name, (rows, value, own) in targets.items():
            weight = own if part.weight is None else part.weight * (1.0 if own is None else own)
            second[arm, name] = fit_booster(
                part.matrix[rows],
                value[rows],
                inputs=part.inputs,
                parameters={**settings.effect, "objective": "regression", "metric": "l2"},
                rounds=ROUNDS[-1],
                seed=settings.seed,
                threads=settings.threads,
                weight=None if weight is None else weight[rows],
            )
    return _Stages(outcome=outcome, second=second)


def pseudo_outcome(trial: Trial, arm: int, mu_arm: FloatArray, mu_control: FloatArray) -> FloatArray:
    """The DR pseudo-outcome of every row, shape (n,): its expectation given x is the uplift of the arm."""
    treated, control, counts = trial.arm == arm, trial.arm == 0, trial.counts
    return np.asarray(
        mu_arm
        - mu_control
        + treated * (trial.outcome - mu_arm) / np.average(treated, weights=counts)
        - control * (trial.outcome - mu_control) / np.average(control, weights=counts)
    )


def _share(trial: Trial, arm: int) -> float:
    """Share of the arm among its rows and the controls."""
    treated, control = (float(trial.counts[trial.arm == value].sum()) for value in (arm, 0))
    return treated / (treated + control)


def _outcome_model(
    trial: Trial, settings: Settings, fold: IntArray, used: NDArray[np.bool_]
) -> tuple[FloatArray, Predict]:
    """E[Y | x] among the rows ``used``: for every row by models that have not seen its fold, and for other rows."""
    parameters = {**settings.outcome, "objective": "binary" if trial.binary else "regression"}
    parameters["metric"] = "binary_logloss" if trial.binary else "l2"
    predicted = np.empty(len(fold))
    models: list[Predict] = []
    for index in range(int(fold.max()) + 1):
        rows, held = used & (fold != index), used & (fold == index)
        if trial.outcome[rows].min() == trial.outcome[rows].max():
            models.append(_constant(float(trial.outcome[rows].mean())))
        else:
            booster = fit_booster(
                trial.matrix[rows],
                trial.outcome[rows],
                inputs=trial.inputs,
                parameters=parameters,
                rounds=OUTCOME_ROUNDS,
                seed=settings.seed,
                threads=settings.threads,
                weight=None if trial.weight is None else trial.weight[rows],
                valid=(trial.matrix[held], trial.outcome[held]),
                patience=PATIENCE,
            )
            models.append(_predictor(booster, booster.best_iteration))
        predicted[fold == index] = models[-1](trial.matrix[fold == index])
    return predicted, _mean_of(models)


def _choose(trial: Trial, fold: IntArray, arm: int, outer: Sequence[_Stages], final: _Stages) -> ArmUplift:
    """Judges every learner on the rows that each outer fit left out."""
    share = _share(trial, arm)
    mu = {group: np.empty(len(fold)) for group in (arm, 0)}
    staged = {(name, count): np.empty(len(fold)) for name in STAGES for count in ROUNDS}
    for index, stages in enumerate(outer):
        held = fold == index
        rows = trial.matrix[held]
        for group, values in mu.items():
            values[held] = stages.outcome[group](rows)
        for (name, count), values in staged.items():
            values[held] = _predictor(stages.second[arm, name], count)(rows)
    pseudo, counts = pseudo_outcome(trial, arm, mu[arm], mu[0]), trial.counts

    def judge(tau: FloatArray) -> float:
        return float(np.average(np.square(pseudo - tau), weights=counts))

    rounds = {name: min(ROUNDS, key=lambda count: (judge(staged[name, count]), count)) for name in STAGES}
    found: dict[str, FloatArray] = {name: np.empty(len(fold)) for name in (*LEARNERS, MEAN)}
    left_out: list[dict[str, FloatArray]] = []
    for index, stages in enumerate(outer):
        left_out.append(stages.effects(arm, share, trial.matrix, rounds))
        for name, values in left_out[-1].items():
            found[name][fold == index] = values[fold == index]
    reference = judge(_out_of_fold_average(pseudo, counts, fold))
    losses = {name: judge(tau) - reference for name, tau in found.items()}
    best = min(losses, key=lambda name: (losses[name], name))
    average, middle = float(np.average(pseudo, weights=counts)), float(np.average(found[best], weights=counts))
    slope, slope_se = _slope(found[best], pseudo, trial)
    average_se = clustered_se(pseudo - average, trial)
    kept = float(np.clip(slope, MIN_SLOPE, max(1.0, min(slope - slope_se, MAX_SLOPE))))
    groups = np.array([values[best] for values in left_out])
    apart = kept**2 * (len(groups) - 1.0) * groups.var(axis=0)
    apart += np.var([found[name] - np.average(found[name], weights=counts) for name in LEARNERS], axis=0)
    hidden = hidden_spread(kept * float(np.sqrt(np.cov(found[best], aweights=counts))), average_se)
    se = np.sqrt(average_se**2 + apart + np.square(slope_se * (found[best] - middle)) + hidden**2)

    def predict(matrix: FloatArray) -> FloatArray:
        return average + kept * (final.effects(arm, share, matrix, rounds)[best] - middle)

    return ArmUplift(
        learner=best,
        losses=losses,
        average=average,
        average_se=average_se,
        slope=slope,
        slope_se=slope_se,
        hidden_sd=hidden,
        rounds=rounds,
        out_of_fold=average + kept * (found[best] - middle),
        se=se,
        expected_treated=mu[arm],
        pseudo=pseudo,
        predict=predict,
    )


def _slope(tau: FloatArray, pseudo: FloatArray, trial: Trial) -> tuple[float, float]:
    """Least-squares slope of the pseudo-outcome on the uplift, and its robust error; 0 where everyone has the same."""
    counts = trial.counts
    deviation = tau - np.average(tau, weights=counts)
    spread = float(np.average(np.square(deviation), weights=counts))
    if spread <= 0.0:
        return 0.0, 0.0
    centred = pseudo - np.average(pseudo, weights=counts)
    slope = float(np.average(deviation * centred, weights=counts)) / spread
    return slope, clustered_se(deviation * (centred - slope * deviation), trial) / spread


def hidden_spread(shown: float, average_se: float) -> float:
    """How people of one score may differ, as a standard deviation.

    Args:
        shown: Standard deviation of the corrected score among people: what they differ in and a model shows. On planted
            truths it is about half of all that there is, so as much again is taken to be hidden.
        average_se: Of the average effect. A difference between halves of the people has twice that error: people
            could differ by 1.96 such errors either way, and the rows would not show it.
    """
    return float(np.hypot(shown, Z * average_se))


def _out_of_fold_average(pseudo: FloatArray, counts: FloatArray, fold: IntArray) -> FloatArray:
    total, count = np.bincount(fold, weights=pseudo * counts), np.bincount(fold, weights=counts)
    return np.asarray(((total.sum() - total) / (count.sum() - count))[fold])


def _predictor(booster: Any, rounds: int) -> Predict:
    def predict(matrix: FloatArray) -> FloatArray:
        return np.asarray(booster.predict(matrix, num_iteration=rounds, num_threads=1), dtype=np.float64)

    return predict


def _constant(value: float) -> Predict:
    return lambda matrix: np.full(len(matrix), value)


def _mean_of(models: Sequence[Predict]) -> Predict:
    return lambda matrix: np.asarray(np.mean([model(matrix) for model in models], axis=0))
