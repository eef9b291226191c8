"""What a campaign engine does in its first week: wrong names, wrong clocks, odd methods, impatience. Over HTTP."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from math import exp
from typing import Any

import lightgbm
import numpy as np
import pyarrow.parquet as pq
import pytest

from foretouch.core.bundle import GoldenRows, ModelCard, write_aliases, write_bundle
from foretouch.core.contact import ANY
from foretouch.core.decisions import FeatureSnapshot
from foretouch.core.workspace import Workspace
from foretouch.features.online import OnlineFeatures
from foretouch.serving.jobs.scores import score_everyone
from foretouch.serving.models.bundles import load_scorer
from foretouch.serving.models.rhythm import CELL_INPUTS, HOURS, Rhythm, cell_inputs, hour_distribution
from foretouch.serving.runtime.feature_read import OPEN_AFTER_FAILURES, FeatureReader
from foretouch.serving.web.telemetry import Telemetry
from tests.serving.service.world import Reply, Service, consenting, count, treated, wait_for


def write_send_time_model(workspace: Workspace) -> None:
    """A real send-time bundle: everyone's pattern peaks at 18h, and trees that lift the afternoon."""
    hours = np.arange(HOURS) % 24
    everyone = np.array([1.0 + 4.0 * exp(-(((hour - 18) / 2.0) ** 2)) for hour in hours])
    about = Rhythm(
        counts_feature="purchase_hours",
        segment_feature="rfm_tier",
        everyone=everyone / everyone.sum(),
        segments={},
        concentration=10.0,
        bandwidth=1.0,
        other_days=0.5,
        refined=True,
    )
    rng = np.random.default_rng(5)
    vectors = rng.random((600, len(CELL_INPUTS))) * 24.0
    label = rng.poisson(np.where(vectors[:, CELL_INPUTS.index("hour_of_day")] > 12.0, 3.0, 1.0)).astype(float)
    parameters = {"objective": "poisson", "verbose": -1, "num_threads": 1, "seed": 5}
    booster = lightgbm.train(parameters, lightgbm.Dataset(vectors, label), num_boost_round=10)
    now = workspace.clock.now()
    card = ModelCard(
        model="send-time",
        version="v1",
        target="distribution",
        feature_service="send_time_v1",
        inputs=cell_inputs(),
        trained_through=now,
        created_at=now,
        data_sha256="0" * 64,
        extras=about.to_extras(),
    )
    raw = tuple(float(value) for value in np.asarray(booster.predict(vectors[:4], num_threads=1)))
    rows = tuple(tuple(float(value) for value in row) for row in vectors[:4])
    write_bundle(workspace.bundles, card, booster.model_to_string(), GoldenRows(inputs=rows, raw=raw, calibrated=raw))
    write_aliases(workspace.bundles, "send-time", {"champion": "v1"})


@pytest.fixture(scope="module")
def with_rhythm(service: Service) -> Service:
    """The service once it answers with a send-time model."""
    write_send_time_model(service.workspace)

    def loaded() -> bool:
        return "send-time" in service.call("GET", "/readyz", key=None).json["models"]

    wait_for(loaded, seconds=15.0, what="the send-time model")
    return service


def problem(reply: Reply, status: int, code: str) -> str:
    assert (reply.status, reply.json["code"]) == (status, code), reply.raw
    return str(reply.json["detail"])


def test_send_times_are_the_models_best_hours_outside_quiet_hours(with_rhythm: Service) -> None:
    workspace = with_rhythm.workspace
    someone = treated(workspace)[0]
    now = workspace.clock.now()
    body = {
        "customer_id": someone,
        "channel": "email",
        "n": 168,
        "send_window": {"latest": (now + timedelta(days=6)).isoformat(), "time_zone": "Asia/Shanghai"},
    }
    reply = with_rhythm.call("POST", "/v1/send-times", body)
    assert reply.status == 200, reply.raw
    answer = reply.json
    assert (answer["basis"], answer["version"], answer["time_zone"]) == ("activity", "v1", "Asia/Shanghai")
    values = OnlineFeatures(workspace).read(someone).values
    shares, support = hour_distribution(load_scorer(workspace.bundles, "send-time", "v1"), values)
    assert answer["support"] == pytest.approx(support)
    assert not answer["identified"], "activity is no effect"
    assert {slot["effect"] for slot in answer["slots"]} == {None}
    assert answer["identification"] == "the model was made before effects were"
    quiet = [rule for rule in workspace.contact_policy().quiet_hours if {ANY, "email"} & set(rule.channels)]
    assert quiet
    scores = [slot["score"] for slot in answer["slots"]]
    assert scores == sorted(scores, reverse=True)
    for slot in answer["slots"]:
        day, hour = np.datetime64(slot["local"][:10], "D"), int(slot["local"][11:13])
        weekday = (day.astype(int) + 3) % 7  # 1 January 1970 was a Thursday
        assert slot["score"] == pytest.approx(shares[weekday * 24 + hour])
        local = f"{hour:02d}:00"
        for rule in quiet:
            start, end = rule.start.isoformat("minutes"), rule.end.isoformat("minutes")
            assert not (start <= local < end if start < end else local >= start or local < end), slot
    for zone_free in ({"customer_id": "nobody-at-all"}, {"customer_id": someone, "channel": "emial"}):
        assert with_rhythm.call("POST", "/v1/send-times", zone_free).json["warnings"]
    stranger = with_rhythm.call("POST", "/v1/send-times", {"customer_id": "nobody-at-all", "n": 3}).json
    assert (stranger["support"], stranger["reason"]) == (0.0, "unknown customer: everyone's pattern")
    over = {"customer_id": someone, "send_window": {"latest": (now - timedelta(days=1)).isoformat()}}
    assert "no time is left" in with_rhythm.call("POST", "/v1/send-times", over).json["reason"]


def test_a_decisions_slot_is_the_models(with_rhythm: Service) -> None:
    someone = treated(with_rhythm.workspace)
    asked = [with_rhythm.decide(customer, options={"dry_run": True}) for customer in someone[:20]]
    contacted = [decision for decision in asked if decision["contact"]]
    assert contacted
    slots = [decision["action"][0]["send"] for decision in contacted]
    assert all(slot["basis"] == ("activity" if slot["support"] > 0.0 else "prior") for slot in slots)
    assert any(slot["basis"] == "activity" for slot in slots)
    owed = with_rhythm.decide(someone[1], purpose="transactional")
    assert owed["action"][0]["send"]["basis"] == "none"  # what is owed does not wait for the best hour


def test_a_head_request_decides_nothing_and_options_says_what_goes(service: Service) -> None:
    someone = consenting(service.workspace)[0]
    path = f"/v1/touchpoints/home/decision?customer_id={someone}&channels=email"
    before = count(service.workspace, "decisions")
    reply = service.call("HEAD", path)
    assert (reply.status, reply.headers["allow"]) == (405, "GET, OPTIONS")
    assert count(service.workspace, "decisions") == before
    assert service.call("GET", path).status == 200
    assert count(service.workspace, "decisions") == before + 1
    for route, allowed in (("/livez", "GET, HEAD, OPTIONS"), ("/v1/decisions", "OPTIONS, POST")):
        options = service.call("OPTIONS", route, key=None)
        assert (options.status, options.raw, options.headers["allow"]) == (204, b"", allowed)
    assert service.call("HEAD", "/livez", key=None).status == 200
    assert service.call("OPTIONS", "/nowhere", key=None).status == 404


@pytest.mark.parametrize("name", ["nope", "../policy", "..", "a/b", ""])
def test_a_replay_under_no_policy_of_ours_is_refused_by_name(service: Service, name: str) -> None:
    decision = service.decide(consenting(service.workspace)[0])
    reply = service.call("POST", f"/v1/decisions/{decision['decision_id']}/replay", {"policy": name})
    detail = problem(reply, 422, "policy")
    assert repr(name) in detail
    assert str(service.workspace.root) not in detail


def test_a_policy_file_that_is_broken_is_named_without_its_place_on_our_disk(service: Service) -> None:
    folder = service.workspace.root / "policies"
    folder.mkdir(exist_ok=True)
    (folder / "broken.toml").write_text('kind = "no such kind"\n', encoding="utf-8")
    decision = service.decide(consenting(service.workspace)[0])
    reply = service.call("POST", f"/v1/decisions/{decision['decision_id']}/replay", {"policy": "broken"})
    detail = problem(reply, 422, "policy")
    assert "policies/broken.toml" in detail
    assert str(service.workspace.root) not in detail


def test_a_consent_of_the_future_is_refused_and_a_withdrawal_holds_from_now(service: Service) -> None:
    path = "/v1/customers/late-clock/consents"
    later = (service.workspace.clock.now() + timedelta(days=400)).isoformat()
    statement = {"channel": "email", "purpose": "marketing"}
    before = count(service.workspace, "consents")
    refused = service.call("PUT", path, {"consents": [{**statement, "granted": True, "at": later}]})
    assert "in the future" in problem(refused, 422, "data")
    assert count(service.workspace, "consents") == before
    assert service.call("PUT", path, {"consents": [{**statement, "granted": True}]}).json["consents"] == {
        "email/marketing": True
    }
    body = {"consents": [{**statement, "granted": False, "at": later}]}
    advance(service.workspace)
    withdrawn = service.call("PUT", path, body).json
    assert withdrawn["consents"] == {"email/marketing": False}
    assert "holds from now" in withdrawn["warnings"][0]
    soon = (service.workspace.clock.now() + timedelta(minutes=3)).isoformat()
    odd = {"channel": "emial", "purpose": "service", "granted": True, "at": soon}
    answer = service.call("PUT", path, {"consents": [odd]}).json
    assert answer["consents"]["emial/service"] is True, "a clock a little ahead of ours waits for nothing"
    assert answer["warnings"] == ["channel 'emial' is not in foretouch.toml"]


def test_an_unsubscription_with_an_old_time_still_withdraws(service: Service) -> None:
    someone = treated(service.workspace)[3]
    contacted = service.decide(someone, purpose="transactional")
    assert contacted["contact"]
    body = {
        "outcome_id": "old-unsubscribe",
        "decision_id": contacted["decision_id"],
        "type": "unsubscribe",
        "occurred_at": "2001-01-01T00:00:00Z",
    }
    reply = service.call("POST", "/v1/outcomes", body)
    assert "before the decision" in reply.json["warnings"][0]
    after = service.decide(someone)
    assert (after["status"], after["contact"]) == ("suppressed", False)


def test_outcomes_that_would_count_wrongly_are_refused_or_said(service: Service) -> None:
    decision = service.decide(treated(service.workspace)[4], purpose="transactional")
    base = {"decision_id": decision["decision_id"], "occurred_at": decision["decided_at"]}
    nothing = service.call("POST", "/v1/outcomes", {**base, "outcome_id": "m1", "type": "revenue"})
    assert "value is missing" in problem(nothing, 422, "data")
    yen = {**base, "outcome_id": "m2", "type": "revenue", "value": 900.0, "currency": "JPY"}
    assert "nothing is converted" in problem(service.call("POST", "/v1/outcomes", yen), 422, "data")
    many = service.call("POST", "/v1/outcomes", {"outcomes": [yen]}).json
    assert many["counts"]["refused"] == 1
    ninth = service.call("POST", "/v1/outcomes", {**base, "outcome_id": "m3", "type": "click", "rank": 9}).json
    assert (ninth["status"], len(ninth["warnings"])) == ("accepted", 1)
    assert "no contact of rank 9" in ninth["warnings"][0]


def test_an_event_in_another_currency_is_kept_aside_as_ingest_does(service: Service) -> None:
    now = service.workspace.clock.now().isoformat()
    event = {"event_id": "yen", "customer_id": "c", "event": "purchase", "occurred_at": now, "value": 900.0}
    before = count(service.workspace, "quarantine")
    reply = service.call("POST", "/v1/events", {**event, "currency": "JPY"}).json
    assert reply["status"] == "quarantined"
    assert "must be the workspace's" in reply["reason"]
    assert count(service.workspace, "quarantine") == before + 1


def test_people_known_by_events_alone_get_the_same_answer_from_file_and_service(service: Service) -> None:
    workspace = service.workspace
    goal = workspace.config.goals.lead.goal_event
    for name, event in (("walk-in", "page_view"), ("walk-in-customer", goal)):
        body = {"event_id": f"e-{name}", "customer_id": name, "event": event}
        body["occurred_at"] = workspace.clock.now().isoformat()
        advance(workspace)
        assert service.call("POST", "/v1/events", body).json["status"] == "accepted"

    def asked() -> dict[str, Any]:
        body = {"customer_ids": ["walk-in", "walk-in-customer", "nobody-at-all"]}
        reply = service.call("POST", "/v1/scores/lead", body)
        return {item["customer_id"]: item for item in reply.json["scores"]}

    wait_for(lambda: asked()["walk-in"]["score"] is not None, seconds=10.0, what="the event to be online")
    wait_for(lambda: "no lead" in asked()["walk-in-customer"]["reason"], seconds=10.0, what="the goal to be online")
    audience = workspace.root / "audience.csv"
    audience.write_text("customer_id\nwalk-in\nwalk-in-customer\nnobody-at-all\n", encoding="utf-8")
    out = workspace.root / "lead.parquet"
    score_everyone(workspace, "lead", out, audience=audience)
    for row in pq.read_table(out).to_pylist():
        answer = asked()[row["customer_id"]]
        assert row["note"] == answer["reason"]
        assert row["score"] == pytest.approx(answer["score"]) if answer["score"] is not None else row["score"] is None
    everyone = workspace.root / "everyone.parquet"
    score_everyone(workspace, "lead", everyone)
    assert {"walk-in", "walk-in-customer"} <= set(pq.read_table(everyone).column("customer_id").to_pylist())


def advance(workspace: Workspace) -> None:
    """A simulated world's clock is moved by hand; what came in is known from the moment after."""
    clock: Any = workspace.clock
    clock.set(clock.now() + timedelta(seconds=1))


class SlowStore:
    """Answers after 50 ms."""

    def read(self, customer_id: str) -> FeatureSnapshot:
        time.sleep(0.05)
        return FeatureSnapshot(known=True)

    def refresh(self, customer_ids: Any, now: Any) -> None:
        """Nothing to do."""


@contextmanager
def reading() -> Iterator[FeatureReader]:
    reader = FeatureReader(SlowStore(), Telemetry())
    try:
        yield reader
    finally:
        reader.close()


@pytest.mark.parametrize("hurried", [True, False])
def test_a_hurried_caller_does_not_open_the_breaker_for_the_others(*, hurried: bool) -> None:
    with reading() as reader:
        for _ in range(OPEN_AFTER_FAILURES):
            late = reader.read("a", 0.0001, hurried=hurried)
            assert late.error == "the feature store did not answer within 0.1 ms"
        wait_for(lambda: reader._free._value == 16, seconds=5.0, what="the reads to end")
        after = reader.read("a", 5.0)
        assert after.known is hurried
        assert (after.error is None) is hurried
