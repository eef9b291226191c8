"""Qini, gain and uplift: another library's curves, brute force, laws, and the error rate of a noise score."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foretouch.core.errors import DataError
from foretouch.training.bench import qini
from foretouch.training.task import FloatArray
from foretouch.training.uplift.curve import Randomised, evaluate_uplift

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden/bench/uplift_curve.json").read_text())


def golden(name: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    part = GOLDEN[name]
    return tuple(np.array(part[column], dtype=float) for column in ("score", "treatment", "outcome"))  # type: ignore[return-value]


def planted(seed: int, n: int, effect: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    score = rng.random(n)
    treatment = rng.integers(0, 2, n).astype(float)
    outcome = (rng.random(n) < 0.2 + effect * score * treatment).astype(float)
    return score, treatment, outcome


def test_curves_with_ties_agree_with_scikit_uplift() -> None:
    curve = Randomised(*golden("tied")).curve()
    part = GOLDEN["tied"]
    # The library leaves points out where they lie on a line through others; ours are interpolated there.
    assert np.interp(part["targeted"], curve.targeted, curve.qini) == pytest.approx(part["qini_curve"], abs=1e-10)
    assert np.interp(part["targeted"], curve.targeted, curve.gain) == pytest.approx(part["gain_curve"], abs=1e-10)
    assert curve.qini_coefficient == pytest.approx(part["qini"], rel=1e-10)
    assert curve.auuc == pytest.approx(part["auuc"], rel=1e-10)


def test_uplift_at_agrees_with_scikit_uplift_where_nothing_is_tied() -> None:
    curve = Randomised(*golden("distinct")).curve()
    part = GOLDEN["distinct"]
    assert curve.qini_coefficient == pytest.approx(part["qini"], rel=1e-10)
    assert curve.auuc == pytest.approx(part["auuc"], rel=1e-10)
    for share, value in part["uplift_at"].items():
        assert curve.uplift_at(np.array([int(120 * float(share))]))[0] == pytest.approx(value, rel=1e-12)


def test_the_curve_and_its_area_agree_with_causalml_where_nothing_is_tied() -> None:
    """Its score is a sum over points, not an area: the same from our curve; one definition per library."""
    curve = Randomised(*golden("distinct")).curve()
    part = GOLDEN["causalml"]
    assert curve.qini == pytest.approx(part["qini_curve"], abs=1e-12)
    chord = np.linspace(0.0, curve.qini[-1], len(curve.qini))
    assert (curve.qini - chord).sum() / len(curve.qini) == pytest.approx(part["qini_score"], rel=1e-10)


def brute_force(score: FloatArray, treatment: FloatArray, outcome: FloatArray) -> tuple[float, float]:
    """Both areas from the definitions, threshold by threshold."""
    n = len(score)
    x, qini, gain = [0.0], [0.0], [0.0]
    for threshold in sorted(set(score.tolist()), reverse=True):
        top = score >= threshold
        t, c = top & (treatment == 1), top & (treatment == 0)
        per_c = outcome[c].mean() if c.any() else 0.0
        per_t = outcome[t].mean() if t.any() else 0.0
        x.append(float(top.sum()))
        qini.append(float(outcome[t].sum() - per_c * t.sum()))
        gain.append(float((per_t - per_c) * top.sum()))
    areas = [sum((x[i] - x[i - 1]) * (y[i] + y[i - 1]) / 2 for i in range(1, len(x))) for y in (qini, gain)]
    return (areas[0] - n * qini[-1] / 2) / n**2, areas[1] / n**2


@pytest.mark.parametrize("seed", range(5))
def test_areas_equal_the_definitions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 12, 60) / 4.0, rng.integers(0, 2, 60).astype(float), rng.normal(size=60)
    curve = Randomised(*rows).curve()
    assert (curve.qini_coefficient, curve.auuc) == pytest.approx(brute_force(*rows), abs=1e-12)


def test_weights_count_rows_as_often_as_they_say() -> None:
    score, treatment, outcome = planted(1, 80, 0.3)
    times = np.random.default_rng(2).integers(0, 4, 80)
    rows = Randomised(score, treatment, outcome)
    order = np.argsort(-score, kind="stable")
    repeated = Randomised(np.repeat(score, times), np.repeat(treatment, times), np.repeat(outcome, times))
    weighted = rows.curve(times[order].astype(float))
    assert weighted.qini_coefficient == pytest.approx(repeated.curve().qini_coefficient, rel=1e-10)
    assert weighted.auuc == pytest.approx(repeated.curve().auuc, rel=1e-10)


def test_laws_of_the_curves() -> None:
    score, treatment, outcome = planted(3, 400, 0.4)
    curve = Randomised(score, treatment, outcome).curve()
    stretched = Randomised(np.exp(5 * score), treatment, outcome).curve()
    assert stretched.qini_coefficient == curve.qini_coefficient  # only the order matters
    flat = Randomised(np.zeros(400), treatment, outcome).curve()
    assert flat.qini_coefficient == 0.0  # one block: the curve is its chord
    turn = np.random.default_rng(4).permutation(400)
    tied = np.round(score, 1)
    turned = Randomised(tied[turn], treatment[turn], outcome[turn]).curve()
    assert turned.qini_coefficient == pytest.approx(Randomised(tied, treatment, outcome).curve().qini_coefficient)
    whole = outcome[treatment == 1].mean() - outcome[treatment == 0].mean()
    assert curve.uplift_at(np.array([400.0]))[0] == pytest.approx(whole, rel=1e-12)


def test_a_cut_inside_a_tie_takes_the_same_part_of_every_row() -> None:
    score = np.array([3.0, 2.0, 2.0, 2.0, 2.0, 1.0])
    treatment = np.array([1.0, 1.0, 0.0, 1.0, 0.0, 0.0])
    outcome = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0])
    curve = Randomised(score, treatment, outcome).curve()
    # After 3 rows: the first, and half of each of the four tied: treated (1 + 0 + .5) / 2, control .5 / 1.
    assert curve.uplift_at(np.array([3.0]))[0] == pytest.approx(1.5 / 2 - 0.5)


def test_found_where_it_is() -> None:
    found = evaluate_uplift(*planted(5, 4000, 0.4), draws=100)
    assert found.better_than_random
    assert found.uplift_at[0.1].value > found.uplift_at[1.0].value
    backwards = planted(5, 4000, 0.4)
    assert evaluate_uplift(-backwards[0], *backwards[1:], draws=100).qini.high < 0.0


def test_a_noise_score_is_seldom_called_better_than_random() -> None:
    """The true rate is near 2.5 %; 200 scores above 8.5 % (17) have a chance below 1 in 10,000."""
    called, outside = 0, 0
    for seed in range(200):
        noise = np.random.default_rng([1, seed]).random(800)
        _, treatment, outcome = planted(seed, 800, 0.2)
        found = evaluate_uplift(noise, treatment, outcome, draws=60, seed=seed)
        called += found.better_than_random
        outside += not found.qini.low <= 0.0 <= found.qini.high
    assert called <= 17
    assert outside <= 24


def test_the_same_seed_gives_the_same_interval() -> None:
    rows = planted(6, 300, 0.2)
    assert evaluate_uplift(*rows, draws=30, seed=1).qini == evaluate_uplift(*rows, draws=30, seed=1).qini
    assert evaluate_uplift(*rows, draws=30, seed=1).qini != evaluate_uplift(*rows, draws=30, seed=2).qini


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": np.array([np.nan, 1.0, 2.0, 3.0])}, "score holds 1"),
        ({"treatment": np.ones(4)}, "no row is control"),
        ({"treatment": np.zeros(4)}, "no row is treated"),
        ({"treatment": np.array([0.0, 1.0, 2.0, 1.0])}, "must hold 0 and 1"),
        ({"outcome": np.array([1.0])}, "one value per row"),
    ],
)
def test_rows_that_cannot_be_compared_are_refused(change: dict[str, FloatArray], message: str) -> None:
    rows = {"score": np.arange(4.0), "treatment": np.array([0.0, 1.0, 0.0, 1.0]), "outcome": np.ones(4)} | change
    with pytest.raises(DataError, match=message):
        Randomised(**rows)


def test_an_arm_of_one_row_has_no_interval(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("score,treated,outcome\n2,0,1\n1,1,0\n3,1,1\n")
    with pytest.raises(DataError, match="smaller arm has 1 rows, at least 2"):
        qini.run(
            tmp_path / "rows.csv", score="score", treatment="treated", outcome="outcome", out=tmp_path / "out.json"
        )
