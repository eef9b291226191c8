"""Reference answers by gbstats, tea-tasting, spotify-confidence, statsmodels and econml, each in its own environment.

    PYTHON benchmarks/peers/golden.py LIBRARY DATA.json OUT.json

``DATA.json`` holds the tables. Every answer names the library, its version and the call.
"""

import json
import math
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore")

Json = dict[str, Any]
Table = dict[str, list[Any]]


def golden(parent: str, **values: Any) -> Json:
    """One reference answer with its parent."""
    return {"parent": parent, "values": values}


def moments(table: Table, arm: str, name: str, other: str | None = None) -> Json:
    """Count, sum, sum of squares and of products of a column in one arm."""
    rows = [index for index, value in enumerate(table["arm"]) if value == arm]
    first = [float(table[name][index]) for index in rows]
    second = [float(table[other or name][index]) for index in rows]
    return {
        "n": len(rows),
        "sum": math.fsum(first),
        "products": math.fsum(a * b for a, b in zip(first, second, strict=True)),
    }


def by_gbstats(tables: dict[str, Table]) -> dict[str, Json]:
    """Absolute and relative effects, CUPED, ratios, the sequential band, the split."""
    from gbstats.frequentist.tests import (  # type: ignore[import-not-found]  # noqa: PLC0415 - in its own environment only
        FrequentistConfig,
        SequentialConfig,
        SequentialTwoSidedTTest,
        TwoSidedTTest,
    )
    from gbstats.models.statistics import (  # type: ignore[import-not-found]  # noqa: PLC0415 - as above
        RatioStatistic,
        RegressionAdjustedStatistic,
        SampleMeanStatistic,
        compute_theta,
    )
    from gbstats.utils import check_srm  # type: ignore[import-not-found]  # noqa: PLC0415 - as above

    made = f"gbstats {version('gbstats')} "
    two, three = tables["two"], tables["three"]

    def mean(table: Table, arm: str, name: str) -> Any:
        found = moments(table, arm, name)
        return SampleMeanStatistic(n=found["n"], sum=found["sum"], sum_squares=found["products"])

    def ratio(table: Table, arm: str, above: str, below: str) -> Any:
        return RatioStatistic(
            n=moments(table, arm, above)["n"],
            m_statistic=mean(table, arm, above),
            d_statistic=mean(table, arm, below),
            m_d_sum_of_products=moments(table, arm, above, below)["products"],
        )

    def adjusted(table: Table, arms: tuple[str, str], post: str, pre: str) -> list[Any]:
        made_of = [
            RegressionAdjustedStatistic(
                n=moments(table, arm, post)["n"],
                post_statistic=mean(table, arm, post),
                pre_statistic=mean(table, arm, pre),
                post_pre_sum_of_products=moments(table, arm, post, pre)["products"],
                theta=0.0,
            )
            for arm in arms
        ]
        theta = compute_theta(*made_of)
        for statistic in made_of:
            statistic.theta = theta
        return made_of

    def absolute(control: Any, treatment: Any) -> Json:
        test = TwoSidedTTest(control, treatment, FrequentistConfig(difference_type="absolute"))
        found = test.compute_result()
        return {"difference": found.expected, "ci": list(found.ci), "p": found.p_value, "df": test.dof}

    call = "TwoSidedTTest({}, FrequentistConfig(difference_type='absolute')).compute_result()"
    a, b = (mean(two, arm, "y") for arm in "AB")
    sequential = SequentialTwoSidedTTest(a, b, SequentialConfig(difference_type="absolute")).compute_result()
    return {
        "gbstats_mean": golden(made + call.format("SampleMeanStatistic"), **absolute(a, b)),
        "gbstats_cuped": golden(
            made + call.format("RegressionAdjustedStatistic, theta=compute_theta"),
            **absolute(*adjusted(two, ("A", "B"), "y", "x")),
        ),
        "gbstats_ratio": golden(
            made + call.format("RatioStatistic"), **absolute(*(ratio(two, arm, "num", "den") for arm in "AB"))
        ),
        "gbstats_winsorised": golden(
            made
            + call.format("SampleMeanStatistic of values capped at the 0.95 quantile of both arms (numpy, linear)"),
            **absolute(*(mean(two, arm, "capped") for arm in "AB")),
        ),
        "gbstats_winsorised_positive": golden(
            made + call.format("SampleMeanStatistic of values capped at the 0.95 quantile of the positive ones"),
            **absolute(*(mean(two, arm, "capped_positive") for arm in "AB")),
        ),
        "gbstats_sequential": golden(
            made + "SequentialTwoSidedTTest(…, SequentialConfig(difference_type='absolute')), tuning 5000",
            ci=list(sequential.ci),
            p=sequential.p_value,
        ),
        "gbstats_three": golden(
            made + call.format("SampleMeanStatistic, each arm against A"),
            **{arm: absolute(mean(three, "A", "y"), mean(three, arm, "y")) for arm in "BC"},
        ),
        "gbstats_split": golden(
            made + "check_srm([480, 560, 460], [0.3, 0.4, 0.3])", p=check_srm([480, 560, 460], [0.3, 0.4, 0.3])
        ),
    }


def by_tea_tasting(tables: dict[str, Table]) -> dict[str, Json]:
    """Means, CUPED, ratios, log-ratio intervals; corrections for many comparisons."""
    import polars as pl  # type: ignore[import-not-found]  # noqa: PLC0415 - in its own environment only
    import tea_tasting as tt  # type: ignore[import-not-found]  # noqa: PLC0415 - as above

    made = f"tea-tasting {version('tea-tasting')} "
    metrics = {
        "mean": ("Mean('y')", tt.Mean("y")),
        "cuped": ("Mean('y', covariate='x')", tt.Mean("y", covariate="x")),
        "ratio": ("RatioOfMeans('num', 'den')", tt.RatioOfMeans("num", "den")),
        "ratio_cuped": (
            "RatioOfMeans('num', 'den', numer_covariate='x')",
            tt.RatioOfMeans("num", "den", numer_covariate="x"),
        ),
        "binary": ("Mean('conv')", tt.Mean("conv")),
    }
    rows = pl.DataFrame(tables["two"])
    analysed = tt.Experiment({name: metric for name, (_, metric) in metrics.items()}, variant="arm").analyze(
        rows, control="A"
    )
    found = {
        f"tea_{name}": golden(
            f"{made}Experiment({{…: {call}}}, variant='arm').analyze(polars, control='A')",
            control=analysed[name].control,
            difference=analysed[name].effect_size,
            ci=[analysed[name].effect_size_ci_lower, analysed[name].effect_size_ci_upper],
            p=analysed[name].pvalue,
            lift=analysed[name].rel_effect_size,
            log_ci=[analysed[name].rel_effect_size_ci_lower, analysed[name].rel_effect_size_ci_upper],
        )
        for name, (call, _) in metrics.items()
    }
    three = tt.Experiment({"y": tt.Mean("y"), "conv": tt.Mean("conv")}, variant="arm")
    results = three.analyze(pl.DataFrame(tables["three"]), control="A", all_variants=True)
    raw = {
        f"{name} {pair[1]}": result[name].pvalue
        for pair, result in results.items()
        for name in ("y", "conv")
        if pair[0] == "A"
    }
    holm = tt.adjust_fwer(
        {pair: result for pair, result in results.items() if pair[0] == "A"},
        arbitrary_dependence=True,
        method="bonferroni",
    )
    adjusted = {
        f"{row['metric']} {arm}": row["pvalue_adj"]
        for row in holm.to_dicts()
        for arm in "BC"
        if f"'{arm}'" in str(row["comparison"])
    }
    found["tea_holm"] = golden(
        made + "adjust_fwer(results, arbitrary_dependence=True, method='bonferroni')", p=raw, adjusted=adjusted
    )
    return found


def by_spotify(tables: dict[str, Table]) -> dict[str, Json]:
    """Student's t from aggregates, with a margin (non-inferiority)."""
    import numpy as np  # noqa: PLC0415 - in its own environment
    import pandas as pd  # noqa: PLC0415 - as above
    from spotify_confidence import StudentsTTest  # type: ignore[import-not-found]  # noqa: PLC0415 - as above

    two = pd.DataFrame(tables["two"])
    sums = (
        two.groupby("arm")["y"].agg(total="sum", squares=lambda y: float(np.square(y).sum()), n="count").reset_index()
    )
    test = StudentsTTest(
        sums,
        numerator_column="total",
        numerator_sum_squares_column="squares",
        denominator_column="n",
        categorical_group_columns="arm",
        interval_size=0.95,
    )
    (plain,) = test.difference("A", "B", absolute=True).to_dict("records")
    return {
        "spotify_mean": golden(
            f"spotify-confidence {version('spotify-confidence')} StudentsTTest(…).difference('A', 'B', absolute=True)",
            difference=plain["difference"],
            ci=[plain["ci_lower"], plain["ci_upper"]],
            p=plain["p-value"],
        ),
    }


def by_statsmodels(tables: dict[str, Table]) -> dict[str, Json]:
    """Clusters, several covariates, corrections, margins, Welch."""
    import numpy as np  # noqa: PLC0415 - in its own environment
    import pandas as pd  # noqa: PLC0415 - as above
    import statsmodels.formula.api as smf  # type: ignore[import-untyped]  # noqa: PLC0415 - as above
    from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]  # noqa: PLC0415 - as above
    from statsmodels.stats.weightstats import (  # type: ignore[import-untyped]  # noqa: PLC0415 - as above
        CompareMeans,
        DescrStatsW,
    )

    made = f"statsmodels {version('statsmodels')} "
    two, three = pd.DataFrame(tables["two"]), pd.DataFrame(tables["three"])
    two["t"] = (two["arm"] == "B") * 1

    def welch(values: Any, arm: Any, treatment: str, margin: float = 0.0) -> Json:
        compared = CompareMeans(DescrStatsW(values[arm == treatment]), DescrStatsW(values[arm == "A"]))
        _, p, df = compared.ttest_ind(usevar="unequal")
        found = {"p": float(p), "df": float(df), "ci": [float(x) for x in compared.tconfint_diff(usevar="unequal")]}
        if margin:
            found["p_margin"] = float(compared.ttest_ind(alternative="larger", usevar="unequal", value=-margin)[1])
        return found

    def clustered(rows: Any, formula: str) -> Json:
        fit = smf.ols(formula, rows).fit(cov_type="cluster", cov_kwds={"groups": rows["cluster"]}, use_t=True)
        low, high = fit.conf_int().loc["t"]
        return {
            "difference": float(fit.params["t"]),
            "se": float(fit.bse["t"]),
            "p": float(fit.pvalues["t"]),
            "ci": [float(low), float(high)],
        }

    residuals = two["y"] - smf.ols("y ~ x + z", two).fit().fittedvalues
    p = [welch(three[name], three["arm"], arm)["p"] for name in ("y", "conv") for arm in "BC"]
    segments = {value: welch(part["y"], part["arm"], "B") for value, part in two.groupby("segment")}
    days = {
        str(day): welch(two.loc[two["day"] <= day, "y"], two.loc[two["day"] <= day, "arm"], "B")
        for day in sorted(set(two["day"]))
    }
    own = "CompareMeans(…).ttest_ind / tconfint_diff(usevar='unequal')"
    return {
        "statsmodels_margin": golden(
            made + "ttest_ind(alternative='larger', usevar='unequal', value=-0.5)",
            **welch(two["y"], two["arm"], "B", 0.5),
        ),
        "statsmodels_two_covariates": golden(
            made + "ols('y ~ x + z').fit().fittedvalues taken off y, then " + own, **welch(residuals, two["arm"], "B")
        ),
        "statsmodels_clusters": golden(
            made + "ols('y ~ t').fit(cov_type='cluster', use_t=True)", **clustered(two, "y ~ t")
        ),
        "statsmodels_three": golden(
            made + own + ", then multipletests(method='holm' and 'fdr_bh')",
            p=p,
            holm=[float(x) for x in multipletests(p, method="holm")[1]],
            bh=[float(x) for x in multipletests(p, method="fdr_bh")[1]],
        ),
        "statsmodels_segments": golden(
            made + own + " by segment, then multipletests(method='fdr_bh')",
            by=segments,
            bh=[float(x) for x in multipletests([item["p"] for item in segments.values()], method="fdr_bh")[1]],
        ),
        "statsmodels_cumulative": golden(made + own + " of everybody who entered by the day", by=days),
        "numpy_caps": golden(
            f"numpy {np.__version__} quantile(y, 0.95) of both arms, and of its positive values",
            cap=float(np.quantile(two["y"], 0.95)),
            cap_positive=float(np.quantile(two.loc[two["y"] > 0, "y"], 0.95)),
        ),
    }


def by_econml(tables: dict[str, Table]) -> dict[str, Json]:
    """Doubly robust effects with given nuisances."""
    from golden_econml import (  # type: ignore[import-not-found]  # noqa: PLC0415 - in its own environment only
        answers,
    )

    made = f"econml {version('econml')} "
    return {name: golden(made + call, **values) for name, (call, values) in answers(tables["logged"]).items()}


LIBRARIES: dict[str, Callable[[dict[str, Table]], dict[str, Json]]] = {
    "gbstats": by_gbstats,
    "tea-tasting": by_tea_tasting,
    "spotify-confidence": by_spotify,
    "statsmodels": by_statsmodels,
    "econml": by_econml,
}


def main() -> None:
    """Answers by one library."""
    library, data, out = sys.argv[1:]
    tables = json.loads(Path(data).read_text(encoding="utf-8"))
    Path(out).write_text(json.dumps(LIBRARIES[library](tables)), encoding="utf-8")


if __name__ == "__main__":
    main()
