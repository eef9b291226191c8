"""Broken inputs get a named reason in both languages and never a number."""

from collections.abc import Callable
from string import Formatter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from foretouch.core.errors import DataError
from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.analysis.analyze import analyze
from foretouch.experiments.analysis.refusals import TEXTS

Change = Callable[[pd.DataFrame], pd.DataFrame]


def base_rows(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "customer_id": np.arange(n),
            "arm": np.where(np.arange(n) % 2 == 0, "A", "B"),
            "y": rng.gamma(2.0, 2.0, n),
            "x": rng.normal(size=n),
            "d": 1.0 + rng.poisson(2.0, n),
            "g": np.arange(n) % 30,
        }
    )


def spec_of(metric: dict[str, Any] | None = None, **more: Any) -> ExperimentSpec:
    return ExperimentSpec.model_validate(
        {
            "key": "broken",
            "control": "A",
            "weights": {"A": 0.5, "B": 0.5},
            "metrics": [{"name": "m", "kind": "mean", "column": "y", "role": "primary", **(metric or {})}],
            **more,
        }
    )


METRICS: list[tuple[str, dict[str, Any], Change]] = [
    ("missing_column", {"column": "nowhere"}, lambda rows: rows),
    ("not_numeric", {}, lambda rows: rows.assign(y=rows["y"].astype(str) + " EUR")),
    ("missing_values", {}, lambda rows: rows.assign(y=rows["y"].where(rows.index != 7))),
    ("missing_values", {}, lambda rows: rows.assign(y=rows["y"].where(rows.index != 7, np.inf))),
    ("missing_values", {"covariates": ["x"]}, lambda rows: rows.assign(x=rows["x"].where(rows.index != 7))),
    ("not_binary", {"kind": "proportion"}, lambda rows: rows),
    ("zero_variance", {}, lambda rows: rows.assign(y=3.0)),
    ("covariate_constant", {"covariates": ["x"]}, lambda rows: rows.assign(x=1.0)),
    ("covariates_collinear", {"covariates": ["x", "x2"]}, lambda rows: rows.assign(x2=2.0 * rows["x"] + 1.0)),
    (
        "denominator_not_positive",
        {"kind": "ratio", "numerator": "y", "denominator": "d"},
        lambda rows: rows.assign(d=0.0),
    ),
    ("covariates_not_for_quantile", {"kind": "quantile", "q": 0.5, "covariates": ["x"]}, lambda rows: rows),
    ("too_few_for_quantile", {"kind": "quantile", "q": 0.999}, lambda rows: rows),
    ("arm_too_small", {}, lambda rows: rows[(rows["arm"] == "A") | (rows.index == 1)]),
    ("arm_too_small", {}, lambda rows: rows[rows["arm"] == "A"]),
]


@pytest.mark.parametrize(("code", "metric", "change"), METRICS, ids=[item[0] for item in METRICS])
def test_a_broken_metric_is_refused_by_name(code: str, metric: dict[str, Any], change: Change) -> None:
    results = analyze(change(base_rows()), spec_of(metric))
    assert code in {item.code for item in results.refusals}
    assert not results.metrics
    assert not results.cumulative
    assert results.verdict.code in {"unclear", "broken"}
    assert all(item.text_en and item.text_zh for item in results.refusals)


WHOLE: list[tuple[str, dict[str, Any], Change]] = [
    ("split_mismatch", {}, lambda rows: rows[(rows["arm"] == "A") | (rows.index % 3 == 0)]),
    (
        "zero_weight_traffic",
        {"weights": {"A": 0.5, "B": 0.5, "C": 0.0}},
        lambda rows: rows.assign(arm=rows["arm"].where(rows.index != 9, "C")),
    ),
    ("unknown_arm", {}, lambda rows: rows.assign(arm=rows["arm"].where(rows.index != 9, "Z"))),
    ("missing_arm", {}, lambda rows: rows.assign(arm=rows["arm"].where(rows.index != 9))),
    ("duplicate_units", {}, lambda rows: rows.assign(customer_id=rows["customer_id"].where(rows.index != 2, 0))),
    ("unit_in_two_arms", {}, lambda rows: rows.assign(customer_id=rows["customer_id"].where(rows.index != 1, 0))),
]


@pytest.mark.parametrize(("code", "spec", "change"), WHOLE, ids=[item[0] for item in WHOLE])
def test_a_broken_experiment_has_no_verdict(code: str, spec: dict[str, Any], change: Change) -> None:
    results = analyze(change(base_rows()), spec_of(**spec))
    assert code in {item.code for item in results.refusals}
    assert results.verdict.code == "broken"
    assert not results.metrics
    assert not results.segments


def test_without_units_there_is_a_reason_and_no_number() -> None:
    results = analyze(base_rows().head(0), spec_of())
    assert "no_units" in {item.code for item in results.refusals}
    assert not results.metrics
    assert results.verdict.code == "unclear"


def test_arms_named_by_numbers_are_found_whatever_their_type() -> None:
    spec = spec_of(control="0", weights={"0": 0.5, "1": 0.5})
    for kind in ("int64", "float64", "str"):
        number = (np.arange(400) % 2).astype("int64")
        results = analyze(base_rows().assign(arm=number.astype(kind)), spec)
        assert results.arms == {"0": 200, "1": 200}


def test_a_sound_experiment_is_refused_nothing() -> None:
    results = analyze(base_rows(), spec_of())
    assert not results.refusals
    assert len(results.metrics) == 1


def test_one_broken_metric_leaves_the_others() -> None:
    spec = spec_of().replace(metrics=(*spec_of().metrics, spec_of({"column": "nowhere"}).metrics[0].replace(name="n")))
    results = analyze(base_rows(), spec)
    assert [row.name for row in results.metrics] == ["m"]
    assert [(item.metric, item.code) for item in results.refusals] == [("n", "missing_column")]


def test_a_missing_arm_column_is_an_error_that_names_the_columns() -> None:
    with pytest.raises(DataError, match="no column 'arm'; they have customer_id"):
        analyze(base_rows().drop(columns="arm"), spec_of())


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"A": 1.5, "B": -0.5}, "less than or equal to 1"),
        ({"A": 0.5, "B": 0.4}, "must sum to 1"),
        ({"A": 1.0}, "at least 2"),
        ({"B": 0.5, "C": 0.5}, "must be one of the arms"),
    ],
)
def test_wrong_weights_are_refused_when_the_spec_is_read(weights: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        spec_of(weights=weights)


@pytest.mark.parametrize("code", sorted(TEXTS))
def test_reasons_say_the_same_in_both_languages(code: str) -> None:
    fields = [{name for _, name, _, _ in Formatter().parse(TEXTS[code][language]) if name} for language in ("en", "zh")]
    assert set(TEXTS[code]) == {"en", "zh"}
    assert fields[0] == fields[1]
