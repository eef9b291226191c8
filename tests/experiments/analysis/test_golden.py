"""Agreement with independent libraries; each number names the library, version and call that made it."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.analysis.analyze import analyze
from foretouch.experiments.analysis.checks import split_of
from foretouch.experiments.analysis.multiplicity import benjamini_hochberg, holm
from foretouch.experiments.analysis.power import power_of, units_needed
from foretouch.experiments.analysis.sequential import anytime_half_width, anytime_p
from foretouch.experiments.results import MetricResult

FILE = Path(__file__).resolve().parents[2] / "golden" / "experiments" / "independent.json"
SAVED: dict[str, Any] = json.loads(FILE.read_text())
GOLDEN: dict[str, Any] = {name: item["values"] for name, item in SAVED["golden"].items()}
EXACT = 1e-8


def one(metric: dict[str, Any], cluster: str | None = None) -> MetricResult:
    spec = {
        "key": "golden",
        "unit": "unit",
        "control": "A",
        "weights": {"A": 0.5, "B": 0.5},
        "cluster": cluster,
        "metrics": [{"name": "m", "role": "primary", **metric}],
    }
    results = analyze(pd.DataFrame(SAVED["data"]), ExperimentSpec.model_validate(spec))
    assert not results.refusals
    (row,) = results.metrics
    return row


def test_every_golden_number_has_a_parent() -> None:
    assert all(item["parent"] for item in SAVED["golden"].values())


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("mean", {"kind": "mean", "column": "y"}),
        ("cuped", {"kind": "mean", "column": "y", "covariates": ["x"]}),
        ("ratio", {"kind": "ratio", "numerator": "num", "denominator": "den"}),
        ("ratio_cuped", {"kind": "ratio", "numerator": "num", "denominator": "den", "covariates": ["x"]}),
    ],
)
def test_tea_tasting_agrees(name: str, metric: dict[str, Any]) -> None:
    row, expected = one(metric), GOLDEN[name]
    assert row.control_mean == pytest.approx(expected["control"], rel=EXACT)
    assert row.treatment_mean == pytest.approx(expected["treatment"], rel=EXACT)
    assert row.difference == pytest.approx(expected["effect_size"], rel=EXACT)
    assert row.ci == pytest.approx((expected["effect_size_ci_lower"], expected["effect_size_ci_upper"]), rel=EXACT)
    assert row.p == pytest.approx(expected["pvalue"], rel=EXACT)
    assert row.lift == pytest.approx(expected["rel_effect_size"], rel=EXACT)
    # tea-tasting gives the log ratio degrees of freedom of its own; ours are those of the difference
    relative = (expected["rel_effect_size_ci_lower"], expected["rel_effect_size_ci_upper"])
    assert row.lift_ci_log_delta == pytest.approx(relative, rel=2e-3)


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("welch", {"kind": "mean", "column": "y"}),
        ("proportion", {"kind": "proportion", "column": "conv"}),
    ],
)
def test_scipys_welch_agrees(name: str, metric: dict[str, Any]) -> None:
    row, expected = one(metric), GOLDEN[name]
    assert row.difference == pytest.approx(expected["difference"], rel=EXACT)
    assert row.df == pytest.approx(expected["df"], rel=EXACT)
    assert row.p == pytest.approx(expected["p"], rel=EXACT)
    assert row.ci == pytest.approx((expected["low"], expected["high"]), rel=EXACT)


def test_two_covariates_equal_the_residuals_of_a_pooled_regression() -> None:
    row, expected = one({"kind": "mean", "column": "y", "covariates": ["x", "z"]}), GOLDEN["cuped_two"]
    assert row.difference == pytest.approx(expected["difference"], rel=EXACT)
    assert row.p == pytest.approx(expected["p"], rel=EXACT)
    assert row.ci == pytest.approx((expected["low"], expected["high"]), rel=EXACT)


def test_clusters_equal_statsmodels_sandwich() -> None:
    row, expected = one({"kind": "mean", "column": "yc"}, cluster="cluster"), GOLDEN["cluster"]
    assert row.difference == pytest.approx(expected["difference"], rel=EXACT)
    assert row.se == pytest.approx(expected["se"], rel=EXACT)
    assert row.p == pytest.approx(expected["p"], rel=EXACT)
    assert row.ci == pytest.approx((expected["low"], expected["high"]), rel=EXACT)


def test_a_quantiles_error_is_the_bootstraps() -> None:
    row, expected = one({"kind": "quantile", "column": "y", "q": 0.8}), GOLDEN["quantile"]
    assert row.difference == pytest.approx(expected["difference"], rel=EXACT)
    assert row.se == pytest.approx(expected["se"], rel=0.1)  # a Monte-Carlo reference


def test_the_split_is_scipys_chi_square() -> None:
    spec = ExperimentSpec.model_validate(
        {
            "key": "k",
            "control": "a",
            "weights": {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3},
            "metrics": [{"name": "m", "kind": "mean", "column": "m"}],
        }
    )
    found = split_of({"a": 480, "b": 560, "c": 460}, spec, running=False)
    assert (found.statistic, found.p) == pytest.approx((GOLDEN["srm"]["statistic"], GOLDEN["srm"]["p"]), rel=EXACT)
    assert found.df == 2


def test_corrections_are_statsmodels() -> None:
    assert holm(GOLDEN["holm"]["p"]) == pytest.approx(GOLDEN["holm"]["adjusted"], rel=1e-12)
    assert benjamini_hochberg(GOLDEN["bh"]["p"]) == pytest.approx(GOLDEN["bh"]["adjusted"], rel=1e-12)


def test_the_anytime_band_is_the_published_formula() -> None:
    saved = GOLDEN["anytime"]
    common = {"se": saved["se"], "n": saved["n"], "alpha": saved["alpha"], "tuning": saved["tuning"]}
    assert anytime_half_width(**common) == pytest.approx(saved["half_width"], rel=1e-12)
    assert anytime_p(difference=saved["difference"], **common) == pytest.approx(saved["p"], rel=1e-12)


def test_power_is_statsmodels_and_sizes_invert_it() -> None:
    variance = 1 / 300 + 1 / 600
    found = power_of(difference=0.2, variance_of_difference=variance, alpha=0.05)
    assert found == pytest.approx(GOLDEN["power"]["power"], rel=EXACT)
    needed = units_needed(
        difference=0.2, control_variance=1.0, treatment_variance=1.0, share=2 / 3, power=found, alpha=0.05
    )
    assert needed in {900, 901}  # rounded up from 900 within rounding of the root
