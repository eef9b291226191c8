"""Uplift on planted truth: intervals that hold it as often as they say, and noise that is not called a model.

    python benchmarks/uplift_truth.py [--fits 20] [--noise 500] [--out docs/results]

*Tenths.* In each of three worlds an uplift model is fitted anew (cross-fitted learners, the best one chosen, the trees
that the service would load) on 4,000 people and applied to 4,000 others. By tenth of its score, the 95 % interval of
the measured mean uplift is held against the true mean uplift of these people; 92 to 98 of 100 such cells must hold it.
Beside it stand the share of people whose own true uplift lies in their own interval, and the rank correlation.

- ``interaction``: half of the effect needs two things at once, and one person in six is put off.
- ``none``: a contact does the same for everybody.
- ``logged``: who is contacted depends on what is known, with probabilities that are on record, as in a decision log.

*Noise.* Scores that know nothing, 500 times, on 2,000 people each whose uplift varies: at most 8.5 % may be called
better than random, and the interval should hold the true Qini of the score, 0, in about 95 %.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from result import write
from scipy import stats

from foretouch.core.bundle import ModelInput
from foretouch.training.booster import predict_text
from foretouch.training.uplift.curve import evaluate_uplift
from foretouch.training.uplift.deciles import uplift_by_tenth
from foretouch.training.uplift.learners import Settings, fit_uplift, outcome_models, pseudo_outcome
from foretouch.training.uplift.served import distil, explained, intervals
from foretouch.training.uplift.trial import Trial

Json = Any
Floats = NDArray[np.float64]

PEOPLE, INPUTS = 4000, 5
WORLDS = ("interaction", "none", "logged")
BAND = (0.92, 0.98)
NOISE_PEOPLE, NOISE_BOUND = 2000, 0.085
COLUMNS = tuple(ModelInput(name=f"x{index}", view="benchmark") for index in range(INPUTS))


def draw(world: str, seed: int, n: int) -> tuple[Trial, Floats]:
    """People, who of them was contacted, what they did; and the true uplift of each."""
    rng = np.random.default_rng([seed, WORLDS.index(world), n])
    x = rng.normal(size=(n, INPUTS))
    base = 0.15 + 0.1 * (x[:, 1] > 0.5) + 0.05 * np.tanh(x[:, 2])
    effect = 0.04 + 0.12 * ((x[:, 0] > 0.0) & (x[:, 1] > -0.5)) + 0.04 * np.tanh(x[:, 3]) - 0.1 * (x[:, 4] > 1.0)
    if world == "none":
        effect = np.full(n, 0.05)
    chance = 0.2 + 0.6 / (1.0 + np.exp(-1.5 * x[:, 0])) if world == "logged" else np.full(n, 0.5)
    treated = rng.random(n) < chance
    outcome = (rng.random(n) < base + treated * effect).astype(np.float64)
    weight = None
    if world == "logged":
        weight = np.where(treated, 1.0 / chance, 1.0 / (1.0 - chance))
        for side in (treated, ~treated):
            weight[side] *= n / 2.0 / weight[side].sum()
    trial = Trial(matrix=x, inputs=COLUMNS, arm=treated.astype(np.int64), outcome=outcome, weight=weight)
    return trial, effect


def one_fit(world: str, seed: int) -> Json:
    """Cells that held the truth, people whose interval held theirs, and how well the order was found."""
    (seen, truth_seen), (later, truth) = draw(world, 2 * seed, PEOPLE), draw(world, 2 * seed + 1, PEOPLE)
    settings = Settings.of(PEOPLE, seed=seed)
    arm = fit_uplift(seen, settings)[0]
    own = arm.predict(seen.matrix)
    text = distil(seen.matrix, own, seen.counts, inputs=COLUMNS, seed=seed, threads=1)
    known, score = (predict_text(text, trial.matrix) for trial in (seen, later))
    expected = [model(later.matrix) for model in outcome_models(seen, settings)]
    pseudo = pseudo_outcome(later, 1, expected[1], expected[0])
    tenths = uplift_by_tenth(score, pseudo, count=later.weight)
    order = np.argsort(-score, kind="stable")
    counts = later.counts[order]
    place = np.minimum(((np.cumsum(counts) - counts / 2) / counts.sum() * len(tenths)).astype(int), len(tenths) - 1)
    held = []
    for index, tenth in enumerate(tenths):
        rows = order[place == index]
        held.append(bool(tenth.low <= np.average(truth[rows], weights=later.counts[rows]) <= tenth.high))
    spans = intervals(known, arm.se)
    inside = [low <= value <= high for value, (low, high) in zip(truth, map(spans.at, score.tolist()), strict=True)]
    varies = bool(np.ptp(truth) > 0.0 and np.ptp(score) > 0.0)
    return {
        "held": held,
        "predicted_held": [tenth.holds for tenth in tenths],
        "people": float(np.mean(inside)),
        "width": float(np.mean([high - low for low, high in map(spans.at, score.tolist())])),
        "rank_correlation": float(stats.spearmanr(score, truth).statistic) if varies else None,
        "slope": float(np.polyfit(score, truth, 1)[0]) if varies else None,
        "served_share_of_variance": explained(own, known),
        "learner": arm.learner,
        "truth_seen_mean": float(truth_seen.mean()),
    }


def mean_of(found: list[Json], name: str) -> float | None:
    """Mean of a figure over fits where there is one."""
    values = [item[name] for item in found if item[name] is not None]
    return float(np.mean(values)) if values else None


def tenths(fits: int) -> Json:
    """Coverage by world."""
    made: Json = {}
    every: list[bool] = []
    for world in WORLDS:
        found = [one_fit(world, seed) for seed in range(fits)]
        cells = [cell for item in found for cell in item["held"]]
        every += cells
        made[world] = {
            "fits": fits,
            "cells": len(cells),
            "held_true_mean": float(np.mean(cells)),
            "tenths_whose_interval_holds_the_prediction": float(
                np.mean([c for i in found for c in i["predicted_held"]])
            ),
            "people_whose_interval_holds_their_own_uplift": mean_of(found, "people"),
            "mean_width_of_a_persons_interval": mean_of(found, "width"),
            "rank_correlation_with_truth": mean_of(found, "rank_correlation"),
            "slope_of_truth_on_score": mean_of(found, "slope"),
            "served_share_of_variance": mean_of(found, "served_share_of_variance"),
            "learners": sorted({item["learner"] for item in found}),
        }
        print(world, made[world], flush=True)
    share = float(np.mean(every))
    made["all"] = {"cells": len(every), "held_true_mean": share, "band": BAND, "in_band": BAND[0] <= share <= BAND[1]}
    return made


def noise(times: int) -> Json:
    """How often a score that knows nothing is called better than random."""
    called = held = 0
    for seed in range(times):
        rng = np.random.default_rng([seed, 99])
        x = rng.normal(size=NOISE_PEOPLE)
        treated = (rng.random(NOISE_PEOPLE) < 0.5).astype(np.float64)
        outcome = (rng.random(NOISE_PEOPLE) < 0.2 + treated * 0.1 * (x > 0)).astype(np.float64)
        found = evaluate_uplift(rng.random(NOISE_PEOPLE), treated, outcome, seed=seed, draws=100)
        called += found.better_than_random
        held += found.qini.low <= 0.0 <= found.qini.high
    return {
        "scores": times,
        "called_better_than_random": called / times,
        "bound": NOISE_BOUND,
        "in_bound": called / times <= NOISE_BOUND,
        "interval_holds_zero": held / times,
    }


def main() -> None:
    """Runs both and keeps the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", type=int, default=20, help="models per world")
    parser.add_argument("--noise", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    given = parser.parse_args()
    started = time.monotonic()
    figures = {"noise": noise(given.noise), "tenths": tenths(given.fits)}
    command = f"python benchmarks/uplift_truth.py --fits {given.fits} --noise {given.noise}"
    print(write(given.out, "uplift-truth", command=command, seconds=time.monotonic() - started, figures=figures))


if __name__ == "__main__":
    main()
