"""Proves that every logged decision comes out the same again: after restarts, a model swap and policy edits.

Decisions are made through the service's own data plane, in a copy of a workspace with trained models: request by
request otherwise in channels, purpose, language, number of actions, context and profiling. Between rounds the plane is
closed and opened again, ``policy.toml`` and ``contact_policy.toml`` are edited, and another version of the offer model
is promoted. Then a new process replays every one of them from the log alone. Beside it: whether logged probabilities
sum to 1, and whether draws come with the frequencies that were logged.

    python benchmarks/replay_proof.py [--decisions 20000] [--draws 200000] [--workspace .demo/simulated] [--folder DIR]

With ``--work DIR`` the copy is kept there, and a run that was stopped goes on where it was: decisions that stand in the
log are not made again.
"""

import argparse
import json
import math
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from result import write
from scipy.stats import chi2

from foretouch.core.bundle import read_aliases, read_bundle, write_aliases, write_bundle
from foretouch.core.decisions import DecisionRecord, DecisionRequest
from foretouch.core.rng import uniform
from foretouch.core.state.log import count_decisions, read_decision, read_decisions
from foretouch.core.state.opening import open_state, read_state
from foretouch.core.workspace import Workspace
from foretouch.features.tables import read_table
from foretouch.serving.decide import decision_seed
from foretouch.serving.decision.policies import draw
from foretouch.serving.history.replay_log import Replayer
from foretouch.serving.runtime.dataplane import Dataplane

SEED = 20260322
BATCH = 200
POLICIES = (
    'kind = "softmax"\ntemperature = 0.3\nfloor = 0.05\nslot_exploration = 0.1\nfatigue_cost = 0.01\n',
    'kind = "epsilon"\nepsilon = 0.2\nwaiting_cost_per_hour = 0.002\n\n[[levers]]\ncategory = "food"\npercent = 40.0\n',
    'kind = "shuffle"\nexpires_after_hours = 48.0\n',
    'kind = "softmax"\nfloor = 0.2\n\n[[context_weights]]\nkey = "intent"\nequals = "browse"\npercent = 25.0\n',
)
ROUNDS = len(POLICIES)
SWAPPED = "-swapped"
ENOUGH = 5.0
"""Expected draws from which a candidate has a cell of its own in a chi-square test."""


def request_of(number: int, names: list[str]) -> DecisionRequest:
    """The n-th request: always the same one."""
    rng = np.random.default_rng([SEED, number])
    unknown = rng.random() < 0.02
    ask: dict[str, Any] = {
        "customer_id": f"nobody-{number}" if unknown else names[int(rng.integers(len(names)))],
        "touchpoint": f"t{int(rng.integers(4))}",
        "context": {"intent": str(rng.choice(["browse", "cart"])), "cart": float(rng.gamma(2.0, 20.0))},
        "n": int(rng.choice([1, 1, 1, 2, 3])),
        "personalised": bool(rng.random() > 0.05),
        "purpose": str(rng.choice(["marketing", "marketing", "marketing", "transactional", "service"])),
        "options": {
            "explain": str(rng.choice(["none", "brief", "brief", "full"])),
            "language": str(rng.choice(["en", "zh"])),
            "reserve_caps": bool(rng.random() < 0.1),
        },
    }
    if rng.random() < 0.3:
        ask["channels"] = ["email"]
    return DecisionRequest.model_validate(ask)


def swap_offer_model(workspace: Workspace) -> str:
    """Promotes another version of the offer model: the same trees, calibrated otherwise, proven by its golden rows."""
    aliases = read_aliases(workspace.bundles, "offer")
    old = read_bundle(workspace.bundles, "offer", aliases["champion"])
    calibration = old.card.calibration
    changed = calibration.replace(y=tuple(0.7 * value for value in calibration.y))
    version = f"{old.card.version}{SWAPPED}"
    golden = old.golden.replace(calibrated=tuple(changed.apply(value) for value in old.golden.raw))
    folder = workspace.bundles / "offer" / version
    write_bundle(workspace.bundles, old.card.replace(version=version, calibration=changed), old.model_text, golden)
    for extra in (workspace.bundles / "offer" / old.card.version).iterdir():
        if not (folder / extra.name).exists():
            raise FileNotFoundError(f"{extra.name} of the offer model is not copied by this script")
    write_aliases(workspace.bundles, "offer", {**aliases, "champion": version, "previous": old.card.version})
    return version


def decide_all(root: Path, decisions: int) -> dict[str, Any]:
    """Makes the decisions, round by round, with everything changing in between."""
    names = [str(name) for name in read_table(Workspace.open(root), "customers")["customer_id"]]
    start = time.perf_counter()
    with closing(open_state(Workspace.open(root))) as state:
        made = before = count_decisions(state.read())
    for number, policy in enumerate(POLICIES):
        until = decisions * (number + 1) // ROUNDS
        if made >= until:
            continue
        (root / "policy.toml").write_text(f'name = "round-{number}"\n{policy}', encoding="utf-8")
        contact = root / "contact_policy.toml"
        edited = re.sub(r"minimum_gap_hours = \S+", f"minimum_gap_hours = {2.0 * number}", contact.read_text("utf-8"))
        contact.write_text(edited, encoding="utf-8")
        if number >= ROUNDS // 2 and not read_aliases(root / "bundles", "offer")["champion"].endswith(SWAPPED):
            swap_offer_model(Workspace.open(root))
        with Dataplane(Workspace.open(root)) as plane:  # a restart
            while made < until:
                batch = [request_of(index, names) for index in range(made, min(made + BATCH, until))]
                given = plane.decide_many(batch)
                bad = [item for item in given if isinstance(item, Exception) or not item.decision.logged]
                if bad:
                    raise RuntimeError(f"a decision was not logged: {bad[0]}")
                made += len(batch)
                print(f"{made} decisions", file=sys.stderr)
    return {"made": made, "made_in_an_earlier_run": before, "seconds_deciding": time.perf_counter() - start}


def replay_part(root: Path, part: int, parts: int) -> dict[str, Any]:
    """Replays every ``parts``-th decision of the log, in a process that has seen none of them made."""
    workspace = Workspace.open(root)
    counts: Counter[str] = Counter()
    worst = 0.0
    differing: list[str] = []
    pooled: dict[tuple[str, str], list[float]] = {}
    with closing(open_state(workspace)) as state:
        replayer = Replayer(state, workspace.bundles, {})
        rows = state.read().execute("SELECT decision_id FROM decisions ORDER BY sequence").fetchall()
        for number, (identity,) in enumerate(rows[part::parts], start=1):
            record = read_decision(state.read(), str(identity))
            counts[f"status {record.status}"] += 1
            counts[f"policy {record.versions.policy[:8]}"] += 1
            for ref in record.models:
                if ref.name == "offer":
                    counts[f"offer model {ref.version}"] += 1
            found = replayer.replay(record)
            if not found.identical:
                differing.append(f"{record.decision_id}: {found.differences[0].path}")
            left = [item for item in record.candidates if item.dropped_by is None]
            worst = max(worst, abs(math.fsum(item.selection_probability or 0.0 for item in left) - 1.0))
            _pool(record, pooled)
            if number % 1000 == 0:
                print(f"{number} replayed by process {part + 1}", file=sys.stderr)
    cells = [[*cell, *row] for cell, row in pooled.items()]
    return {"counts": counts, "worst": worst, "differing": differing, "pooled": cells}


def replay_all(root: Path, draws: int, processes: int) -> dict[str, Any]:
    """Replays every decision of the log in new processes, and draws again from logged distributions."""
    start = time.perf_counter()
    command = [sys.executable, __file__, "--replay", str(root)]
    crew = [
        subprocess.Popen([*command, "--part", str(part), "--parts", str(processes)], stdout=subprocess.PIPE, text=True)
        for part in range(processes)
    ]
    told = [process.communicate()[0] for process in crew]
    if any(process.returncode for process in crew):
        raise RuntimeError("a replaying process failed; its error stands above")
    found = [json.loads(text) for text in told]
    counts = sum((Counter(part["counts"]) for part in found), Counter[str]())
    pooled: dict[tuple[str, str], list[float]] = {}
    for offer, channel, *row in (cell for part in found for cell in part["pooled"]):
        pooled[offer, channel] = [
            one + other for one, other in zip(pooled.get((offer, channel), [0.0] * 3), row, strict=True)
        ]
    differing = [name for part in found for name in part["differing"]]
    replayed = sum(count for name, count in counts.items() if name.startswith("status "))
    workspace = Workspace.open(root)
    with closing(open_state(workspace)) as state:
        rows = state.read().execute("SELECT AVG(LENGTH(record)), MAX(LENGTH(record)) FROM decisions").fetchone()
        drawn = _draws(workspace, list(_contexts(read_decisions(state.read()), 20)), draws)
    statistic, freedom = _pooled_chi_square(pooled)
    return {
        "replayed": replayed,
        "identical": replayed - len(differing),
        "differing": differing[:10],
        "largest_distance_of_a_sum_from_1": max(part["worst"] for part in found),
        "record_bytes": {"mean": int(rows[0]), "largest": int(rows[1])},
        "counts": dict(sorted(counts.items())),
        "logged_choices": {
            "statistic": statistic,
            "degrees_of_freedom": freedom,
            "p": float(chi2.sf(statistic, freedom)),
        },
        "draws": drawn,
        "seconds_replaying": time.perf_counter() - start,
    }


Distribution = tuple[str, tuple[tuple[str, str, str], ...], tuple[float, ...]]


def _shares(record: DecisionRecord) -> Distribution:
    left = [item for item in record.candidates if item.dropped_by is None]
    keys = tuple((item.offer_id or "", item.treatment_id or "", item.channel or "") for item in left)
    return record.customer_id, keys, tuple(item.selection_probability or 0.0 for item in left)


def _contexts(records: Any, most: int) -> Any:
    """Distributions that leave something to chance, from all over the log."""
    found: list[Distribution] = []
    for index, record in enumerate(records):
        if index % 97 == 0 and len(found) < most:
            made = _shares(record)
            if sum(share > 0.01 for share in made[2]) >= 3:
                found.append(made)
    return found


def _pool(record: DecisionRecord, pooled: dict[tuple[str, str], list[float]]) -> None:
    """Expected and seen first choices by offer and channel, with the variance of the difference."""
    _, keys, shares = _shares(record)
    action = record.action[0] if record.action else None
    chosen = ("", "", "") if action is None else (action.offer_id, action.treatment_id or "", action.channel)
    by_cell: dict[tuple[str, str], float] = {}
    for key, share in zip(keys, shares, strict=True):
        by_cell[key[0], key[2]] = by_cell.get((key[0], key[2]), 0.0) + share
    for cell, share in by_cell.items():
        row = pooled.setdefault(cell, [0.0, 0.0, 0.0])
        row[0] += share
        row[1] += float(cell == (chosen[0], chosen[2]))
        row[2] += share * (1.0 - share)


def _pooled_chi_square(pooled: dict[tuple[str, str], list[float]]) -> tuple[float, int]:
    """Sum over cells of (seen - expected)^2 / variance; the draws are independent, each from its own distribution.

    Cells of one draw exclude each other, so the sum is at most as spread as a chi-square of that many degrees.
    """
    kept = [row for row in pooled.values() if row[2] >= ENOUGH]
    return float(sum((seen - expected) ** 2 / variance for expected, seen, variance in kept)), max(len(kept), 1)


def _draws(workspace: Workspace, contexts: list[Distribution], draws: int) -> dict[str, Any]:
    """Draws again from logged distributions, with the seeds that new decision ids would have."""
    if not contexts:
        return {"draws": 0}
    each = max(draws // len(contexts), 1)
    key = workspace.secret("seed")
    statistic, freedom, smallest = 0.0, 0, 1.0
    for number, (customer, keys, shares) in enumerate(contexts):
        seen = Counter(
            draw(shares, keys, uniform(decision_seed(key, customer, f"dec_{number}_{index}"), "candidate/1"))
            for index in range(each)
        )
        cells = [index for index, share in enumerate(shares) if share * each >= ENOUGH]
        own = sum((seen[index] - shares[index] * each) ** 2 / (shares[index] * each) for index in cells)
        rest = 1.0 - math.fsum(shares[index] for index in cells)
        if rest * each >= ENOUGH:
            other = each - sum(seen[index] for index in cells)
            own += (other - rest * each) ** 2 / (rest * each)
            cells.append(-1)
        statistic, freedom = statistic + own, freedom + len(cells) - 1
        smallest = min(smallest, float(chi2.sf(own, max(len(cells) - 1, 1))))
    return {
        "draws": each * len(contexts),
        "distributions": len(contexts),
        "statistic": statistic,
        "degrees_of_freedom": freedom,
        "p": float(chi2.sf(statistic, max(freedom, 1))),
        "smallest_p_of_a_distribution": smallest,
    }


def main() -> None:
    """Decides, replays in another process, and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=20_000)
    parser.add_argument("--draws", type=int, default=200_000)
    parser.add_argument("--workspace", type=Path, default=Path(".demo/simulated"))
    parser.add_argument("--folder", type=Path, default=Path("docs/results"))
    parser.add_argument("--work", type=Path, help="keep the copied workspace here, and go on with what is there")
    parser.add_argument("--processes", type=int, default=2, help="that replay at once")
    parser.add_argument("--replay", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--part", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--parts", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.replay is not None:
        print(json.dumps(replay_part(options.replay, options.part, options.parts)))
        return
    if not (options.workspace / "bundles").is_dir():
        sys.exit(f"{options.workspace} has no trained models; next: make demo")
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        root = (options.work or Path(scratch)) / "workspace"
        if not (root / "state.db").is_file():
            shutil.copytree(options.workspace, root, ignore=shutil.ignore_patterns("state.db*", "mlflow", "serve.log"))
            _copy_state(options.workspace, root)
        made = decide_all(root, options.decisions)
        found = replay_all(root, options.draws, options.processes)
    path = write(
        options.folder,
        "replay",
        command=f"python benchmarks/replay_proof.py --decisions {options.decisions} --draws {options.draws}",
        seconds=time.perf_counter() - start,
        figures={**made, **found},
    )
    print(path.read_text(encoding="utf-8"))
    if found["replayed"] != found["identical"] or found["largest_distance_of_a_sum_from_1"] > 1e-12:
        sys.exit(1)


def _copy_state(source: Path, root: Path) -> None:
    """Customers, consents and contacts of the workspace, without its decisions."""
    found = read_state(Workspace.open(source))
    if found is None:
        sys.exit(f"{source} has no state.db; next: make demo")
    with closing(found) as connection:
        connection.execute(f"VACUUM INTO '{root / 'state.db'}'")
    with closing(open_state(Workspace.open(root))) as state:
        state.write(lambda connection: connection.execute("DELETE FROM decisions"))


if __name__ == "__main__":
    main()
