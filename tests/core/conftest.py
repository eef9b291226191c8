"""Real servers for the tests of the state, each started once per test process."""

from collections.abc import Iterator

import pytest

from tests.suites.state_servers import PostgresServer, RedisServer, postgres_server, redis_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real Postgres."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """A real Redis."""
    with redis_server() as server:
        yield server
