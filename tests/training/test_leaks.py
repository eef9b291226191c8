"""A planted leak is named, per kind of label; honest features are not."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from foretouch.training.leaks import suspects, warning_of
from foretouch.training.task import Dataset, FloatArray, Split

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = 1_000


def split_of(label: FloatArray, leak: "pd.Series[float] | pd.Series[str] | None" = None) -> Split:
    """Rows with honest features, the best of which is as good as recency is for churn, and one leak at most."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{index}" for index in range(len(label))],
            "as_of": pd.Timestamp(NOW),
            "recency_days": label + rng.normal(0.0, 0.7, len(label)) * max(label.std(), 1.0),
            "plan": rng.choice(["basic", "plus"], len(label)),
            "frequency_90d": rng.poisson(3.0, len(label)).astype(float),
            "never_known": np.nan,
        }
    )
    if leak is not None:
        frame["closed_at_days"] = leak.to_numpy()
    part = Dataset(frame=frame, label=label)
    return Split(fit=part, calibrate=part, test=part, trained_through=NOW, description={})


def labels(kind: str) -> FloatArray:
    """Rare yes for offer and lead, common for churn, amounts for value."""
    rng = np.random.default_rng(4)
    if kind == "value":
        return np.where(rng.random(ROWS) < 0.6, rng.gamma(2.0, 30.0, ROWS), 0.0)
    return (rng.random(ROWS) < {"offer": 0.06, "lead": 0.08, "churn": 0.4}[kind]).astype(float)


@pytest.mark.parametrize("kind", ["offer", "lead", "churn", "value"])
def test_a_planted_leak_is_named_and_nothing_else(kind: str) -> None:
    label = labels(kind)
    assert suspects(split_of(label)) == {}
    rng = np.random.default_rng(5)
    told = pd.Series(label + rng.normal(0.0, 0.05, ROWS) * (label > 0))
    found = suspects(split_of(label, told))
    assert list(found) == ["closed_at_days"]
    assert "closed_at_days" in warning_of(found)
    backwards = suspects(split_of(label, -told))
    assert list(backwards) == ["closed_at_days"]


def test_a_leak_may_be_a_category_or_a_gap() -> None:
    label = labels("churn")
    assert suspects(split_of(label, pd.Series(np.where(label > 0, "left", "here"))))
    assert suspects(split_of(label, pd.Series(np.where(label > 0, np.nan, 1.0 + np.arange(ROWS)))))


def test_too_few_of_a_kind_say_nothing() -> None:
    label = np.zeros(ROWS)
    label[:10] = 1.0
    assert suspects(split_of(label, pd.Series(label))) == {}
    assert warning_of({}) == ""
