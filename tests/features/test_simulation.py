"""The simulated world: what was planted is found, seeds reproduce, a larger world holds the smaller one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretouch.core.errors import ConfigError
from foretouch.features.initialise import initialise
from foretouch.features.offers import load_catalogue
from foretouch.features.simulation import SIMULATED_TABLES, Simulation, data_end, simulate_tables
from foretouch.features.simulation_clock import zone_clock
from foretouch.features.simulation_replies import Contact, Replies
from foretouch.features.simulation_world import BLOCK, ZONES, People, draw_people

DAYS = 56


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    simulate_tables(folder, customers=2_000, days=DAYS, seed=11)
    return folder


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / f"{name}.parquet")


def test_a_seed_reproduces_every_table(world: Path, tmp_path: Path) -> None:
    simulate_tables(tmp_path / "again", customers=2_000, days=DAYS, seed=11)
    simulate_tables(tmp_path / "other", customers=2_000, days=DAYS, seed=12)
    for name in (*SIMULATED_TABLES, "truth/people", "truth/touches", "truth/responses", "truth/offers"):
        pd.testing.assert_frame_equal(read(world, name), read(tmp_path / "again", name))
    assert not read(world, "events").equals(read(tmp_path / "other", "events"))


@pytest.mark.parametrize("customers", [1, 700, BLOCK, 1_300])
def test_a_larger_world_holds_the_smaller_one(world: Path, tmp_path: Path, customers: int) -> None:
    simulate_tables(tmp_path, customers=customers, days=DAYS, seed=11)
    ids = read(tmp_path, "customers")["customer_id"]
    assert len(ids) == customers
    for name in ("customers", "consents", "events", "touches", "truth/people", "truth/responses"):
        whole = read(world, name)
        part = whole[whole["customer_id"].isin(ids)]
        small = read(tmp_path, name)
        order = [
            column
            for column in ("event_id", "touch_id", "customer_id", "offer_id", "channel", "purpose", "at")
            if column in whole
        ]
        pd.testing.assert_frame_equal(
            small.sort_values(order).reset_index(drop=True), part.sort_values(order).reset_index(drop=True)
        )


def test_responses_follow_the_planted_probabilities(world: Path) -> None:
    sends = read(world, "touches").merge(read(world, "truth/touches"), on="touch_id")
    sends = sends[sends["responded"].notna()]
    answered = sends["responded"].astype(float)
    chance = 0.98 * sends["treated"] + 0.02 * sends["untreated"]
    error = np.sqrt((chance * (1 - chance)).sum())
    assert abs(answered.sum() - chance.sum()) < 4 * error
    top = chance >= chance.quantile(0.9)
    expected, spread = chance[top].sum(), np.sqrt((chance[top] * (1 - chance[top])).sum())
    assert abs(answered[top].sum() - expected) < 4 * spread
    assert answered[top].mean() > 3 * answered[~top].mean()


def test_the_past_policy_was_as_random_as_it_says(world: Path) -> None:
    sends = read(world, "touches")
    consents = read(world, "consents")
    granted = consents[consents["granted"] & (consents["purpose"] == "marketing")]
    channels = granted.groupby("customer_id")["channel"].nunique()
    withdrawn = consents[~consents["granted"]]["customer_id"]
    steady = sends[~sends["customer_id"].isin(withdrawn)]
    assert len(steady) > 1_000
    np.testing.assert_allclose(
        steady["selection_probability"], 0.5 / (4 * channels[steady["customer_id"]].to_numpy()), rtol=1e-12
    )
    shares = steady.groupby("offer_id").size()
    waves = shares.groupby(shares.index.str[:8])
    assert len(waves) == DAYS // 28
    for _, wave in waves:
        assert len(wave) == 4
        assert (np.abs(wave - wave.mean()) < 4 * np.sqrt(wave.mean())).all()


def test_nothing_happens_before_joining_or_after_leaving(world: Path) -> None:
    people = read(world, "truth/people").set_index("customer_id")
    created = read(world, "customers").set_index("customer_id")["created_at"]
    events = read(world, "events")
    assert (events["occurred_at"] >= created[events["customer_id"]].to_numpy()).all()
    organic = events[events["event_id"].str.startswith("e")]
    assert (organic["occurred_at"] < people.loc[organic["customer_id"], "churn_at"].to_numpy()).all()
    assert (events["received_at"] >= events["occurred_at"]).all()
    assert events["received_at"].max() <= pd.Timestamp(data_end(DAYS))
    assert events["event_id"].is_unique
    assert 0.01 < events.loc[events["event"] == "page_view", "is_bot"].mean() < 0.06


def test_purchases_follow_the_planted_rates(world: Path) -> None:
    people = read(world, "truth/people")
    orders = read(world, "events").query("event == 'purchase'")
    orders = orders[orders["event_id"].str.startswith("e")]
    days = np.clip(np.minimum(people["churn_day"], DAYS) - np.maximum(people["created_day"], 0), 0, None)
    expected = (people["purchase_rate"] * days).sum()
    assert abs(len(orders) - expected) < 4.5 * np.sqrt(expected)  # the weekly pattern adds a little
    counts = orders.groupby("customer_id").size().reindex(people["customer_id"]).fillna(0).to_numpy()
    assert np.corrcoef(counts, people["purchase_rate"] * days)[0, 1] > 0.6
    means = orders.groupby("customer_id")["value"].mean()
    planted = people.set_index("customer_id")["order_value"][means.index]
    assert abs(np.log(means / planted).mean() + 0.09) < 0.05  # mean of log of a gamma mean lies a little below 0


def test_activity_peaks_at_the_planted_hour(world: Path) -> None:
    people = read(world, "truth/people").set_index("customer_id")
    zones = read(world, "customers").set_index("customer_id")["time_zone"]
    events = read(world, "events")
    events = events[events["event_id"].str.startswith("e")]
    hours = np.zeros((len(people), 24))
    rows = pd.Series(np.arange(len(people)), index=people.index)
    for zone, part in events.groupby(zones[events["customer_id"]].to_numpy()):
        np.add.at(
            hours, (rows[part["customer_id"]].to_numpy(), part["occurred_at"].dt.tz_convert(str(zone)).dt.hour), 1
        )
    planted = People.of(people.reset_index()).hour_shape()
    total = hours.sum(axis=0)
    expected = (hours.sum(axis=1)[:, None] * planted).sum(axis=0)
    assert (np.abs(total - expected) < 5 * np.sqrt(expected)).all()
    busy = hours.sum(axis=1) >= 30
    assert busy.sum() > 50
    own = (hours[busy] * np.log(planted[busy])).sum()
    others = (hours[busy] * np.log(np.roll(planted[busy], 1, axis=0))).sum()
    assert own > others + 500


def test_uplift_is_negative_for_the_annoyed_and_follows_interest(world: Path) -> None:
    people = read(world, "truth/people").set_index("customer_id")
    answers = read(world, "truth/responses")
    answers = answers[answers["untreated"] > 0]
    annoyed = people.loc[answers["customer_id"], "stays"].to_numpy() < 1
    assert 0.05 < annoyed.mean() < 0.15
    assert (answers.loc[annoyed, "uplift"] < 0).all()
    assert (answers.loc[~annoyed, "uplift"] >= 0).all()
    assert np.isclose(answers["uplift"], answers["treated"] - answers["untreated"]).all()
    assert set(answers["offer_id"]) == {f"offer-02-{name}" for name in ("beauty", "food", "home", "sports")}


def test_replies_draw_from_the_truth_and_agree_with_themselves(world: Path) -> None:
    replies = Replies(world / "truth")
    people = replies.people
    day = DAYS
    alone: list[bool] = []
    contacted: list[bool] = []
    at = data_end(day)
    for name in list(people.customer_id):
        contact = Contact(offer_id="offer-02-beauty", channel="email", sent_at=at)
        first = replies.occasion(name, day, at, contact)
        assert first == replies.occasion(name, day, at, contact)
        contacted.append(first.converted_at is not None)
        without = replies.occasion(name, day, at, None)
        assert not without.delivered
        assert without.opened_at is None
        alone.append(without.converted_at is not None)
    chances = people.untreated(day)
    error = np.sqrt((chances * (1 - chances)).sum())
    assert abs(np.sum(alone) - chances.sum()) < 4 * error
    assert np.sum(contacted) > np.sum(alone) + 3 * error
    later = replies.organic(day)
    assert later.equals(replies.organic(day))
    assert set(later["event"]) == {"page_view", "form_submit", "purchase"}
    assert replies.day_of(data_end(day)) == day
    dues = [name for offset in range(7) for name in replies.due(day + offset)]
    assert sorted(dues) == sorted(people.customer_id)


def test_two_processes_draw_the_same_world(tmp_path: Path) -> None:
    made = [simulate_tables(tmp_path / str(jobs), customers=1_050, days=14, seed=3, jobs=jobs) for jobs in (1, 2)]
    for name in SIMULATED_TABLES:
        one, two = (pd.read_parquet(written[name]) for written in made)
        pd.testing.assert_frame_equal(one, two)


def test_local_times_become_utc_as_pandas_has_it() -> None:
    rng = np.random.default_rng(4)
    for name in ZONES:
        clock = zone_clock(name)
        local = rng.integers(1_500_000_000_000_000, 2_500_000_000_000_000, 2_000)
        for change, before, after in zip(clock.changes, clock.offsets[:-1], clock.offsets[1:], strict=True):
            around = rng.integers(-7_200_000_000, 7_200_000_000, 40)
            local = np.concatenate([local, change + before + around, change + np.array([before, after])])
        times, first = pd.DatetimeIndex(local.view("datetime64[us]")), np.ones(len(local), dtype=bool)
        theirs = times.tz_localize(name, ambiguous=first, nonexistent="shift_forward").tz_convert("UTC")
        assert (clock.to_utc(local) == theirs.tz_localize(None).as_unit("us").asi8).all()
    assert len(zone_clock("Europe/Berlin").changes) == 34


def test_a_simulated_workspace_says_so(tmp_path: Path) -> None:
    made = initialise(tmp_path / "w", "simulated", simulation=Simulation(customers=50, days=30))
    workspace = made.workspace
    assert workspace.config.workspace.origin == "simulated"
    assert workspace.clock.now() == data_end(30)
    assert workspace.experiments()[0].key == "contact-or-not"
    assert workspace.contact_policy().quiet_hours
    assert workspace.policy().kind == "softmax"
    running = [offer for offer in load_catalogue(workspace).offers if offer.ends_at and offer.ends_at > data_end(30)]
    assert len(running) == 4
    assert made.rows["customers"] == 50


def test_too_small_a_world_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="customers == 0"):
        simulate_tables(tmp_path, customers=0, days=30, seed=1)
    with pytest.raises(ConfigError, match="days == 3"):
        simulate_tables(tmp_path, customers=10, days=3, seed=1)


def test_people_of_a_block_are_drawn_whole() -> None:
    assert len(draw_people(30, 1, block=0)) == BLOCK
