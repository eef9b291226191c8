"""bench send-time: planted hours are found in local time, strangers to the log's end change nothing, sums are 1."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretouch.core.errors import DataError
from foretouch.training.bench.send_time import COLUMNS, choose, read_activity, run, shares_of


def planted(seed: int, *, zone: str = "Asia/Shanghai", customers: int = 60, days: int = 140) -> pd.DataFrame:
    """Customers with an hour of their own each day, and one event in four at any hour."""
    rng = np.random.default_rng(seed)
    who = rng.integers(0, customers, customers * 40)
    day = pd.Timestamp("2025-01-06", tz=zone) + pd.to_timedelta(rng.integers(0, days, len(who)), "D")
    own = 8 + who % 12
    hour = np.where(rng.random(len(who)) < 0.75, own, rng.integers(0, 24, len(who)))
    at = day + pd.to_timedelta(hour, "h") + pd.to_timedelta(rng.integers(0, 60, len(who)), "min")
    return pd.DataFrame({"customer_id": [f"{index:03d}" for index in who], "at": at.tz_convert("UTC")})


def shares(frame: pd.DataFrame, as_of: str = "2025-05-26", zone: str = "Asia/Shanghai") -> pd.DataFrame:
    activity = read_activity(frame, id_column="customer_id", time="at", time_zone=zone, as_of=as_of)
    found, _ = shares_of(activity, choose(activity)[0])
    return pd.DataFrame(found, index=activity.customers)


def test_own_hours_are_found_in_local_time() -> None:
    found = shares(planted(1))
    hours = found.to_numpy().reshape(-1, 7, 24).sum(axis=1).argmax(axis=1)
    own = np.array([8 + int(name) % 12 for name in found.index])
    assert (hours == own).mean() > 0.95
    assert found.to_numpy().sum(axis=1) == pytest.approx(1.0)
    assert (found.to_numpy() > 0).all()


def test_the_end_of_the_log_says_so() -> None:
    activity = read_activity(
        planted(2), id_column="customer_id", time="at", time_zone="Asia/Shanghai", as_of="2025-05-26"
    )
    chosen, figures = choose(activity)
    assert chosen.other_days >= 0.6  # the same hour every day was planted
    assert figures["log_likelihood"] > figures["log_likelihood_of_everyone"] + 0.3
    assert figures["hit_rate_12h"] > figures["hit_rate_12h_of_everyone"]


def test_without_hours_of_their_own_customers_get_everyones() -> None:
    rng = np.random.default_rng(3)
    at = pd.Timestamp("2025-01-06", tz="UTC") + pd.to_timedelta(rng.integers(0, 140 * 24 * 60, 4000), "min")
    frame = pd.DataFrame({"customer_id": rng.integers(0, 100, 4000), "at": at})
    activity = read_activity(frame, id_column="customer_id", time="at", time_zone="UTC", as_of="2025-05-26")
    found, _ = shares_of(activity, choose(activity)[0])
    assert np.abs(found - 1 / 168).max() < 0.01


def test_later_events_change_nothing() -> None:
    frame = planted(4)
    later = pd.DataFrame({"customer_id": ["000"] * 500, "at": pd.Timestamp("2025-05-27T03:00Z")})
    before = shares(frame, "2025-05-20")
    after = shares(pd.concat([frame, later], ignore_index=True), "2025-05-20")
    assert np.array_equal(before.loc[after.index].to_numpy(), after.to_numpy())


def test_times_without_an_offset_are_wall_clock_times_of_the_zone() -> None:
    frame = planted(5)
    plain = frame.assign(at=frame["at"].dt.tz_convert("Asia/Shanghai").dt.tz_localize(None))
    assert np.array_equal(shares(frame).to_numpy(), shares(plain).to_numpy())
    texts = frame.assign(at=[moment.isoformat() for moment in frame["at"]])
    assert np.array_equal(shares(frame).to_numpy(), shares(texts).to_numpy())


def test_a_short_log_takes_a_middling_shrinkage() -> None:
    few = planted(6).head(12)
    activity = read_activity(few, id_column="customer_id", time="at", time_zone="UTC", as_of="2026-01-01")
    chosen, figures = choose(activity)
    assert figures == {}
    assert shares_of(activity, chosen)[0].sum(axis=1) == pytest.approx(1.0)


def test_file_in_and_out(tmp_path: Path) -> None:
    planted(7).to_csv(tmp_path / "events.csv", index=False)
    out = tmp_path / "out.parquet"
    run(tmp_path / "events.csv", id_column="customer_id", time="at", time_zone="UTC", as_of="2025-03-01", out=out)
    found = pd.read_parquet(out)
    assert list(found.columns) == ["customer_id", *COLUMNS]
    assert set(found["customer_id"]) == {f"{index:03d}" for index in range(60)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time_zone": "Mars/Olympus"}, "no IANA time zone"),
        ({"as_of": "soon"}, "no ISO date"),
        ({"as_of": "2020-01-01"}, "no event lies before"),
        ({"time": "customer_id"}, "cannot be read as times"),
    ],
)
def test_bad_calls_are_named(change: dict[str, str], message: str) -> None:
    call = {"id_column": "customer_id", "time": "at", "time_zone": "UTC", "as_of": "2025-04-01"} | change
    frame = planted(8).assign(customer_id="x")
    with pytest.raises(DataError, match=message):
        read_activity(frame, **call)
