"""Policies: drawn frequencies beside logged probabilities; and how well bootstrap members hold the truth.

    python benchmarks/policies.py [--draws 200000] [--out docs/results]

Draws go through the stream and the cumulated distribution that decisions use (``tests/suites/policies.py``). Members
are fitted by the trainer's own functions to one simulated surface, on four sizes of data, beside a
cheaper kind with the champion's structure and new leaves alone.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any, get_args

import lightgbm
import numpy as np
from numpy.typing import NDArray
from result import write

from foretouch.core.bundle import ModelInput
from foretouch.core.policy import PolicySpec
from foretouch.serving.decision.policies import KINDS, distribution
from foretouch.training.booster import fit_booster, model_text
from foretouch.training.ensemble import MEMBERS, fit_members, predict_members, spread

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.suites.policies import chi_square_p, example, frequencies  # noqa: E402

FloatArray = NDArray[np.float64]
SIZES = (1_000, 4_000, 16_000, 64_000)
INPUTS = tuple(ModelInput(name=f"x{index}", view="v") for index in range(8))
TREES = {"objective": "binary", "num_leaves": 15, "learning_rate": 0.05, "min_data_in_leaf": 20}
ROUNDS = 100
LATER = 2_000
CANDIDATES = 61


def truth(matrix: FloatArray) -> FloatArray:
    """Probability of acceptance: one effect, and one that another input switches on."""
    return np.asarray(1.0 / (1.0 + np.exp(2.2 - matrix[:, 0] - 0.7 * matrix[:, 1] * (matrix[:, 2] > 0.0))))


def frequency_table(draws: int) -> list[dict[str, Any]]:
    """Chi-square of every kind's drawn frequencies against its probabilities."""
    table = []
    for kind in get_args(PolicySpec.model_fields["kind"].annotation):
        shares = example(kind)
        counts = frequencies(shares, draws, key="benchmark")
        table.append({"kind": kind, "probabilities": shares, "counts": counts, "p": chi_square_p(counts, shares)})
    return table


def ensemble_table() -> list[dict[str, Any]]:
    """Spread and coverage of both kinds of members by size of the data."""
    rng = np.random.default_rng(20_240_501)
    later = rng.normal(size=(LATER, len(INPUTS)))
    table = []
    for rows in SIZES:
        matrix = rng.normal(size=(rows, len(INPUTS)))
        label = (rng.random(rows) < truth(matrix)).astype(float)
        customers = np.arange(rows).astype(object)

        def fit(
            weight: FloatArray | None, seed: int, matrix: FloatArray = matrix, label: FloatArray = label
        ) -> lightgbm.Booster:
            return fit_booster(
                matrix,
                label,
                inputs=INPUTS,
                parameters=TREES,
                rounds=ROUNDS,
                seed=seed,
                threads=1,
                weight=weight,
            )

        def anew(weight: FloatArray, seed: int, fit: Any = fit) -> str:
            return model_text(fit(weight, seed))

        champion = fit(None, 1)

        def leaves(
            weight: FloatArray, _seed: int, champion: Any = champion, matrix: Any = matrix, label: Any = label
        ) -> str:
            return model_text(champion.refit(matrix, label, weight=weight, decay_rate=0.0))

        for name, member in (("fitted anew", anew), ("champion's structure, new leaves", leaves)):
            started = time.perf_counter()
            scores = predict_members(fit_members(member, customers, seed=1), later)
            low, high = scores.min(axis=0), scores.max(axis=0)
            held = float(((low <= truth(later)) & (truth(later) <= high)).mean())
            seconds = time.perf_counter() - started
            table.append(
                {"rows": rows, "members": name, "seconds": seconds, "spread": spread(scores), "holds_the_truth": held}
            )
    return table


def cost_table() -> list[dict[str, Any]]:
    """Microseconds of one whole distribution over 20 offers x 3 channels and no contact, best of seven."""
    rng = np.random.default_rng(2)
    draws = np.column_stack([np.zeros(MEMBERS), rng.normal(size=(MEMBERS, CANDIDATES - 1))])
    priorities: list[float] = draws.mean(axis=0).tolist()
    table = []
    for kind in sorted(KINDS):
        spec = PolicySpec.model_validate({"kind": kind})
        best = float("inf")
        for _ in range(7):
            started = time.perf_counter()
            for _ in range(200):
                distribution(priorities, 0, spec, draws=draws if kind == "thompson" else None)
            best = min(best, (time.perf_counter() - started) / 200)
        table.append({"kind": kind, "candidates": CANDIDATES, "microseconds": best * 1e6})
    return table


def main() -> int:
    """Measures, prints, keeps; exit code 1 if a frequency is not its probability."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=200_000)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results")
    arguments = parser.parse_args()
    started = time.perf_counter()
    figures = {
        "draws": arguments.draws,
        "frequencies": frequency_table(arguments.draws),
        "members": ensemble_table(),
        "cost": cost_table(),
    }
    path = write(
        arguments.out,
        "policies",
        command="python benchmarks/policies.py",
        seconds=time.perf_counter() - started,
        figures=figures,
    )
    for row in figures["frequencies"] + figures["members"] + figures["cost"]:
        print({name: value for name, value in row.items() if name != "probabilities"})
    print(path)
    return int(any(row["p"] < 1e-4 for row in figures["frequencies"]))


if __name__ == "__main__":
    raise SystemExit(main())
