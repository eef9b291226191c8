"""When customers buy again and for how much: BG/NBD and Gamma-Gamma, the honest baselines of churn and value.

Time is in weeks throughout. A customer's history is three numbers: ``frequency`` x (purchase days after the first),
``recency`` t_x (age at the last purchase) and ``age`` T (time since the first purchase).

BG/NBD (Fader, Hardie and Lee 2005, "Counting Your Customers the Easy Way", Marketing Science 24(2)): while active a
customer buys with a rate drawn from Gamma(r, alpha), and after each purchase leaves with a probability drawn from
Beta(a, b). Who never bought again has had no occasion to leave: P(alive) is 1 at frequency 0.

Gamma-Gamma (Fader and Hardie 2013, "The Gamma-Gamma Model of Monetary Value"): the mean value of a customer's
purchases varies around a mean of their own, independently of how often they buy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaincinv, betaln, digamma, gammaln, hyp2f1

from foretouch.core.errors import DataError

FloatArray = NDArray[np.float64]

MIN_CUSTOMERS = 10
_LOG_BOUND = 12.0


@dataclass(frozen=True, kw_only=True)
class PurchaseHistory:
    """Sufficient statistics of n customers.

    Attributes:
        frequency: Days with a purchase after the first such day, shape (n,).
        recency: Weeks from the first to the last purchase day, shape (n,); 0 at frequency 0.
        age: Weeks from the first purchase day to the last day before the as-of time, shape (n,).
        monetary: Mean value per purchase day, without the first day, shape (n,); 0 at frequency 0.
    """

    frequency: FloatArray
    recency: FloatArray
    age: FloatArray
    monetary: FloatArray

    def __post_init__(self) -> None:
        if not len(self.frequency) == len(self.recency) == len(self.age) == len(self.monetary):
            raise DataError("frequency, recency, age and monetary must have one value per customer each")
        wrong = ~((self.frequency >= 0) & (self.recency >= 0) & (self.recency <= self.age + 1e-9))
        wrong |= (self.frequency == 0) != (self.recency == 0)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise DataError(
                f"row {row}: frequency {self.frequency[row]:g}, recency {self.recency[row]:g}, age {self.age[row]:g};"
                " need 0 <= recency <= age, and recency 0 exactly where frequency is 0"
            )

    def __len__(self) -> int:
        return len(self.frequency)


@dataclass(frozen=True, kw_only=True)
class BetaGeometric:
    """BG/NBD with rates per week: Gamma(r, alpha) of buying, Beta(a, b) of leaving after a purchase."""

    r: float
    alpha: float
    a: float
    b: float

    @classmethod
    def fit(cls, history: PurchaseHistory) -> Self:
        """Maximum likelihood by L-BFGS-B on the logarithms of the parameters, with the exact gradient.

        Raises:
            DataError: Too few customers, or none bought twice.
        """
        _enough(history)
        unit = float(history.age.mean())
        x, recency, age = history.frequency, history.recency / unit, history.age / unit

        def objective(log_parameters: FloatArray) -> tuple[float, FloatArray]:
            value, gradient = _bg_likelihood(np.exp(log_parameters), x, recency, age)
            return -value / len(x), -gradient * np.exp(log_parameters) / len(x)

        starts = (np.zeros(4), np.log([0.5, 0.5, 0.5, 3.0]), np.log([2.0, 0.2, 0.1, 5.0]))
        r, alpha, a, b = np.exp(_minimise(objective, starts))
        return cls(r=float(r), alpha=float(alpha * unit), a=float(a), b=float(b))

    def log_likelihood(self, history: PurchaseHistory) -> float:
        """Sum over customers of the logarithm of equation (6)."""
        parameters = np.array([self.r, self.alpha, self.a, self.b])
        value, _ = _bg_likelihood(parameters, history.frequency, history.recency, history.age)
        return value

    def probability_alive(self, history: PurchaseHistory) -> FloatArray:
        """P(still a customer at age T), shape (n,); Fader, Hardie and Lee (2008), "Computing P(alive)"."""
        x = history.frequency
        exponent = (
            np.log(self.a)
            - np.log(np.maximum(self.b + x - 1.0, 1e-300))
            + (self.r + x) * (np.log(self.alpha + history.age) - np.log(self.alpha + history.recency))
        )
        return np.where(x > 0, 1.0 / (1.0 + np.exp(np.minimum(exponent, 700.0))), 1.0)

    def probability_no_purchase(self, history: PurchaseHistory, horizon: float) -> FloatArray:
        """P(no purchase in the ``horizon`` weeks after the as-of time), exactly, shape (n,).

        Customers leave only at a purchase, so who is alive at T stays alive until they buy again; given alive, the
        rate is Gamma(r + x, alpha + T), and a Poisson process of that rate has no event in h with probability
        ((alpha + T) / (alpha + T + h)) ** (r + x). So P = 1 - P(alive) (1 - that).
        """
        silent = (self.r + history.frequency) * (
            np.log(self.alpha + history.age) - np.log(self.alpha + history.age + horizon)
        )
        return np.asarray(1.0 + self.probability_alive(history) * np.expm1(silent))

    def expected_purchases(self, history: PurchaseHistory, horizon: float) -> FloatArray:
        """Expected purchases in the ``horizon`` weeks after the as-of time, equation (10), shape (n,).

        Euler's transformation of the hypergeometric function turns
        ``((alpha+T)/(alpha+T+h))**(r+x) 2F1(r+x, b+x; a+b+x-1; z)`` into
        ``(1-z)**(a-1) 2F1(a+b-1-r, a-1; a+b+x-1; z)``, z = h/(alpha+T+h), which stays finite for frequent buyers.
        """
        if abs(self.a - 1.0) < 1e-5:  # 0/0 at a = 1: the mean of both sides is off by the square of the step
            sides = [
                BetaGeometric(r=self.r, alpha=self.alpha, a=a, b=self.b).expected_purchases(history, horizon)
                for a in (1.0 - 2e-4, 1.0 + 2e-4)
            ]
            return np.asarray((sides[0] + sides[1]) / 2.0)
        x = history.frequency
        z = horizon / (self.alpha + history.age + horizon)
        with np.errstate(invalid="ignore", over="ignore"):
            tail = (1.0 - z) ** (self.a - 1.0) * hyp2f1(
                self.a + self.b - 1.0 - self.r, self.a - 1.0, self.a + self.b + x - 1.0, z
            )
            if_alive = (self.a + self.b + x - 1.0) / (self.a - 1.0) * (1.0 - tail)
        lost = ~np.isfinite(if_alive)  # customers so alike that a and b run away: the function overflows
        if lost.any():
            if_alive[lost] = self._expected_if_alive(x[lost], self.alpha + history.age[lost], horizon)
        return np.asarray(self.probability_alive(history) * if_alive)

    def _expected_if_alive(self, x: FloatArray, at_age: FloatArray, horizon: float) -> FloatArray:
        """Expected purchases of who is alive, by numerical integration over the probability of leaving, shape (n,).

        Given alive, p is Beta(a, b + x) and the rate Gamma(r + x, alpha + T); with p known the expectation is
        ``(1 - ((alpha+T) / (alpha+T + p h)) ** (r+x)) / p``. It is averaged over 200 equally likely values of p.
        """
        levels = (np.arange(200) + 0.5) / 200.0
        p = betaincinv(self.a, self.b + x[:, None], levels)
        kept = (self.r + x)[:, None] * (np.log(at_age)[:, None] - np.log(at_age[:, None] + p * horizon))
        return np.asarray((-np.expm1(kept) / p).mean(axis=1))


def _bg_likelihood(
    parameters: FloatArray, x: FloatArray, recency: FloatArray, age: FloatArray
) -> tuple[float, FloatArray]:
    """Log-likelihood, and its gradient by (r, alpha, a, b): equation (6) with both branches in logarithms."""
    r, alpha, a, b = parameters
    repeat = x > 0
    at_last, at_age = np.log(alpha + recency), np.log(alpha + age)
    stays = -(r + x) * at_age
    leaves = np.full_like(x, -np.inf)
    leaves[repeat] = np.log(a) - np.log(b + x[repeat] - 1.0) - (r + x[repeat]) * at_last[repeat]
    either = np.logaddexp(stays, leaves)
    value = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + betaln(a, b + x) - betaln(a, b) + either
    gone = np.exp(leaves - either)
    shared = digamma(a + b) - digamma(a + b + x)
    gradient = np.array(
        [
            np.sum(digamma(r + x) - digamma(r) + np.log(alpha) - (1.0 - gone) * at_age - gone * at_last),
            np.sum(r / alpha - (r + x) * ((1.0 - gone) / (alpha + age) + gone / (alpha + recency))),
            np.sum(shared + gone / a),
            np.sum(shared + digamma(b + x) - digamma(b)) - np.sum(gone[repeat] / (b + x[repeat] - 1.0)),
        ]
    )
    return float(value.sum()), gradient


@dataclass(frozen=True, kw_only=True)
class GammaGamma:
    """Value per purchase day: Gamma(p, nu) with nu from Gamma(q, v); v in the currency, q > 1 so that a mean exists."""

    p: float
    q: float
    v: float

    @classmethod
    def fit(cls, history: PurchaseHistory) -> Self:
        """Maximum likelihood over customers with repeat purchases of positive value.

        Raises:
            DataError: Too few of them.
        """
        used = (history.frequency > 0) & (history.monetary > 0)
        if used.sum() < MIN_CUSTOMERS:
            raise DataError(
                f"{int(used.sum())} customers have a repeat purchase with a value, need {MIN_CUSTOMERS} for the"
                " Gamma-Gamma model",
                hint="foretouch ingest --events F  (a longer history)",
            )
        unit = float(history.monetary[used].mean())
        x, mean = history.frequency[used], history.monetary[used] / unit

        def objective(free: FloatArray) -> tuple[float, FloatArray]:
            value, gradient = _gg_likelihood(np.exp(free) + np.array([0.0, 1.0, 0.0]), x, mean)
            return -value / len(x), -gradient * np.exp(free) / len(x)

        p, above, v = np.exp(_minimise(objective, (np.zeros(3), np.log([4.0, 2.0, 4.0]))))
        return cls(p=float(p), q=float(1.0 + above), v=float(v * unit))

    def log_likelihood(self, history: PurchaseHistory) -> float:
        """Sum over customers with repeat purchases of the logarithm of equation (1a)."""
        used = (history.frequency > 0) & (history.monetary > 0)
        value, _ = _gg_likelihood(np.array([self.p, self.q, self.v]), history.frequency[used], history.monetary[used])
        return value

    def expected_spend(self, history: PurchaseHistory) -> FloatArray:
        """Expected value of a customer's next purchase day, equation (5), shape (n,).

        It lies between the customer's own mean and everyone's, ``p v / (q - 1)``; nearer to the own one the more
        purchases there are.
        """
        x = np.where(history.monetary > 0, history.frequency, 0.0)
        return np.asarray(self.p * (self.v + x * history.monetary) / (self.p * x + self.q - 1.0))


def _gg_likelihood(parameters: FloatArray, x: FloatArray, mean: FloatArray) -> tuple[float, FloatArray]:
    """Log-likelihood of mean values over x purchases, and its gradient by (p, q, v)."""
    p, q, v = parameters
    total = np.log(x * mean + v)
    value = (
        gammaln(p * x + q) - gammaln(p * x) - gammaln(q)
        + q * np.log(v) + (p * x - 1.0) * np.log(mean) + p * x * np.log(x) - (p * x + q) * total
    )  # fmt: skip
    both = digamma(p * x + q)
    gradient = np.array(
        [
            np.sum(x * (both - digamma(p * x) + np.log(mean) + np.log(x) - total)),
            np.sum(both - digamma(q) + np.log(v) - total),
            np.sum(q / v - (p * x + q) / (x * mean + v)),
        ]
    )
    return float(value.sum()), gradient


def expected_value(purchases: BetaGeometric, spend: GammaGamma, history: PurchaseHistory, horizon: float) -> FloatArray:
    """Expected revenue in the ``horizon`` weeks after the as-of time, in the currency of ``monetary``, shape (n,)."""
    return purchases.expected_purchases(history, horizon) * spend.expected_spend(history)


def _enough(history: PurchaseHistory) -> None:
    if len(history) < MIN_CUSTOMERS or not (history.frequency > 0).any():
        raise DataError(
            f"{len(history)} customers, {int((history.frequency > 0).sum())} of them with a repeat purchase;"
            f" BG/NBD needs {MIN_CUSTOMERS} customers and a repeat purchase",
            hint="foretouch ingest --events F  (a longer history)",
        )


def _minimise(
    objective: Callable[[FloatArray], tuple[float, FloatArray]], starts: tuple[FloatArray, ...]
) -> FloatArray:
    """The best of several L-BFGS-B runs."""
    best: tuple[float, FloatArray] | None = None
    for start in starts:
        result = minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(-_LOG_BOUND, _LOG_BOUND)] * len(start),
            options={"maxiter": 2000, "ftol": 1e-14, "gtol": 1e-9},
        )
        if np.isfinite(result.fun) and (best is None or result.fun < best[0]):
            best = float(result.fun), np.asarray(result.x, dtype=float)
    if best is None:
        raise DataError("the purchase model did not converge from any start")
    return best[1]
