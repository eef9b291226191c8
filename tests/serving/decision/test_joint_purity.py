"""The pure core: sockets, files, clocks, randomness and environment all refuse, and every world is still decided."""

import os
import random
import secrets
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from foretouch.serving.decide import DecisionInputs, decide
from tests.serving.decision.world import inputs, request
from tests.serving.decision.worlds import ZONES, worlds

HELD = [ZoneInfo(name) for name in (*ZONES, "Europe/Berlin")]
"""Zones are read from disk at their first use; while they are held, not again."""
WATCHED = ("open", "socket.", "os.", "subprocess.", "sqlite3.", "time.", "urllib.", "import", "shutil.", "tempfile.")
"""Audit events of the interpreter that are input or output."""


class ImpureError(BaseException):
    """Raised by what the pure core must not touch; nothing that guards against failing models catches it."""


class Watch:
    """Hears the interpreter's audit events while it listens; a hook can never be taken away again."""

    def __init__(self) -> None:
        self.listens = False
        self.heard: list[str] = []
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Refuses input and output."""
        if self.listens and event.startswith(WATCHED):
            self.heard.append(f"{event} {arguments[:1]}")


WATCH = Watch()


def refuse(*arguments: object, **_: object) -> Any:
    """Stands for everything that is not the decision's own."""
    raise ImpureError(f"touched by the pure core: {arguments[:1]}")


class Closed(dict[str, str]):
    """An environment that nobody may read."""

    __getitem__ = __contains__ = get = __iter__ = refuse


FORBIDDEN = (
    *((socket, name) for name in ("socket", "create_connection", "getaddrinfo")),
    *((time, name) for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns")),
    *((time, name) for name in ("sleep", "localtime", "gmtime", "process_time")),
    *((random, name) for name in ("random", "randint", "choice", "shuffle", "uniform", "Random", "SystemRandom")),
    *((secrets, name) for name in ("token_hex", "token_bytes", "randbelow")),
    *((np.random, name) for name in ("default_rng", "random", "rand", "seed")),
    *((os, name) for name in ("urandom", "getenv", "open", "stat", "listdir", "getpid", "system")),
)


@contextmanager
def sealed() -> Iterator[None]:
    """The world outside is shut: its doors raise, and the interpreter reports what goes past them."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in FORBIDDEN:
            patch.setattr(module, name, refuse)
        patch.setattr("builtins.open", refuse)
        patch.setattr("io.open", refuse)
        for name in ("utc_now", "monotonic"):
            patch.setattr(f"foretouch.core.clock.{name}", refuse)
        patch.setattr(os, "environ", Closed())
        WATCH.heard.clear()
        WATCH.listens = True
        try:
            yield
        finally:
            WATCH.listens = False
    assert not WATCH.heard


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds())
def test_every_world_is_decided_with_the_outside_shut(world: tuple[dict[str, Any], DecisionInputs]) -> None:
    asked, given_inputs = world
    question = request(**asked)
    decide(question, given_inputs)  # modules that are read at their first use
    with sealed():
        shut = decide(question, given_inputs)
    assert shut.to_line() == decide(question, given_inputs).to_line()


def test_the_seal_holds() -> None:
    doors: tuple[tuple[object, str, tuple[object, ...]], ...] = (
        (time, "time", ()),
        (random, "random", ()),
        (np.random, "default_rng", ()),
        (os, "getenv", ("HOME",)),
        (Path(__file__), "read_text", ()),
        (socket, "create_connection", (("127.0.0.1", 9),)),
    )
    for owner, name, arguments in doors:
        with pytest.raises(ImpureError), sealed():
            getattr(owner, name)(*arguments)
    with pytest.raises(ImpureError), sealed():
        os.environ["HOME"]
    with pytest.raises(AssertionError), sealed():
        os.scandir(".").close()  # a door that nobody locked is heard all the same


def test_plans_change_nothing_and_are_made_once() -> None:
    """What is kept beside a configuration only saves work: with it and without it, the same record."""
    kept = inputs()
    first = decide(request(n=2), kept)
    again = decide(request(n=2), kept)
    fresh = decide(request(n=2), inputs())
    assert first.to_line() == again.to_line() == fresh.to_line()
    made: list[str] = []
    kept.plans.get("menu", (kept.catalogue,), lambda: made.append("menu"))
    assert not made
    kept.plans.get("menu", (inputs().catalogue.model_copy(),), lambda: made.append("menu"))
    assert made == ["menu"]
    assert isinstance(first.decided_at, datetime)
