"""Kills the service at random moments under load, and compares its log with what callers were told.

A real service with several workers; callers that ask with ``request_id`` and post outcomes, and send the very same
request again after no answer, as a campaign engine does; ``kill -9`` on a worker, or on the supervisor with all its
workers, at random moments; the service is started again as often as it takes. Then the log is read by itself, without
any code of the service: every acknowledged decision and outcome must be in it, none twice, and every repeated request
must have got the very bytes of the first answer.

    python benchmarks/kill_proof.py [--kills 200] [--workers 2] [--threads 8] [--folder DIR]
"""

import argparse
import http.client
import json
import random
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from kill_served import PATIENCE, TIMEOUT, Served

SEED = 20260302
BETWEEN = (0.05, 0.6)
"""Seconds of load, at random, between the service's answering again and the next kill."""
ACKS_BETWEEN = 10
"""Fewer acknowledgements than this since the last kill, and the next one waits: it would hit an idle service."""
SUPERVISOR_EVERY = 7
"""Every so many-th kill takes the supervisor and all its workers; the others take one worker, drawn."""


@dataclass
class Acks:
    """What the callers were told.

    Attributes:
        decisions: By request id: the decision's id and the answer's bytes.
        outcomes: By outcome id: the decision's id.
        repeated: How many answered requests were sent again.
        changed: Requests whose answer was another one the second time.
        refused: Calls that were answered with an error, with the status.
        unlogged: Answers that said themselves that they are not in the log.
        failed: Calls without an answer, which were made again.
    """

    decisions: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    repeated: int = 0
    changed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unlogged: int = 0
    failed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def count(self) -> int:
        """Acknowledged decisions and outcomes."""
        return len(self.decisions) + len(self.outcomes)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the log says to that; every list must be empty."""

    lost_decisions: list[str]
    lost_outcomes: list[str]
    doubled_requests: list[str]
    doubled_outcomes: list[str]
    changed_answers: list[str]
    refused: list[str]
    integrity: str

    @property
    def holds(self) -> bool:
        """Whether no promise was broken."""
        broken = (self.lost_decisions, self.lost_outcomes, self.doubled_requests, self.doubled_outcomes)
        return not any((*broken, self.changed_answers, self.refused)) and self.integrity == "ok"


def judge(state_file: Path, acks: Acks) -> Verdict:
    """Compares the log with what was acknowledged; reads the file with SQLite alone."""
    with closing(sqlite3.connect(state_file)) as log:
        integrity = str(log.execute("PRAGMA integrity_check").fetchone()[0])
        logged: set[str] = set()
        requests: Counter[str] = Counter()
        for identity, record in log.execute("SELECT decision_id, record FROM decisions"):
            logged.add(str(identity))
            requests[str(json.loads(record).get("request_id"))] += 1
        outcomes = Counter(
            (str(json.loads(body)["outcome_id"]), str(decision))
            for decision, body in log.execute("SELECT decision_id, body FROM outcomes")
        )
    return Verdict(
        lost_decisions=[name for name, (identity, _) in acks.decisions.items() if identity not in logged],
        lost_outcomes=[name for name, identity in acks.outcomes.items() if not outcomes[name, identity]],
        doubled_requests=[name for name in acks.decisions if requests[name] > 1],
        doubled_outcomes=[name for (name, _), times in outcomes.items() if times > 1],
        changed_answers=acks.changed,
        refused=acks.refused,
        integrity=integrity,
    )


class Caller(threading.Thread):
    """Asks, posts back, and sends again what got no answer.

    Args:
        number: Tells its requests from the others'.
        port: The service's.
        key: An API key.
        customers: Whom to ask about.
        now: The workspace's time, for outcomes.
        acks: Where answers are kept.
        stop: Ends it after the request that it is at.
    """

    def __init__(
        self, *, number: int, port: int, key: str, customers: Sequence[str], now: str, acks: Acks, stop: threading.Event
    ) -> None:
        super().__init__(name=f"caller-{number}", daemon=True)
        self._number, self._port, self._customers, self._now = number, port, customers, now
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        self._acks, self._stop_asking = acks, stop
        self._draw = random.Random(SEED + number)
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        """Until it is stopped."""
        try:
            self._ask()
        finally:
            if self._connection is not None:
                self._connection.close()

    def _ask(self) -> None:
        turn = 0
        while not self._stop_asking.is_set():
            turn += 1
            name = f"r{self._number}-{turn}"
            body = {"request_id": name, "customer_id": self._draw.choice(self._customers), "touchpoint": "kill"}
            answer = self._until_answered("/v1/decisions", body)
            decision = json.loads(answer)
            if not decision.get("logged", False):
                with self._acks.lock:
                    self._acks.unlogged += 1
                continue
            with self._acks.lock:
                self._acks.decisions[name] = decision["decision_id"], answer
            if turn % 7 == 0:
                again = self._until_answered("/v1/decisions", body)
                with self._acks.lock:
                    self._acks.repeated += 1
                    if again != answer:
                        self._acks.changed.append(name)
            outcome = {"outcome_id": f"{name}-o", "decision_id": decision["decision_id"], "type": "delivered"}
            self._until_answered("/v1/outcomes", {**outcome, "occurred_at": self._now})
            with self._acks.lock:
                self._acks.outcomes[f"{name}-o"] = decision["decision_id"]

    def _until_answered(self, path: str, body: dict[str, str]) -> bytes:
        """The answer, however often the request must be sent for it."""
        while True:
            try:
                if self._connection is None:
                    self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)
                self._connection.request("POST", path, json.dumps(body), self._headers)
                response = self._connection.getresponse()
                answer = response.read()
            except (OSError, http.client.HTTPException):
                if self._connection is not None:
                    self._connection.close()
                self._connection = None
                with self._acks.lock:
                    self._acks.failed += 1
                time.sleep(0.05)
                continue
            if response.status < 300:
                return answer
            if response.status < 500 and response.status != 429:
                with self._acks.lock:
                    self._acks.refused.append(f"{response.status} {path} {answer[:200]!r}")
                return b'{"logged": false}'
            time.sleep(0.05)


def prove(
    workspace: Path,
    *,
    kills: int,
    workers: int,
    threads: int,
    key: str,
    customers: Sequence[str],
    now: str,
    supervisor_every: int = SUPERVISOR_EVERY,
) -> tuple[Acks, Counter[str]]:
    """Runs the load and the kills.

    Args:
        workspace: A folder that nobody else serves.
        kills: How many.
        workers: Of the service.
        threads: Callers.
        key: An API key with scope ``decide``.
        customers: Whom to ask about.
        now: The workspace's time, ISO 8601.
        supervisor_every: See ``SUPERVISOR_EVERY``.

    Returns:
        What was acknowledged, and how many of each kind were killed.
    """
    draw, acks, stop, killed = random.Random(SEED), Acks(), threading.Event(), Counter[str]()
    served = Served(workspace, workers)
    callers = [
        Caller(number=number, port=served.port, key=key, customers=customers, now=now, acks=acks, stop=stop)
        for number in range(threads)
    ]
    try:
        served.wait()
        for caller in callers:
            caller.start()
        for number in range(1, kills + 1):
            before = acks.count
            deadline = time.monotonic() + PATIENCE
            while acks.count < before + ACKS_BETWEEN:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"no answers for {PATIENCE:g} s after {sum(killed.values())} kills")
                if served.process.poll() is not None:
                    served.wait()
                time.sleep(0.01)
            time.sleep(draw.uniform(*BETWEEN))
            killed[served.kill(draw, supervisor=number % supervisor_every == 0)] += 1
        served.wait()
        stop.set()
        for caller in callers:
            caller.join(PATIENCE)
            if caller.is_alive():
                raise RuntimeError(f"{caller.name} got no answer within {PATIENCE:g} s")
    finally:
        stop.set()
        served.close()
    return acks, killed


def main() -> None:
    """Makes a simulated workspace, runs the proof, and writes the result."""
    from result import write  # noqa: PLC0415 - beside this script, for the command only

    from foretouch.core.state.access import create_key  # noqa: PLC0415
    from foretouch.core.state.opening import open_state  # noqa: PLC0415
    from foretouch.features.initialise import initialise  # noqa: PLC0415
    from foretouch.features.simulation import Simulation  # noqa: PLC0415

    parser = argparse.ArgumentParser(description="kill -9 under load: is what was acknowledged in the log, once?")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--folder", type=Path, help="a new folder for the workspace; default: a temporary one")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "docs" / "results")
    given = parser.parse_args()
    started = time.monotonic()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="kill-proof-")) / "workspace"
    made = initialise(folder, "simulated", simulation=Simulation(customers=2000, days=45))
    with open_state(made.workspace) as state:
        now = made.workspace.clock.now()
        key = state.write(lambda connection: create_key(connection, ("decide",), now))["key"]
        rows = state.read().execute("SELECT customer_id FROM customers ORDER BY customer_id").fetchall()
    acks, killed = prove(
        folder,
        kills=given.kills,
        workers=given.workers,
        threads=given.threads,
        key=key,
        customers=[str(name) for (name,) in rows],
        now=now.isoformat(),
    )
    verdict = judge(folder / "state.db", acks)
    figures = {
        "kills": dict(killed),
        "acknowledged_decisions": len(acks.decisions),
        "acknowledged_outcomes": len(acks.outcomes),
        "repeated_requests": acks.repeated,
        "calls_without_answer_sent_again": acks.failed,
        "answers_that_said_unlogged": acks.unlogged,
        **{name: len(value) if isinstance(value, list) else value for name, value in vars(verdict).items()},
        "holds": verdict.holds,
    }
    command = (
        f"python benchmarks/kill_proof.py --kills {given.kills} --workers {given.workers} --threads {given.threads}"
    )
    path = write(given.out, "kill-proof", command=command, seconds=time.monotonic() - started, figures=figures)
    print(path.read_text(encoding="utf-8"))
    if not verdict.holds:
        raise SystemExit(f"a promise was broken; the log is in {folder}")


if __name__ == "__main__":
    main()
