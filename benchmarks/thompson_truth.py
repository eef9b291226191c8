"""Thompson sampling with known rates: are the arms' means right, plainly and by the logged probabilities?

    python benchmarks/thompson_truth.py [--runs 2000] [--out docs/results/thompson-truth.json]

Two arms of equal rate, 1,000 units in batches of 50: after every batch the policy gives each arm the probability that
it is the better one (normal approximation of the Beta posterior), a share ``FLOOR`` dealt evenly. Equal rates are where
learning hurts plain means most: the unlucky arm is starved and its bad luck stays.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from result import write
from scipy import special

from foretouch.experiments.analysis.adaptive import Weights, arm_mean

RATES = (0.10, 0.10)
UNITS, BATCH, FLOOR = 1_000, 50, 0.02
SEED = 20261130


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Over all runs and both arms.

    Attributes:
        way: ``plain``, ``uniform`` or ``variance``.
        bias_points: Mean error of an arm's mean, in percentage points; the arms are alike.
        bias_error: Standard error of that, from the number of runs.
        coverage: Share of 95 % intervals that hold the truth.
    """

    way: str
    bias_points: float
    bias_error: float
    coverage: float


def simulate(runs: int, *, seed: int = SEED) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs of the policy.

    Returns:
        Outcomes (runs, units), the arm of each (0 or 1), and the probability of arm 1.
    """
    rng = np.random.default_rng(seed)
    outcomes, arms, shares = (np.empty((runs, UNITS)) for _ in range(3))
    won, lost = np.ones((runs, 2)), np.ones((runs, 2))
    for start in range(0, UNITS, BATCH):
        times = won + lost
        mean = won / times
        spread = np.sqrt((mean * (1 - mean) / (times + 1)).sum(axis=1))
        better = special.ndtr((mean[:, 1] - mean[:, 0]) / spread)
        share = np.clip(FLOOR / 2 + (1 - FLOOR) * better, FLOOR / 2, 1 - FLOOR / 2)[:, None]
        span = slice(start, start + BATCH)
        shares[:, span] = share
        arms[:, span] = rng.random((runs, BATCH)) < share
        outcomes[:, span] = rng.random((runs, BATCH)) < np.where(arms[:, span] == 1, RATES[1], RATES[0])
        for arm in (0, 1):
            own = arms[:, span] == arm
            won[:, arm] += (own * outcomes[:, span]).sum(axis=1)
            lost[:, arm] += (own * (1 - outcomes[:, span])).sum(axis=1)
    return outcomes, arms, shares


def judge(runs: int, *, seed: int = SEED) -> list[Judged]:
    """Bias and coverage of each way to say an arm's mean."""
    outcomes, arms, shares = simulate(runs, seed=seed)
    ways: tuple[Weights, ...] = ("uniform", "variance")
    errors: dict[str, np.ndarray] = {way: np.full((runs, 2), np.nan) for way in ("plain", *ways)}
    inside: dict[str, np.ndarray] = {way: np.full((runs, 2), np.nan) for way in ("plain", *ways)}
    for run in range(runs):
        for arm, rate in enumerate(RATES):
            chosen = (arms[run] == arm).astype(np.int64)
            chance = shares[run] if arm == 1 else 1.0 - shares[run]
            for way in ways:
                found = arm_mean(outcomes[run], chosen, chance, weights=way)
                errors[way][run, arm] = found.mean - rate
                inside[way][run, arm] = found.ci[0] <= rate <= found.ci[1]
            if found.plain is not None and found.plain_ci is not None:
                errors["plain"][run, arm] = found.plain - rate
                inside["plain"][run, arm] = found.plain_ci[0] <= rate <= found.plain_ci[1]
    made = []
    for name, missed in errors.items():
        of_run = 100.0 * np.nanmean(missed, axis=1)
        made.append(
            Judged(
                way=name,
                bias_points=float(of_run.mean()),
                bias_error=float(of_run.std(ddof=1) / np.sqrt(runs)),
                coverage=float(np.nanmean(inside[name])),
            )
        )
    return made


def main() -> None:
    """Prints the table as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--out", type=Path, help="JSON of the figures, with date and machine")
    given = parser.parse_args()
    started = time.perf_counter()
    figures = {"runs": given.runs, "rows": [asdict(row) for row in judge(given.runs)]}
    if given.out is not None:
        command = f"python benchmarks/thompson_truth.py --runs {given.runs} --out {given.out}"
        seconds = time.perf_counter() - started
        write(given.out.parent, given.out.stem, command=command, seconds=seconds, figures=figures)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
