"""What comes back through HTTP: outcomes, events and consents, and what follows from them."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from foretouch.core.state.db import State
from foretouch.core.state.log import read_events
from foretouch.core.workspace import Workspace
from foretouch.features.online import OnlineFeatures
from tests.serving.service.world import Service, count, treated, wait_for
from tests.serving.service.world import contacted as contact


@pytest.fixture(scope="module")
def contacted(service: Service) -> dict[str, Any]:
    """A decision that contacts somebody: transactional, so that no cap is in the way."""
    decision: dict[str, Any] = contact(service, treated(service.workspace)[1])
    return decision


def outcome(decision: dict[str, Any], number: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {
        "outcome_id": f"{decision['decision_id']}-{number}",
        "decision_id": decision["decision_id"],
        "type": kind,
        "occurred_at": decision["decided_at"],
        **fields,
    }


def contact_status(workspace: Workspace, decision: dict[str, Any]) -> str:
    with State(workspace.state_file) as state:
        row = state.read().execute("SELECT status FROM contacts WHERE decision_id = ?", (decision["decision_id"],))
        return str(row.fetchone()[0])


def test_an_outcome_is_stored_once(service: Service, contacted: dict[str, Any]) -> None:
    body = outcome(contacted, "click", "click")
    first, again = service.call("POST", "/v1/outcomes", body), service.call("POST", "/v1/outcomes", body)
    assert (first.status, first.json["status"], again.json["status"]) == (202, "accepted", "duplicate")
    clash = service.call("POST", "/v1/outcomes", {**body, "type": "open"})
    assert (clash.status, clash.json["code"]) == (409, "conflict")


def test_an_outcome_of_no_decision_is_not_found(service: Service) -> None:
    body = {
        "outcome_id": "o",
        "decision_id": "dec_none",
        "type": "click",
        "occurred_at": service.workspace.clock.now().isoformat(),
    }
    before = count(service.workspace, "outcomes")
    assert service.call("POST", "/v1/outcomes", body).status == 404
    assert count(service.workspace, "outcomes") == before


def test_several_outcomes_are_answered_one_by_one(service: Service, contacted: dict[str, Any]) -> None:
    late = (service.workspace.clock.now() + timedelta(minutes=6)).isoformat()
    items = [
        outcome(contacted, "open", "open"),
        outcome(contacted, "open", "open"),
        outcome(contacted, "late", "open", occurred_at=late),
        {**outcome(contacted, "x", "open"), "decision_id": "dec_none"},
        outcome(contacted, "y", "danced"),
    ]
    before = count(service.workspace, "quarantine")
    reply = service.call("POST", "/v1/outcomes", {"outcomes": items})
    assert reply.status == 202
    assert [item["status"] for item in reply.json["results"]] == [
        "accepted",
        "duplicate",
        "quarantined",
        "refused",
        "refused",
    ]
    assert reply.json["counts"] == {"accepted": 1, "duplicate": 1, "quarantined": 1, "refused": 2}
    future = reply.json["results"][2]["reason"]
    assert "in the future" in future or "晚 5 分钟以上" in future, "in the customer's language"
    assert count(service.workspace, "quarantine") == before + 1


def test_a_goal_is_an_event_too(service: Service, contacted: dict[str, Any]) -> None:
    service.call("POST", "/v1/outcomes", outcome(contacted, "goal", "revenue", value=12.5))
    with State(service.workspace.state_file) as state:
        events = list(read_events(state.read(), contacted["customer_id"]))
    found = [event for event in events if event.properties.get("decision_id") == contacted["decision_id"]]
    assert [(event.event, event.value) for event in found] == [(service.workspace.config.goals.value.value_event, 12.5)]


def test_a_rejection_gives_the_contact_back_and_a_delivery_confirms_it(service: Service) -> None:
    someone = treated(service.workspace)[2]
    rejected = contact(service, someone)
    assert contact_status(service.workspace, rejected) == "reserved"
    service.call("POST", "/v1/outcomes", outcome(rejected, "r", "reject"))
    assert contact_status(service.workspace, rejected) == "released"
    sent = contact(service, someone)
    service.call("POST", "/v1/outcomes", outcome(sent, "d", "delivered"))
    service.call("POST", "/v1/outcomes", outcome(sent, "b", "bounced"))
    assert contact_status(service.workspace, sent) == "sent"


def test_an_unsubscription_ends_marketing_at_once(service: Service) -> None:
    someone = treated(service.workspace)[3]
    assert service.decide(someone)["status"] != "suppressed"
    contacted = contact(service, someone)
    service.call("POST", "/v1/outcomes", outcome(contacted, "u", "unsubscribe"))
    after = service.decide(someone)
    assert (after["status"], after["contact"]) == ("suppressed", False)
    assert "consent" in {item["stage"] for item in after["suppressed"]}


def test_consents_are_put_and_the_newest_holds(service: Service) -> None:
    path = "/v1/customers/newcomer%2F1/consents"
    statement = {"channel": "email", "purpose": "marketing"}
    granted = service.call("PUT", path, {"consents": [{**statement, "granted": True}]})
    assert (granted.status, granted.json["consents"]) == (200, {"email/marketing": True})
    assert granted.json["customer_id"] == "newcomer/1"
    earlier = (service.workspace.clock.now() - timedelta(days=3)).isoformat()
    kept = service.call("PUT", path, {"consents": [{**statement, "granted": False, "at": earlier}]})
    assert kept.json["consents"] == {"email/marketing": True}
    withdrawn = service.call("PUT", path, {"consents": [{**statement, "granted": False}]})
    assert withdrawn.json["consents"] == {"email/marketing": False}
    refused = service.call("PUT", path, {"consents": [{**statement, "granted": True, "at": "2025-01-01T00:00:00"}]})
    assert refused.status == 422


def test_events_are_stored_once_and_odd_ones_kept_aside(service: Service) -> None:
    now = service.workspace.clock.now()
    event = {"event_id": "ev-1", "customer_id": "someone-new", "event": "page_view", "occurred_at": now.isoformat()}
    assert service.call("POST", "/v1/events", event).json["status"] == "accepted"
    assert service.call("POST", "/v1/events", event).json["status"] == "duplicate"
    assert service.call("POST", "/v1/events", {**event, "event": "purchase"}).status == 409
    future = {**event, "event_id": "ev-2", "occurred_at": (now + timedelta(minutes=6)).isoformat()}
    reply = service.call("POST", "/v1/events", future)
    assert (reply.status, reply.json["status"]) == (202, "quarantined")
    assert service.call("POST", "/v1/events", {**event, "event_id": "ev-3", "value": "many"}).status == 422
    before = count(service.workspace, "events")
    assert service.call("POST", "/v1/events", {"events": [], "more": 1}).status == 422
    assert count(service.workspace, "events") == before


def test_an_event_is_in_the_online_features_within_a_second(service: Service) -> None:
    someone = treated(service.workspace)[4]
    online = OnlineFeatures(service.workspace)
    before = online.read(someone).values["frequency_7d"] or 0.0
    took = []
    for number in range(3):
        event = {
            "event_id": f"fresh-{number}",
            "customer_id": someone,
            "event": service.workspace.config.features.purchase_event,
            "occurred_at": service.workspace.clock.now().isoformat(),
            "value": 20.0,
        }
        _advance(service.workspace)
        assert service.call("POST", "/v1/events", event).json["status"] == "accepted"

        def seen(wanted: float = before + number + 1) -> bool:
            return bool(online.read(someone).values["frequency_7d"] == wanted)

        took.append(wait_for(seen, seconds=10.0, what="the event to be among the features"))
    assert min(took) < 1.0, took
    decision = service.decide(someone)
    record = service.call("GET", f"/v1/decisions/{decision['decision_id']}").json
    assert record["features"]["values"]["frequency_7d"] == before + 3


def _advance(workspace: Workspace) -> None:
    """A simulated world's clock is moved by hand; an event is known from the moment after it came."""
    clock: Any = workspace.clock
    clock.set(clock.now() + timedelta(seconds=1))


def test_a_scanner_that_clicks_every_link_is_flagged_in_any_order(service: Service) -> None:
    contacted = contact(service, treated(service.workspace)[5])
    sent = datetime.fromisoformat(contacted["action"][0]["send_at"])

    def told(number: int, kind: str, seconds: float, **fields: Any) -> Any:
        at = (sent + timedelta(seconds=seconds)).isoformat()
        body = outcome(contacted, f"{kind}{number}", kind, occurred_at=at, **fields)
        return service.call("POST", "/v1/outcomes", body).json

    def kinds() -> list[tuple[str, int]]:
        with State(service.workspace.state_file) as state:
            rows = state.read().execute(
                "SELECT type, is_bot FROM outcomes WHERE decision_id = ? ORDER BY sequence", (contacted["decision_id"],)
            )
            return [(str(kind), int(bot)) for kind, bot in rows]

    def answered() -> int | None:
        with State(service.workspace.state_file) as state:
            row = state.read().execute(
                "SELECT answered FROM contacts WHERE decision_id = ?", (contacted["decision_id"],)
            )
            return int(row.fetchone()[0])

    assert told(3, "click", 3.0, properties={"link": "c"})["warnings"] == []
    assert told(1, "click", 2.0, properties={"link": "a"})["warnings"] == []
    assert answered() == 1
    flagged = told(2, "click", 2.5, properties={"link": "b"})
    assert "machine" in flagged["warnings"][0]
    assert kinds() == [("machine_click", 1)] * 3, "the earlier ones are known for what they are, too"
    assert answered() == 0
    told(4, "open", 200.0, is_bot=True)
    assert (kinds()[-1], answered()) == (("machine_open", 1), 0)
    told(5, "click", 200.0, properties={"link": "a"})
    assert (kinds()[-1], answered()) == (("click", 0), 1)
    told(6, "delivered", -60.0)
    assert kinds()[:3] == [("click", 0)] * 3, "delivered a minute before: nobody's burst"
    assert contact_status(service.workspace, contacted) == "sent"


def test_a_bots_goal_is_kept_and_flagged(service: Service) -> None:
    contacted = contact(service, treated(service.workspace)[6])
    body = outcome(contacted, "goal", "convert", is_bot=True, properties={"decision_id": "elsewhere", "shop": "a"})
    assert service.call("POST", "/v1/outcomes", body).json["status"] == "accepted"
    with State(service.workspace.state_file) as state:
        (event,) = [
            event
            for event in read_events(state.read(), contacted["customer_id"])
            if event.properties.get("outcome_id") == body["outcome_id"]
        ]
    assert event.is_bot
    assert event.properties == {
        "decision_id": contacted["decision_id"],
        "outcome_id": body["outcome_id"],
        "rank": 1,
        "shop": "a",
    }


@pytest.mark.parametrize(
    ("kind", "changed"),
    [("unsubscribe", {"rank": 9}), ("complaint", {"rank": 9}), ("unsubscribe", {"occurred_at": "ahead"})],
)
def test_a_withdrawal_holds_whatever_is_wrong_with_its_rank_or_time(
    service: Service, kind: str, changed: dict[str, Any]
) -> None:
    """An engine whose clock runs ahead, or that names a contact that was never made, still speaks for a person."""
    someone = next(name for name in treated(service.workspace)[4:] if service.decide(name)["status"] != "suppressed")
    if "occurred_at" in changed:
        changed = {"occurred_at": (service.workspace.clock.now() + timedelta(hours=2)).isoformat()}
    decision = contact(service, someone)
    answer = service.call("POST", "/v1/outcomes", outcome(decision, f"w-{kind}", kind, **changed))
    assert answer.status == 202
    said = " ".join([answer.json["reason"] or "", *answer.json["warnings"]])
    assert "consent is withdrawn from now on" in said or "同意仍自即刻起撤回" in said, "in the customer's language"
    after = service.decide(someone)
    assert (after["status"], after["contact"]) == ("suppressed", False)
    assert "withdrawn" in {item["rule"] for item in after["suppressed"]}
