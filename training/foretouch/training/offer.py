"""Offer: the probability that a customer accepts an offer that is sent to them.

It is learnt from past sends, so it says who accepts *when sent*; how much of that the sending caused (uplift) is not
identified where campaigns were targeted, and the card says so.

The trees are chosen on the calibrate part and then fitted again on fit and calibrate together, because accepted sends
are few; the calibration comes from five folds by customer of those rows, each scored by trees that did not see them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.bundle import Band, Calibration, ModelInput
from foretouch.core.columns import CUSTOMER_ID, OFFER_ID
from foretouch.core.models import ModelName
from foretouch.core.rng import bucket
from foretouch.core.workspace import Workspace
from foretouch.features.catalogue import model_features
from foretouch.features.crosses import CATEGORY_FEATURES, CROSS_FEATURES, OFFER_FEATURES
from foretouch.training.associations import associate
from foretouch.training.booster import fit_booster, golden_rows, model_text, predict_text
from foretouch.training.calibration import apply, bands, calibrate_probability, probability_intervals
from foretouch.training.data import category_input, dataset_hash, encode, joined_weights
from foretouch.training.ensemble import MEMBERS, fit_members, predict_members, spread, with_members
from foretouch.training.evaluation import compare
from foretouch.training.log.contacts import read_contacts
from foretouch.training.metrics import AUC, AVERAGE_PRECISION, LOG_LOSS, PROBABILITY_METRICS, expected_calibration_error
from foretouch.training.offer_evidence import by_offer
from foretouch.training.offer_levels import Levels
from foretouch.training.offer_ranking import compare_rankings, popularity, rank
from foretouch.training.sends import CLOSES_AT, LABEL, category_rates, split_sends
from foretouch.training.task import Dataset, Evaluation, Fitted, FloatArray, Split, TrainingRun
from foretouch.training.tuning import Attempt, read_space, tune

BASELINE = "category_base_rate"
POPULARITY, ASSOCIATIONS = "popularity", "association_rules"
"""Orders that the model's is compared with."""
ROUNDS = 600
PATIENCE = 50
OFFER_CONTACTS, CATEGORY_CONTACTS = "offer_contacts", "category_contacts"
"""Extras by which serving tells whether the model knows an offer."""
FOLDS = 5
ONE_THREAD_ROWS = 50_000
"""Below this many rows a second thread waits more than it works: on a busy machine it made training 20 times slower."""
MIN_OFFERS = 20
"""With fewer offers in the fit rows, numbers of an offer only name it; its category and the crosses are used alone."""
SINCE_THE_BEGINNING = ("tenure_days", "first_purchase_days", "purchases_total", "monetary_total", "goal_total")
"""Customer features that grow with the length of the data: on a short history they tell the campaign's date."""
UPLIFT_TARGETED = (
    "not identified: past campaigns were targeted, and no selection probability is on record, so who would have"
    " accepted without being sent anything is not known"
)
UPLIFT_UNTREATED = (
    "not identified by this model: it is learnt from sends alone, and holds no occasion without a contact"
)


class OfferTask:
    """Rows are past sends; label 1 is acceptance before the offer's end."""

    name: ModelName = "offer"

    def goal(self, workspace: Workspace) -> Mapping[str, Any]:
        """Acceptance by category, and when a label closes."""
        goal = workspace.config.goals.offer
        return {
            "acceptance": dict(goal.acceptance),
            "window": "until the offer ends",
            "window_days_without_end": goal.window_days,
            "scope": "customers who were sent the offer",
        }

    def load(self, run: TrainingRun) -> Split:
        """Closed sends, past and logged, with the features of their moment, cut by time: campaigns follow each other.

        Raises:
            DataError: Too few closed sends or acceptances in a part.
        """
        contacts = read_contacts(run)
        sends, frame = contacts.sends, contacts.frame
        parts = split_sends(sends)
        run.say(f"offer: {len(sends)} closed sends of {sends[OFFER_ID].nunique()} offers")
        label, weight = sends[LABEL].to_numpy(dtype=np.float64), contacts.weight
        cut = {
            name: Dataset(
                frame=frame[mask].reset_index(drop=True),
                label=label[mask],
                weight=None if weight is None else weight[mask],
            )
            for name, mask in (("fit", parts.fit), ("calibrate", parts.calibrate), ("test", parts.test))
        }
        closing, used = pd.to_datetime(sends[CLOSES_AT], utc=True), parts.fit | parts.calibrate | parts.test
        closes = closing[parts.fit | parts.calibrate].max()
        return Split(
            **cut,
            trained_through=closes.to_pydatetime(),
            newest_through=closing[used].max().to_pydatetime(),
            description={
                **{name: _describe(part) for name, part in cut.items()},
                "left_out_open_across_a_cut": int((~used).sum()),
                "fit_and_calibrate_apart_by": "campaign: every label closed before the next part's first send",
                **contacts.description,
            },
        )

    def fit(self, run: TrainingRun, split: Split) -> Fitted:
        """Tunes on calibrate, fits again on both parts, calibrates across customers."""
        inputs = offer_inputs(run.workspace, split.fit.frame)
        threads = run.threads if len(split.fit) + len(split.calibrate) > ONE_THREAD_ROWS else 1
        space = read_space(self.name)
        digest = dataset_hash(split.fit, split.calibrate, inputs=inputs)
        first, second = encode(split.fit.frame, inputs), encode(split.calibrate.frame, inputs)

        def objective(attempt: Attempt) -> float:
            booster = fit_booster(
                first,
                split.fit.label,
                inputs=inputs,
                parameters=attempt.parameters,
                rounds=ROUNDS,
                seed=run.seed,
                threads=threads,
                valid=(second, split.calibrate.label),
                patience=PATIENCE,
                report=attempt.report,
                weight=split.fit.weight,
            )
            attempt.notes["rounds"] = int(booster.best_iteration)
            return float(booster.best_score["valid_0"]["binary_logloss"])

        tuned = tune(objective, run=run, model=self.name, space=space, data_sha256=digest)
        matrix = np.concatenate([first, second])
        label = np.concatenate([split.fit.label, split.calibrate.label])
        own = joined_weights(split.fit, split.calibrate)
        cluster = np.concatenate([split.fit.customer_id, split.calibrate.customer_id])
        rounds = max(int(tuned.notes["rounds"]), 1)

        def trees(rows: NDArray[np.bool_], weight: FloatArray | None = None, seed: int = run.seed) -> str:
            return model_text(
                fit_booster(
                    matrix[rows],
                    label[rows],
                    inputs=inputs,
                    parameters=tuned.parameters,
                    rounds=rounds,
                    seed=seed,
                    threads=threads,
                    weight=weight if own is None else own[rows] * (1.0 if weight is None else weight),
                )
            )

        fold = np.array([int(bucket("offer-folds", str(customer)) * FOLDS) for customer in cluster])
        unseen = np.empty(len(label))
        for index in np.unique(fold):
            unseen[fold == index] = predict_text(trees(fold != index), matrix[fold == index])
        frame = pd.concat([split.fit.frame, split.calibrate.frame], ignore_index=True)
        levels = Levels.fit(unseen, label, frame, fold, weight=own)
        if levels.tell_apart:
            run.say(f"offer: {len(levels.shifts.offers)} offers have levels of their own")
            unseen = levels.unseen
            inputs = (*inputs, levels.column)
            matrix = np.column_stack([matrix, np.full(len(label), np.nan)])  # the trees see what an offer is like
        calibration = calibrate_probability(unseen, label, cluster)
        every = np.ones(len(label), dtype=bool)
        text = levels.added_to(trees(every), inputs)
        run.say(f"offer: {MEMBERS} bootstrap members")
        members = fit_members(
            lambda weight, seed: levels.added_to(trees(every, weight, seed), inputs, draw=seed), cluster, seed=run.seed
        )
        matrix = encode(frame, inputs)
        randomised = bool(frame["randomised"].astype(bool).all())
        return Fitted(
            target="probability",
            inputs=inputs,
            model_text=text,
            golden=with_members(golden_rows(text, matrix, calibration), members),
            members_text=members,
            data_sha256=digest,
            calibration=calibration,
            intervals=probability_intervals(apply(calibration, unseen), label, cluster=cluster),
            bands=_bands(calibration, unseen),
            parameters={**tuned.parameters, "rounds": rounds, "trials": tuned.trials, "pruned": tuned.pruned},
            extras={
                "category_rates": category_rates(frame["offer_category"], label),
                OFFER_CONTACTS: _counts(frame[OFFER_ID]),
                CATEGORY_CONTACTS: _counts(frame["offer_category"]),
                **levels.extras(),
                "uplift": None,
                "uplift_reason": UPLIFT_UNTREATED if randomised else UPLIFT_TARGETED,
            },
            notes=(
                "Propensity is acceptance by customers who were sent the offer, before the offer ends.",
                "Uplift is " + (UPLIFT_UNTREATED if randomised else UPLIFT_TARGETED) + ".",
                "Trees chosen on calibrate, then fitted on fit and calibrate together; calibrated on customer folds.",
                f"{MEMBERS} bootstrap members for Thompson sampling: fitted on other weights of the same customers.",
                levels.note,
            ),
        )

    def evaluate(self, run: TrainingRun, split: Split, fitted: Fitted) -> Evaluation:
        """Later campaigns, beside the base rate of the offer's category in the rows the model was fitted on."""
        label, frame = split.test.label, split.test.frame
        score = apply(fitted.calibration, predict_text(fitted.model_text, encode(frame, fitted.inputs)))
        rates: Mapping[str, float] = fitted.extras["category_rates"]
        names = frame["offer_category"].astype(object).fillna("").astype(str)
        base = np.array([rates.get(name, rates["*"]) for name in names], dtype=np.float64)
        comparisons = [
            compare(
                metric,
                label=label,
                model=score,
                reference=base,
                cluster=split.test.customer_id,
                baseline=BASELINE,
                seed=run.seed,
            )
            for metric in (LOG_LOSS, AUC, AVERAGE_PRECISION)
        ]
        comparisons.append(
            compare(
                LOG_LOSS,
                label=label,
                model=score,
                reference=base,
                cluster=frame[OFFER_ID].to_numpy(dtype=object),
                baseline=BASELINE,
                seed=run.seed,
                cluster_name=OFFER_ID,
                decisive=False,
            )
        )
        orders = {name: rank(frame, label, each) for name, each in _simple_orders(split).items()}
        ours = rank(frame, label, score)
        comparisons += compare_rankings(ours, orders, seed=run.seed)
        return Evaluation(
            primary="log_loss",
            metrics={**_figures(label, score), **ours.figures, "member_spread": _member_spread(fitted, frame)},
            baselines={BASELINE: _figures(label, base), **{name: order.figures for name, order in orders.items()}},
            comparisons=tuple(comparisons),
            notes=(f"Order per customer (ndcg, hit_rate_1): of {len(ours.customers)} who accepted some later sends.",),
            extras={
                "offers_later": by_offer(
                    label, score, offer=frame[OFFER_ID].astype(str).tolist(), category=names.tolist()
                )
            },
            label=label,
            scores={"model": score, BASELINE: base},
        )


def _simple_orders(split: Split) -> dict[str, FloatArray]:
    """Scores of the test rows by popularity, and by popularity with association rules, from the rows learnt from."""
    known = pd.concat([split.fit.frame, split.calibrate.frame], ignore_index=True)
    label = np.concatenate([split.fit.label, split.calibrate.label])
    popular = popularity(known, label, split.test.frame)
    took = known[label == 1.0].groupby(CUSTOMER_ID)[OFFER_ID].agg(frozenset).to_dict()
    rows = split.test.frame
    before = [took.get(customer, frozenset()) for customer in rows[CUSTOMER_ID]]
    rules = associate(known[[CUSTOMER_ID, OFFER_ID]].assign(label=label))
    associated = np.log(np.maximum(popular, 1e-9)) + rules.score(before, rows[OFFER_ID].astype(str).tolist())
    return {POPULARITY: popular, ASSOCIATIONS: associated}


def offer_inputs(workspace: Workspace, frame: pd.DataFrame) -> tuple[ModelInput, ...]:
    """The model's columns: the service's customer features, then the offer's and the crosses.

    Left out are features that grow with the length of the data, those without two values in the fit rows, and numbers
    of the offer where there are fewer than ``MIN_OFFERS`` offers.

    Args:
        workspace: Whose configuration names the features.
        frame: The fit rows.
    """
    wanted = [
        (spec.name, spec.view, spec.kind)
        for spec in model_features("offer", workspace.config)
        if spec.kind != "array" and spec.name not in SINCE_THE_BEGINNING
    ]
    many = frame[OFFER_ID].nunique() >= MIN_OFFERS
    offered = [name for name in OFFER_FEATURES if many or name in CATEGORY_FEATURES]
    wanted += [
        (name, "cross", "category" if name in CATEGORY_FEATURES else "number") for name in (*offered, *CROSS_FEATURES)
    ]
    inputs = []
    for name, view, kind in wanted:
        if name not in frame.columns or frame[name].nunique(dropna=False) < 2:
            continue
        inputs.append(
            category_input(name, view, frame[name]) if kind == "category" else ModelInput(name=name, view=view)
        )
    return tuple(inputs)


def _bands(calibration: Calibration, unseen: FloatArray) -> tuple[Band, ...]:
    """Low, medium and high: the lower half, the next three tenths and the top fifth of the sends learnt from."""
    medium, high = np.quantile(apply(calibration, unseen), [0.5, 0.8])
    return bands(("low", "medium", "high"), (float(medium), float(high)))


def _counts(names: "pd.Series[str]") -> dict[str, int]:
    """Rows by name: the contacts that the model was trained on."""
    counted = names.astype(object).fillna("").astype(str).value_counts()
    return {str(name): int(rows) for name, rows in sorted(counted.items())}


def _member_spread(fitted: Fitted, frame: pd.DataFrame) -> float:
    """Mean standard deviation of the members' log-odds on later rows."""
    raw = predict_members(fitted.members_text, encode(frame, fitted.inputs))
    return spread(np.array([apply(fitted.calibration, member) for member in raw]))


def _figures(label: FloatArray, score: FloatArray) -> dict[str, float]:
    figures = {metric.name: metric(label, score) for metric in PROBABILITY_METRICS}
    return {**figures, "ece_equal_mass_10": expected_calibration_error(label, score)}


def _describe(part: Dataset) -> str:
    return (
        f"{part.as_of.min().date()} to {part.as_of.max().date()}, {part.frame[OFFER_ID].nunique()} offers,"
        f" {len(part)} sends, {part.frame[CUSTOMER_ID].nunique()} customers, {part.label.mean():.2%} accepted"
    )


TASK = OfferTask()
