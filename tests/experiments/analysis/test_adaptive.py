"""Means of arms that a policy starved: laws, a case by hand, and a known truth."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretouch.core.errors import DataError
from foretouch.experiments.analysis.adaptive import arm_mean, difference, scores, weighted_mean

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from thompson_truth import judge


def made(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probabilities = rng.uniform(0.1, 0.9, n)
    return rng.random(n), (rng.random(n) < probabilities).astype(np.int64), probabilities


def test_scores_by_hand() -> None:
    outcomes, chosen = np.array([1.0, 0.0, 1.0, 0.0]), np.array([1, 0, 1, 1])
    probabilities = np.array([0.5, 0.5, 0.25, 1.0])
    # means before: 0, 1, 1, 1
    expected = [0.0 + (1.0 - 0.0) / 0.5, 1.0, 1.0 + (1.0 - 1.0) / 0.25, 1.0 + (0.0 - 1.0) / 1.0]
    assert scores(outcomes, chosen, probabilities) == pytest.approx(expected)
    mean, se = weighted_mean(np.array(expected), np.ones(4))
    assert mean == pytest.approx(1.0)
    assert se == pytest.approx(np.sqrt(2.0) / 4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(-5.0, 5.0), st.floats(0.1, 3.0))
def test_constant_in_constant_out_and_units_do_not_matter(seed: int, level: float, scale: float) -> None:
    outcomes, chosen, probabilities = made(seed)
    chosen[0], probabilities[0] = 1, 1.0  # the first unit tells the level
    constant = arm_mean(np.full(len(outcomes), level), chosen, probabilities)
    assert constant.mean == pytest.approx(level)
    assert constant.se == pytest.approx(0.0, abs=1e-9)
    one, other = arm_mean(outcomes, chosen, probabilities), arm_mean(scale * outcomes, chosen, probabilities)
    assert other.mean == pytest.approx(scale * one.mean)
    assert other.se == pytest.approx(scale * one.se)


def test_an_arm_that_everybody_gets_has_the_plain_mean() -> None:
    outcomes, _, _ = made(3)
    ones = np.ones(len(outcomes), dtype=np.int64)
    found = arm_mean(outcomes, ones, ones.astype(float))
    assert found.mean == pytest.approx(outcomes.mean())
    assert found.se == pytest.approx(outcomes.std() / np.sqrt(len(outcomes)))
    assert found.effective == len(outcomes)


def test_the_mean_over_everything_that_could_have_been_drawn_is_the_truth() -> None:
    """Exactly unbiased: two units, all draws; the second's share learns from the first's outcome."""
    outcomes = {0: (0.3, 0.9), 1: (0.7, 0.2)}  # by arm, of both units
    total = 0.0
    for first in (0, 1):
        second_share = 0.8 if (first == 1) == (outcomes[first][0] > 0.5) else 0.3
        for second in (0, 1):
            chance = 0.5 * (second_share if second else 1.0 - second_share)
            got = np.array([outcomes[first][0], outcomes[second][1]])
            probabilities = np.array([0.5, second_share])
            total += chance * arm_mean(got, np.array([first, second]), probabilities).mean
    assert total == pytest.approx((0.7 + 0.2) / 2)


def test_doubling_every_customers_decisions_does_not_narrow_a_clustered_interval() -> None:
    outcomes, chosen, probabilities = made(5)
    once = arm_mean(outcomes, chosen, probabilities, clusters=np.arange(len(outcomes)))
    names = np.repeat(np.arange(len(outcomes)), 2)
    scored = scores(outcomes, chosen, probabilities)
    mean, se = weighted_mean(np.repeat(scored, 2), np.ones(2 * len(outcomes)), names)
    assert [mean, se] == pytest.approx([once.mean, once.se])
    gap, error, _ = difference([scored, scored + 0.25])
    assert [gap, error] == pytest.approx([0.25, 0.0], abs=1e-12)


@pytest.mark.parametrize("wrong", [0.0, -0.1, 1.5, float("nan")])
def test_a_probability_that_is_none_is_refused(wrong: float) -> None:
    outcomes, chosen, probabilities = made(1, 10)
    probabilities[4] = wrong
    with pytest.raises(DataError, match=r"must be"):
        arm_mean(outcomes, chosen, probabilities)
    with pytest.raises(DataError, match="at least 2"):
        arm_mean(outcomes[:1], chosen[:1], np.ones(1))


def test_thompson_with_a_known_truth() -> None:
    """Required: bias below .1 point, coverage at least 91 %; plain means are shown failing both.

    The bound on the bias allows four of its own standard errors; with 2,500 runs that is below .2 points.
    """
    found = {row.way: row for row in judge(2500)}
    uniform, plain = found["uniform"], found["plain"]
    assert abs(uniform.bias_points) <= max(0.1, 4 * uniform.bias_error) < 0.2
    assert uniform.coverage >= 0.91
    assert plain.bias_points < -0.4
    assert plain.coverage < 0.91
