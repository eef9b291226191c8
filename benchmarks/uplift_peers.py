"""Hillstrom's e-mail experiment: Qini of visits and spend, ours beside scikit-uplift, causalml and econml.

    python benchmarks/uplift_peers.py --data DIR --peers PYTHON [--repeats 3] [--out docs/results]

``PYTHON`` is the interpreter of an environment of the peers' own (``pip install scikit-uplift causalml econml lightgbm
pyarrow``). Repeated cross-fitting: in each repeat the customers are dealt into three folds, and each fold is scored by
what was learned on the other two, by everybody on the same rows, with LightGBM trees of the same parameters. A Qini is
that of the house (outcomes per person), within a fold, averaged over folds and repeats; a difference has a 95 %
interval from a bootstrap of customers, the same draw for both and for every repeat.

The margin was set before any of it was run: no worse means that the interval's lower end lies above minus 5 % of what
contacting people in random order gains (half the average effect). Worse means that the whole interval lies below 0;
everything else cannot be told.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from result import write

from foretouch.training.bench.uplift import fit_predict
from foretouch.training.uplift.curve import Randomised

Json = Any
Floats = NDArray[np.float64]
Scores = dict[tuple[str, str, str], Floats]
"""By method, arm and outcome: one row of scores per repeat, shape (repeats, n)."""

CONTROL = "No E-Mail"
ARMS = ("Mens E-Mail", "Womens E-Mail")
OUTCOMES = ("visit", "spend")
INPUTS = ("recency", "history_segment", "history", "mens", "womens", "zip_code", "newbie", "channel")
FOLDS, DRAWS, SEED = 3, 400, 7
MARGIN = 0.05
TREES = {
    "n_estimators": 100,
    "learning_rate": 0.05,
    "num_leaves": 8,
    "subsample": 0.7,
    "subsample_freq": 1,
    "colsample_bytree": 0.7,
    "max_bin": 63,
    "reg_lambda": 10.0,
    "n_jobs": 1,
    "random_state": SEED,
    "verbosity": -1,
}
OURS = "foretouch"


def deal(rows: pd.DataFrame, repeat: int) -> NDArray[np.int64]:
    """The fold of each customer, every segment dealt evenly."""
    rng = np.random.default_rng([SEED, repeat])
    fold = np.empty(len(rows), dtype=np.int64)
    for name in sorted(set(rows["segment"])):
        own = np.flatnonzero((rows["segment"] == name).to_numpy())
        fold[rng.permutation(own)] = np.arange(len(own)) % FOLDS
    return fold


def coded(rows: pd.DataFrame) -> pd.DataFrame:
    """Inputs as numbers for the peers: a category is one column per level."""
    return pd.get_dummies(rows[list(INPUTS)], dtype=float)


def peers(rows: pd.DataFrame, folds: list[NDArray[np.int64]], python: str) -> tuple[Scores, dict[str, str]]:
    """Scores of every peer by method, arm and outcome: one array per repeat; and their versions."""
    numbers = coded(rows)
    with tempfile.TemporaryDirectory() as name:
        folder, jobs = Path(name), []
        for repeat, fold in enumerate(folds):
            for index in range(FOLDS):
                for arm in ARMS:
                    for outcome in OUTCOMES:
                        key = f"{repeat}-{index}-{ARMS.index(arm)}-{outcome}"
                        seen = (fold != index) & rows["segment"].isin([arm, CONTROL]).to_numpy()
                        train = numbers[seen].assign(
                            treated=(rows["segment"][seen] == arm).astype(int),
                            outcome=rows[outcome][seen].astype(float),
                        )
                        train.to_parquet(folder / f"train-{key}.parquet", index=False)
                        numbers[fold == index].to_parquet(folder / f"test-{key}.parquet", index=False)
                        jobs.append(
                            {
                                "train": f"train-{key}.parquet",
                                "test": f"test-{key}.parquet",
                                "out": f"out-{key}.parquet",
                                "inputs": list(numbers.columns),
                                "binary": outcome == "visit",
                            }
                        )
        (folder / "work.json").write_text(json.dumps({"parameters": TREES, "jobs": jobs}), encoding="utf-8")
        subprocess.run([python, str(Path(__file__).parent / "peers" / "uplift.py"), str(folder)], check=True)
        scores: Scores = {}
        for repeat, fold in enumerate(folds):
            for index in range(FOLDS):
                for arm in ARMS:
                    for outcome in OUTCOMES:
                        made = pd.read_parquet(folder / f"out-{repeat}-{index}-{ARMS.index(arm)}-{outcome}.parquet")
                        for method in made.columns:
                            own = scores.setdefault((method, arm, outcome), np.full((len(folds), len(rows)), np.nan))
                            own[repeat, fold == index] = made[method]
        return scores, json.loads((folder / "versions.json").read_text(encoding="utf-8"))


def ours(rows: pd.DataFrame, folds: list[NDArray[np.int64]]) -> Scores:
    """Our scores, by what ``foretouch bench uplift`` calls."""
    scores: Scores = {}
    for repeat, fold in enumerate(folds):
        for index in range(FOLDS):
            for outcome in OUTCOMES:
                train, test = rows[fold != index], rows[fold == index]
                found, summary = fit_predict(
                    train[[*INPUTS, "segment", outcome]],
                    test[list(INPUTS)],
                    treatment="segment",
                    control=CONTROL,
                    outcome=outcome,
                    seed=SEED,
                )
                print(
                    repeat,
                    index,
                    outcome,
                    {name: item["learner"] for name, item in summary["arms"].items()},
                    flush=True,
                )
                for arm in ARMS:
                    own = scores.setdefault((OURS, arm, outcome), np.full((len(folds), len(rows)), np.nan))
                    own[repeat, fold == index] = found[arm]
    return scores


class Judge:
    """Qinis of cross-fitted scores of one arm and outcome, and their differences.

    Args:
        rows: The experiment.
        folds: Per repeat.
        arm: Beside the control.
        outcome: What is gained.
    """

    def __init__(self, rows: pd.DataFrame, folds: list[NDArray[np.int64]], arm: str, outcome: str) -> None:
        self.kept = rows["segment"].isin([arm, CONTROL]).to_numpy()
        self.treated = (rows["segment"][self.kept] == arm).to_numpy(dtype=np.float64)
        self.outcome = rows[outcome][self.kept].to_numpy(dtype=np.float64)
        self.folds = [fold[self.kept] for fold in folds]
        rng = np.random.default_rng(SEED)
        n = len(self.outcome)
        self.draws = [np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64) for _ in range(DRAWS)]

    @property
    def effect(self) -> float:
        """Average effect of the arm, in outcomes per person."""
        return float(self.outcome[self.treated == 1].mean() - self.outcome[self.treated == 0].mean())

    def qinis(self, scores: Floats) -> Floats:
        """The Qini on the rows, then under every draw, shape (1 + DRAWS,)."""
        total = np.zeros(1 + DRAWS)
        for repeat, fold in enumerate(self.folds):
            for index in range(FOLDS):
                held = fold == index
                sorted_once = Randomised(scores[repeat][self.kept][held], self.treated[held], self.outcome[held])
                total[0] += sorted_once.curve().qini_coefficient
                for number, draw in enumerate(self.draws):
                    total[1 + number] += sorted_once.curve(draw[held][sorted_once.order]).qini_coefficient
        return total / (len(self.folds) * FOLDS)


def line(values: Floats) -> dict[str, Any]:
    """A figure with its normal 95 % interval from the draws."""
    reach = 1.96 * float(values[1:].std(ddof=1))
    return {"value": float(values[0]), "ci": [float(values[0]) - reach, float(values[0]) + reach]}


def verdict(difference: dict[str, Any], margin: float) -> str:
    """What the stated rule says."""
    low, high = difference["ci"]
    if low > 0.0:
        return "better"
    if high < 0.0:
        return "worse"
    return "no worse" if low > -margin else "cannot be told"


def compare(rows: pd.DataFrame, folds: list[NDArray[np.int64]], scores: Scores) -> Json:
    """Figures by arm and outcome."""
    made: Json = {}
    for arm in ARMS:
        for outcome in OUTCOMES:
            judge = Judge(rows, folds, arm, outcome)
            margin = MARGIN * abs(judge.effect) / 2.0
            mine = judge.qinis(scores[OURS, arm, outcome])
            methods = {}
            for method, own_arm, own_outcome in scores:
                if (own_arm, own_outcome) == (arm, outcome) and method != OURS:
                    theirs = judge.qinis(scores[method, arm, outcome])
                    apart = line(mine - theirs)
                    methods[method] = {
                        "qini": line(theirs),
                        "ours_less_theirs": apart,
                        "verdict": verdict(apart, margin),
                    }
            made[f"{arm}, {outcome}"] = {
                "average_effect": judge.effect,
                "margin": margin,
                OURS: line(mine),
                "better_than_random": line(mine)["ci"][0] > 0.0,
                "peers": methods,
            }
    return made


def main() -> None:
    """Runs it and keeps the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with hillstrom_train.parquet")
    parser.add_argument("--peers", help="interpreter of the peers' environment; without it ours alone is measured")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    given = parser.parse_args()
    table = given.data / "hillstrom_train.parquet"
    if not table.is_file():
        print("skipped: no hillstrom_train.parquet in the data folder")
        return
    started = time.monotonic()
    rows = pd.read_parquet(table)
    folds = [deal(rows, repeat) for repeat in range(given.repeats)]
    scores: Scores = {}
    versions: dict[str, str] = {}
    if given.peers:
        scores, versions = peers(rows, folds, given.peers)
    scores |= ours(rows, folds)
    figures = {
        "data": "Hillstrom's e-mail experiment, the half that is public here",
        "customers": len(rows),
        "repeats": given.repeats,
        "folds": FOLDS,
        "margin_rule": f"{MARGIN:.0%} of half the average effect, set before the run",
        "base_learner": TREES,
        "peers": versions,
        "qini": compare(rows, folds, scores),
    }
    command = "python benchmarks/uplift_peers.py --data DIR --peers PYTHON"
    print(write(given.out, "uplift-peers", command=command, seconds=time.monotonic() - started, figures=figures))


if __name__ == "__main__":
    main()
