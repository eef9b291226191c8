"""Off-policy evaluation put to the proof: agreement with obp, and which logs are refused.

    python benchmarks/ope_proof.py [--logs 200] [--peer PEER/bin/python] [--data FOLDER] [--out docs/results]

*Agreement*: every estimator of ``bench ope`` against the Open Bandit Pipeline on the same inputs, on random logs of
two shapes and, where ``--data`` holds it, on the Open Bandit Dataset by position (``peers/ope_peer.py`` says how the
peer's environment is made; without ``--peer`` this part is skipped by name). *Refusals*: 200 sound logs, 200 broken
ones (``ope_logs.py``), and one whose propensities are near zero where it matters. *Coverage*: how often the 95 %
intervals of the sound logs hold the true value.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ope_logs import BROKEN, Case, FloatArray, IntArray, healthy
from result import write

from foretouch.training.bench.ope import evaluate

HERE = Path(__file__).parent
COVERED = ("ips", "snips", "dr", "sndr")


def refusals(logs: int) -> dict[str, Any]:
    """Refused shares of sound and of broken logs, by kind, with the codes of the reasons."""
    sound = [(made, evaluate(made.log)) for made in map(healthy, range(logs))]
    each = logs // len(BROKEN)
    counts = {name: each + (index < logs - each * len(BROKEN)) for index, name in enumerate(BROKEN)}
    broken = {
        name: [(made, evaluate(made.log)) for made in map(make, range(counts[name]))] for name, make in BROKEN.items()
    }
    everything = [item for items in broken.values() for item in items]
    return {
        "sound": {**_tally(sound), "coverage_of_95_percent_intervals": _coverage(sound)},
        "broken": {
            **_tally(everything, caught=True),
            **{name: _tally(items, caught=True) for name, items in broken.items()},
        },
    }


def _tally(items: list[tuple[Case, dict[str, Any]]], *, caught: bool = False) -> dict[str, Any]:
    refused = [found["verdict"] == "refused" for _, found in items]
    codes = Counter(reason["code"] for _, found in items for reason in found["reasons"])
    odd = [made.how for (made, _), is_refused in zip(items, refused, strict=True) if is_refused != caught]
    return {
        "logs": len(items),
        "refused": sum(refused),
        "share": sum(refused) / len(items),
        "reasons": dict(codes.most_common()),
        ("missed" if caught else "refused_logs"): odd,
    }


def _coverage(items: list[tuple[Case, dict[str, Any]]]) -> dict[str, float]:
    """Share of intervals that hold the value; the policy's value is that on the very contexts of the log."""
    shares = {}
    for name in COVERED:
        lines = [(made.value, found["estimators"][name]["ci"]) for made, found in items]
        shares[name] = float(np.mean([low <= value <= high for value, (low, high) in lines]))
    return shares


def near_zero(rows: int = 10_000) -> dict[str, Any]:
    """Ten actions, all but one tried with a probability of 0.0001: the policy wants another."""
    rng = np.random.default_rng(5)
    logging = np.r_[1.0 - 9e-4, np.full(9, 1e-4)]
    action = rng.choice(10, size=rows, p=logging)
    log = pd.DataFrame({"action": action, "reward": rng.random(rows) < 0.05 + 0.01 * action, "pscore": logging[action]})
    log["reward"] = log["reward"].astype(float)
    found = evaluate(log.assign(**{f"pi_{a}": 0.1 for a in range(10)}))
    return {key: found[key] for key in ("n", "ess", "max_weight_share", "verdict")} | {
        "reasons": [reason["code"] for reason in found["reasons"]]
    }


def _arrays(log: pd.DataFrame, policy: pd.DataFrame | None) -> dict[str, FloatArray | IntArray]:
    """A log as obp takes it; positions from 0."""
    n = len(log)
    base = {name: log[name].to_numpy() for name in ("reward", "action", "pscore")}
    if policy is None:
        k = sum(str(name).startswith("pi_") for name in log)
        pi = log[[f"pi_{a}" for a in range(k)]].to_numpy()[:, :, None]
        qhat = log[[f"qhat_{a}" for a in range(k)]].to_numpy()[:, :, None]
        return {**base, "position": np.zeros(n, dtype=np.int64), "action_dist": pi, "qhat": qhat}
    places = sorted(set(log["position"]))
    pi = np.stack([policy[f"pi_pos{k}"].to_numpy() for k in places], axis=1)
    qhat = np.stack([policy[f"qhat_pos{k}"].to_numpy() for k in places], axis=1)
    position = np.searchsorted(places, log["position"].to_numpy())
    spread = {"action_dist": np.broadcast_to(pi, (n, *pi.shape)), "qhat": np.broadcast_to(qhat, (n, *qhat.shape))}
    return {**base, "position": position, **spread}


def cases(data: Path | None) -> dict[str, tuple[pd.DataFrame, pd.DataFrame | None]]:
    """Logs with a policy and a reward model: random ones, skewed ones, and the public data set's."""
    made: dict[str, tuple[pd.DataFrame, pd.DataFrame | None]] = {}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        n, k = int(rng.integers(50, 3000)), int(rng.integers(2, 12))
        logging, pi = (rng.dirichlet(np.full(k, share), size=n) for share in (0.7, 0.3))
        action = (logging.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
        reward = rng.normal(size=n) if seed % 2 else (rng.random(n) < 0.2).astype(float)
        columns = {f"pi_{a}": pi[:, a] for a in range(k)} | {f"qhat_{a}": rng.random(n) for a in range(k)}
        pscore = logging[np.arange(n), action]
        made[f"random-{seed}"] = (pd.DataFrame({"action": action, "reward": reward, "pscore": pscore, **columns}), None)
    for name in ("random", "bts"):
        path = None if data is None else data / f"obd_{name}_all.parquet"
        if path is None or not path.is_file():
            print(f"obd {name}: skipped, no --data with obd_{name}_all.parquet")
            continue
        rows = pd.read_parquet(path).rename(
            columns={"item_id": "action", "click": "reward", "propensity_score": "pscore"}
        )
        actions, places = sorted(set(rows["action"])), sorted(set(rows["position"]))
        rng = np.random.default_rng(1)
        policy = pd.DataFrame({"action": actions})
        for place in places:
            policy[f"pi_pos{place}"] = rng.dirichlet(np.full(len(actions), 0.5))
            policy[f"qhat_pos{place}"] = rng.random(len(actions)) * 0.02
        made[f"obd-{name}"] = (rows[["action", "reward", "pscore", "position"]], policy)
    return made


def agreement(peer: Path, data: Path | None) -> dict[str, Any]:
    """The largest difference of any estimator from obp's, relative to its value (at least 1e-3), by kind of log."""
    made = cases(data)
    with tempfile.TemporaryDirectory() as folder:
        for name, (log, policy) in made.items():
            arrays: dict[str, Any] = _arrays(log, policy)
            np.savez(Path(folder) / f"{name}.npz", **arrays)
        subprocess.run([peer, HERE / "peers/ope_peer.py", folder], check=True)
        theirs = {name: json.loads((Path(folder) / f"{name}.json").read_text("utf-8")) for name in made}
    worst: dict[str, float] = {}
    for name, (log, policy) in made.items():
        found = evaluate(log, policy)["estimators"]
        gaps = [
            abs(found[key]["value"] - value) / max(abs(value), 1e-3) for key, value in theirs[name]["values"].items()
        ]
        kind = name.split("-")[0]
        worst[kind] = max(worst.get(kind, 0.0), *gaps)
    libraries = {item["library"] for item in theirs.values()}
    return {"library": libraries.pop(), "logs": len(made), "estimators": 11, "largest_relative_difference": worst}


def main() -> None:
    """Runs the proof and writes ``ope-proof.json``."""
    options = argparse.ArgumentParser()
    options.add_argument("--logs", type=int, default=200)
    options.add_argument("--peer", type=Path)
    options.add_argument("--data", type=Path)
    options.add_argument("--out", type=Path, default=HERE.parent / "docs/results")
    given = options.parse_args()
    started = time.monotonic()
    figures = {"near_zero_propensities": near_zero(), **refusals(given.logs)}
    if given.peer is None:
        print("agreement: skipped, no --peer")
    else:
        figures["agreement"] = agreement(given.peer, given.data)
    command = "python benchmarks/ope_proof.py --peer PEER/bin/python --data FOLDER"
    print(write(given.out, "ope-proof", command=command, seconds=time.monotonic() - started, figures=figures))


if __name__ == "__main__":
    main()
