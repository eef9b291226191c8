"""The churn benchmark: only the past is used, trees add what purchase models miss, bad input says what is wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foretouch.core.errors import DataError
from foretouch.training.bench.churn import predict, run
from foretouch.training.bench.churn_factor import (
    believe,
    believed,
    fit_base,
    fit_factor,
    purchase_days,
    scale,
    spread_out,
)
from foretouch.training.bench.purchase_regression import PurchaseRegression
from foretouch.training.lifetime import BetaGeometric
from foretouch.training.metrics import row_log_loss
from foretouch.training.purchase_histories import histories_of


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
    _, history = histories_of(events, pd.Timestamp("2023-10-01", tz="UTC"))
    model = BetaGeometric(**made["bg_nbd"])
    np.testing.assert_allclose(found["p_churn"], model.probability_no_purchase(history, 4.0))
    assert found["p_churn"].between(0, 1).all()
    assert (found["expected_purchases"] >= 1 - found["p_churn"] - 1e-9).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"horizon_days": 0}, "must be above 0"),
        ({"as_of": "soon"}, "is no ISO date"),
        ({"as_of": "2020-01-01"}, "no row of log.csv is before"),
        ({"time": "when"}, "no column 'when'"),
        ({"time": "money"}, "cannot be read as times"),
    ],
)
def test_bad_calls_say_what_is_wrong(log: pd.DataFrame, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    log.to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(DataError, match=message):
        run(tmp_path / "log.csv", out=tmp_path / "out.csv", **{**OPTIONS, **changes})


AS_OF = pd.Timestamp("2025-10-01", tz="UTC")


def log_of(seed: int, n: int = 800, *, fading: bool = False) -> pd.DataFrame:
    """Buyers of 270 days before and 120 after ``AS_OF``; ``fading`` ones buy ever more seldom, which BG/NBD ignores."""
    rng = np.random.default_rng(seed)
    rows = []
    for customer in range(n):
        at = float(rng.uniform(0, 60))
        gap, quits = rng.gamma(3.0, 8.0), 0.08
        drift = 1.6 if fading and customer % 2 else 1.0
        while at < 390:
            rows.append((f"{customer:04d}", at, float(rng.gamma(4.0, 5.0))))
            if rng.random() < quits:
                break
            at += rng.exponential(gap) + 1.0
            gap *= drift
    table = pd.DataFrame(rows, columns=["customer_id", "day", "value"])
    table["occurred_at"] = AS_OF - pd.Timedelta(days=270) + pd.to_timedelta(table["day"], "D")
    return table[["customer_id", "occurred_at", "value"]].sort_values("occurred_at").reset_index(drop=True)


def test_predictions_are_well_formed_and_near_what_happened() -> None:
    log = log_of(1)
    found, _ = predict(log[log["occurred_at"] < AS_OF], AS_OF, 90.0)
    later = log[(log["occurred_at"] >= AS_OF) & (log["occurred_at"] < AS_OF + pd.Timedelta(days=90))]
    happened = purchase_days(later, pd.Index(found["customer_id"]))
    assert len(found) == 800
    assert found["p_churn"].between(0, 1).all()
    assert found["expected_purchases"].mean() == pytest.approx(happened.mean(), rel=0.15)
    assert found["p_churn"].mean() == pytest.approx((happened == 0).mean(), abs=0.06)
    assert np.corrcoef(found["expected_purchases"], happened)[0, 1] > 0.5
    spend = found["expected_value"].sum() / found["expected_purchases"].sum()
    assert spend == pytest.approx(20.0, rel=0.1)


def test_trees_find_what_the_purchase_models_miss() -> None:
    log = log_of(2, 1500, fading=True)
    before = log[log["occurred_at"] < AS_OF]
    factor = fit_factor(before, AS_OF, 90.0, seed=0)
    assert factor is not None
    assert factor.figures["deviance"] <= factor.figures["deviance_of_bg_nbd"]
    assert factor.figures["mae"] < factor.figures["mae_of_bg_nbd"]
    found, about = predict(before, AS_OF, 90.0)
    base = fit_base(before, AS_OF, 90.0)
    later = log[(log["occurred_at"] >= AS_OF) & (log["occurred_at"] < AS_OF + pd.Timedelta(days=90))]
    days = purchase_days(later, base.customers)
    silent = (days == 0).astype(float)
    assert about["boosted"]
    assert (found["expected_purchases"] >= 1.0 - found["p_churn"] - 1e-12).all()
    assert np.abs(days - found["expected_purchases"]).mean() < np.abs(days - base.purchases).mean()
    assert found["expected_purchases"].sum() == pytest.approx(base.purchases.sum())
    assert row_log_loss(silent, found["p_churn"].to_numpy()).mean() < row_log_loss(silent, base.silent).mean()


def test_a_short_log_rests_on_the_purchase_models_alone() -> None:
    log = log_of(4, 300)
    before = log[(log["occurred_at"] < AS_OF) & (log["occurred_at"] >= AS_OF - pd.Timedelta(days=60))]
    found, about = predict(before, AS_OF, 90.0)
    assert about["boosted"] is False
    assert found["p_churn"].to_numpy() == pytest.approx(fit_base(before, AS_OF, 90.0).silent)


def test_factors_leave_the_sum_alone() -> None:
    rng = np.random.default_rng(5)
    expected, moved = rng.exponential(1.0, 50), rng.normal(0, 1, 50)
    assert believed(expected, moved).sum() == pytest.approx(expected.sum())
    assert scale(np.zeros(50), expected) == pytest.approx(0.0)
    silent = rng.random(50)
    assert believe(silent, np.zeros(50)) == pytest.approx(silent)
    assert (believe(silent, np.full(50, 0.5)) < silent).all()


def test_a_spread_keeps_the_sum_and_the_order_and_moves_apart() -> None:
    expected = np.random.default_rng(7).exponential(1.0, 60)
    found = spread_out(expected, np.zeros(60), 0.2)
    assert found.sum() == pytest.approx(expected.sum())
    assert (np.argsort(found) == np.argsort(expected)).all()
    assert np.log(found).std() == pytest.approx(1.2 * np.log(expected).std())
    assert spread_out(expected, np.zeros(60), 0.0) == pytest.approx(expected)


def test_the_regression_finds_a_planted_factor_and_stands_at_its_optimum() -> None:
    rng = np.random.default_rng(9)
    rows, expected = rng.normal(2.0, 3.0, (6000, 2)), rng.exponential(1.0, 6000) + 0.05
    count = rng.poisson(expected * np.exp(0.15 * rows[:, 0])).astype(float)
    fitted = PurchaseRegression.fit(rows, count, expected)
    assert fitted.beta / fitted.spread == pytest.approx([0.15, 0.0], abs=0.02)
    loose = PurchaseRegression.fit(rows, count, expected, penalty=0.0)
    made = believed(expected, loose.log_factor(rows))  # at the optimum without a penalty, sums agree for every column
    made *= count.sum() / made.sum()
    assert rows.T @ made == pytest.approx(rows.T @ count, rel=1e-6)
    constant = PurchaseRegression.fit(np.ones((6000, 1)), count, expected)
    assert constant.log_factor(np.ones((3, 1))) == pytest.approx(0.0)


def test_dates_without_a_time_are_read(tmp_path: Path) -> None:
    log = log_of(6, 200)
    plain = pd.DataFrame(
        {"who": log["customer_id"], "day": log["occurred_at"].dt.strftime("%Y-%m-%d"), "paid": log["value"]}
    )
    plain.to_parquet(tmp_path / "plain.parquet")
    call: dict[str, Any] = {"id_column": "who", "time": "day", "value": "paid", "horizon_days": 60.0}
    about = run(tmp_path / "plain.parquet", as_of="2025-10-01", out=tmp_path / "out.csv", **call)
    assert about["customers"] == 200
    assert pd.read_csv(tmp_path / "out.csv", dtype={"who": str})["who"].str.len().eq(4).all()
    plain.assign(paid="much").to_parquet(tmp_path / "bad.parquet")
    with pytest.raises(DataError, match="no finite numbers"):
        run(tmp_path / "bad.parquet", as_of="2025-10-01", out=tmp_path / "out.csv", **call)
