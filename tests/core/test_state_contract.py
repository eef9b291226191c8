"""The contract of the state on a file, on a real Postgres, and with caps in a real Redis."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.suites import state_stores
from tests.suites.state_contract import StateContract
from tests.suites.state_servers import PostgresServer, RedisServer
from tests.suites.state_stores import Store


@pytest.fixture(params=sorted(state_stores.TESTED.values()))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each store in turn."""
    if request.param == "sqlite":
        made = state_stores.sqlite(tmp_path)
    elif request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        made = state_stores.postgres(server)
    else:
        caps: RedisServer = request.getfixturevalue("redis")
        made = state_stores.redis(caps, tmp_path)
    yield made
    made.close()


class TestState(StateContract):
    """On each of them."""


def test_no_implementation_is_forgotten() -> None:
    assert state_stores.implementations() == set(state_stores.TESTED)
