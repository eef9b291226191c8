"""The learning worlds: how near to the best possible value each policy comes, learning from its own log.

    python benchmarks/worlds.py                       # every world and policy; resumes where it stopped
    python benchmarks/worlds.py --only drift/greedy   # one of them; then the table and the figure again, where what was
                                                      # not run keeps its stored figures and their date
    python benchmarks/worlds.py --fresh               # everything again
    python benchmarks/worlds.py --plus 400            # the same worlds drawn with other seeds: worlds_plus_400.json;
                                                      # a later run without --plus counts these draws as well

Three worlds (``worlds_truth.py``), 200,000 decisions per policy, outcomes with delay (``worlds_loop.py``), and the
send-time world (``worlds_send_time.py``). Writes docs/results/worlds.json and docs/results/worlds.svg. Two processes.
"""

import argparse
import json
import os
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from result import write
from worlds_leads import leads, shares
from worlds_loop import CONTESTANTS, OURS, Race
from worlds_oracle import oracle
from worlds_truth import WORLDS, World

ROOT = Path(__file__).resolve().parents[1]
SHADOW_PRICES = (0.0, 0.1, 0.2, 0.4)
BLOCK_DAYS = 5
LAGS = (3, 5, 8)
"""Days after which who knows everything else learns of a change of tastes."""
ORACLE, SEND_TIME = "oracle", "send-time"
NEEDED = 0.9
_COLOURS = {
    "foretouch": "#0b6e4f",
    "greedy": "#c05621",
    "propensity-only": "#6b46c1",
    "popularity": "#2b6cb0",
    "random": "#718096",
}


def jobs() -> list[str]:
    """Every ``world/policy``: the oracles first, because every share is one of theirs."""
    names = [f"{world.name}/{contestant.name}" for contestant in CONTESTANTS for world in WORLDS]
    return [*(f"{world.name}/{ORACLE}" for world in WORLDS), *names, f"{SEND_TIME}/all"]


def drawn(plus: int) -> tuple[World, ...]:
    """The worlds with their seeds moved."""
    return tuple(replace(world, seed=world.seed + plus) for world in WORLDS)


def do(job: str, plus: int = 0) -> dict[str, Any]:
    """Runs one job in a process of its own."""
    started = time.perf_counter()
    world_name, policy = job.split("/")
    if world_name == SEND_TIME:
        import worlds_send_time  # noqa: PLC0415 - half a minute of imports that no race needs

        return {**worlds_send_time.run(), "seconds": time.perf_counter() - started}
    world = next(world for world in drawn(plus) if world.name == world_name)
    if policy == ORACLE:
        tried = [oracle(world, price) for price in SHADOW_PRICES]
        best = max(tried, key=lambda run: float(np.mean(run["expected"])))
        return {**best, "seconds": time.perf_counter() - started}
    contestant = next(item for item in CONTESTANTS if item.name == policy)
    return Race(world, contestant).run()


def blocks(values: list[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Sums over ``BLOCK_DAYS`` days."""
    daily: np.ndarray[Any, np.dtype[np.float64]] = np.asarray(values, dtype=np.float64)
    return np.add.reduceat(daily, np.arange(0, len(daily), BLOCK_DAYS))


def table(found: dict[str, dict[str, Any]], plus: int = 0) -> dict[str, Any]:
    """The figures of every world: value per decision, shares of the oracle's, and when 90 % is reached."""
    figures: dict[str, Any] = {}
    for world in drawn(plus):
        best = found.get(f"{world.name}/{ORACLE}")
        if best is None:
            continue
        ceiling = blocks(best["expected"])
        policies: dict[str, Any] = {}
        for contestant in CONTESTANTS:
            run = found.get(f"{world.name}/{contestant.name}")
            if run is None:
                continue
            value = blocks(run["expected"])
            share = value / ceiling
            reached = np.flatnonzero(share >= NEEDED)
            step = BLOCK_DAYS * world.per_day
            policies[contestant.name] = {
                "value_per_decision": float(np.mean(run["expected"])),
                "realised_per_decision": float(np.mean(run["realised"])),
                "share_of_oracle": float(value.sum() / ceiling.sum()),
                "share_of_oracle_last_50000": float(value[-5:].sum() / ceiling[-5:].sum()),
                "without_its_exploration_last_50000": float(blocks(run["unexplored"])[-5:].sum() / ceiling[-5:].sum()),
                "best_block": float(share.max()),
                "reaches_90_percent_after_decisions": int((reached[0] + 1) * step) if len(reached) else None,
                "contacts_per_decision": float(np.mean(run["contacts"])),
                "curve": [float(item) for item in share],
                "seconds": run["seconds"],
            }
        ours = policies.get("foretouch")
        others = {name: item for name, item in policies.items() if name != "foretouch"}
        figures[world.name] = {
            "decisions": world.days * world.per_day,
            "customers": world.customers,
            "seed": world.seed,
            "mean_delay_days": world.delay_days,
            "window_days": world.window_days,
            "candidates": 2 * world.offers,
            "oracle_per_decision": float(np.mean(best["expected"])),
            "oracle_shadow_price": best["shadow_price"],
            "share_of_an_oracle_whose_tastes_are_days_old": {str(days): of_lag(world, best, days) for days in LAGS}
            if world.drift >= 1.0
            else None,
            "policies": policies,
            "beats": {
                name: bool(ours["value_per_decision"] > item["value_per_decision"])
                for name, item in others.items()
                if ours is not None
            },
        }
    return figures


def with_stored(worlds: dict[str, Any], send_time: dict[str, Any] | None, path: Path) -> dict[str, Any]:
    """The figures, and those of the stored file for runs that were not made again, each with the day it was measured.

    Args:
        worlds: By ``table``.
        send_time: The send-time world's, if it was run.
        path: The stored file; there may be none.
    """
    stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"worlds": {}}
    for name, world in worlds.items():
        for policy, item in stored["worlds"].get(name, {}).get("policies", {}).items():
            world["policies"].setdefault(policy, {"measured": stored["date"], **item})
        ours = world["policies"].get("foretouch")
        for policy, item in world["policies"].items():
            if ours is not None and policy != "foretouch":
                world["beats"][policy] = bool(ours["value_per_decision"] > item["value_per_decision"])
    for name, world in stored["worlds"].items():
        worlds.setdefault(name, world)
    return {"worlds": worlds, "send_time": send_time or stored.get("send_time")}


def of_lag(world: World, best: dict[str, Any], days: int) -> float:
    """What there is to gain for who learns of a change of tastes so many days late."""
    late = oracle(world, best["shadow_price"], lag_days=days)
    return float(np.sum(late["expected"]) / np.sum(best["expected"]))


def draw(figures: dict[str, Any], path: Path) -> None:
    """The learning curves as an SVG, text kept as text."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "worlds", "font.size": 9}):
        figure = Figure(figsize=(11, 3.8), layout="constrained")
        axes = figure.subplots(1, len(figures), sharey=True, squeeze=False)[0]
        for axis, (name, world) in zip(axes, figures.items(), strict=True):
            for policy, item in world["policies"].items():
                steps = np.arange(1, len(item["curve"]) + 1) * world["decisions"] / len(item["curve"]) / 1000
                axis.plot(steps, np.asarray(item["curve"]) * 100, label=policy, color=_COLOURS[policy], linewidth=1.6)
            axis.axhline(100 * NEEDED, color="#a0aec0", linestyle=":", linewidth=1)
            axis.set_title(f"{name} (oracle {world['oracle_per_decision']:.2f} per decision)")
            axis.set_xlabel("decisions, thousands")
            axis.set_ylim(0, 102)
        axes[0].set_ylabel("value, % of the oracle's")
        if any(world["policies"] for world in figures.values()):
            axes[-1].legend(loc="lower right", frameon=False)
        figure.savefig(path, metadata={"Date": None})


def say(worlds: dict[str, Any]) -> None:
    """The table in a few words."""
    for name, world in worlds.items():
        for policy, item in world["policies"].items():
            print(
                f"{name:14s}{policy:18s}{item['share_of_oracle']:8.1%} of the oracle"
                f"{item['share_of_oracle_last_50000']:8.1%} at the end"
            )
        for policy, spans in world.get("leads", {}).items():
            line = spans["whole"]
            span = f" ({line['low']:.1%} to {line['high']:.1%})" if "low" in line else ""
            print(f"{name:14s}ahead of {policy} by {line['mean']:.1%}{span}, draws: {len(line['draws'])}")


def main() -> int:
    """Runs what is missing and writes table and figure; exits 1 where a run is missing."""
    parser = argparse.ArgumentParser(description="Learning worlds: policies beside the oracle.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results", help="where the results go")
    parser.add_argument("--work", type=Path, default=ROOT / ".demo" / "worlds", help="finished runs, to resume from")
    parser.add_argument("--only", nargs="+", default=None, help="world/policy, several")
    parser.add_argument("--fresh", action="store_true", help="forget finished runs")
    parser.add_argument("--plus", type=int, default=0, help="added to every world's seed")
    parser.add_argument("--processes", type=int, default=2, help="runs at a time")
    given = parser.parse_args()
    everything = jobs()
    unknown = sorted(set(given.only or ()) - set(everything))
    if unknown:
        parser.error(f"--only {' '.join(unknown)}: must be among {', '.join(everything)}")
    if given.plus:
        given.work = given.work / f"plus-{given.plus}"
        everything = [job for job in everything if not job.startswith(SEND_TIME)]
    if given.fresh:
        shutil.rmtree(given.work, ignore_errors=True)
    given.work.mkdir(parents=True, exist_ok=True)
    files = {job: given.work / f"{job.replace('/', '-')}.json" for job in everything}
    wanted = [job for job in everything if job in (given.only or everything) and not files[job].is_file()]
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    with ProcessPoolExecutor(max_workers=given.processes, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(do, job, given.plus): job for job in wanted}
        for future in as_completed(running):
            job, run = running[future], future.result()
            draft = files[job].with_suffix(".tmp")
            draft.write_text(json.dumps(run), encoding="utf-8")
            draft.replace(files[job])
            print(f"{job}: {run['seconds']:.0f} s", flush=True)
    found = {job: json.loads(path.read_text(encoding="utf-8")) for job, path in files.items() if path.is_file()}
    worlds = table(found, given.plus)
    if not given.plus:
        for name, world in worlds.items():
            world["leads"] = leads(given.work, name, [item.name for item in CONTESTANTS if item.name != OURS])
            world["over_draws"] = shares(given.work, name, [item.name for item in CONTESTANTS])
    seconds = sum(float(run["seconds"]) for run in found.values())
    name = f"worlds_plus_{given.plus}" if given.plus else "worlds"
    command = f"python benchmarks/worlds.py{f' --plus {given.plus}' if given.plus else ''}"
    figures = with_stored(worlds, found.get(f"{SEND_TIME}/all"), given.out / f"{name}.json")
    write(given.out, name, command=command, seconds=seconds, figures=figures)
    if worlds:
        draw(worlds, given.out / f"{name}.svg")
    say(worlds)
    missing = [job for job in everything if job not in found]
    if missing:
        print(f"not yet run: {', '.join(missing)}; next: {command}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
