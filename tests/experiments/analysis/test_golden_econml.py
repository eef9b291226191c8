"""Doubly robust effects are those of econml where both are given the same probabilities and expected outcomes.

``benchmarks/golden_numbers.py`` makes its answers; each names the version and the call. econml's errors are HC1, with
n / (n - 1); those of a mean of scores in ``analysis.adaptive`` are HC0.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foretouch.core.bundle import ModelInput
from foretouch.experiments.analysis.adaptive import difference, scores
from foretouch.training.off_policy.estimators import Rounds, doubly_robust, estimate
from foretouch.training.task import FloatArray
from foretouch.training.uplift.deciles import uplift_by_tenth
from foretouch.training.uplift.learners import pseudo_outcome
from foretouch.training.uplift.trial import Trial, clustered_se

FILE = Path(__file__).resolve().parents[2] / "golden" / "experiments" / "libraries.json"
SAVED: dict[str, Any] = json.loads(FILE.read_text())
ROWS: dict[str, FloatArray] = {
    name: np.array(values, dtype=float) for name, values in SAVED["tables"]["logged"].items()
}
N = len(ROWS["y"])
HC0 = math.sqrt((N - 1) / N)
EXACT = 1e-8


def expected(name: str) -> dict[str, Any]:
    item = SAVED["golden"][name]
    assert item["parent"].startswith("econml 0.17.0 LinearDRLearner(")
    values: dict[str, Any] = item["values"]
    return values


def everybody(arm: int) -> Rounds:
    """The log as the policy sees it that gives everybody the arm."""
    got = ROWS["t"] == arm
    chance = ROWS["e"] if arm == 1 else 1.0 - ROWS["e"]
    mean = ROWS[f"m{arm}"]
    predicted = np.where(ROWS["t"] == 1.0, ROWS["m1"], ROWS["m0"])
    return Rounds(reward=ROWS["y"], weight=got / chance, direct=mean, predicted=predicted)


def trial() -> Trial:
    return Trial(
        matrix=ROWS["score"][:, None],
        inputs=(ModelInput(name="score", view="log"),),
        arm=ROWS["t"].astype(np.int64),
        outcome=ROWS["y"],
    )


def test_treating_everybody_less_treating_nobody_is_its_effect() -> None:
    answer = expected("econml_effect")
    treated, untreated = (estimate(everybody(arm), doubly_robust) for arm in (1, 0))
    assert treated.value - untreated.value == pytest.approx(answer["difference"], rel=EXACT)
    gap = treated.terms - untreated.terms
    assert math.sqrt(float(np.square(gap).sum()) / (N - 1) / N) == pytest.approx(answer["se"], rel=EXACT)


def test_arms_of_a_learning_policy_are_compared_as_it_does() -> None:
    answer = expected("econml_running_means")
    chosen = ROWS["t"].astype(np.int64)
    scored = [scores(ROWS["y"], 1 - chosen, 1.0 - ROWS["e"]), scores(ROWS["y"], chosen, ROWS["e"])]
    gap, se, (low, high) = difference(scored)
    assert gap == pytest.approx(answer["difference"], rel=EXACT)
    assert se == pytest.approx(answer["se"] * HC0, rel=EXACT)
    middle, half = sum(answer["ci"]) / 2, (answer["ci"][1] - answer["ci"][0]) / 2
    assert [low, high] == pytest.approx([middle - half * HC0, middle + half * HC0], rel=EXACT)


def test_the_average_uplift_of_a_trial_is_its_effect() -> None:
    answer = expected("econml_lot")
    rows = trial()
    pseudo = pseudo_outcome(rows, 1, ROWS["m1"], ROWS["m0"])
    assert pseudo.mean() == pytest.approx(answer["difference"], rel=EXACT)
    assert clustered_se(pseudo - pseudo.mean(), rows) == pytest.approx(answer["se"], rel=EXACT)


def test_uplift_by_score_is_its_effect_in_either_half() -> None:
    pseudo = pseudo_outcome(trial(), 1, ROWS["m1"], ROWS["m0"])
    halves = uplift_by_tenth(ROWS["score"], pseudo, groups=2)
    answers = expected("econml_halves")["halves"]
    assert len(halves) == len(answers) == 2
    for half, answer in zip(halves, answers, strict=True):
        assert half.observed == pytest.approx(answer["difference"], rel=EXACT)
        assert [half.low, half.high] == pytest.approx(answer["ci"], rel=EXACT)
