"""People, suppression lists and offers, kept through HTTP by any worker and respected by the very next decision."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.core.state.access import verify_audit
from foretouch.core.state.db import State
from foretouch.core.workspace import Workspace
from foretouch.features.offers import load_catalogue
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.runtime.register import Register
from foretouch.serving.runtime.settings import read_settings
from foretouch.serving.web.models import OfferBody
from tests.serving.service.world import Service, contacted, make_key, serving, treated, wait_for

OFFER = {
    "name": "Spring picnic",
    "issue": "growth",
    "category": "food",
    "channels": ["email"],
    "value": 12.5,
    "cost": 1.5,
    "starts_at": "2024-01-01T00:00:00Z",
    "ends_at": "2034-01-01T00:00:00Z",
    "suitability": "customer.plan == 'gold'",
    "caps": {"per_customer": 3},
    "lever": 2.0,
    "attributes": {"club": True, "shelf": "a"},
    "treatments": [{"treatment_id": "picnic-a", "channel": "email", "name": "A basket"}],
}


@pytest.fixture(scope="module")
def service(world: Workspace) -> Iterator[Service]:
    """Two workers: what one keeps, the other must know."""
    with serving(world, workers=2) as running:
        yield running


@pytest.fixture(scope="module")
def admin(service: Service) -> str:
    """A key that may change offers."""
    return make_key(service.workspace, "admin")


def test_a_suppressed_customer_is_never_contacted_again(service: Service) -> None:
    someone = treated(service.workspace)[0]
    contacted(service, someone)
    path = f"/v1/customers/{someone}/suppressions"
    put = service.call("PUT", path, {"suppressions": [{"reason": "complaint to the regulator"}]})
    assert (put.status, put.json["changed"]) == (200, 1)
    for _ in range(6):  # whichever worker answers
        for purpose in ("marketing", "transactional"):
            decision = service.decide(someone, purpose=purpose)
            assert (decision["contact"], decision["status"]) == (False, "suppressed"), purpose
            assert "suppression" in {item["stage"] for item in decision["suppressed"]}
    taken_off = service.call("DELETE", path, raw=b"")
    assert (taken_off.status, taken_off.json["suppressions"]) == (200, [])
    contacted(service, someone)
    assert service.call("DELETE", path, raw=b"").status == 404


def test_lines_are_by_channel_and_purpose(service: Service) -> None:
    someone = treated(service.workspace)[1]
    path = f"/v1/customers/{someone}/suppressions"
    until = "2034-01-01T00:00:00Z"
    lines = [{"channel": "sms", "until": until}, {"channel": "email", "purpose": "marketing"}]
    assert service.call("PUT", path, {"suppressions": lines}).json["changed"] == 2
    contacted(service, someone)  # only marketing by email is suppressed
    assert not service.decide(someone)["contact"]
    left = service.call("DELETE", f"{path}?channel=email&purpose=marketing", raw=b"").json["suppressions"]
    assert [(line["channel"], line["purpose"], line["until"]) for line in left] == [("sms", "*", until)]
    assert service.call("PUT", path, {"suppressions": [{"until": "2001-01-01T00:00:00Z"}]}).status == 422
    assert service.call("PUT", path, {"suppressions": [{"purpose": "spam"}]}).status == 422
    assert service.call("PUT", path, {"suppressions": []}).status == 422


def test_the_command_keeps_the_same_list(service: Service) -> None:
    someone = treated(service.workspace)[2]
    runner, workspace = CliRunner(), ["--workspace", str(service.workspace.root)]
    added = runner.invoke(build_app(), ["suppress", "add", someone, "--reason", "asked by phone", *workspace])
    assert added.exit_code == 0, added.output
    assert not service.decide(someone, purpose="transactional")["contact"]
    listed = runner.invoke(build_app(), ["suppress", "list", *workspace, "--json"])
    assert f'"{someone}"' in listed.stdout
    assert "asked by phone" in listed.stdout
    removed = runner.invoke(build_app(), ["suppress", "remove", someone, *workspace])
    assert removed.exit_code == 0, removed.output
    contacted(service, someone)
    assert runner.invoke(build_app(), ["suppress", "remove", someone, *workspace]).exit_code == 1


def test_what_is_known_of_a_customer_is_in_the_next_decision(service: Service) -> None:
    path = "/v1/customers/newcomer"
    body = {"household_id": "h-1", "time_zone": "Asia/Shanghai", "language": "zh", "attributes": {"plan": "gold"}}
    put = service.call("PUT", path, body)
    assert (put.status, put.json["attributes"]) == (200, {"plan": "gold"})
    statement = {"channel": "email", "purpose": "marketing", "granted": True}
    service.call("PUT", f"{path}/consents", {"consents": [statement]})
    decision = service.decide("newcomer")
    counters = service.call("GET", f"/v1/decisions/{decision['decision_id']}").json["counters"]
    known = {name: counters[name] for name in ("household_id", "time_zone", "language", "attributes", "known")}
    assert known == {**body, "known": True}
    assert service.call("PUT", path, {"time_zone": "Mars/Olympus"}).status == 422
    assert service.call("PUT", path, {}).json["warnings"], "a missing zone is said"


@pytest.mark.parametrize(
    "attributes",
    [{"email": "x"}, {"contact": "ann@example.com"}, {"note": "+49 170 1234567"}, {"手机": "1"}, {"language": "en"}],
)
def test_nobodys_name_or_number_is_kept(service: Service, attributes: dict[str, str]) -> None:
    refused = service.call("PUT", "/v1/customers/private", {"attributes": attributes})
    assert (refused.status, refused.json["code"]) == (422, "data")
    value = next(iter(attributes.values()))
    assert len(value) < 3 or value not in refused.json["detail"]
    assert service.call("PUT", "/v1/customers/private", {"attributes": {"nested": {"a": 1}}}).status == 422


def test_an_offer_is_in_force_within_a_second(service: Service, admin: str) -> None:
    assert service.call("PUT", "/v1/offers/picnic", OFFER).status == 403, "offers are for admins"
    put = service.call("PUT", "/v1/offers/picnic", OFFER, key=admin)
    assert (put.status, put.json["changed"]) == (200, True)
    seen: set[bool] = set()

    def everywhere() -> bool:
        versions = {service.decide("anybody")["versions"]["offers"] for _ in range(8)}
        seen.add(versions == {put.json["version"]})
        return versions == {put.json["version"]}

    assert wait_for(everywhere, seconds=10.0, what="every worker to take the offer over") < 5.0
    again = service.call("PUT", "/v1/offers/picnic", OFFER, key=admin)
    assert (again.json["changed"], again.json["version"]) == (False, put.json["version"])
    offers = {offer.offer_id: offer for offer in load_catalogue(service.workspace).offers}
    kept = offers["picnic"].model_dump(mode="json", exclude={"schema_version", "offer_id", "treatments"})
    kept["attributes"] = {name: value for name, value in kept["attributes"].items() if value is not None}
    assert kept == {**kept, **{name: value for name, value in OFFER.items() if name not in {"treatments", "caps"}}}
    assert offers["picnic"].treatments[0].treatment_id == "picnic-a"
    assert offers["picnic"].caps.per_customer == 3
    golden = service.call("PUT", "/v1/customers/gold", {"time_zone": "UTC", "attributes": {"plan": "gold"}})
    assert golden.status == 200
    record = decided(service, "gold")
    assert record["picnic"] is None or record["picnic"]["stage"] != "suitability"
    service.call("PUT", "/v1/customers/gold", {"time_zone": "UTC", "attributes": {"plan": "tin"}})
    assert decided(service, "gold")["picnic"]["stage"] == "suitability"
    with State(service.workspace.state_file) as state:
        assert verify_audit(state.read()) is None
        actions = [row[0] for row in state.read().execute("SELECT action FROM audit ORDER BY sequence")]
    assert actions.count("offer.put") == 1


def decided(service: Service, customer_id: str) -> dict[str, Any]:
    """What dropped each offer for a customer who may be contacted."""
    statement = {"channel": "email", "purpose": "marketing", "granted": True}
    service.call("PUT", f"/v1/customers/{customer_id}/consents", {"consents": [statement]})
    decision = service.decide(customer_id)
    record = service.call("GET", f"/v1/decisions/{decision['decision_id']}").json
    return {item["offer_id"]: item["dropped_by"] for item in record["candidates"]}


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({"suitability": "customer.plan <<"}, 422, "suitability"),
        ({"eligibility": "feature.recency_dayz > 3"}, 422, "recency_day"),
        ({"ends_at": "2023-01-01T00:00:00Z"}, 422, "starts_at"),
        ({"channels": []}, 422, "channels"),
        ({"channels": ["pigeon"], "treatments": []}, 422, "pigeon"),
        ({"cost": -1}, 422, "cost"),
        ({"offer_id": "other"}, 422, "other"),
        ({"attributes": {"category": "x"}}, 422, "category"),
        ({"treatments": [{"treatment_id": "t", "channel": "sms"}]}, 422, "sms"),
        ({"colour": "red"}, 422, "colour"),
    ],
)
def test_a_wrong_offer_is_refused_and_changes_nothing(
    service: Service, admin: str, change: dict[str, Any], status: int, word: str
) -> None:
    before = load_catalogue(service.workspace)
    refused = service.call("PUT", "/v1/offers/wrong", {**OFFER, **change}, key=admin)
    assert refused.status == status, refused.raw
    assert word in refused.raw.decode()
    assert str(service.workspace.root) not in refused.raw.decode()
    assert load_catalogue(service.workspace) == before


def test_offers_put_at_once_through_two_workers_are_all_there(service: Service, admin: str) -> None:
    names = [f"many-{number}" for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda name: service.call("PUT", f"/v1/offers/{name}", OFFER_PLAIN, key=admin), names))
    assert {reply.status for reply in replies} == {200}
    assert set(names) <= {offer.offer_id for offer in load_catalogue(service.workspace).offers}


OFFER_PLAIN = {"name": "Plain", "channels": ["email"], "value": 1.0}


@pytest.mark.parametrize(
    "ends", ["9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+14:00"]
)
def test_an_offer_until_the_end_of_time_does_not_spoil_the_catalogue(fresh: Workspace, ends: str) -> None:
    """A date at the very end of the calendar, once written, could not be read back, and no offer could be put again."""
    with Dataplane(fresh) as plane:
        register = Register(plane)
        body = OfferBody.model_validate({"name": "for ever", "channels": ["email"], "starts_at": None, "ends_at": ends})
        register.offer("for-ever", body, actor="test")
        register.offer("another", OfferBody.model_validate({"name": "next", "channels": ["email"]}), actor="test")
        settings = read_settings(fresh)
    assert {"for-ever", "another"} <= set(settings.offer_ids)
