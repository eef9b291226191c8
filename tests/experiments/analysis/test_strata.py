"""Post-stratification against statsmodels' saturated regression, and how many units a running test still needs."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf  # type: ignore[import-untyped]
from scipy import stats

from foretouch.experiments.analysis.analyze import analyze
from tests.experiments.analysis.planted_table import spec, table


def saturated(rows: pd.DataFrame, outcome: str) -> tuple[float, float]:
    """The arm's effect and its HC2 error in a regression on arm x centred strata (Lin 2013): exact for strata."""
    made = rows.assign(t=(rows["arm"] == "B").astype(float))
    terms = []
    for level in sorted(made["g"].unique())[1:]:
        flag = (made["g"] == level).astype(float)
        made[f"g_{level}"] = flag - flag.mean()
        terms.append(f"g_{level}")
    fitted = smf.ols(f"{outcome} ~ t * ({' + '.join(terms)})", data=made).fit(cov_type="HC2")
    return float(fitted.params["t"]), float(fitted.bse["t"])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_strata_are_the_saturated_regression(seed: int) -> None:
    rows = table(seed=seed, n=900)
    (found,) = analyze(rows, spec({"strata": ["g"]})).metrics
    difference, error = saturated(rows, "y")
    assert found.difference == pytest.approx(difference, rel=1e-9)
    assert found.se == pytest.approx(error, rel=1e-9)
    assert found.unadjusted is not None
    assert found.unadjusted.difference == pytest.approx(
        rows.loc[rows["arm"] == "B", "y"].mean() - rows.loc[rows["arm"] == "A", "y"].mean(), rel=1e-12
    )
    assert found.se < found.unadjusted.se, "strata explain a part of y here"


def test_strata_correct_an_uneven_draw_and_a_thin_one_is_refused() -> None:
    """Nobody is better off, but the better stratum happens to be mostly in B: the plain difference is fooled."""
    rng = np.random.default_rng(5)
    g = np.repeat(["p", "q"], 1000)
    in_b = rng.random(2000) < np.where(g == "p", 0.56, 0.44)
    rows = pd.DataFrame(
        {
            "customer_id": np.arange(2000),
            "arm": np.where(in_b, "B", "A"),
            "g": g,
            "y": 10.0 + 10.0 * (g == "p") + rng.normal(0, 1, 2000),
        }
    )
    (found,) = analyze(rows, spec({"strata": ["g"]})).metrics
    assert found.unadjusted is not None
    assert found.unadjusted.ci[0] > 0.0
    assert found.ci[0] < 0.0 < found.ci[1]
    thin = rows.assign(g=rows["g"].where(rows.index != 0, "alone"))
    refused = analyze(thin, spec({"strata": ["g"]}))
    assert not refused.metrics
    assert "strata_too_thin" in {item.code for item in refused.refusals}


@pytest.mark.parametrize("smallest", [0.01, 0.02, 0.2])
def test_the_sample_left_has_the_power_that_it_promises(smallest: float) -> None:
    rows = table(n=2000, effect=0.0)
    (found,) = analyze(rows, spec({"covariates": ["x"], "smallest_lift": smallest})).metrics
    left = found.sample_left
    assert left is not None
    wanted, z = smallest * found.control_mean, stats.norm.ppf(0.975)

    def power(units: float) -> float:
        drift = wanted / (found.se * (2000 / units) ** 0.5)
        return float(stats.norm.sf(z - drift) + stats.norm.cdf(-z - drift))

    assert left.power_now == pytest.approx(power(2000), rel=1e-9)
    assert power(left.units_needed) >= 0.8 > power(left.units_needed - 2)
    assert left.units_left == max(0, left.units_needed - 2000)
