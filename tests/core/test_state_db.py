"""The writer groups commits, keeps failing jobs apart, and what was acknowledged is there after a kill."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from foretouch.core.errors import StateError
from foretouch.core.state.connection import Connection
from foretouch.core.state.db import State, connect


def count(connection: Connection) -> int:
    found: int = connection.execute("SELECT count(*) FROM quarantine").fetchone()[0]
    return found


def add(connection: Connection, name: str) -> int:
    connection.execute("INSERT INTO quarantine (kind, reason, at, body) VALUES (?, 'test', 0, x'')", (name,))
    return count(connection)


def test_writes_from_many_threads_are_each_applied_once(tmp_path: Path) -> None:
    with State(tmp_path / "state.db") as state, ThreadPoolExecutor(8) as pool:
        totals = list(pool.map(lambda index: state.write(lambda c: add(c, str(index))), range(300)))
        assert sorted(totals) == list(range(1, 301))
        assert count(state.read()) == 300


def test_a_failing_job_undoes_only_its_own_writes(tmp_path: Path) -> None:
    def fail(connection: Connection) -> None:
        add(connection, "bad")
        raise ValueError("no")

    with State(tmp_path / "state.db") as state:
        first, failing, last = (
            state.submit(lambda c: add(c, "good")),
            state.submit(fail),
            state.submit(lambda c: add(c, "good")),
        )
        assert first.result() == 1
        with pytest.raises(ValueError, match="no"):
            failing.result()
        assert last.result() == 2


def test_what_a_group_does_together_comes_before_its_transaction_and_may_fail(tmp_path: Path) -> None:
    begun, told = threading.Event(), threading.Event()
    seen: list[list[int]] = []

    def hold(_: Connection) -> None:
        begun.set()
        told.wait(10)

    def together(handed: list[int]) -> None:
        other = connect(tmp_path / "state.db")
        other.execute("BEGIN IMMEDIATE")  # nobody else is writing
        other.execute("ROLLBACK")
        other.close()
        seen.append(handed)
        raise ValueError("no")

    with State(tmp_path / "state.db") as state:
        state.submit(hold)
        begun.wait(10)
        jobs = [
            state.submit(lambda c: add(c, "good"), ahead=(together, number) if number else None)
            for number in (1, 0, 2, 3)
        ]
        told.set()
        assert [job.result() for job in jobs] == [1, 2, 3, 4]
    assert seen == [[1, 2, 3]]


def test_two_processes_share_one_file(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    code = (
        "import sys; from pathlib import Path; from foretouch.core.state.db import State\n"
        "INSERT = \"INSERT INTO quarantine (kind, reason, at, body) VALUES ('k', '', 0, x'')\"\n"
        "state = State(Path(sys.argv[1]))\n"
        "for i in range(100):\n"
        "    state.write(lambda c: c.execute(INSERT))\n"
        "state.close()"
    )
    children = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    connection = connect(path)
    assert count(connection) == 300
    connection.close()


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    code = (
        "import sys; from pathlib import Path; from foretouch.core.state.db import State\n"
        "INSERT = \"INSERT INTO quarantine (kind, reason, at, body) VALUES ('k', '', 0, x'')\"\n"
        "state = State(Path(sys.argv[1]))\n"
        "n = 0\n"
        "while True:\n"
        "    state.write(lambda c: c.execute(INSERT))\n"
        "    n += 1; print(n, flush=True)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    if child.stdout is None:
        raise RuntimeError("no pipe")
    acknowledged = 0
    for line in child.stdout:
        acknowledged = int(line)
        if acknowledged >= 50:
            break
    os.kill(child.pid, signal.SIGKILL)
    rest = child.stdout.read().split()
    child.stdout.close()
    child.wait(10)
    acknowledged = max([acknowledged, *(int(line) for line in rest)])
    connection = connect(path)
    assert acknowledged <= count(connection) <= acknowledged + 1
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    connection.close()


def test_a_full_disk_is_an_error_for_every_waiting_job_and_heals(tmp_path: Path) -> None:
    with State(tmp_path / "state.db") as state:
        pages = state.write(lambda c: int(c.execute("PRAGMA page_count").fetchone()[0]))
        writer = state._writer_connection
        writer.execute(f"PRAGMA max_page_count = {pages + 1}")
        big = b"x" * 100_000
        with pytest.raises((StateError, sqlite3.OperationalError), match="full"):
            state.write(
                lambda c: c.execute("INSERT INTO quarantine (kind, reason, at, body) VALUES ('f','',0,?)", (big,))
            )
        writer.execute("PRAGMA max_page_count = 1000000")
        assert state.write(lambda c: add(c, "after")) == 1


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StateError, match=r"state\.db cannot be opened"):
        State(path)


def test_a_closed_state_refuses_work(tmp_path: Path) -> None:
    state = State(tmp_path / "state.db")
    state.close()
    with pytest.raises(StateError, match="is closed"):
        state.submit(count)
