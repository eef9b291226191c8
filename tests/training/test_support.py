"""Too little data instead of a number: counted at training, told by the service, silent where nothing is known."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from foretouch.core.bundle import ModelCard, ModelInput
from foretouch.serving.models.support import (
    FEATURE,
    MIN_CUSTOMERS,
    SUPPORT,
    back_off,
    back_off_of,
    too_little,
    too_little_of,
)
from foretouch.training.support import support_and_rates, support_of
from foretouch.training.task import Dataset

NOW = datetime(2025, 6, 1, tzinfo=UTC)


def card_of(**extras: object) -> ModelCard:
    return ModelCard(
        model="churn", version="v1", target="probability", feature_service="churn_v1", trained_through=NOW,
        created_at=NOW, inputs=(), data_sha256="0" * 64, extras=dict(extras),
    )  # fmt: skip


def dataset(rows: list[tuple[str, str | None]]) -> Dataset:
    frame = pd.DataFrame(rows, columns=["customer_id", FEATURE]).assign(as_of=pd.Timestamp(NOW))
    return Dataset(frame=frame, label=frame.index.to_numpy(dtype=float))


def test_customers_are_counted_not_rows() -> None:
    rows: list[tuple[str, str | None]] = [(f"c{number % 12}", "loyal") for number in range(60)]
    rows += [("c1", "new")] * 50 + [("c2", None)]
    extras = support_of(dataset(rows))
    assert extras["support"]["customers"] == {"loyal": 12, "new": 1}
    card = card_of(**extras)
    assert too_little(card, "loyal") is None
    told = too_little(card, "new")
    assert told == "too little data: churn was trained on 1 customers of lifecycle stage 'new', needs 10"
    assert too_little(card, "lapsed") is not None
    assert str(MIN_CUSTOMERS) in str(told)


@pytest.mark.parametrize("level", [None, float("nan")])
def test_a_missing_stage_says_nothing(level: object) -> None:
    assert too_little(card_of(**support_of(dataset([("c", "new")]))), level) is None


def test_a_card_that_counts_nothing_answers_everyone() -> None:
    assert too_little(card_of(), "lapsed") is None
    assert support_of(Dataset(frame=pd.DataFrame({"customer_id": ["c"]}), label=np.ones(1))) == {}


def test_reasons_of_many_customers() -> None:
    card = card_of(**support_of(dataset([(f"c{number}", "loyal") for number in range(20)])))
    features = pd.DataFrame({FEATURE: ["loyal", "new", None]}, index=["a", "b", "c"])
    assert list(too_little_of(card, features).index) == ["b"]
    assert too_little_of(card, features.drop(columns=FEATURE)).empty


INPUTS = tuple(ModelInput(name=name, view="v") for name in ("a", "b", "c"))


def known_rows(counts: list[int], stage: str, hits: int) -> Dataset:
    """One row per customer with so many known inputs; the first ``hits`` have the label."""
    frame = pd.DataFrame({"customer_id": [f"{stage}{index}" for index in range(len(counts))], FEATURE: stage})
    frame["as_of"] = pd.Timestamp(NOW)
    for index, column in enumerate(INPUTS):
        frame[column.name] = [1.0 if count > index else np.nan for count in counts]
    return Dataset(frame=frame, label=(np.arange(len(counts)) < hits).astype(float))


def test_of_whom_too_little_is_known_the_segments_rate_is_told() -> None:
    fit = known_rows([3] * 30 + [2] * 10 + [1] * 9, "active", hits=12)
    extras = support_and_rates(fit, known_rows([3] * 51, "active", hits=13), INPUTS)
    card = card_of(**extras).replace(inputs=INPUTS)
    assert extras[SUPPORT]["least_known"] == 2  # nine customers with one: the tenth has two
    assert back_off(card, "active", 2) is None
    told = back_off(card, "active", 1)
    assert told is not None
    assert told.rate == pytest.approx((12 + 13) / 100)
    assert told.low < 0.25 < told.high
    assert told.high - told.low == pytest.approx(0.235, abs=0.01)
    assert "1 of 3 inputs are known" in told.why
    assert "51 customers of lifecycle stage 'active'" in told.why


@pytest.mark.parametrize("stage", ["new", None, float("nan")])
def test_without_a_segment_there_is_no_number(stage: object) -> None:
    card = card_of(**support_and_rates(known_rows([3] * 30, "active", 9), known_rows([3], "active", 0), INPUTS))
    told = back_off(card.replace(inputs=INPUTS), stage, 1)
    assert told is not None
    assert told.rate is None
    assert told.why.startswith("too little data: 1 of 3 inputs")


def test_a_segment_of_amounts_tells_the_mean_and_where_four_of_five_fall() -> None:
    fit = known_rows([3] * 101, "active", 0)
    amounts = Dataset(frame=fit.frame, label=np.arange(101.0))
    rate = support_and_rates(amounts, known_rows([], "active", 0), INPUTS, amount=True)[SUPPORT]["rates"]["active"]
    assert rate == pytest.approx({"customers": 101, "rate": 50.0, "low": 10.0, "high": 90.0, "level": 0.8})


def test_a_card_of_before_answers_everyone() -> None:
    card = card_of(**support_of(dataset([(f"c{number}", "loyal") for number in range(20)]))).replace(inputs=INPUTS)
    vectors = np.full((1, 3), np.nan)
    assert back_off_of(card, pd.DataFrame({FEATURE: ["loyal"]}), vectors) == {}
