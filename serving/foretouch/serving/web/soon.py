"""Routes that are answered on the event loop, without a thread: what they wait for comes from elsewhere by itself.

A decision hands its work to the log's writer and waits for the commit. Sixty-four threads that wait, each woken by
itself and each contending for the interpreter, cost more than a decision does; here one wake-up brings whatever a
group commit has finished.
"""

import asyncio
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from foretouch.core.decisions import DecisionRequest
from foretouch.core.state.settling import when_settled
from foretouch.serving.web.api import Api, checked
from foretouch.serving.web.call import Answer, Call

if TYPE_CHECKING:  # the supervisor reads the routes too, and must not wait for LightGBM and pandas
    from foretouch.serving.runtime.decider import Given

REPLAYED = {"idempotent-replayed": "true"}


class Wakeups:
    """Brings what other threads have finished to one event loop, as much as there is with one wake-up.

    Args:
        loop: The running one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ready: deque[asyncio.Future[None]] = deque()
        self._called = False

    async def settled(self, future: "Future[Any]", seconds: float) -> bool:
        """Waits for a future of another thread; False when it is not settled in time.

        Args:
            future: The other thread's.
            seconds: How long to wait at most.
        """
        if future.done():
            return True
        waiter: asyncio.Future[None] = self._loop.create_future()
        late = self._loop.call_later(seconds, _wake, waiter)
        future.add_done_callback(lambda _: self._bring(waiter))
        try:
            await waiter
        finally:
            late.cancel()
        return future.done()

    def _bring(self, waiter: "asyncio.Future[None]") -> None:
        """Called by the other thread."""
        self._ready.append(waiter)
        if not self._called:
            self._called = True
            when_settled(self._call)

    def _call(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        self._called = False  # before looking: what comes from now on calls again
        while self._ready:
            _wake(self._ready.popleft())


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)


_WAKEUPS: WeakKeyDictionary[asyncio.AbstractEventLoop, Wakeups] = WeakKeyDictionary()


def wakeups() -> Wakeups:
    """Those of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _WAKEUPS.get(loop)
    if found is None:
        found = _WAKEUPS[loop] = Wakeups(loop)
    return found


async def decide(api: Api, call: Call) -> Answer | None:
    """One decision; None where it would block: its features or log are beyond this machine, or it is a dry run."""
    plane = api.plane
    request = checked(DecisionRequest, call.body)
    if not plane.at_hand or request.options.dry_run:
        return None
    begun = plane.begin_one(
        request,
        caller=call.caller_id,
        idempotency_key=call.idempotency_key,
        deadline_ms=call.deadline_ms,
        arrived=call.arrived,
    )
    if not isinstance(begun, tuple):
        return _answer(begun)
    decision, seconds = begun
    settled = decision.pending is None or await wakeups().settled(decision.pending.future, seconds)
    if settled and decision.pending is not None and decision.pending.future.exception() is None:
        return _answer(plane.finish_one(decision, 0.0))
    finish = asyncio.get_running_loop().run_in_executor(None, plane.finish_one, decision, 0.0)
    return _answer(await finish)  # in a thread: it decides once more without the log, or waits for a job that has begun


async def livez(_: Any, __: Call) -> Answer:
    """The process lives."""
    return ALIVE


ALIVE = Answer.of({"status": "alive"})


def _answer(given: "Given") -> Answer:
    return Answer(body=given.body, headers=REPLAYED) if given.replayed else Answer(body=given.body)
