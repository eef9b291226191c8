"""The Bayesian view: against draws from the posterior, and its limits."""

import numpy as np
import pytest

from foretouch.experiments.analysis.analyze import analyze
from foretouch.experiments.results import MetricResult
from tests.experiments.analysis.planted_table import spec, table


def row(**more: object) -> MetricResult:
    return analyze(table(), spec({"better": more.pop("better", "up")}, **more)).metrics[0]


def test_chance_and_risks_are_those_of_draws_from_the_posterior() -> None:
    found = row(prior={"mean": 0.0, "sd": 0.05})
    flat, informed = found.bayesian
    rng = np.random.default_rng(9)
    for view in (flat, informed):
        draws = rng.normal(view.mean, view.sd, 400_000)
        assert view.chance_better == pytest.approx((draws > 0).mean(), abs=3e-3)
        assert view.risk_of_shipping == pytest.approx(np.maximum(-draws, 0).mean(), abs=2e-4)
        assert view.risk_of_keeping == pytest.approx(np.maximum(draws, 0).mean(), abs=2e-4)
    precision = 1 / flat.sd**2 + 1 / 0.05**2
    assert informed.sd == pytest.approx(precision**-0.5, rel=1e-12)
    assert informed.mean == pytest.approx(flat.mean / flat.sd**2 / precision, rel=1e-12)


def test_where_less_is_better_the_chance_turns_round() -> None:
    up, down = row().bayesian[0], row(better="down").bayesian[0]
    assert up.chance_better == pytest.approx(1.0 - down.chance_better)
    assert up.risk_of_shipping == pytest.approx(down.risk_of_keeping)


def test_a_prior_on_the_difference_stays_in_the_metrics_unit() -> None:
    found = row(prior={"on": "difference", "mean": 0.0, "sd": 10.0})
    assert found.bayesian[0].mean == found.difference
    assert found.bayesian[0].sd == found.se


def test_a_control_that_is_not_positive_has_no_lift_and_one_view() -> None:
    rows = table()
    (view,) = analyze(rows.assign(y=rows["y"] - 50.0), spec()).metrics[0].bayesian
    assert (view.prior, view.on) == ("flat", "difference")
