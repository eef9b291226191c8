"""The calibration report: other libraries' figures, the definitions by hand, and what has no answer."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foretouch.core.errors import DataError
from foretouch.training.calibration_report import calibration_figures

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden/bench/calibration.json").read_text())


def test_figures_agree_with_scikit_learn_and_statsmodels() -> None:
    found = calibration_figures(np.array(GOLDEN["score"]), np.array(GOLDEN["label"], dtype=float))
    for name, value in GOLDEN["values"].items():
        assert found[name] == pytest.approx(value, rel=1e-8), name


def test_bins_by_hand() -> None:
    score = np.array([0.05, 0.1, 0.15, 0.95, 1.0])
    label = np.array([0.0, 1.0, 0.0, 1.0, 1.0])
    found = calibration_figures(score, label)
    # Equal width: [0, .1) holds .05; [.1, .2) holds .1 and .15; the last bin .95 and 1.
    assert found["ece_equal_width_10"] == pytest.approx((0.05 + abs(0.25 - 1.0) + abs(1.95 - 2.0)) / 5)
    # Equal mass: ten parts of five rows are the five rows.
    assert found["ece_equal_mass_10"] == pytest.approx((0.05 + 0.9 + 0.15 + 0.05 + 0.0) / 5)


def test_a_calibrated_score_is_found_so_and_a_sharper_one_is_not() -> None:
    rng = np.random.default_rng(7)
    p = rng.beta(2, 5, 20_000)
    label = (rng.random(20_000) < p).astype(float)
    good = calibration_figures(p, label)
    assert good["slope"] == pytest.approx(1.0, abs=0.08)
    assert abs(good["calibration_in_the_large"]) < 0.06
    odds = (p / (1 - p)) ** 2
    sharp = calibration_figures(odds / (1 + odds), label)
    assert sharp["slope"] == pytest.approx(good["slope"] / 2, rel=1e-6)
    assert sharp["auc"] == pytest.approx(good["auc"])
    assert np.mean(good["decile_lift"]) == pytest.approx(1.0)


def test_labels_that_are_split_without_error_have_no_slope() -> None:
    found = calibration_figures(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.0, 0.0, 1.0, 1.0]))
    assert np.isnan(found["slope"])
    assert np.isnan(found["intercept"])
    assert found["auc"] == 1.0


@pytest.mark.parametrize(
    ("score", "label", "message"),
    [
        ([0.1, 1.2], [0.0, 1.0], "no probability"),
        ([0.1, np.nan], [0.0, 1.0], "no probability"),
        ([0.1, 0.2], [0.0, 2.0], "0 or 1"),
        ([0.1], [0.0, 1.0], "one of each per row"),
    ],
)
def test_what_is_no_probability_is_refused(score: list[float], label: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        calibration_figures(np.array(score), np.array(label))
