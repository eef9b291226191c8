"""The definitions that a report prints: what each number means, in English."""

DEFINITIONS: dict[str, str] = {
    "difference": "treatment - control, in the metric's unit; variances with n - 1",
    "ci": "difference +- t x se, t with Welch-Satterthwaite degrees of freedom; proportions are means of 0 and 1",
    "p": "two-sided, of the difference (Welch)",
    "lift": "treatment mean / control mean - 1, after covariate adjustment where there is any",
    "lift_ci": "Fieller's interval with the degrees of freedom of the difference; excludes 0 exactly when p < alpha",
    "lift_ci_log_delta": "exp(log(treatment / control) +- t x se of the log ratio) - 1",
    "cuped": "theta = pooled covariance with the covariates / their covariance, both arms together; means are centred "
    "on the covariates' pooled mean",
    "ratio": "sum(numerator) / sum(denominator); delta method over units",
    "quantile": "linear interpolation; variance by Maritz and Jarrett (the bootstrap's limit); normal theory",
    "winsor": "values above the upper quantile (linear) of all arms pooled count as that quantile; "
    "of a ratio, the numerator",
    "cluster": "CR1 sandwich, G/(G-1) x (N-1)/(N-2), t with G - 1 degrees of freedom",
    "anytime_ci": "asymptotic confidence sequence (arXiv 2103.06476v7), n = units of both arms, tightest at `tuning` "
    "units; valid at every look",
    "anytime_p": "of this look; in cumulative[] the running minimum",
    "p_adjusted": "Holm over every primary and guardrail contrast; Benjamini-Hochberg over the secondary ones, and "
    "over all segments; while the test runs, over the anytime p",
    "ci_fcr": "interval at alpha x selected / all of the family of segments (false coverage rate)",
    "heterogeneity": "Cochran's Q of the segments' differences, weights 1 / se^2",
    "srm": "Pearson chi-square against the weights, arms of positive weight; sequential_p by a mixture of "
    "Dirichlet-multinomial Bayes factors, concentrations 100 and 10,000; alarm below 0.001",
    "non_inferiority": "margin is absolute, in the metric's unit; passed when the interval stays within it, broken "
    "when it lies wholly beyond",
    "money": "per 1,000 units: 1,000 x (difference x value_per_unit - cost_per_unit)",
    "unit": "one row per unit, from its first logged exposure on; goals are counted alike for every arm",
}


def used(*, covariates: bool, cluster: bool, kinds: set[str], winsor: bool, segments: bool) -> dict[str, str]:
    """The definitions that one experiment's results use."""
    skip: set[str] = set()
    if not covariates:
        skip.add("cuped")
    if not cluster:
        skip.add("cluster")
    if not winsor:
        skip.add("winsor")
    if not segments:
        skip |= {"ci_fcr", "heterogeneity"}
    skip |= {"ratio", "quantile"} - kinds
    return {name: text for name, text in DEFINITIONS.items() if name not in skip}
