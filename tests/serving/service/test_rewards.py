"""Rewards from a real log: what is learned from, what is not, and the same file whatever the order of arrival."""

import json
import random
import re
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from foretouch.core.attribution import Decided, Happening, Occurrence, attribute
from foretouch.core.cli import build_app
from foretouch.core.decisions import DecisionRequest
from foretouch.core.errors import DataError
from foretouch.core.events import CustomerEvent
from foretouch.core.outcomes import Outcome
from foretouch.core.state.db import to_micros
from foretouch.core.workspace import Workspace
from foretouch.features.tables import connect
from foretouch.serving.history.rewards import rewards, write_rewards
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.runtime.intake import Intake
from tests.serving.service.world import copy_world, treated

DAYS = 40
KINDS = ("delivered", "open", "click", "unsubscribe", "machine_open")


class Told:
    """A log with contacts, and what is to be posted of them."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        with Dataplane(workspace) as plane:
            for name in treated(workspace)[:20]:
                plane.decide_one(DecisionRequest(customer_id=name, channels=("email",), request_id=f"r-{name}"))
            rows = plane.state.read().execute("SELECT decision_id FROM decisions ORDER BY decision_id").fetchall()
            self.records = [plane.get_decision(name) for (name,) in rows]
        clock: Any = workspace.clock
        self.now = clock.now()
        self.outcomes: list[Outcome] = []
        self.events: list[CustomerEvent] = []
        for number, record in enumerate(self.records):
            self._tell(number, record)
        clock.set(self.now + timedelta(days=DAYS))

    def _tell(self, number: int, record: Any) -> None:
        draw = random.Random(number)
        for action in record.action:
            kinds = [] if number % 4 == 3 else ["delivered", *draw.sample(KINDS[1:], draw.randint(0, 3))]
            for kind in kinds:
                self.outcomes.append(
                    Outcome(
                        outcome_id=f"{number}-{kind}",
                        decision_id=record.decision_id,
                        type=kind,
                        occurred_at=action.send_at + timedelta(hours=draw.randint(0, 30)),
                    )
                )
        for index in range(draw.randint(0, 3)):
            self.events.append(
                CustomerEvent(
                    event_id=f"{number}-{index}",
                    customer_id=record.customer_id,
                    event=draw.choice(["conversion", "purchase"]),
                    occurred_at=self.now + timedelta(days=draw.randint(1, 35)),
                    value=draw.random() * 50,
                )
            )

    def post(self, outcomes: list[Outcome], events: list[CustomerEvent]) -> None:
        with Dataplane(self.workspace) as plane:
            intake = Intake(plane)
            for outcome in outcomes:
                assert intake.outcome(outcome).status == "accepted"
            for event in events:
                assert intake.event(event).status == "accepted"


@pytest.fixture(scope="module")
def told(base_world: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Twenty decisions, of which one in four contacts was never delivered."""
    workspace = copy_world(base_world, tmp_path_factory.mktemp("rewards") / "w")
    path = workspace.root / "foretouch.toml"
    section = "[reward]\nwindow_days = 14\ndefault = -0.25\noutcome_values = {unsubscribe = -2.0}\n"
    text, found = re.subn(r"(?m)^\[reward\].*\n(?:[^\[\n].*\n)*", section, path.read_text(encoding="utf-8"))
    assert found == 1
    path.write_text(text, encoding="utf-8")
    return Told(Workspace.open(workspace.root))


@pytest.fixture(scope="module")
def posted(told: Told, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Everything posted in order, to a copy."""
    return in_order(told, tmp_path_factory.mktemp("posted"), told.outcomes, told.events)


def in_order(told: Told, folder: Path, outcomes: list[Outcome], events: list[CustomerEvent]) -> Workspace:
    workspace = copy_world(told.workspace, folder / "w")
    kept, told.workspace = told.workspace, workspace
    told.post(outcomes, events)
    told.workspace = kept
    return workspace


def test_the_log_says_what_the_pure_rule_says(told: Told, posted: Workspace) -> None:
    now = posted.clock.now()
    micros = to_micros(now)
    categories = {}
    with Dataplane(posted) as plane:
        categories = {offer.offer_id: offer.category for offer in plane.settings.current.catalogue.offers}
    decisions = []
    for record in told.records:
        nobody = Decided(
            decision_id=record.decision_id,
            rank=0,
            customer_id=record.customer_id,
            decided_at=to_micros(record.decided_at),
            touchpoint=record.touchpoint,
            status=record.status,
        )
        decisions += [
            replace(
                nobody,
                rank=action.rank,
                send_at=to_micros(action.send_at),
                offer_id=action.offer_id,
                category=categories[action.offer_id],
                channel=action.channel,
                selection_probability=action.selection_probability,
            )
            for action in record.action
        ] or [nobody]
    outcomes = [
        Happening(
            outcome_id=item.outcome_id,
            decision_id=item.decision_id,
            rank=1,
            type=item.type,
            occurred_at=to_micros(item.occurred_at),
            received_at=micros,
            by_machine=item.type == "machine_open",
        )
        for item in told.outcomes
    ]
    with closing(connect(posted)) as tables:
        moments = "epoch_us(occurred_at), epoch_us(received_at)"
        found = tables.execute(f"SELECT event_id, customer_id, event, {moments}, value, is_bot FROM events").fetchall()
    names = ("event_id", "customer_id", "event", "occurred_at", "received_at", "value", "is_bot")
    events = [Occurrence(**dict(zip(names, row, strict=True))) for row in found]
    expected = attribute(decisions, outcomes, events, posted.config, micros)
    assert list(rewards(posted, as_of=now)) == expected
    assert {item.activated for item in expected} == {True, False}
    assert any(item.credited for item in expected)
    assert any(item.parts.get("default") for item in expected)
    assert len(expected) == len(told.records)


def test_any_order_of_arrival_gives_the_very_same_file(told: Told, posted: Workspace, tmp_path: Path) -> None:
    first = tmp_path / "first.parquet"
    write_rewards(posted, first)
    again = tmp_path / "again.parquet"
    write_rewards(posted, again)
    assert again.read_bytes() == first.read_bytes(), "twice"
    draw = random.Random(1)
    shuffled = draw.sample(told.outcomes, len(told.outcomes)), draw.sample(told.events, len(told.events))
    out = tmp_path / "shuffled.parquet"
    write_rewards(in_order(told, tmp_path / "shuffled", *shuffled), out)
    assert out.read_bytes() == first.read_bytes(), "shuffled"
    half, rest = told.outcomes[::2], told.outcomes[1::2]
    twice = in_order(told, tmp_path / "halves", half, told.events[::2])
    in_between = tmp_path / "half.parquet"
    write_rewards(twice, in_between)
    assert in_between.read_bytes() != first.read_bytes()
    with Dataplane(twice) as plane:
        intake = Intake(plane)
        for outcome in rest:
            intake.outcome(outcome)
        for event in told.events[1::2]:
            intake.event(event)
    out = tmp_path / "halves.parquet"
    write_rewards(twice, out)
    assert out.read_bytes() == first.read_bytes(), "in two halves"


def test_what_was_known_earlier_can_be_asked_later(told: Told, posted: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "early.csv"
    run = write_rewards(posted, out, as_of=told.now + timedelta(days=1))
    assert (run.decisions, run.activated) == (len(told.records), 0), "outcomes were received later"
    rows = pd.read_csv(out)
    assert rows["reward"].isna().all()
    assert datetime.fromisoformat(rows["as_of"][0]) == run.as_of
    with pytest.raises(DataError, match="later than now"):
        write_rewards(posted, out, as_of=posted.clock.now() + timedelta(days=1))
    with pytest.raises(DataError, match=r"\.parquet or \.csv"):
        write_rewards(posted, tmp_path / "rewards.xlsx")


def test_an_alias_is_the_customer_that_it_stands_for(told: Told, posted: Workspace, tmp_path: Path) -> None:
    merged = copy_world(posted, tmp_path / "w")
    found = [row for row in rewards(posted, as_of=posted.clock.now()) if row.credited or row.reward is not None]
    alias, root = found[0].decided.customer_id, "somebody-else"
    pd.DataFrame({"customer_id": [alias], "alias_of": [root]}).to_parquet(merged.table("aliases"))
    renamed = [row for row in rewards(merged, as_of=merged.clock.now()) if row.decided.customer_id == root]
    before = [row for row in rewards(posted, as_of=posted.clock.now()) if row.decided.customer_id == alias]
    assert [row.reward for row in renamed] == [row.reward for row in before]
    assert [row.revenue for row in renamed] == [row.revenue for row in before]


def test_the_command_says_what_it_wrote(posted: Workspace, tmp_path: Path) -> None:
    runner, out = CliRunner(), tmp_path / "rewards.parquet"
    done = runner.invoke(build_app(), ["rewards", "--workspace", str(posted.root), "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    rows = pd.read_parquet(out)
    assert said["decisions"] == len(rows)
    assert said["activated"] == int(rows["activated"].sum()) > 0
    learned = rows[rows["activated"] & rows["mature"]]
    assert said["reward"] == pytest.approx(learned["reward"].sum())
    wrong = runner.invoke(
        build_app(), ["rewards", "--workspace", str(posted.root), "--out", str(out), "--as-of", "3pm"]
    )
    assert isinstance(wrong.exception, DataError)
