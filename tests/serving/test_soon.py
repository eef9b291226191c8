"""What is answered without a thread of its own: results of other threads, and keys that were good a moment ago."""

import asyncio
import random
import threading
import time
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from foretouch.core.clock import utc_now
from foretouch.core.state.access import create_key, revoke_key
from foretouch.core.state.db import State
from foretouch.core.state.settling import settling
from foretouch.serving.web import auth
from foretouch.serving.web import body as body_reading
from foretouch.serving.web.auth import KeyRing
from foretouch.serving.web.body import Body
from foretouch.serving.web.problems import Problem
from foretouch.serving.web.soon import Wakeups, wakeups
from foretouch.serving.web.tally import MOVE_SECONDS
from foretouch.serving.web.telemetry import ROUTE_BUCKETS, Telemetry


def test_every_waiter_is_woken_once_its_own_future_is_settled() -> None:
    futures: list[Future[int]] = [Future() for _ in range(500)]

    def settle(part: list["Future[int]"]) -> None:
        for index, future in enumerate(part):
            if index % 50 == 0:
                time.sleep(0.001)
            if index % 7:
                future.set_result(index)
            else:
                future.set_exception(RuntimeError("no"))

    async def main() -> list[bool]:
        found = wakeups()
        assert wakeups() is found
        waiting = [asyncio.ensure_future(found.settled(future, 10.0)) for future in futures]
        await asyncio.sleep(0)
        order = random.Random(1).sample(futures, len(futures))
        threads = [threading.Thread(target=settle, args=(order[start::4],)) for start in range(4)]
        for thread in threads:
            thread.start()
        settled = await asyncio.gather(*waiting)
        for thread in threads:
            thread.join()
        return settled

    assert asyncio.run(main()) == [True] * 500


def test_a_group_that_is_settled_together_wakes_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    futures: list[Future[int]] = [Future() for _ in range(50)]
    calls: list[object] = []

    def settle() -> None:
        with settling():
            for future in futures:
                future.set_result(1)
                time.sleep(0.0001)

    async def main() -> list[bool]:
        loop = asyncio.get_running_loop()
        found = Wakeups(loop)
        waiting = [asyncio.ensure_future(found.settled(future, 10.0)) for future in futures]
        await asyncio.sleep(0)
        call = loop.call_soon_threadsafe

        def counted(*given: Any) -> asyncio.Handle:
            calls.append(given)
            return call(*given)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        thread = threading.Thread(target=settle)
        thread.start()
        settled = await asyncio.gather(*waiting)
        thread.join()
        return settled

    assert asyncio.run(main()) == [True] * 50
    assert len(calls) == 1


def test_waiting_ends_in_time_and_a_late_result_disturbs_nobody() -> None:
    async def main() -> None:
        found = Wakeups(asyncio.get_running_loop())
        late: Future[int] = Future()
        started = time.monotonic()
        assert not await found.settled(late, 0.05)
        assert time.monotonic() - started < 2.0
        late.set_result(1)
        assert await found.settled(late, 5.0)
        done: Future[int] = Future()
        done.set_result(2)
        assert await found.settled(done, 0.0)

    asyncio.run(main())


def test_a_revoked_key_is_refused_within_a_second_and_an_expired_one_at_once(tmp_path: Path) -> None:
    now, ring = utc_now(), KeyRing()
    with State(tmp_path / "state.db") as state:
        made = state.write(lambda c: create_key(c, ["decide"], now))
        short = state.write(lambda c: create_key(c, ["decide"], now, expires_at=now + timedelta(hours=1)))
        headers, other = {"x-api-key": made["key"]}, {"authorization": f"Bearer {short['key']}"}
        assert ring.authenticate(state, headers, lambda: now).id == made["id"]
        assert ring.authenticate(state, other, lambda: now).id == short["id"]
        with pytest.raises(Problem, match="expired"):
            ring.authenticate(state, other, lambda: now + timedelta(hours=2))
        state.write(lambda c: revoke_key(c, made["id"], now))
        revoked = time.monotonic()
        while time.monotonic() - revoked < 5.0:
            try:
                ring.authenticate(state, headers, lambda: now)
            except Problem:
                break
            time.sleep(0.02)
        assert time.monotonic() - revoked < 1.0
        for wrong in ({}, {"x-api-key": made["key"] + "0"}, {"authorization": "Bearer ftk_x_y"}):
            with pytest.raises(Problem):
                ring.authenticate(state, wrong, lambda: now)


def test_kept_keys_are_bounded_and_not_kept_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "MOST_KEPT", 3)
    now, ring = utc_now(), KeyRing()
    with State(tmp_path / "state.db") as state:
        keys = [state.write(lambda c: create_key(c, ["decide"], now))["key"] for _ in range(7)]
        for key in keys:
            ring.authenticate(state, {"x-api-key": key}, lambda: now)
            assert len(ring._kept) <= 3
            assert key.encode() not in ring._kept


def test_what_is_counted_together_is_what_would_have_been_counted_one_by_one() -> None:
    telemetry, alone = Telemetry(), Telemetry()
    rng = random.Random(3)
    given = [
        (rng.choice(("/a", "/b")), rng.choice(("GET", "POST")), rng.choice((200, 404)), rng.expovariate(5.0))
        for _ in range(500)
    ]
    given += [("/a", "GET", 200, bound) for bound in (0.0, *ROUTE_BUCKETS, 60.0)]

    async def main() -> None:
        for one in given:
            telemetry.answered(*one)
        assert telemetry.requests.labels("/a", "GET", "200")._value.get() == 0.0
        await asyncio.sleep(2 * MOVE_SECONDS)
        assert telemetry.requests.labels("/a", "GET", "200")._value.get() > 0.0
        telemetry.answered("/b", "GET", 200, 0.5)

    asyncio.run(main())
    for route, method, status, seconds in (*given, ("/b", "GET", 200, 0.5)):
        alone.requests.labels(route, method, str(status)).inc()
        alone.seconds.labels(route).observe(seconds)

    def shown(found: Telemetry) -> dict[str, float]:
        lines = found.exposition()[0].decode().splitlines()
        kept = [
            line.rpartition(" ") for line in lines if line.startswith("foretouch_request") and "_created" not in line
        ]
        return {name: float(value) for name, _, value in kept}

    assert shown(telemetry) == pytest.approx(shown(alone))
    assert len(shown(alone)) > 20


class Sender:
    """A client that sends its body in parts, each after a wait of its own."""

    def __init__(self, parts: list[tuple[bytes, float | None]]) -> None:
        self._parts = parts

    async def receive(self) -> dict[str, Any]:
        part, seconds = self._parts.pop(0)
        if seconds is not None:
            await asyncio.sleep(seconds)
        return {"type": "http.request", "body": part, "more_body": bool(self._parts)}


@pytest.mark.parametrize("waits", [(None, None), (0.0, None), (None, 0.01), (0.01, 0.0), (0.0, 0.01)])
def test_a_body_is_whole_however_it_comes(waits: tuple[float | None, ...]) -> None:
    parts = list(zip((b"ab", b"cde"), waits, strict=True))
    assert asyncio.run(Body(Sender(list(parts)).receive).read(None, 5)) == b"abcde"
    with pytest.raises(Problem, match="larger"):
        asyncio.run(Body(Sender(list(parts)).receive).read(None, 4))
    assert asyncio.run(Body(Sender(parts[:1]).receive).read("2", 5)) == b"ab"
    with pytest.raises(Problem, match="larger"):
        asyncio.run(Body(Sender(parts[:1]).receive).read(None, 1))


def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_reading, "READ_SECONDS", 0.05)
    with pytest.raises(Problem, match="did not come"):
        asyncio.run(Body(Sender([(b"a", None), (b"b", 30.0)]).receive).read(None, 5))

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    with pytest.raises(Problem, match="closed before"):
        asyncio.run(Body(gone).read(None, 5))
