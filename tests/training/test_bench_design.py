"""Any table as inputs: kinds, codes, and a linear model against its own optimum."""

import numpy as np
import pandas as pd
import pytest

from foretouch.core.errors import DataError
from foretouch.training.bench.design import Design, LinearDesign, linear_score, ridge_logistic


@pytest.fixture(name="table")
def _table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    n = 200
    return pd.DataFrame(
        {
            "id": [f"c{i}" for i in range(n)],
            "age": rng.normal(40, 10, n),
            "share": rng.choice(["0%", "1 - 10%", "11 - 23%", "100%"], n),
            "town": rng.choice(["Leiden", "上海", "York"], n),
            "digits": [str(i) for i in rng.integers(0, 9, n)],
            "flag": rng.integers(0, 2, n).astype(bool),
            "since": pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 90, n), "D"),
            "same": "x",
            "note": [f"text {chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(n)],
        }
    )


def test_kinds_are_read_from_the_rows(table: pd.DataFrame) -> None:
    design = Design.learn(table, without=("id",))
    assert {column.name: column.kind for column in design.columns} == {
        "age": "number",
        "share": "ordered",
        "town": "category",
        "digits": "number",
        "flag": "number",
        "since": "time",
    }
    assert design.dropped == ("same", "note")


def test_codes(table: pd.DataFrame) -> None:
    design = Design.learn(table, without=("id",))
    row = table.head(1).assign(age=np.inf, share="11 - 23%", town="Paris", digits="7", flag=True)
    found = dict(zip([column.name for column in design.columns], design.encode(row)[0], strict=True))
    assert np.isnan(found["age"])
    assert found["share"] == 2.0  # the third of four levels
    assert np.isnan(found["town"])
    assert (found["digits"], found["flag"]) == (7.0, 1.0)
    later = dict(
        zip([column.name for column in design.columns], design.encode(row.assign(share="24%"))[0], strict=True)
    )
    assert 2.0 < later["share"] < 3.0  # an unseen level lies between its neighbours


def test_encoding_does_not_depend_on_other_rows_or_on_column_order(table: pd.DataFrame) -> None:
    design = Design.learn(table, without=("id",))
    whole = design.encode(table)
    part = design.encode(table.iloc[50:60][list(reversed(table.columns))].reset_index(drop=True))
    assert np.array_equal(whole[50:60], part, equal_nan=True)
    linear = LinearDesign.learn(design, whole)
    assert np.array_equal(linear.apply(whole)[50:60], linear.apply(part))


def test_missing_columns_and_empty_designs_are_refused(table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="lacks 1 columns"):
        Design.learn(table, without=("id",)).encode(table.drop(columns="town"))
    with pytest.raises(DataError, match="nothing to learn from"):
        Design.learn(table[["id", "same"]], without=("id",))


def test_a_column_that_is_missing_throughout_does_no_harm(table: pd.DataFrame) -> None:
    design = Design.learn(table.assign(age=[np.nan] * 199 + [3.0]), without=("id",))
    linear = LinearDesign.learn(design, design.encode(table.assign(age=np.nan)))
    assert np.isfinite(linear.apply(design.encode(table))).all()


def test_ridge_logistic_is_at_its_optimum() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 4))
    y = (rng.random(400) < 1 / (1 + np.exp(-(x[:, 0] - 1)))).astype(float)
    beta = ridge_logistic(x, y, penalty=3.0)
    mean = 1 / (1 + np.exp(-linear_score(x, beta)))
    assert x.T @ (y - mean) - 3.0 * beta[1:] == pytest.approx(0.0, abs=1e-6)
    assert (y - mean).sum() == pytest.approx(0.0, abs=1e-6)
    again = ridge_logistic(x, y, penalty=3.0, start=np.ones(5))
    assert again == pytest.approx(beta, abs=1e-7)
