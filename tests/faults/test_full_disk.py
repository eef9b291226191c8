"""A disk that is full, or a file that cannot be written: answers that say so, nothing acknowledged that is not kept."""

from collections.abc import Iterator

import pytest

from foretouch.core.decisions import DecisionRequest
from foretouch.core.errors import StateError
from foretouch.core.outcomes import Outcome
from foretouch.core.workspace import Workspace
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.runtime.intake import Intake
from tests.serving.service.world import consenting, count


@pytest.fixture
def plane(fault_world: Workspace) -> Iterator[Dataplane]:
    """In this process."""
    with Dataplane(fault_world) as opened:
        yield opened


@pytest.mark.parametrize("fault", ["full", "read only"])
def test_what_cannot_be_written_is_said_and_comes_back_by_itself(
    fault_world: Workspace, plane: Dataplane, fault: str
) -> None:
    people = consenting(fault_world)
    kept = plane.decide_one(DecisionRequest(customer_id=people[0], request_id="before"))
    before = count(fault_world, "decisions")
    pages = plane.state.read().execute("PRAGMA page_count").fetchone()[0]
    limit, none = ("max_page_count", 2**30) if fault == "full" else ("query_only", 0)

    def set_limit(value: int) -> None:
        plane.state.write(lambda connection: connection.execute(f"PRAGMA {limit} = {value}").fetchall())

    set_limit(pages if fault == "full" else 1)
    unlogged = 0
    for number in range(200):  # a full disk has some room left in pages that are there already
        request = DecisionRequest(customer_id=people[number % len(people)], request_id=f"during-{number}")
        given = plane.decide_one(request).decision
        if not given.logged:
            unlogged += 1
            assert given.status == "fallback"
            assert not any(action.reservation_id for action in given.action)
        if unlogged == 5:
            break
    assert unlogged == 5
    intake = Intake(plane)
    outcome = Outcome(
        outcome_id="o1",
        decision_id=kept.decision.decision_id,
        type="click",
        occurred_at=kept.decision.decided_at,
        properties={"note": "x" * 20_000},
    )
    with pytest.raises(StateError):
        intake.outcome(outcome)
    assert plane.decide_one(DecisionRequest(customer_id=people[0], request_id="before")).body == kept.body
    plane.state._writer_connection.execute(f"PRAGMA {limit} = {none}")
    assert plane.decide_one(DecisionRequest(customer_id=people[1], request_id="after")).decision.logged
    assert intake.outcome(outcome).status == "accepted"
    assert count(fault_world, "decisions") > before
    assert plane.state.read().execute("PRAGMA integrity_check").fetchone()[0] == "ok"
