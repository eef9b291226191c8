"""From two arms' estimates to an effect: difference, interval, p, relative lift, anytime-valid forms.

House definitions: difference = treatment - control; Welch with Satterthwaite's degrees of freedom; the lift
interval is Fieller's with those same degrees of freedom, so that it excludes zero exactly when p < alpha.
"""

import math
from dataclasses import dataclass, field

from foretouch.experiments.analysis import special
from foretouch.experiments.analysis.sequential import anytime_half_width, anytime_p

Range = tuple[float, float]

WIDEST_LOG_LIFT = 50.0
"""A log-scale interval that reaches further says nothing."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One arm's estimate.

    Attributes:
        n: Units.
        mean: The estimate itself, in the metric's unit.
        variance: Variance of the estimate (not of the units).
    """

    n: int
    mean: float
    variance: float


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two arms' estimates of one metric.

    Attributes:
        covariance: Of the two estimates; not zero where clusters have units in both arms.
        df: Degrees of freedom where the design fixes them (clusters; infinity for normal theory); else Satterthwaite's.
        raw_variance: Variance of the difference without covariates, for the share that they explain.
    """

    control: Estimate
    treatment: Estimate
    covariance: float = 0.0
    df: float | None = None
    raw_variance: float | None = None
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, kw_only=True)
class Effect:
    """An effect with its uncertainty; ``None`` where no finite answer exists."""

    control_mean: float
    treatment_mean: float
    n_control: int
    n_treatment: int
    difference: float
    se: float
    df: float
    ci: Range
    p: float
    lift: float | None
    lift_ci: Range | None
    lift_ci_log_delta: Range | None
    anytime_ci: Range
    anytime_lift_ci: Range | None
    anytime_p: float


def t_quantile(level: float, df: float) -> float:
    """The quantile of Student's t; of the normal where ``df`` is infinite."""
    return float(special.ndtri(level) if math.isinf(df) else special.stdtrit(df, level))


def t_tail(t: float, df: float) -> float:
    """P(T > t), exact far out in the tail."""
    return float(special.ndtr(-t) if math.isinf(df) else special.stdtr(df, -t))


def satterthwaite(pair: Pair) -> float:
    """Welch-Satterthwaite degrees of freedom of the difference."""
    vc, vt = pair.control.variance, pair.treatment.variance
    return (vc + vt) ** 2 / (vc**2 / (pair.control.n - 1) + vt**2 / (pair.treatment.n - 1))


def fieller(pair: Pair, critical: float) -> Range | None:
    """Fieller's interval of treatment / control - 1.

    The set of r with (d - r c)^2 <= critical^2 Var(d - r c), d = t - c: of the difference, so that nothing is lost to
    rounding where both means are large beside it.

    Returns:
        The interval, or ``None`` where the control mean cannot be told from zero and the set is no interval.
    """
    c, d = pair.control.mean, pair.treatment.mean - pair.control.mean
    squared = critical**2
    spread_c = pair.control.variance
    spread_d = pair.control.variance + pair.treatment.variance - 2.0 * pair.covariance
    together = pair.covariance - pair.control.variance
    a = c**2 - squared * spread_c
    root = c**2 * spread_d - 2.0 * c * d * together + d**2 * spread_c - squared * (spread_c * spread_d - together**2)
    if a <= 0.0 or root < 0.0:
        return None
    middle, reach = c * d - squared * together, critical * math.sqrt(root)
    return ((middle - reach) / a, (middle + reach) / a)


def log_delta(pair: Pair, critical: float) -> Range | None:
    """The interval of the lift by the delta method on the log scale.

    Returns:
        The interval, or ``None`` unless both means are positive and told from zero.
    """
    c, t = pair.control, pair.treatment
    if c.mean <= 0.0 or t.mean <= 0.0:
        return None
    relative_c, relative_t = math.sqrt(c.variance) / c.mean, math.sqrt(t.variance) / t.mean
    if not max(relative_c, relative_t) < WIDEST_LOG_LIFT:
        return None
    variance = relative_t**2 + relative_c**2 - 2.0 * pair.covariance / (t.mean * c.mean)
    spread = critical * math.sqrt(max(variance, 0.0))
    centre = math.log(t.mean / c.mean)
    if not centre + spread < WIDEST_LOG_LIFT:
        return None
    return (math.expm1(centre - spread), math.expm1(centre + spread))


def effect_of(pair: Pair, *, alpha: float, tuning: float) -> Effect:
    """The effect of the treatment over the control.

    Args:
        pair: Both arms; the variance of their difference must be positive.
        alpha: Two-sided error rate.
        tuning: Number of units, both arms, at which the anytime band is tightest.
    """
    control, treatment = pair.control, pair.treatment
    difference = treatment.mean - control.mean
    se = math.sqrt(control.variance + treatment.variance - 2.0 * pair.covariance)
    df = satterthwaite(pair) if pair.df is None else pair.df
    critical = t_quantile(1.0 - alpha / 2.0, df)
    n = control.n + treatment.n
    lift = difference / control.mean if control.mean != 0.0 else math.inf
    half = anytime_half_width(se=se, n=n, alpha=alpha, tuning=tuning)
    return Effect(
        control_mean=control.mean,
        treatment_mean=treatment.mean,
        n_control=control.n,
        n_treatment=treatment.n,
        difference=difference,
        se=se,
        df=df,
        ci=(difference - critical * se, difference + critical * se),
        p=min(1.0, 2.0 * t_tail(abs(difference) / se, df)),
        lift=lift if math.isfinite(lift) else None,
        lift_ci=fieller(pair, critical),
        lift_ci_log_delta=log_delta(pair, critical),
        anytime_ci=(difference - half, difference + half),
        anytime_lift_ci=fieller(pair, half / se),
        anytime_p=anytime_p(difference=difference, se=se, n=n, alpha=alpha, tuning=tuning),
    )
