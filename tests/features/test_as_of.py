"""The feature definitions against a brute-force oracle, and against the future."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foretouch.core.workspace import Workspace
from foretouch.features.build import build_features
from foretouch.features.catalogue import features_of
from foretouch.features.ingest import ingest_tables
from tests.features.conftest import NOW, MakeWorkspace
from tests.features.oracle import Event, Person, Touch, World, features

ZONES = ("America/New_York", "Asia/Shanghai", "Europe/London", "Australia/Lord_Howe", None)
KINDS = ("purchase", "purchase", "purchase", "page_view", "open", "form_submit", "conversion", "coupon_redemption")
FIRST = datetime(2022, 11, 1, tzinfo=UTC)
OFFER_ENDS: dict[str, datetime | None] = {
    "o1": datetime(2023, 11, 20, tzinfo=UTC),
    "o2": datetime(2024, 4, 5, tzinfo=UTC),
    "o3": None,
}
SPAN = (NOW - FIRST) / timedelta(microseconds=1)


def random_world(seed: int, customers: int = 14) -> World:
    """A small log with late arrivals, bots, missing values, equal instants and the days on which clocks change."""
    draw = random.Random(seed)

    def moment() -> datetime:
        if draw.random() < 0.15:  # the hours around a change of clocks in New York, London and Lord Howe
            start = draw.choice(["2024-03-10T05:00Z", "2023-11-05T04:00Z", "2024-03-31T00:00Z", "2024-04-06T13:00Z"])
            return datetime.fromisoformat(start) + timedelta(minutes=draw.randrange(240))
        return FIRST + timedelta(microseconds=draw.randrange(int(SPAN)))

    people = [
        Person(
            f"c{index}", FIRST + timedelta(days=draw.randrange(100)), draw.choice(ZONES), draw.choice(["x", "y", None])
        )
        for index in range(customers)
    ]
    events = []
    for index in range(customers * 18):
        at = moment()
        late = timedelta(days=draw.choice([0, 0, 0, 0, 1, 20]))
        properties: dict[str, Any] = {}
        kind = draw.choice(KINDS)
        if kind == "purchase" and draw.random() < 0.8:
            properties["categories"] = {
                name: round(draw.uniform(0, 50), 2) for name in ("A", "B-1", "C") if draw.random() < 0.6
            }
            properties["retail_disc"] = round(draw.uniform(0, 9), 2)
            properties["coupon_disc"] = draw.choice([0.0, 0.0, 1.5])
        events.append(
            Event(
                f"e{index}",
                f"c{draw.randrange(customers)}",
                kind,
                at,
                min(at + late, NOW),
                round(draw.uniform(1, 99), 2) if draw.random() < 0.9 else None,
                draw.random() < 0.07,
                properties,
            )
        )
    for person, habit in (("c0", 0.95), ("c1", 0.65), ("c2", 0.55)):  # people who buy most weeks, and not quite
        for week in range(26):
            if draw.random() < habit:
                at = NOW - timedelta(weeks=week, hours=draw.randrange(1, 160))
                events.append(Event(f"{person}-{week}", person, "purchase", at, at, round(draw.uniform(1, 99), 2)))
    touches = []
    for index in range(customers * 3):
        sent = moment()
        answered = sent + timedelta(days=draw.randrange(1, 30)) if draw.random() < 0.4 else None
        answered = None if answered is None else min(answered, NOW)
        touches.append(
            Touch(f"t{index}", f"c{draw.randrange(customers)}", draw.choice(list(OFFER_ENDS)), sent, answered)
        )
    return World(people, events, touches, OFFER_ENDS)


def tables(world: World) -> dict[str, pd.DataFrame]:
    """A world as canonical tables."""
    offers = [
        {"offer_id": name, "name": name, "channels": ["email"], "starts_at": pd.Timestamp(FIRST), "ends_at": ends}
        for name, ends in world.offer_ends.items()
    ]
    return {
        "customers": pd.DataFrame([vars(person) for person in world.people]),
        "events": pd.DataFrame([vars(event) for event in world.events]),
        "offers": pd.DataFrame(offers),
        "touches": pd.DataFrame(
            [
                {**vars(touch), "channel": "email", "responded": touch.responded_at is not None}
                for touch in world.touches
            ]
        ),
    }


def fill(workspace: Workspace, world: World) -> None:
    """Ingests a world; every row must be taken."""
    report = ingest_tables(workspace, tables(world))
    assert report.quarantined == 0, report.as_json()


def spine_of(rows: Iterable[tuple[str, datetime]]) -> pd.DataFrame:
    listed = list(rows)
    return pd.DataFrame(
        {"customer_id": [row[0] for row in listed], "as_of": pd.to_datetime([row[1] for row in listed], utc=True)}
    )


def random_spine(world: World, seed: int, count: int) -> pd.DataFrame:
    """Random snapshots; a third of them at the very instant of an event, or when one was received."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        event = draw.choice(world.events)
        at = draw.choice(
            [event.occurred_at, event.received_at, FIRST + timedelta(seconds=draw.randrange(int(SPAN / 1e6)))]
        )
        rows.append((event.customer_id, at))
    rows += [(name, NOW - timedelta(days=days)) for name in ("c0", "c1", "c2") for days in (0, 9, 30, 55)]
    rows.append(("nobody", NOW))
    return spine_of(rows)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_feature_equals_the_oracle(make_workspace: MakeWorkspace, seed: int) -> None:
    world = random_world(seed)
    workspace = make_workspace()
    fill(workspace, world)
    spine = random_spine(world, seed, 60)
    built = build_features(workspace, spine)
    assert list(built.columns) == ["customer_id", "as_of", *features_of(workspace.config)]
    for position, row in enumerate(built.to_dict("records")):
        expected = features(
            world, row["customer_id"], spine["as_of"][position].to_pydatetime(), default_zone="Europe/Berlin"
        )
        for name, spec in features_of(workspace.config).items():
            context = (seed, row["customer_id"], row["as_of"], name)
            if spec.kind == "array":
                assert list(row[name]) == expected[name], context
            elif expected[name] is None:
                assert pd.isna(row[name]), context
            elif spec.kind == "category":
                assert row[name] == expected[name], context
            else:
                assert row[name] == pytest.approx(expected[name], rel=1e-7, abs=1e-6), context


def test_the_future_never_changes_a_past_row(make_workspace: MakeWorkspace) -> None:
    world = random_world(7)
    as_of = datetime(2024, 2, 1, tzinfo=UTC)
    spine = spine_of([(person.customer_id, as_of) for person in world.people])
    before = make_workspace("before")
    fill(before, world)
    old = build_features(before, spine)
    planted = []
    for index, person in enumerate(world.people):
        for name, occurred, received in (
            ("at", as_of, as_of),
            ("after", as_of + timedelta(microseconds=1), as_of + timedelta(microseconds=1)),
            ("late", as_of - timedelta(days=1), as_of + timedelta(microseconds=1)),
        ):
            planted.append(Event(f"{name}{index}", person.customer_id, "purchase", occurred, received, 1e6))
    touches = [
        Touch(f"late{index}", person.customer_id, "o3", as_of, as_of) for index, person in enumerate(world.people)
    ]
    future = World(world.people, [*world.events, *planted], [*world.touches, *touches], world.offer_ends)
    after = make_workspace("after")
    fill(after, future)
    pd.testing.assert_frame_equal(build_features(after, spine), old)

    past = Event("past", world.people[0].customer_id, "purchase", as_of - timedelta(days=1), as_of, 5.0)
    seen = make_workspace("seen")
    fill(seen, World(world.people, [*world.events, past], world.touches, world.offer_ends))
    new = build_features(seen, spine)
    assert new["frequency_7d"][0] == old["frequency_7d"][0] + 1, "an event received in time must count"


def test_a_snapshot_does_not_depend_on_its_neighbours(make_workspace: MakeWorkspace) -> None:
    world = random_world(11)
    workspace = make_workspace()
    fill(workspace, world)
    spine = random_spine(world, 11, 40)
    together = build_features(workspace, spine)
    shuffled = spine.sample(frac=1.0, random_state=1)
    apart = build_features(workspace, shuffled.reset_index(drop=True))
    apart.index = shuffled.index
    pd.testing.assert_frame_equal(apart.sort_index(), together)


def test_bots_never_count(make_workspace: MakeWorkspace) -> None:
    world = random_world(5)
    workspace = make_workspace()
    fill(workspace, world)
    spine = spine_of([(person.customer_id, NOW) for person in world.people])
    humans = World(world.people, [event for event in world.events if not event.is_bot], world.touches, world.offer_ends)
    alone = make_workspace("humans")
    fill(alone, humans)
    pd.testing.assert_frame_equal(build_features(workspace, spine), build_features(alone, spine))


@pytest.mark.parametrize(
    ("zone", "at", "hour_of_week"),
    [
        ("America/New_York", "2024-03-10T06:59:00Z", 6 * 24 + 1),  # Sunday 01:59 EST, the hour before clocks jump
        ("America/New_York", "2024-03-10T07:00:00Z", 6 * 24 + 3),  # one minute later it is 03:00
        ("America/New_York", "2023-11-05T05:30:00Z", 6 * 24 + 1),  # 01:30 for the first time
        ("America/New_York", "2023-11-05T06:30:00Z", 6 * 24 + 1),  # and again
        ("Australia/Lord_Howe", "2024-04-06T14:45:00Z", 6 * 24 + 1),  # a change of half an hour
        ("Asia/Shanghai", "2024-01-07T16:00:00Z", 0),  # Monday begins while it is Sunday in UTC
        (None, "2024-01-07T23:30:00Z", 0),  # the workspace's zone: Berlin
    ],
)
def test_hours_are_local(make_workspace: MakeWorkspace, zone: str | None, at: str, hour_of_week: int) -> None:
    moment = datetime.fromisoformat(at)
    world = World(
        [Person("c", FIRST, zone, None)], [Event("e", "c", "purchase", moment, moment, 1.0)], [], dict(OFFER_ENDS)
    )
    workspace = make_workspace()
    ingest_tables(workspace, {name: frame for name, frame in tables(world).items() if name != "touches"})
    hours = build_features(workspace, spine_of([("c", NOW)]))["purchase_hours"][0]
    assert np.flatnonzero(hours).tolist() == [hour_of_week]
