"""The data plane in this process: what breaks behind it, and what the caller still gets."""

import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from foretouch.core.bundle import read_bundle, write_aliases, write_bundle
from foretouch.core.clock import utc_now
from foretouch.core.decisions import DecisionRequest, FeatureSnapshot
from foretouch.core.errors import BundleError
from foretouch.core.events import CustomerEvent
from foretouch.core.offers import CandidateRef
from foretouch.core.state.log import append_event
from foretouch.core.workspace import Workspace
from foretouch.serving import decide
from foretouch.serving.decision.customer_scores import CustomerScores, score_customer
from foretouch.serving.decision.moment import settle_time
from foretouch.serving.models.bundles import BundleStore, check_text, load_scorer, load_scorers
from foretouch.serving.runtime import settings as settings_module
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.runtime.feature_read import Breaker, FeatureReader
from foretouch.serving.runtime.log_write import Claim
from foretouch.serving.runtime.settings import Settings
from foretouch.serving.runtime.upkeep import catch_up
from foretouch.serving.web.telemetry import Telemetry
from tests.serving.service.world import LEAD_INPUTS, count, treated, write_model


class BrokenStore:
    """A feature store that fails, hangs or answers, as it is told."""

    def __init__(self, *, seconds: float = 0.0, fails: bool = False) -> None:
        self.seconds = seconds
        self.fails = fails
        self.calls = 0
        self.release = threading.Event()

    def read(self, customer_id: str) -> FeatureSnapshot:
        self.calls += 1
        self.release.wait(self.seconds)
        if self.fails:
            raise ConnectionError(f"no route to {customer_id}")
        return FeatureSnapshot(known=True)

    def refresh(self, customer_ids: Sequence[str], now: datetime) -> None:
        raise AssertionError(f"nothing is refreshed here: {customer_ids} at {now}")


@pytest.fixture
def plane(fresh: Workspace) -> Iterator[Dataplane]:
    with Dataplane(fresh) as opened:
        yield opened


def request(customer_id: str, **fields: object) -> DecisionRequest:
    return DecisionRequest.model_validate({"customer_id": customer_id, "channels": ["email"], **fields})


def test_a_log_that_cannot_be_written_gives_a_fallback_that_says_so(fresh: Workspace, plane: Dataplane) -> None:
    someone = treated(fresh)[0]
    plane.state.write(lambda connection: connection.execute("PRAGMA query_only = 1"))
    default = CandidateRef(offer_id="offer-02-food", channel="email")
    given = plane.decide_one(request(someone, default_action=default, options={"language": "en"}))
    assert (given.decision.status, given.decision.logged) == ("fallback", False)
    assert "log cannot be written" in given.decision.status_reason
    assert given.decision.models == ()
    assert count(fresh, "decisions") == 0
    batch = plane.decide_many([request(someone), request("nobody")])
    assert [not isinstance(item, Exception) and item.decision.logged for item in batch] == [False, False]
    plane.state._writer_connection.execute("PRAGMA query_only = 0")
    assert plane.decide_one(request(someone)).decision.logged


def test_without_consent_nobody_is_contacted_when_the_log_is_down(plane: Dataplane) -> None:
    plane.state.write(lambda connection: connection.execute("PRAGMA query_only = 1"))
    given = plane.decide_one(request("nobody"))
    assert (given.decision.logged, given.decision.contact) == (False, False)


def test_a_failing_decision_leaves_nothing_behind(fresh: Workspace, plane: Dataplane) -> None:
    plane.state.write(
        lambda connection: connection.execute(
            "CREATE TRIGGER stop BEFORE INSERT ON idempotency BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    )
    given = plane.decide_one(request(treated(fresh)[0], request_id="r1"))
    assert not given.decision.logged
    assert count(fresh, "decisions") == count(fresh, "contacts") - count_touches(fresh) == 0


def count_touches(workspace: Workspace) -> int:
    """Contacts that came with the history."""
    with Dataplane(workspace) as other:
        rows = other.state.read().execute("SELECT COUNT(*) FROM contacts WHERE decision_id IS NULL")
        return int(rows.fetchone()[0])


@pytest.mark.parametrize("store", [BrokenStore(fails=True), BrokenStore(seconds=5.0)], ids=["fails", "hangs"])
def test_a_feature_store_that_breaks_costs_no_answer(fresh: Workspace, store: BrokenStore) -> None:
    with Dataplane(fresh, features=store) as plane:
        start = time.monotonic()
        given = plane.decide_one(request(treated(fresh)[0]), deadline_ms=60.0)
        assert time.monotonic() - start < 2.0
        assert given.decision.status in {"degraded", "fallback"}
        assert given.record is not None
        assert given.record.features.error is not None
        store.release.set()


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_decision_that_fails_with_the_models_is_made_without_them(
    plane: Dataplane, monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    def score(features: FeatureSnapshot, models: Mapping[str, object], *rest: Any, **more: Any) -> CustomerScores:
        if models:
            raise FloatingPointError("a score is not finite")
        return score_customer(features, {}, *rest, **more)

    monkeypatch.setattr(decide, "score_customer", score)
    answer = plane.decide_one(request(treated(plane.workspace)[0], options={"dry_run": dry_run})).decision
    assert answer.status == "fallback"
    assert answer.models == ()


@pytest.mark.parametrize(
    "window",
    [
        {"latest": "9999-12-31T23:59:59.999999Z"},
        {"earliest": "9999-12-31T23:59:59Z"},
        {"earliest": "0001-01-01T00:00:00+14:00", "time_zone": "America/New_York"},
        {"latest": "9999-12-31T23:59:59-12:00", "time_zone": "Pacific/Kiritimati"},
    ],
)
def test_a_window_to_the_end_of_time_is_answered(plane: Dataplane, window: dict[str, str]) -> None:
    answer = plane.decide_one(request(treated(plane.workspace)[0], send_window=window)).decision
    assert answer.logged
    assert (answer.status == "suppressed") == ("earliest" in window and window["earliest"].startswith("9999"))


def test_settings_that_cannot_be_read_for_whatever_reason_keep_the_earlier_ones(
    plane: Dataplane, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoiled(workspace: Workspace) -> Settings:
        raise OverflowError(f"{workspace.root}/policy.toml: date value out of range")

    before = plane.settings.current
    monkeypatch.setattr(settings_module, "read_settings", spoiled)
    monkeypatch.setattr(settings_module, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(plane.settings, "_next_look", 0.0)
    path = plane.workspace.root / "policy.toml"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert plane.settings.current is before
    assert plane.readiness()["settings_error"] == "policy.toml: date value out of range"


def test_a_hanging_store_is_left_alone_after_five_failures() -> None:
    store = BrokenStore(seconds=30.0)
    reader = FeatureReader(store, Telemetry())
    for _ in range(5):
        assert "did not answer" in str(reader.read("a", 0.01).error)
    start = time.monotonic()
    assert "left alone" in str(reader.read("a", 5.0).error)
    assert time.monotonic() - start < 0.5
    assert store.calls == 5
    store.release.set()
    reader.close()


def test_the_breaker_tries_again_and_closes() -> None:
    breaker = Breaker()
    for at in range(5):
        breaker.failed(100.0 + at)
    assert not breaker.allows(105.0)
    assert breaker.allows(106.5)
    assert not breaker.allows(106.6), "one trial at a time"
    breaker.succeeded()
    assert breaker.allows(106.7)
    for at in range(4):
        breaker.failed(200.0 + at)
    breaker.failed(211.0)
    assert breaker.allows(211.0), "five failures over more than ten seconds are no outage"


def test_a_claim_has_one_owner() -> None:
    for _ in range(200):
        claim = Claim()
        with ThreadPoolExecutor(2) as pool:
            taken = list(pool.map(claim.take, ("writer", "caller")))
        assert sum(taken) == 1


def test_caps_hold_when_many_ask_for_one_customer_at_once(fresh: Workspace, plane: Dataplane) -> None:
    someone = treated(fresh)[1]
    requests = [request(someone, touchpoint=f"t{index}") for index in range(30)]
    with ThreadPoolExecutor(16) as pool:
        decisions = [given.decision for given in pool.map(plane.decide_one, requests)]
    contacts = [action.send_at for decision in decisions for action in decision.action]
    policy = fresh.contact_policy()
    assert contacts
    for cap in policy.caps:
        if cap.scope == "customer":
            assert len(contacts) <= cap.limit
    gap = timedelta(hours=policy.minimum_gap_hours)
    assert all(later - earlier >= gap for earlier, later in zip(sorted(contacts), sorted(contacts)[1:], strict=False))
    for decision in decisions:
        assert plane.replay(decision.decision_id).identical


def test_a_time_of_this_machine_is_moved_in_a_workspace_that_lives_elsewhere(fresh: Workspace) -> None:
    path = fresh.root / "foretouch.toml"
    text = path.read_text(encoding="utf-8").replace('kind = "manual"', 'kind = "offset"\noffset_seconds = -31536000.0')
    path.write_text(text, encoding="utf-8")
    moved_world = Workspace.open(fresh.root)
    now = moved_world.clock.now()
    moment = settle_time(moved_world.config.clock, utc_now(), now)
    assert abs(moment.at - now) < timedelta(minutes=1)
    assert moment.warning is not None
    for kept in (now, now - timedelta(days=2), now + timedelta(minutes=4), utc_now() + timedelta(days=31)):
        assert settle_time(moved_world.config.clock, kept, now).at == kept
    assert settle_time(fresh.config.clock, datetime(2030, 1, 1, tzinfo=UTC), now).warning is None


def test_a_text_that_crashes_its_parser_harms_nobody(fresh: Workspace) -> None:
    bundle = read_bundle(fresh.bundles, "lead", "v1")
    good = bundle.model_text
    spoiled = {
        "good": good,
        "empty trees": good.replace("num_leaves=", "num_leaves=-", 1),
        "cut": good[: len(good) // 2],
        "noise": "tree\n" + "\x01" * 1000,
    }
    wrong = check_text(
        {name: type(bundle)(card=bundle.card, model_text=text, golden=bundle.golden) for name, text in spoiled.items()}
    )
    assert "good" not in wrong
    assert set(wrong) >= {"noise"}
    scorers, refused = load_scorers(fresh.bundles, {"lead": "v1", "offer": "v1", "churn": "v1"})
    assert (set(scorers), set(refused)) == ({"lead", "offer"}, {"churn"})


@pytest.mark.parametrize("name", ["model.txt", "card.json", "golden.json", "manifest.json"])
def test_any_altered_file_is_refused(fresh: Workspace, name: str) -> None:
    path = fresh.bundles / "lead" / "v1" / name
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"1", b"2", 1))
    with pytest.raises(BundleError):
        load_scorer(fresh.bundles, "lead", "v1")
    path.write_bytes(raw)
    assert load_scorer(fresh.bundles, "lead", "v1").card.version == "v1"
    (path.parent / "canary.pkl").write_bytes(b"cos\nsystem\n(S'touch canary'\ntR.")
    with pytest.raises(BundleError, match="unexpected"):
        load_scorer(fresh.bundles, "lead", "v1")


@pytest.mark.parametrize(("model", "version"), [("lead", "v2"), ("churn", "v1")])
def test_a_bundle_in_anothers_place_is_refused(fresh: Workspace, model: str, version: str) -> None:
    shutil.copytree(fresh.bundles / "lead" / "v1", fresh.bundles / model / version)
    with pytest.raises(BundleError, match="its card says it is lead v1"):
        load_scorer(fresh.bundles, model, version)


def test_a_bundle_that_misses_its_golden_rows_in_the_last_bit_is_refused(fresh: Workspace, tmp_path: Path) -> None:
    bundle = read_bundle(fresh.bundles, "lead", "v1")
    raw = bundle.golden.raw
    off = (raw[0] * (1.0 + 2.3e-16), *raw[1:])
    assert off != raw
    write_bundle(tmp_path, bundle.card, bundle.model_text, bundle.golden.replace(raw=off))
    with pytest.raises(BundleError, match="golden rows"):
        load_scorer(tmp_path, "lead", "v1")


def test_the_store_swaps_whole_and_tries_a_refused_version_once(fresh: Workspace) -> None:
    told: list[tuple[str, str]] = []

    class Watcher:
        def loaded(self, model: str, version: str, earlier: str | None) -> None:
            told.append((model, f"{earlier}>{version}"))

        def refused(self, model: str, reason: str) -> None:
            told.append((model, "refused" if "v9" in reason else reason))

    store = BundleStore(fresh.bundles, Watcher())
    first = store.refresh()
    assert store.refresh() is first
    write_aliases(fresh.bundles, "lead", {"champion": "v9"})
    second = store.refresh()
    assert second.scorers["lead"] is first.scorers["lead"]
    assert second.refused.keys() == {"lead"}
    assert store.refresh() is second
    write_model(fresh, "lead", "v2", LEAD_INPUTS, seed=3)
    third = store.refresh()
    assert (third.scorers["lead"].card.version, dict(third.refused)) == ("v2", {})
    assert first.scorers["lead"].card.version == "v1", "who holds the earlier champions keeps them"
    assert told == [("lead", "None>v1"), ("offer", "None>v1"), ("lead", "refused"), ("lead", "v1>v2")]


def test_events_of_before_a_crash_are_caught_up_with(fresh: Workspace, plane: Dataplane) -> None:
    someone, other = treated(fresh)[:2]
    now = plane.clock.now()
    events = [
        CustomerEvent(event_id="e1", customer_id=someone, event="page_view", occurred_at=now, received_at=now),
        CustomerEvent(
            event_id="e2", customer_id=other, event="page_view", occurred_at=now, received_at=now - timedelta(hours=2)
        ),
    ]
    for event in events:
        plane.state.write(lambda connection, event=event: append_event(connection, event, now))  # type: ignore[misc]
    queued: list[str] = []
    assert catch_up(plane, queued.append) == 1
    assert queued == [someone]
