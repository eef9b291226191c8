"""The churn benchmark: only the past is used, ids keep their text, bad input says what is wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foretouch.core.errors import DataError
from foretouch.training.bench_churn import run
from foretouch.training.lifetime import BetaGeometric, summarise


@pytest.fixture(name="log")
def _log() -> pd.DataFrame:
    rng = np.random.default_rng(21)
    rows = []
    for customer in range(150):
        day = float(rng.integers(0, 60))
        rate, leave = rng.gamma(0.8, 1 / 20), rng.beta(0.7, 3.0)
        while day < 330:
            rows.append((f"{customer:05d}", pd.Timestamp("2023-01-01") + pd.Timedelta(days=day), rng.gamma(4, 5.0)))
            if rng.random() < leave:
                break
            day += rng.exponential(1 / rate)
    return pd.DataFrame(rows, columns=["who", "at", "money"])


OPTIONS: dict[str, Any] = {
    "id_column": "who", "time": "at", "value": "money", "as_of": "2023-10-01", "horizon_days": 28
}  # fmt: skip


def test_what_lies_ahead_changes_nothing(log: pd.DataFrame, tmp_path: Path) -> None:
    log.to_csv(tmp_path / "all.csv", index=False)
    log[log["at"] < "2023-10-01"].to_csv(tmp_path / "past.csv", index=False)
    first = run(tmp_path / "all.csv", out=tmp_path / "a.csv", **OPTIONS)
    second = run(tmp_path / "past.csv", out=tmp_path / "b.csv", **OPTIONS)
    assert first["rows_not_looked_at"] > 0
    assert second["rows_not_looked_at"] == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_the_columns_are_those_of_the_models(log: pd.DataFrame, tmp_path: Path) -> None:
    log.to_parquet(tmp_path / "log.parquet")
    made = run(tmp_path / "log.parquet", out=tmp_path / "out.parquet", **OPTIONS)
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert list(found.columns) == ["who", "p_churn", "expected_purchases", "expected_value"]
    past = log[log["at"] < "2023-10-01"]
    assert list(found["who"]) == sorted(past["who"].unique())
    assert made["customers"] == len(found)
    events = past.rename(columns={"who": "customer_id", "at": "occurred_at", "money": "value"})
    events["occurred_at"] = events["occurred_at"].dt.tz_localize("UTC")
    spine = pd.DataFrame({"customer_id": found["who"], "as_of": pd.Timestamp("2023-10-01", tz="UTC")})
    history, _ = summarise(events, spine)
    model = BetaGeometric(**made["bg_nbd"])
    np.testing.assert_allclose(found["p_churn"], model.probability_no_purchase(history, 4.0))
    assert found["p_churn"].between(0, 1).all()
    assert (found["expected_purchases"] >= 1 - found["p_churn"] - 1e-9).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"horizon_days": 0}, "must be above 0"),
        ({"as_of": "soon"}, "is no date"),
        ({"as_of": "2020-01-01"}, "no row of log.csv is before"),
        ({"time": "when"}, "no column 'when'"),
        ({"time": "money"}, "which is no ISO 8601 time"),
    ],
)
def test_bad_calls_say_what_is_wrong(log: pd.DataFrame, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    log.to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(DataError, match=message):
        run(tmp_path / "log.csv", out=tmp_path / "out.csv", **{**OPTIONS, **changes})
