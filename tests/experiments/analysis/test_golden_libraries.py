"""``bench experiment`` gives the answers of gbstats, tea-tasting, spotify-confidence and statsmodels.

``benchmarks/golden_numbers.py`` makes them, each in an environment of its own; each names library, version and call.
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.analysis.checks import split_of
from foretouch.experiments.files import analyze_files
from foretouch.experiments.results import MetricResult, Results

FILE = Path(__file__).resolve().parents[2] / "golden" / "experiments" / "libraries.json"
SAVED: dict[str, Any] = json.loads(FILE.read_text())
GOLDEN: dict[str, dict[str, Any]] = SAVED["golden"]
EXACT = 1e-8
TWO: dict[str, Any] = {
    "key": "golden",
    "unit": "unit",
    "control": "A",
    "weights": {"A": 0.5, "B": 0.5},
    "time": "day",
    "segments": ["segment"],
    "metrics": [
        {"name": "mean", "kind": "mean", "column": "y", "role": "guardrail", "margin": 0.5},
        {"name": "capped", "kind": "mean", "column": "y", "winsor": 0.95},
        {"name": "capped_positive", "kind": "mean", "column": "y", "winsor": 0.95, "winsor_ignore_zero": True},
        {"name": "cuped", "kind": "mean", "column": "y", "covariates": ["x"]},
        {"name": "two_covariates", "kind": "mean", "column": "y", "covariates": ["x", "z"]},
        {"name": "ratio", "kind": "ratio", "numerator": "num", "denominator": "den"},
        {"name": "ratio_cuped", "kind": "ratio", "numerator": "num", "denominator": "den", "covariates": ["x"]},
        {"name": "binary", "kind": "proportion", "column": "conv"},
    ],
}
THREE: dict[str, Any] = {
    **TWO,
    "weights": {"A": 1 / 3, "B": 1 / 3, "C": 1 / 3},
    "segments": [],
    "time": None,
    "metrics": [
        {"name": "y", "kind": "mean", "column": "y", "role": "primary"},
        {"name": "conv", "kind": "proportion", "column": "conv", "role": "primary"},
    ],
}


def analysed(folder: Path, table: str, spec: dict[str, Any], kind: str) -> Results:
    """Through the public command's own function, from a file of either kind."""
    rows = pd.DataFrame(SAVED["tables"][table])
    rows.to_csv(folder / "rows.csv", index=False) if kind == "csv" else rows.to_parquet(folder / "rows.parquet")
    (folder / "spec.json").write_text(json.dumps(spec))
    results = analyze_files(folder / f"rows.{kind}", folder / "spec.json", folder / "out.json")
    assert not results.refusals
    return results


@pytest.fixture(scope="module", params=["csv", "parquet"])
def two(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Results:
    return analysed(tmp_path_factory.mktemp("two"), "two", TWO, request.param)


@pytest.fixture(scope="module", params=["csv", "parquet"])
def three(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Results:
    return analysed(tmp_path_factory.mktemp("three"), "three", THREE, request.param)


def metric(results: Results, name: str, arm: str = "B") -> MetricResult:
    return next(item for item in results.metrics if (item.name, item.contrast) == (name, arm))


def values(name: str) -> dict[str, Any]:
    found: dict[str, Any] = GOLDEN[name]["values"]
    return found


def agrees(row: MetricResult, expected: dict[str, Any]) -> None:
    assert row.p == pytest.approx(expected["p"], rel=EXACT)
    assert row.ci == pytest.approx(expected["ci"], rel=EXACT)
    for field in ("difference", "df", "se"):
        if field in expected:
            assert getattr(row, field) == pytest.approx(expected[field], rel=EXACT)


def test_every_answer_has_a_parent() -> None:
    libraries = (
        "gbstats 0.8",
        "tea-tasting 1.14",
        "spotify-confidence 4.1",
        "statsmodels 0.15",
        "econml 0.17",
        "numpy 2",
    )
    assert {name: item["parent"] for name, item in GOLDEN.items() if not item["parent"].startswith(libraries)} == {}


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("mean", "gbstats_mean"),
        ("mean", "tea_mean"),
        ("mean", "spotify_mean"),
        ("mean", "statsmodels_margin"),
        ("capped", "gbstats_winsorised"),
        ("capped_positive", "gbstats_winsorised_positive"),
        ("cuped", "gbstats_cuped"),
        ("cuped", "tea_cuped"),
        ("two_covariates", "statsmodels_two_covariates"),
        ("ratio", "gbstats_ratio"),
        ("ratio", "tea_ratio"),
        ("ratio_cuped", "tea_ratio_cuped"),
        ("binary", "tea_binary"),
    ],
)
def test_effects_intervals_and_p_agree(two: Results, name: str, answer: str) -> None:
    agrees(metric(two, name), values(answer))


def test_lifts_agree_and_exclude_zero_exactly_when_p_is_small(two: Results) -> None:
    for name in ("mean", "cuped", "ratio", "ratio_cuped", "binary"):
        row, expected = metric(two, name), values(f"tea_{name}")
        assert row.lift == pytest.approx(expected["lift"], rel=EXACT)
        # tea-tasting gives the log ratio degrees of freedom of its own; ours are those of the difference
        assert row.lift_ci_log_delta == pytest.approx(expected["log_ci"], rel=2e-3)
        assert row.lift_ci is not None
        assert (row.lift_ci[0] > 0.0 or row.lift_ci[1] < 0.0) == (row.p < 0.05)


def test_a_margin_is_the_one_sided_test_at_it(two: Results) -> None:
    found = metric(two, "mean").non_inferiority
    assert found is not None
    assert found.p == pytest.approx(values("statsmodels_margin")["p_margin"], rel=EXACT)


def test_caps_are_quantiles_of_both_arms(two: Results) -> None:
    assert metric(two, "capped").cap == pytest.approx(values("numpy_caps")["cap"], rel=EXACT)
    assert metric(two, "capped_positive").cap == pytest.approx(values("numpy_caps")["cap_positive"], rel=EXACT)


def test_the_anytime_band_is_gbstats(two: Results) -> None:
    row, expected = metric(two, "mean"), values("gbstats_sequential")
    assert row.anytime_ci == pytest.approx(expected["ci"], rel=EXACT)
    assert row.anytime_p == pytest.approx(expected["p"], rel=EXACT)


def test_segments_agree_and_are_one_family(two: Results) -> None:
    expected = values("statsmodels_segments")
    found = {item.value: item for item in two.segments if item.name == "mean"}
    assert set(found) == set(expected["by"])
    for value, item in found.items():
        assert item.p == pytest.approx(expected["by"][value]["p"], rel=EXACT)
        assert item.ci == pytest.approx(expected["by"][value]["ci"], rel=EXACT)


def test_the_curve_over_time_is_everybody_who_had_entered(two: Results) -> None:
    looks = [item for item in two.cumulative if item.name == "mean"]
    by = values("statsmodels_cumulative")["by"]
    assert [item.through for item in looks] == list(by)
    smallest = 1.0
    for item in looks:
        assert item.p == pytest.approx(by[item.through]["p"], rel=EXACT)
        assert item.ci == pytest.approx(by[item.through]["ci"], rel=EXACT)
        smallest = min(smallest, item.anytime_p_at_look)
        assert item.anytime_p == smallest


def test_three_arms_are_one_family_of_decisions(three: Results) -> None:
    expected, tea = values("statsmodels_three"), values("tea_holm")
    rows = [metric(three, name, arm) for name in ("y", "conv") for arm in "BC"]
    assert [row.p for row in rows] == pytest.approx(expected["p"], rel=EXACT)
    assert [row.p_adjusted for row in rows] == pytest.approx(expected["holm"], rel=EXACT)
    for row in rows:
        assert row.p_adjusted == pytest.approx(tea["adjusted"][f"{row.name} {row.contrast}"], rel=EXACT)
    for arm in "BC":
        agrees(metric(three, "y", arm), values("gbstats_three")[arm])


def test_clusters_are_statsmodels_sandwich(tmp_path: Path) -> None:
    spec = {**TWO, "cluster": "cluster", "metrics": [{"name": "mean", "kind": "mean", "column": "y"}], "segments": []}
    agrees(metric(analysed(tmp_path, "two", spec, "parquet"), "mean"), values("statsmodels_clusters"))


def test_an_uneven_split_is_gbstats_chi_square() -> None:
    spec = ExperimentSpec.model_validate({**THREE, "weights": {"A": 0.3, "B": 0.4, "C": 0.3}})
    found = split_of({"A": 480, "B": 560, "C": 460}, spec, running=False)
    assert found.p == pytest.approx(values("gbstats_split")["p"], rel=EXACT)
