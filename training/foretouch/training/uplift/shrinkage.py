"""What one offer and one channel do beyond the model of all contacts, shrunk where few contacts tell. Pure.

The residual of a contact is its outcome less what the model of all contacts expects of it. An offer's mean residual is
drawn towards its category's, and that towards 0 (all contacts), each by how much such means differ beyond chance: the
normal hierarchical model with DerSimonian and Laird's (1986) variances. What is left by channel is
told, and not added: an uplift is the offer's.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from foretouch.serving.models.uplift_shifts import Shift, Shifts
from foretouch.training.task import FloatArray

_PRIOR_ROWS = 25.0
"""Rows of the common variance that every group's own variance is mixed with, so that a lucky few are not certain."""


def fit_shifts(
    residual: FloatArray,
    weight: FloatArray,
    *,
    offer: NDArray[np.object_],
    category: NDArray[np.object_],
    channel: NDArray[np.object_],
) -> Shifts:
    """Shifts of offers, categories and channels.

    Args:
        residual: Outcome less the expected outcome, of contacts, shape (n,).
        weight: How often each counts, shape (n,).
        offer: Its offer, shape (n,).
        category: That offer's category, shape (n,).
        channel: Its channel, shape (n,).
    """
    centred = residual - np.average(residual, weights=weight)
    names, mean, variance = group_means(centred, weight, offer)
    of = {str(name): str(kind) for name, kind in zip(offer, category, strict=True)}
    drawn = draw_in(names, mean, variance, [of[name] for name in names])
    rest = centred - np.array([drawn.offers[str(name)].mean for name in offer])
    ways, shift, noise_of_way = group_means(rest, weight, channel)
    spread = between_variance([(shift, noise_of_way)], around=0.0)
    channels = {}
    for name, value, noise in zip(ways, shift, noise_of_way, strict=True):
        share = spread / (spread + noise) if spread > 0.0 else 0.0
        channels[name] = Shift(mean=float(share * value), sd=float(np.sqrt(share * noise)))
    return replace(drawn, channels=channels)


def draw_in(names: Sequence[str], mean: FloatArray, variance: FloatArray, kinds: Sequence[str]) -> Shifts:
    """The normal hierarchical model: offers are drawn to their category, categories to 0.

    Args:
        names: Of the offers, m of them.
        mean: What each shows by itself, around what all show, shape (m,).
        variance: Its error variance, shape (m,).
        kinds: Category of each.

    Returns:
        Offers, categories, and what is not known of others; no channels.
    """
    kind_of = np.array(kinds, dtype=object)
    labels = sorted(set(kinds))
    within = between_variance([(mean[kind_of == kind], variance[kind_of == kind]) for kind in labels])
    own = [_pooled(mean[kind_of == kind], variance[kind_of == kind] + within) for kind in labels]
    level, level_variance = (np.array(values) for values in zip(*own, strict=True))
    across = between_variance([(level, level_variance)], around=0.0)
    categories: dict[str, Shift] = {}
    offers: dict[str, Shift] = {}
    for kind, value, noise in zip(labels, level, level_variance, strict=True):
        kept = across / (across + noise) if across > 0.0 else 0.0
        centre, left = kept * value, kept * noise
        categories[kind] = Shift(mean=float(centre), sd=float(np.sqrt(left + within)))
        for name, value_of, noise_of, own_kind in zip(names, mean, variance, kinds, strict=True):
            if own_kind == kind:
                share = within / (within + noise_of) if within > 0.0 else 0.0
                offers[name] = Shift(
                    mean=float(centre + share * (value_of - centre)),
                    sd=float(np.sqrt(share * noise_of + (1.0 - share) ** 2 * left)),
                )
    return Shifts(offers=offers, categories=categories, unknown=Shift(sd=float(np.sqrt(within + across))))


def group_means(
    value: FloatArray, weight: FloatArray, group: NDArray[np.object_]
) -> tuple[list[str], FloatArray, FloatArray]:
    """Names of the groups in order, their weighted means, and the variances of these."""
    names, code = np.unique(group.astype(str), return_inverse=True)
    total = np.bincount(code, weights=weight)
    mean = np.bincount(code, weights=weight * value) / total
    squared = np.bincount(code, weights=np.square(weight * (value - mean[code])))
    common = float(np.average(np.square(value - mean[code]), weights=weight))
    rows = total**2 / np.bincount(code, weights=np.square(weight))
    own = squared / total**2 * rows  # variance of one row of the group
    mixed = (rows * own + _PRIOR_ROWS * common) / (rows + _PRIOR_ROWS)
    return [str(name) for name in names], mean, mixed / rows


def between_variance(groups: "list[tuple[FloatArray, FloatArray]]", around: float | None = None) -> float:
    """Variance of true means beyond chance, pooled over families of groups; 0 where there is none.

    Args:
        groups: Per family, means and their variances.
        around: The families' common centre; None is each family's own mean.
    """
    statistic = freedom = scale = 0.0
    for mean, variance in groups:
        precision = 1.0 / variance
        centre = float(np.average(mean, weights=precision)) if around is None else around
        statistic += float(np.sum(precision * np.square(mean - centre)))
        if around is None:
            freedom += len(mean) - 1.0
            scale += float(precision.sum() - np.square(precision).sum() / precision.sum())
        else:
            freedom += len(mean)
            scale += float(precision.sum())
    return max(0.0, (statistic - freedom) / scale) if scale > 0.0 else 0.0


def _pooled(mean: FloatArray, variance: FloatArray) -> tuple[float, float]:
    precision = 1.0 / variance
    return float(np.average(mean, weights=precision)), float(1.0 / precision.sum())
