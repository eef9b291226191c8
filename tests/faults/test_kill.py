"""``kill -9`` under load: what was acknowledged is in the log, once. And the judge of that catches a log that lies."""

import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from foretouch.core.decisions import DecisionRequest
from foretouch.core.outcomes import Outcome
from foretouch.core.workspace import Workspace
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.runtime.intake import Intake
from tests.serving.service.world import consenting, make_key

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from kill_proof import Acks, judge, prove

KILLS = 20


@pytest.mark.slow
def test_twenty_kills_lose_nothing_and_double_nothing(fault_world: Workspace) -> None:
    acks, killed = prove(
        fault_world.root,
        kills=KILLS,
        workers=4,  # the supervisor looks for dead workers every ten seconds: the others go on meanwhile
        threads=6,
        supervisor_every=14,  # a whole restart costs the most, and is the same each time
        key=make_key(fault_world, "decide"),
        customers=consenting(fault_world),
        now=fault_world.clock.now().isoformat(),
    )
    assert sum(killed.values()) == KILLS
    assert set(killed) == {"worker", "supervisor"}
    assert acks.failed > 0, "no call was ever hit"
    assert acks.count >= KILLS * 10
    assert acks.repeated > 0
    verdict = judge(fault_world.state_file, acks)
    assert verdict.holds, verdict


def told(workspace: Workspace) -> Acks:
    """A small log, and what its callers were told."""
    acks = Acks()
    with Dataplane(workspace) as plane:
        intake = Intake(plane)
        for number, customer in enumerate(consenting(workspace)[:12]):
            given = plane.decide_one(DecisionRequest(customer_id=customer, request_id=f"r{number}"))
            identity = given.decision.decision_id
            acks.decisions[f"r{number}"] = identity, given.body
            at = given.decision.decided_at
            intake.outcome(Outcome(outcome_id=f"o{number}", decision_id=identity, type="delivered", occurred_at=at))
            acks.outcomes[f"o{number}"] = identity
    return acks


def _lose_a_decision(log: sqlite3.Connection) -> None:
    log.execute("DELETE FROM decisions WHERE sequence = (SELECT MAX(sequence) FROM decisions)")


def _lose_an_outcome(log: sqlite3.Connection) -> None:
    log.execute("DELETE FROM outcomes WHERE sequence = (SELECT MIN(sequence) FROM outcomes)")


def _double_a_decision(log: sqlite3.Connection) -> None:
    columns = [row[1] for row in log.execute("PRAGMA table_info(decisions)") if row[1] != "sequence"]
    taken = ", ".join("'dec_again'" if name == "decision_id" else name for name in columns)
    log.execute(f"INSERT INTO decisions ({', '.join(columns)}) SELECT {taken} FROM decisions LIMIT 1")


def _move_an_outcome(log: sqlite3.Connection) -> None:
    log.execute("UPDATE outcomes SET decision_id = 'dec_other' WHERE outcome_id = 'o3'")


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (_lose_a_decision, "lost_decisions"),
        (_lose_an_outcome, "lost_outcomes"),
        (_double_a_decision, "doubled_requests"),
        (_move_an_outcome, "lost_outcomes"),
    ],
    ids=lambda value: getattr(value, "__name__", value).strip("_"),
)
def test_a_log_that_lies_is_caught(
    fault_world: Workspace, tmp_path: Path, spoil: Callable[[sqlite3.Connection], None], found: str
) -> None:
    acks = told(fault_world)
    assert judge(fault_world.state_file, acks).holds
    spoilt = tmp_path / "spoilt.db"
    with closing(sqlite3.connect(fault_world.state_file)) as source, closing(sqlite3.connect(spoilt)) as copy:
        source.backup(copy)
        spoil(copy)
        copy.commit()
    verdict = judge(spoilt, acks)
    assert not verdict.holds
    assert len(getattr(verdict, found)) == 1, verdict
    acks.changed.append("r1")
    assert judge(fault_world.state_file, acks).changed_answers == ["r1"]
    shutil.rmtree(fault_world.root)
