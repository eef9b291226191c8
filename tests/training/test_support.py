"""Too little data instead of a number: counted at training, told by the service, silent where nothing is known."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from foretouch.core.bundle import ModelCard
from foretouch.serving.models.support import FEATURE, MIN_CUSTOMERS, too_little, too_little_of
from foretouch.training.support import support_of
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
