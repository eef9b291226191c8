"""Taking a contact up or giving it back, through HTTP: what counts against caps, and what is learned from."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from foretouch.core.state.db import State
from foretouch.core.workspace import Workspace
from foretouch.serving.history.rewards import write_rewards
from tests.serving.service.world import OWED_OFFER, Service, contacted, copy_world, serving, treated


@pytest.fixture(scope="module")
def service(base_world: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two workers, and room for one contact per customer in thirty days."""
    workspace = copy_world(base_world, tmp_path_factory.mktemp("reservations") / "w")
    path = workspace.root / "contact_policy.toml"
    cap = '\n[[caps]]\nrule = "one_a_month"\nscope = "customer"\nlimit = 1\ndays = 30\n'
    path.write_text(path.read_text(encoding="utf-8") + cap, encoding="utf-8")
    with State(workspace.state_file) as state:  # earlier sends are not what this is about
        state.write(lambda connection: connection.execute("DELETE FROM contacts"))
    with serving(workspace, workers=2) as running:
        yield running


def ask(service: Service, customer_id: str, **options: Any) -> Any:
    """A decision for marketing that contacts, and reserves nothing unless it is told to."""
    for attempt in range(40):  # a policy that explores may decide for no contact
        body = {"options": {"defer_activation": True, **options}, "request_id": f"{customer_id}-{attempt}-{options}"}
        decision = service.decide(customer_id, **body)
        if decision["contact"] or decision["status"] == "suppressed":
            return decision
    raise AssertionError(f"40 decisions for no contact: {decision}")


def settle(service: Service, decision: Any, word: str) -> Any:
    identity = f"{decision['decision_id']}.1"
    return service.call("POST", f"/v1/reservations/{identity}:{word}", raw=b"")


def contacts(service: Service, decision: Any) -> list[str]:
    with State(service.workspace.state_file) as state:
        rows = state.read().execute("SELECT status FROM contacts WHERE decision_id = ?", (decision["decision_id"],))
        return [str(status) for (status,) in rows]


def test_a_deferred_decision_counts_from_its_confirmation_on(service: Service) -> None:
    someone = treated(service.workspace)[0]
    decision = ask(service, someone)
    assert decision["action"][0]["reservation_id"] == f"{decision['decision_id']}.1"
    assert contacts(service, decision) == []
    assert ask(service, someone)["contact"], "nothing was reserved, so the cap is free"
    confirmed = settle(service, decision, "confirm")
    assert (confirmed.status, confirmed.json["status"], confirmed.json["changed"]) == (200, "sent", True)
    assert contacts(service, decision) == ["sent"]
    after = ask(service, someone, explain="none")
    assert after["status"] == "suppressed"
    assert "one_a_month" in {item["rule"] for item in after["suppressed"]}
    again = settle(service, decision, "confirm")
    assert (again.status, again.json["changed"]) == (200, False)
    release = settle(service, decision, "release")
    assert (release.status, release.json["code"]) == (409, "reservation_confirmed")


def test_a_cap_that_was_used_up_meanwhile_refuses_the_confirmation(service: Service) -> None:
    someone = treated(service.workspace)[1]
    first, second = ask(service, someone), ask(service, someone, explain="none")
    assert settle(service, first, "confirm").status == 200
    refused = settle(service, second, "confirm")
    assert (refused.status, refused.json["code"]) == (409, "reservation_refused")
    assert "one_a_month" in refused.json["detail"]
    assert contacts(service, second) == []


def test_of_many_confirmations_at_once_one_gets_the_last_place(service: Service) -> None:
    someone = treated(service.workspace)[2]
    decisions = [ask(service, someone, explain=level) for level in ("none", "brief", "full")]
    decisions += [ask(service, someone, language=language) for language in ("en", "zh")]
    with ThreadPoolExecutor(10) as pool:
        replies = list(pool.map(lambda item: settle(service, item, "confirm"), decisions * 2))
    assert len({item["decision_id"] for item in decisions}) == 5
    assert sorted(reply.status for reply in replies) == [200] * 2 + [409] * 8
    assert sum(len(contacts(service, item)) for item in decisions) == 1


def test_what_was_released_stays_released(service: Service) -> None:
    someone = treated(service.workspace)[3]
    decision = ask(service, someone, defer_activation=False)
    assert contacts(service, decision) == ["reserved"]
    assert decision["action"][0]["reservation_id"] == f"{decision['decision_id']}.1"
    released = settle(service, decision, "release")
    assert (released.status, released.json["status"], released.json["changed"]) == (200, "released", True)
    assert settle(service, decision, "release").json["changed"] is False
    assert contacts(service, decision) == ["released"]
    assert ask(service, someone)["contact"], "the place is free again"
    confirm = settle(service, decision, "confirm")
    assert (confirm.status, confirm.json["code"]) == (409, "reservation_released")
    deferred = ask(service, someone, language="zh")
    assert settle(service, deferred, "release").status == 200
    assert settle(service, deferred, "confirm").json["code"] == "reservation_released"


@pytest.mark.parametrize("identity", ["dec_none.1", "nothing", "x.y.z"])
def test_an_unknown_reservation_is_not_found(service: Service, identity: str) -> None:
    for word in ("confirm", "release"):
        assert service.call("POST", f"/v1/reservations/{identity}:{word}", raw=b"").status == 404


def test_a_rank_that_was_not_decided_is_not_found(service: Service) -> None:
    decision = ask(service, treated(service.workspace)[4])
    identity = f"{decision['decision_id']}.7"
    assert service.call("POST", f"/v1/reservations/{identity}:confirm", raw=b"").status == 404


def test_a_deferred_contact_that_went_out_all_the_same_counts(service: Service) -> None:
    someone = treated(service.workspace)[4]
    decision = ask(service, someone)
    body = {
        "outcome_id": f"{decision['decision_id']}-d",
        "decision_id": decision["decision_id"],
        "type": "delivered",
        "occurred_at": decision["decided_at"],
    }
    assert service.call("POST", "/v1/outcomes", body).json["status"] == "accepted"
    assert contacts(service, decision) == ["sent"]
    assert settle(service, decision, "confirm").json["changed"] is False


def test_a_withdrawn_consent_refuses_the_confirmation(service: Service) -> None:
    someone = treated(service.workspace)[5]
    decision = ask(service, someone)
    statement = {"channel": "email", "purpose": "marketing", "granted": False}
    assert service.call("PUT", f"/v1/customers/{someone}/consents", {"consents": [statement]}).status == 200
    refused = settle(service, decision, "confirm")
    assert (refused.status, refused.json["code"]) == (409, "reservation_refused")


def test_nothing_is_learned_until_it_is_confirmed(service: Service, tmp_path: Any) -> None:
    someone = treated(service.workspace)[6]
    deferred = ask(service, someone)
    owed = contacted(service, treated(service.workspace)[8])
    assert owed["action"][0]["offer_id"] == OWED_OFFER
    out = tmp_path / "rewards.parquet"

    def activated() -> dict[str, str | None]:
        write_rewards(service.workspace, out)
        rows = pd.read_parquet(out).set_index("decision_id")["activated_by"]
        return {name: rows[name] for name in (deferred["decision_id"], owed["decision_id"])}

    assert set(activated().values()) == {None}
    assert settle(service, deferred, "confirm").status == 200
    assert activated() == {deferred["decision_id"]: "confirmed", owed["decision_id"]: None}


def test_an_expired_decision_cannot_be_taken_up(service: Service) -> None:
    decision = ask(service, treated(service.workspace)[7])
    clock: Any = service.workspace.clock
    before = clock.now()
    clock.set(datetime.fromisoformat(decision["expires_at"]) + timedelta(seconds=1))
    try:
        late = settle(service, decision, "confirm")
    finally:
        clock.set(before)
    assert (late.status, late.json["code"]) == (409, "reservation_expired")
