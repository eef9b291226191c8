"""``foretouch bench serve``: our decision endpoint beside its peers and its own bare parts, in one run.

All servers run at once and are measured in turns, so that a busy moment of the machine hits them alike; only ratios
within one run carry to another machine. Before anything is timed, the answers are compared.
"""

import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from foretouch.core.clock import monotonic, utc_now
from foretouch.core.errors import DataError, NotReadyError
from foretouch.core.state.db import connect
from foretouch.serving.bench.load import Load, run_load
from foretouch.serving.bench.servers import (
    PEER_FOLDER,
    SERVED,
    Server,
    call,
    floor_service,
    mlflow_service,
    naive_service,
    our_service,
    prepare_peers,
    question,
)
from foretouch.serving.bench.world import BenchWorld, Size, build_world

CHECKED = 20
TOLERANCE = 1e-9
ASKED = 2000
"""Customers asked about, in turns."""
WARM_SECONDS = 1.0
OURS, PLAIN, NAIVE, MLFLOW, BARE = (
    "foretouch",
    "foretouch, front off",
    "naive assembly",
    "mlflow models serve, one model",
    "bare parts",
)
FRAMEWORK, RAW = "our front, nothing behind", "raw uvicorn, nothing behind"

Json = dict[str, Any]
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to run.

    Attributes:
        seconds: Per server, number of clients and round.
        clients: Numbers of connections.
        rounds: Turns.
        size: Of the workspace.
        peers: Whether to run the others too.
    """

    seconds: float = 3.0
    clients: tuple[int, ...] = (1, 32)
    rounds: int = 3
    size: Size = field(default_factory=Size)
    peers: bool = True


def measure(plan: Plan, folder: Path, say: Say) -> Json:
    """Builds the workspace, starts the servers, compares answers, measures in turns.

    Args:
        plan: What to run.
        folder: For everything that is made; emptied by the caller.
        say: Told what happens.

    Returns:
        The result as JSON values; ``targets`` says which line of the project's targets holds.

    Raises:
        NotReadyError: A server does not start or refuses requests.
        DataError: Two servers give different answers.
    """
    started, load = monotonic(), [os.getloadavg()[0]]
    say("building the workspace and its models")
    world = build_world(folder / "workspace", plan.size)
    world = BenchWorld(
        workspace=world.workspace, customers=world.customers[:ASKED], features=world.features, peers=world.peers
    )
    with ExitStack() as stack:
        say("starting the servers")
        front = stack.enter_context(our_service(world, folder, front=True))
        servers = [front, stack.enter_context(our_service(world, folder, front=False))]
        record = _record_bytes(front)
        checked: Json = {}
        if plan.peers:
            peers = folder / "peers"
            peers.mkdir()
            prepare_peers(world, peers)
            rows = _model_rows(world, SERVED)
            servers += [
                stack.enter_context(naive_service(world, peers)),
                stack.enter_context(mlflow_service(world, peers, rows)),
                stack.enter_context(floor_service(world, peers, record)),
            ]
            say("comparing the answers")
            checked = compare(world, *servers)
        servers += _bare_of(servers)
        taken = _take(plan, servers, say)
        pauses = {name: _longest_pause(server) for name, server in _named(servers[:2]).items()}
    by_clients = {f"clients={clients}": _figures(taken, clients, servers) for clients in plan.clients}
    return {
        "benchmark": "bench-serve",
        "command": "foretouch bench serve",
        "date": utc_now().date().isoformat(),
        "machine": machine(),
        "python": platform.python_version(),
        "seconds": round(monotonic() - started, 1),
        "note": "closed loop, one worker per server, client on the same cores; ours with validation, contact rules, "
        "durable log, metrics and keys on; candidates per decision: 60; only ratios of one run carry",
        "load_average_before_and_after": [round(value, 2) for value in (*load, os.getloadavg()[0])],
        "record_bytes": record,
        "checked": checked,
        **by_clients,
        "longest_collector_pause_ms": pauses,
        "targets": targets(by_clients, pauses),
    }


def _bare_of(servers: Sequence[Server]) -> list[Server]:
    """Our front and the raw server once more, asked for nothing."""
    get = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
    found = []
    for server in servers:
        if server.name in {OURS, BARE}:
            name, path = (FRAMEWORK, b"/livez") if server.name == OURS else (RAW, b"/ready")
            found.append(Server(name=name, port=server.port, mark=server.mark, requests=(get % path,)))
    return found


def _named(servers: Sequence[Server]) -> dict[str, Server]:
    return {server.name: server for server in servers}


def _take(plan: Plan, servers: Sequence[Server], say: Say) -> dict[tuple[str, int], list[Load]]:
    taken: dict[tuple[str, int], list[Load]] = {
        (server.name, clients): [] for server in servers for clients in plan.clients
    }
    for server in servers:
        _load(server, 4, min(WARM_SECONDS, plan.seconds))
    for turn in range(plan.rounds):
        for clients in plan.clients:
            say(f"round {turn + 1} of {plan.rounds}, {clients} client{'s' if clients > 1 else ''}")
            for server in servers:
                found = _load(server, clients, plan.seconds)
                taken[server.name, clients].append(found)
    return taken


def _load(server: Server, clients: int, seconds: float) -> Load:
    try:
        return run_load(
            server.port,
            server.requests,
            clients=clients,
            seconds=seconds,
            mark=server.mark,
            expected=server.expected,
        )
    except NotReadyError as error:
        raise NotReadyError(f"{server.name}, {clients} clients: {error.message}", hint=error.hint) from error


def _figures(taken: Mapping[tuple[str, int], Sequence[Load]], clients: int, servers: Sequence[Server]) -> Json:
    return {server.name: figures(taken[server.name, clients]) for server in servers}


def figures(loads: Sequence[Load]) -> Json:
    """Latencies in ms, answers per second, and CPU microseconds per answer of the server and of the client."""
    latencies = [latency for load in loads for latency in load.latencies]
    if len(latencies) < 2:
        raise DataError(f"{len(latencies)} answers in {sum(load.seconds for load in loads):g} s: give --seconds more")
    seconds = sum(load.seconds for load in loads)
    cuts = statistics.quantiles(latencies, n=1000, method="inclusive")
    server = [load.server_cpu for load in loads if load.server_cpu is not None]
    return {
        "answers": len(latencies),
        "per_second": round(len(latencies) / seconds, 1),
        "p50_ms": round(cuts[499] * 1000.0, 3),
        "p99_ms": round(cuts[989] * 1000.0, 3),
        "cpu_us": round(sum(server) / len(latencies) * 1e6, 1) if len(server) == len(loads) else None,
        "client_cpu_us": round(sum(load.client_cpu for load in loads) / len(latencies) * 1e6, 1),
        "client_busy": round(sum(load.client_cpu for load in loads) / seconds, 2),
    }


def _ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or not below else round(above / below, 2)


def targets(by_clients: Mapping[str, Json], pauses: Mapping[str, float | None]) -> list[Json]:
    """Each line of the targets with what was found; ``met`` is null where it was not measured."""
    most = by_clients[max(by_clients, key=lambda name: int(name.rpartition("=")[2]))]
    one = by_clients.get("clients=1", {})

    def found(server: str, figure: str, where: Json = most) -> float | None:
        value: float | None = where.get(server, {}).get(figure)
        return value

    lines: list[tuple[str, float | None, str, float, float]] = [
        ("framework CPU to raw ASGI", _ratio(found(FRAMEWORK, "cpu_us"), found(RAW, "cpu_us")), "<=", 1.3, 1.15),
        ("requests/s to the naive assembly", _of(most, NAIVE), ">=", 25.0, 40.0),
        ("requests/s to mlflow models serve", _of(most, MLFLOW), ">=", 20.0, 40.0),
        ("CPU to the bare parts", _ratio(found(OURS, "cpu_us"), found(BARE, "cpu_us")), "<=", 2.0, 1.5),
        ("p99, one client, ms", found(OURS, "p99_ms", one), "<=", 10.0, 5.0),
        ("p99, most clients, ms", found(OURS, "p99_ms"), "<=", 50.0, 25.0),
        ("longest collector pause, ms", pauses.get(OURS), "<=", 10.0, 10.0),
    ]
    return [
        {
            "target": name,
            "found": value,
            "must": f"{sign} {must:g}",
            "aim": f"{sign} {aim:g}",
            "met": _holds(value, sign, must),
            "aim_met": _holds(value, sign, aim),
        }
        for name, value, sign, must, aim in lines
    ]


def _of(where: Json, other: str) -> float | None:
    return _ratio(where.get(OURS, {}).get("per_second"), where.get(other, {}).get("per_second"))


def _holds(value: float | None, sign: str, bound: float) -> bool | None:
    if value is None:
        return None
    return value <= bound if sign == "<=" else value >= bound


def compare(world: BenchWorld, ours: Server, plain: Server, naive: Server, mlflow: Server, *_: Server) -> Json:
    """Asks every server about the same customers, and compares what must be the same.

    Raises:
        DataError: A rank or a number differs.
    """
    given = orjson.loads(world.peers.read_bytes())
    rows = _model_rows(world, SERVED)
    worst = 0.0
    for index, customer in enumerate(world.customers[:CHECKED]):
        for server in (ours, plain):
            headers = {"Authorization": f"Bearer {server.key}"}
            decision = call(server.port, "/v1/decisions", question(customer), headers)
            record = call(server.port, f"/v1/decisions/{decision['decision_id']}", headers=headers)
            other = call(naive.port, "/decide", {"customer_id": customer, "at": decision["decided_at"]})
            worst = max(worst, _compare_ranks(server.name, customer, record, other))
            score = call(server.port, f"/v1/scores/{SERVED}", {"customer_id": customer}, headers)["score"]
            body = {"dataframe_split": {"columns": list(rows[index]), "data": [list(rows[index].values())]}}
            theirs = float(call(mlflow.port, "/invocations", body)["predictions"][0])
            worst = max(worst, _same(f"{server.name}, {customer}: value", score, theirs))
    return {
        "customers": CHECKED,
        "candidates": len(given["offers"]) * len(given["channels"]),
        "worst_difference": worst,
    }


def _compare_ranks(name: str, customer: str, record: Json, other: Json) -> float:
    left = [item for item in record["candidates"] if item["offer_id"] is not None and item["priority"] is not None]
    left.sort(key=lambda item: -item["priority"])
    worst = 0.0
    for mine, theirs in zip(left, other["ranked"], strict=False):
        if (mine["offer_id"], mine["channel"]) != (theirs["offer_id"], theirs["channel"]):
            raise DataError(
                f"{name}, {customer}: {mine['offer_id']} by {mine['channel']} stands where the naive assembly has"
                f" {theirs['offer_id']} by {theirs['channel']}"
            )
        worst = max(worst, _same(f"{name}, {customer}: priority", mine["priority"], theirs["priority"]))
    if len(left) < len(other["ranked"]):
        raise DataError(f"{name}, {customer}: {len(left)} candidates are left, {len(other['ranked'])} expected")
    return worst


def _same(what: str, mine: float, theirs: float) -> float:
    difference = abs(mine - theirs)
    if not difference <= TOLERANCE * max(1.0, abs(theirs)):
        raise DataError(f"{what} is {mine!r} here and {theirs!r} there")
    return difference


def _model_rows(world: BenchWorld, model: str) -> list[dict[str, float]]:
    """The inputs of a model for everybody asked about, as its caller would send them: NaN, since null is refused."""
    names: list[str] = orjson.loads(world.peers.read_bytes())["models"][model]["inputs"]
    frame = pd.read_parquet(world.features).set_index("customer_id").loc[list(world.customers), names]
    return [{str(name): float(value) for name, value in row.items()} for row in frame.to_dict("records")]


def _record_bytes(server: Server) -> int:
    """Size of a decision as it is logged."""
    headers = {"Authorization": f"Bearer {server.key}"}
    call(server.port, "/v1/decisions", orjson.loads(server.requests[0].partition(b"\r\n\r\n")[2]), headers)
    with closing(connect(server.root / "state.db", read_only=True)) as connection:
        return int(connection.execute("SELECT AVG(LENGTH(record)) FROM decisions").fetchone()[0])


def _longest_pause(server: Server) -> float | None:
    """The longest pause of the collector since the service was ready, ms."""
    import urllib.request  # noqa: PLC0415

    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10.0) as answer:
        lines = answer.read().decode().splitlines()
    found = [float(line.rpartition(" ")[2]) for line in lines if line.startswith("foretouch_collector_longest_pause")]
    return round(max(found) * 1000.0, 3) if found else None


def machine() -> str:
    """Cores, memory and kind of this machine, in words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}"


def has_peers() -> bool:
    """Whether the peers' scripts are beside this installation."""
    return (PEER_FOLDER / "naive.py").is_file()
