"""Outcomes whose truth is known: three shapes, each as a mean, with a covariate, as a ratio and as a proportion."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foretouch.core.experiment import ExperimentSpec, Metric

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, float], Floats]
"""Random numbers, units and the relative effect, to the metric's columns, shape (n, k)."""

SPEC = ExperimentSpec.model_validate(
    {
        "key": "truth",
        "control": "A",
        "weights": {"A": 0.5, "B": 0.5},
        "metrics": [{"name": "mean", "kind": "mean", "column": "y"}],
    }
)
MEAN = SPEC.metrics[0]
RATIO = Metric.model_validate({"name": "ratio", "kind": "ratio", "numerator": "n", "denominator": "d"})


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How an outcome is spread.

    Attributes:
        name: For the table.
        values: From random numbers and each unit's taste (mean 1) to outcomes.
        mean: Of the outcome.
    """

    name: str
    values: Callable[[np.random.Generator, Floats], Floats]
    mean: float


def _taste(rng: np.random.Generator, n: int) -> Floats:
    return rng.gamma(4.0, 0.25, n)


SHAPES = (
    Shape(name="normal", values=lambda rng, taste: 6.0 + 4.0 * taste + rng.normal(0.0, 2.0, len(taste)), mean=10.0),
    Shape(name="log-normal", values=lambda rng, taste: taste * np.exp(rng.normal(-0.32, 0.8, len(taste))), mean=1.0),
    Shape(
        name="mostly zero",
        values=lambda rng, taste: (rng.random(len(taste)) < 0.1) * taste * rng.gamma(2.0, 25.0, len(taste)),
        mean=5.0,
    ),
)


def mean(shape: Shape) -> Draw:
    """The outcome alone."""
    return lambda rng, n, effect: (shape.values(rng, _taste(rng, n)) + effect * shape.mean)[:, None]


def with_covariate(shape: Shape) -> Draw:
    """The outcome and what the unit did before, which shares its taste."""

    def draw(rng: np.random.Generator, n: int, effect: float) -> Floats:
        taste = _taste(rng, n)
        before = shape.values(rng, taste)
        return np.column_stack([shape.values(rng, taste) + effect * shape.mean, before])

    return draw


def ratio(shape: Shape) -> Draw:
    """Value per order, with a unit's orders alike: sums of outcomes over one to many orders."""

    def draw(rng: np.random.Generator, n: int, effect: float) -> Floats:
        taste = _taste(rng, n)
        orders = 1.0 + rng.poisson(3.0 * _taste(rng, n))
        return np.column_stack([(shape.values(rng, taste) + effect * shape.mean) * orders, orders])

    return draw


def proportion(shape: Shape) -> Draw:
    """Whether the outcome is above a level."""
    level = {"normal": 12.0, "log-normal": 1.5, "mostly zero": 1e-9}[shape.name]

    def draw(rng: np.random.Generator, n: int, effect: float) -> Floats:
        hit = shape.values(rng, _taste(rng, n)) > level
        return (hit | (rng.random(n) < effect)).astype(float)[:, None]

    return draw


KINDS: tuple[tuple[str, Metric, Callable[[Shape], Draw]], ...] = (
    ("mean", MEAN, mean),
    ("CUPED", MEAN, with_covariate),
    ("ratio", RATIO, ratio),
    ("proportion", MEAN, proportion),
)
