"""What was answered is in the log, whatever happens to the process."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException

import psutil  # type: ignore[import-untyped]

from foretouch.core.state.access import verify_audit
from foretouch.core.state.db import State
from foretouch.core.workspace import Workspace
from tests.serving.service.world import consenting, serving


def test_no_acknowledged_decision_is_lost_when_everything_is_killed_under_load(fresh: Workspace) -> None:
    people = consenting(fresh)
    acknowledged: list[str] = []
    enough = threading.Event()

    with serving(fresh, workers=2) as service:

        def ask(number: int) -> None:
            try:
                body = {"customer_id": people[number % len(people)], "channels": ["email"], "request_id": f"k{number}"}
                reply = service.call("POST", "/v1/decisions", body, timeout=10.0)
            except (OSError, HTTPException):
                return  # the connection died with the service, maybe within an answer: nothing was acknowledged
            if reply.status == 200 and reply.json is not None and reply.json["logged"]:
                acknowledged.append(reply.json["decision_id"])
                if len(acknowledged) >= 60:
                    enough.set()

        workers = psutil.Process(service.process.pid).children(recursive=True)
        assert len(workers) >= 2

        def kill() -> None:
            enough.wait(60.0)
            service.process.kill()
            for worker in workers:
                with suppress(psutil.NoSuchProcess):  # it saw its supervisor die and ended by itself
                    worker.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, range(400)))
        killer.join()
    assert 60 <= len(acknowledged) < 400
    with State(fresh.state_file) as state:
        found = {str(row[0]) for row in state.read().execute("SELECT decision_id FROM decisions")}
        assert verify_audit(state.read()) is None
        assert state.read().execute("PRAGMA integrity_check").fetchone() == ("ok",)
        once = state.read().execute("SELECT COUNT(*), COUNT(DISTINCT key) FROM idempotency").fetchone()
    assert set(acknowledged) <= found
    assert len(set(acknowledged)) == len(acknowledged)
    assert once == (len(found), len(found))


def test_workers_end_when_their_supervisor_is_killed(fresh: Workspace) -> None:
    with serving(fresh) as service:
        workers = psutil.Process(service.process.pid).children(recursive=True)
        service.process.kill()
        _, alive = psutil.wait_procs(workers, timeout=15)
        assert alive == []


def test_a_locked_log_gives_a_fallback_and_recovers_by_itself(fresh: Workspace) -> None:
    person = consenting(fresh)[0]
    with serving(fresh) as service:
        holder = sqlite3.connect(fresh.state_file, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        unlogged = service.decide(person, options={"language": "en"})
        assert (unlogged["status"], unlogged["logged"]) == ("fallback", False)
        assert "the decision log did not take it in time" in unlogged["status_reason"]
        holder.execute("ROLLBACK")
        holder.close()
        assert service.decide(person)["logged"]
