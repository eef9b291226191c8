"""Labels against a plain loop over the same log, and splits that never leak a label."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest

from foretouch.core.errors import DataError
from foretouch.core.goals import ChurnGoal, LeadGoal, ValueGoal
from foretouch.training.splits import assign_parts, plan_split
from foretouch.training.tabular import check_size
from foretouch.training.targets import churn_labels, data_span, lead_labels, spine, value_labels

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def log() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n = 900
    return pd.DataFrame(
        {
            "customer_id": [f"c{index}" for index in rng.integers(0, 25, n)],
            "event": rng.choice(["purchase", "conversion", "page_view"], n, p=[0.6, 0.05, 0.35]),
            "occurred_at": [START + DAY * float(day) for day in np.round(rng.uniform(0, 100, n) * 24) / 24],
            "value": np.where(rng.uniform(size=n) < 0.1, np.nan, np.round(rng.gamma(2, 10, n), 2)),
            "is_bot": rng.uniform(size=n) < 0.1,
        }
    )


@pytest.fixture
def connection(log: pd.DataFrame) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("events", log)
    customers = pd.DataFrame({"customer_id": [f"c{index}" for index in range(30)]}).assign(
        created_at=[START - DAY if index < 20 else START + 30 * DAY for index in range(30)]
    )
    connection.register("customers", customers)
    yield connection
    connection.close()


TIMES = [START + day * DAY for day in (20, 34, 48, 62)]


def _known(log: pd.DataFrame, customer: str, event: str) -> list[tuple[datetime, float]]:
    mine = log[(log["customer_id"] == customer) & (log["event"] == event) & ~log["is_bot"]]
    return list(zip(mine["occurred_at"], mine["value"].fillna(0.0), strict=True))


def test_labels_equal_a_plain_loop(log: pd.DataFrame, connection: duckdb.DuckDBPyConnection) -> None:
    rows = spine(connection, TIMES)
    lead, churn, value = LeadGoal(window_days=14), ChurnGoal(window_days=7, active_days=21), ValueGoal(window_days=30)
    expected: dict[str, dict[tuple[str, datetime], float]] = {"lead": {}, "churn": {}, "value": {}}
    for customer, as_of in zip(rows["customer_id"], rows["as_of"], strict=True):
        key = (customer, as_of)
        goals = [at for at, _ in _known(log, customer, "conversion")]
        if not any(at < as_of for at in goals):
            expected["lead"][key] = float(any(as_of <= at < as_of + 14 * DAY for at in goals))
        bought = _known(log, customer, "purchase")
        if any(as_of - 21 * DAY <= at < as_of for at, _ in bought):
            expected["churn"][key] = float(not any(as_of <= at < as_of + 7 * DAY for at, _ in bought))
        expected["value"][key] = sum(money for at, money in bought if as_of <= at < as_of + 30 * DAY)
    for name, found in (
        ("lead", lead_labels(connection, rows, lead)),
        ("churn", churn_labels(connection, rows, churn)),
        ("value", value_labels(connection, rows, value)),
    ):
        keys = zip(found["customer_id"], found["as_of"], strict=True)
        labels = dict(zip(keys, found["label"], strict=True))
        assert labels.keys() == expected[name].keys()
        assert len(set(expected[name].values())) > 1
        for key, label in labels.items():
            assert label == pytest.approx(expected[name][key])


def test_a_customer_is_no_row_before_they_are_known(connection: duckdb.DuckDBPyConnection) -> None:
    rows = spine(connection, TIMES)
    assert "c25" not in set(rows.loc[rows["as_of"] == TIMES[0], "customer_id"])
    assert "c25" in set(rows.loc[rows["as_of"] == TIMES[1], "customer_id"])


def test_data_end_at_the_last_human_goal_event_before_now(
    log: pd.DataFrame, connection: duckdb.DuckDBPyConnection
) -> None:
    human = log[~log["is_bot"]]
    purchases = human[human["event"] == "purchase"]["occurred_at"]
    assert data_span(connection, "purchase", START + 500 * DAY).end == purchases.max()
    cut = START + 50 * DAY
    assert data_span(connection, "purchase", cut).end == purchases[purchases <= cut].max()
    with pytest.raises(DataError, match="no 'wedding' event"):
        data_span(connection, "wedding", cut)


@pytest.mark.parametrize("window", [7, 28, 90])
@pytest.mark.parametrize("snapshots", [16, 20, 35, 45])
def test_no_label_is_open_when_the_test_part_begins(window: int, snapshots: int) -> None:
    times = [START + 7 * DAY * index for index in range(snapshots)]
    span = window * DAY
    if (snapshots, window) == (16, 90):
        with pytest.raises(DataError, match="history must be longer"):
            plan_split(times, span)
        return
    plan = plan_split(times, span)
    rows = pd.DataFrame(
        [(f"c{index}", time) for index in range(40) for time in times], columns=["customer_id", "as_of"]
    )
    rows["part"] = assign_parts(rows, plan)
    part = {name: rows[rows["part"] == name] for name in ("fit", "calibrate", "test")}
    assert all(len(found) for found in part.values())
    first_test = part["test"]["as_of"].min()
    assert part["fit"]["as_of"].max() + span <= first_test
    assert part["calibrate"]["as_of"].max() + span <= first_test
    assert plan.trained_through <= first_test
    assert part["fit"]["as_of"].max() < part["calibrate"]["as_of"].min()
    same = set(part["fit"]["customer_id"]) & set(part["calibrate"]["customer_id"])
    if plan.apart_by == "gap":
        assert part["fit"]["as_of"].max() + span <= part["calibrate"]["as_of"].min()
    else:
        assert not same


def test_too_little_data_says_what_is_missing() -> None:
    with pytest.raises(DataError, match="3 mature snapshots, need 6"):
        plan_split([START, START + DAY, START + 2 * DAY], DAY)
    rows = pd.DataFrame({"part": ["fit"] * 300 + ["calibrate"] * 60 + ["test"] * 60, "label": 0.0})
    with pytest.raises(DataError, match="0 rows that did reach the goal, need 20"):
        check_size(rows, amount=False)
    with pytest.raises(DataError, match="the test part has 10 rows, need 50"):
        check_size(rows.head(370), amount=True)
