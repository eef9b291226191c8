"""The rows of the uplift model, from the decision log: contacts and controls as one population of pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.bundle import ModelInput
from foretouch.core.columns import CUSTOMER_ID, OFFER_ID
from foretouch.core.errors import DataError
from foretouch.core.rng import bucket
from foretouch.core.state.connection import from_micros
from foretouch.core.workspace import Workspace
from foretouch.features.catalogue import CAMPAIGNS, SEND, model_features
from foretouch.features.crosses import CATEGORY_FEATURES, CROSS_FEATURES, OFFER_FEATURES
from foretouch.features.offers import load_catalogue
from foretouch.features.schemas import slug
from foretouch.training.data import category_input, encode
from foretouch.training.log.rows import LoggedRows, logged_rows
from foretouch.training.offer import MIN_OFFERS, SINCE_THE_BEGINNING
from foretouch.training.task import Dataset, FloatArray, Split, TrainingRun
from foretouch.training.uplift.balance import Balanced, balance
from foretouch.training.uplift.identification import NotIdentifiedError
from foretouch.training.uplift.pairing import offer_chances, pair_columns, stand_ins
from foretouch.training.uplift.trial import MIN_ARM_ROWS, Trial

TREATED, COUNT, COST, WORTH = "treated", "count", "contact_cost", "offer_worth"
RANDOMISED, CLOSES_AT, CHANNEL, CATEGORY = "randomised", "closes_at", "channel", "offer_category"
OFFER_COST: Final = "goal_cost"
MAX_ROWS = 120_000
"""More rows than this are thinned by customer, by a hash of the id."""
TEST_FROM: Final = 0.7
"""Share of the rows before the later part."""
CALIBRATE_FROM: Final = 0.75
TEST_CUSTOMERS: Final = 0.4
"""Share of customers judged on, where labels of earlier rows are still open when the later part begins."""
TOLD_BY_THE_ARM: Final = (f"recent_{slug(SEND)}", "response_rate")
"""Features that earlier contacts write: a customer who is held out for good has none, so they would tell the arm."""
NO_CONTROLS_HINT: Final = (
    "hold out some customers at random: an experiment with an arm of kind no_contact in experiments/*.toml"
)


OUTCOMES: Final = ("label", "reward", "goal_value", "revenue", "accepted")
"""Columns of the log that are known only afterwards: none of them stays beside the inputs."""


@dataclass(frozen=True, kw_only=True)
class UpliftPart(Dataset):
    """Rows of contacts and controls.

    Attributes:
        revenue: In the window of the decision, shape (n,).
    """

    revenue: FloatArray

    @property
    def net(self) -> FloatArray:
        """Money after the costs of offer and channel, shape (n,)."""
        treated, worth, cost, sent = (
            self.frame[name].to_numpy(dtype=np.float64) for name in (TREATED, WORTH, OFFER_COST, COST)
        )
        return np.asarray(self.label * (worth - treated * cost) - treated * sent)


@dataclass(frozen=True, kw_only=True)
class Population:
    """Weighted rows of contacts and controls.

    Attributes:
        frame: Index 0…n-1: ``customer_id``, ``as_of``, features of customer, offer and both, and the columns above.
        label: Whether the goal occurred in the window, shape (n,).
        revenue: In the window, shape (n,).
        logged: What was read of the log.
        balanced: How the rows were weighted.
    """

    frame: pd.DataFrame
    label: FloatArray
    revenue: FloatArray
    logged: LoggedRows
    balanced: Balanced


def read_population(run: TrainingRun) -> Population:
    """Rows of the log that the table of kinds gives to uplift, balanced and paired.

    Raises:
        NotIdentifiedError: The log has no controls, or no contacts, that can be compared.
    """
    workspace = run.workspace
    logged = logged_rows(workspace, "uplift")
    frame = logged.frame
    treated = frame[OFFER_ID].notna()
    for name, found, hint in (
        ("decision without a contact that could have made one", int((~treated).sum()), NO_CONTROLS_HINT),
        ("contact that is known to have gone out", int(treated.sum()), "post deliveries to /v1/outcomes"),
    ):
        if found < MIN_ARM_ROWS:
            raise NotIdentifiedError(
                f"uplift is not identified: the log has {found or 'no'} mature {name}, need {MIN_ARM_ROWS}"
                + _touches_said(workspace),
                hint=hint,
            )
    offers = {offer.offer_id: offer for offer in load_catalogue(workspace).offers}
    kept = (~treated | frame[OFFER_ID].isin(list(offers))) & frame["label"].notna()
    frame = _thinned(frame[kept].reset_index(drop=True))
    chances = offer_chances(frame, inputs=customer_inputs(workspace, frame), seed=run.seed)
    balanced = balance(frame, chances.own)
    if not balanced.used.any():
        raise NotIdentifiedError(
            "uplift is not identified: no week of the log has both contacts and controls with a logged probability",
            hint=NO_CONTROLS_HINT,
        )
    rows = frame[balanced.used].reset_index(drop=True)
    weight, week = balanced.weight[balanced.used], balanced.week[balanced.used]
    rows[TREATED] = rows[OFFER_ID].notna().to_numpy(dtype=np.float64)
    pairs = stand_ins(rows, weight, week, chances=chances.only(balanced.used), seed=run.seed)
    rows[[OFFER_ID, CHANNEL]] = pairs
    names = tuple(name for name in (*OFFER_FEATURES, *CROSS_FEATURES) if name not in TOLD_BY_THE_ARM)
    rows = pd.concat([rows, pair_columns(rows, offers, names)], axis=1)
    channels = workspace.config.channels
    rows[COUNT], rows[RANDOMISED] = weight, balanced.randomised[balanced.used]
    rows[COST] = [channels[name].cost if name in channels else 0.0 for name in rows[CHANNEL]]
    rows[WORTH] = [offers[name].value for name in rows[OFFER_ID]]
    rows[OFFER_COST] = [offers[name].cost for name in rows[OFFER_ID]]
    label = rows["label"].to_numpy(dtype=np.float64)
    revenue = np.asarray(rows["revenue"].astype(float).fillna(0.0), dtype=np.float64)
    frame = rows.drop(columns=list(OUTCOMES))
    return Population(frame=frame, label=label, revenue=revenue, logged=logged, balanced=balanced)


def _touches_said(workspace: Workspace) -> str:
    """What ingested touches can and cannot do, where there are some."""
    return "" if not workspace.table("touches").exists() else "; touches say who was sent what, and name no control"


def _thinned(frame: pd.DataFrame) -> pd.DataFrame:
    share = MAX_ROWS / max(len(frame), 1)
    if share >= 1.0:
        return frame
    keep = {name: bucket("training-rows", str(name)) < share for name in pd.unique(frame[CUSTOMER_ID])}
    return frame[frame[CUSTOMER_ID].map(keep).to_numpy(dtype=bool)].reset_index(drop=True)


def customer_inputs(workspace: Workspace, frame: pd.DataFrame) -> tuple[ModelInput, ...]:
    """The customer's columns: those of the service that no earlier contact writes, and that are not constant."""
    found = []
    for spec in model_features("uplift", workspace.config):
        if spec.view == CAMPAIGNS or spec.kind == "array" or spec.name in {*TOLD_BY_THE_ARM, *SINCE_THE_BEGINNING}:
            continue
        if spec.name not in frame.columns or frame[spec.name].nunique(dropna=False) < 2:
            continue
        found.append(
            category_input(spec.name, spec.view, frame[spec.name])
            if spec.kind == "category"
            else ModelInput(name=spec.name, view=spec.view)
        )
    return tuple(found)


def model_inputs(workspace: Workspace, frame: pd.DataFrame) -> tuple[ModelInput, ...]:
    """Columns of customer, offer and both; numbers of an offer only where there are enough offers to learn from."""
    many = frame[OFFER_ID].nunique() >= MIN_OFFERS
    found = list(customer_inputs(workspace, frame))
    for name in (*OFFER_FEATURES, *CROSS_FEATURES):
        unfit = name in TOLD_BY_THE_ARM or (name in OFFER_FEATURES and name not in CATEGORY_FEATURES and not many)
        if unfit or frame[name].nunique(dropna=False) < 2:
            continue
        found.append(
            category_input(name, "cross", frame[name])
            if name in CATEGORY_FEATURES
            else ModelInput(name=name, view="cross")
        )
    if not found:
        raise DataError("no feature has two values among the logged rows", hint="foretouch features build")
    return tuple(found)


def trial_of(parts: Sequence[Dataset], inputs: tuple[ModelInput, ...]) -> Trial:
    """Some parts of the data as one comparison."""
    frames = [part.frame for part in parts]
    return Trial(
        matrix=np.concatenate([encode(frame, inputs) for frame in frames]),
        inputs=inputs,
        arm=np.concatenate([frame[TREATED].to_numpy(dtype=np.int64) for frame in frames]),
        outcome=np.concatenate([part.label for part in parts]),
        weight=np.concatenate([frame[COUNT].to_numpy(dtype=np.float64) for frame in frames]),
        cluster=np.concatenate([part.customer_id for part in parts]),
    )


def split_population(population: Population) -> Split:
    """Cuts by time: the later part is judged on; no label of an earlier row is open when it begins.

    Where labels stay open too long for that, the parts hold different customers besides.

    Raises:
        DataError: A part has too few contacts or controls.
    """
    frame, label = population.frame, population.label
    as_of, closes = (_micros(frame[name]) for name in ("as_of", CLOSES_AT))
    cut = _quantile(as_of, TEST_FROM)
    later = as_of >= cut
    closed = (closes <= cut) & ~later
    apart_by = "time"
    if closed.sum() < (~later).sum() / 2:
        apart_by = "time and customer"
        judged = frame[CUSTOMER_ID].map(lambda name: bucket("uplift-test", str(name)) < TEST_CUSTOMERS)
        mine = judged.to_numpy(dtype=bool)
        closed, later = ~later & ~mine, later & mine
    early = closed & (as_of < (_quantile(as_of[closed], CALIBRATE_FROM) if closed.any() else cut))
    parts = {"fit": early, "calibrate": closed & ~early, "test": later}
    for name, rows in (("earlier", closed), ("later", later)):
        for side, arm in (("contacts", 1.0), ("controls", 0.0)):
            found = int((frame[TREATED].to_numpy()[rows] == arm).sum())
            if found < MIN_ARM_ROWS:
                raise DataError(
                    f"the {name} part of the log has {found} mature {side}, need {MIN_ARM_ROWS}",
                    hint="let the experiment run longer",
                )
    cut_parts = {
        name: UpliftPart(frame=frame[rows].reset_index(drop=True), label=label[rows], revenue=population.revenue[rows])
        for name, rows in parts.items()
    }
    return Split(
        fit=cut_parts["fit"],
        calibrate=cut_parts["calibrate"],
        test=cut_parts["test"],
        trained_through=from_micros(int(closes[closed].max())),
        description={**{name: _described(part) for name, part in cut_parts.items()}, **_facts(population, apart_by)},
    )


def _micros(times: "pd.Series[pd.Timestamp]") -> NDArray[np.int64]:
    return np.asarray(pd.to_datetime(times, utc=True).dt.as_unit("us").astype("int64"), dtype=np.int64)


def _quantile(times: NDArray[np.int64], share: float) -> int:
    return int(np.sort(times)[int(share * (len(times) - 1))])


def _described(part: Dataset) -> str:
    treated = part.frame[TREATED].to_numpy() == 1.0
    rates = [part.label[rows].mean() if rows.any() else float("nan") for rows in (treated, ~treated)]
    return (
        f"{part.as_of.min().date()} to {part.as_of.max().date()}, {int(treated.sum())} contacts ({rates[0]:.2%} reached"
        f" the goal), {int((~treated).sum())} controls ({rates[1]:.2%}), {part.frame[CUSTOMER_ID].nunique()} customers,"
        f" {part.frame[OFFER_ID][treated].nunique()} offers"
    )


def _facts(population: Population, apart_by: str) -> Mapping[str, Any]:
    balanced = population.balanced
    return {
        "parts_apart_by": apart_by,
        "log_kinds": {
            str(line["kind"]): {"rows": int(line["rows"]), "use": line["use"], "why": line["why"]}
            for line in population.logged.counts.to_dict("records")
        },
        "left_out_without_probability": balanced.unknown,
        "left_out_week_without_both": balanced.alone,
        "weights_cut": balanced.cut,
    }
