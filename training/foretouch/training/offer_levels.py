"""Each offer's own level: what it is accepted beyond what its category and the customer's fit with it explain.

The trees see what an offer is like, not which one it is: two offers of a category would be taken equally often. So the
log-odds of every offer get a shift of their own, fitted to scores of customers left out. It is drawn towards its
category's and that towards none, each by how much such shifts differ beyond chance (``uplift.shrinkage``: the normal
hierarchical model, here on the working response of a logistic regression at the shifts so far). An offer of few
contacts keeps hardly any of its own, a new one takes its category's. Where shifts do not foretell what customers left
out accept, by more than the standard error, nothing is added: offers hardly differ in what their inputs leave open.

The shifts are one more tree of the model's text, asked by offer and category: bundles, golden rows, reasons and the
service read one text, and need to know nothing of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.bundle import ModelInput
from foretouch.core.columns import CUSTOMER_ID, OFFER_ID
from foretouch.core.rng import derive_seed
from foretouch.serving.models.uplift_shifts import Shift, Shifts
from foretouch.training.appended import append_blocks
from foretouch.training.data import category_input
from foretouch.training.level_tree import Way, by_code, leaf, tree_text
from foretouch.training.metrics import row_log_loss
from foretouch.training.task import FloatArray
from foretouch.training.uplift.shrinkage import draw_in

CATEGORY: Final = "offer_category"
LEVELS: Final = "offer_levels"
"""In a card's extras: by offer and by category, mean and standard deviation of the shift on the log-odds."""
STEPS: Final = 8
"""Of iteratively reweighted least squares: shifts of two stand still to a hundredth after five."""
INSIDE: Final = 1e-4
"""Chances are kept that far from 0 and 1."""


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Shifts of offers, and what they make of scores.

    Attributes:
        shifts: On the log-odds, by offer, and by category for offers without contacts.
        unseen: Scores of the contacts with shifts fitted to other customers, shape (n,).
        column: The offer itself as an input of the model.
        contacts: Of each offer.
        gain: Mean log loss that the shifts save on customers left out, nats.
        gain_se: Its standard error, by customer.
    """

    shifts: Shifts
    unseen: FloatArray
    column: ModelInput
    contacts: Mapping[str, int]
    gain: float = 0.0
    gain_se: float = 0.0

    @classmethod
    def fit(
        cls,
        chance: FloatArray,
        label: FloatArray,
        frame: pd.DataFrame,
        fold: NDArray[np.int64],
        *,
        weight: FloatArray | None = None,
    ) -> Self:
        """Fits shifts to all contacts, and for the contacts' own scores to those of the other folds.

        Args:
            chance: Scores of contacts by trees that have not seen the customer, shape (n,).
            label: 1 accepted, 0 not, shape (n,).
            frame: ``customer_id``, ``offer_id`` and ``offer_category`` of the contacts.
            fold: Fold of each contact's customer, shape (n,).
            weight: How often each contact counts, shape (n,); None is once each.
        """
        offer = frame[OFFER_ID].astype(str).to_numpy(dtype=object)
        category = frame[CATEGORY].astype(object).fillna("").astype(str).to_numpy(dtype=object)
        shifts = fit_levels(chance, label, offer=offer, category=category, weight=weight)
        unseen = chance.copy()
        for held in [fold == index for index in np.unique(fold)] if _any(shifts) else ():
            others = fit_levels(
                chance[~held],
                label[~held],
                offer=offer[~held],
                category=category[~held],
                weight=None if weight is None else weight[~held],
            )
            raw = log_odds(chance[held]) + levels_of(others, offer[held], category[held])
            unseen[held] = 1.0 / (1.0 + np.exp(-raw))
        own = np.ones(len(label)) if weight is None else weight
        saved = own * (row_log_loss(label, _inside(chance)) - row_log_loss(label, _inside(unseen))) / own.mean()
        gain = float(saved.mean())
        customer = pd.Series(saved - gain).groupby(frame[CUSTOMER_ID].to_numpy()).sum().to_numpy(dtype=np.float64)
        return cls(
            shifts=shifts,
            unseen=unseen,
            gain=gain,
            gain_se=float(np.sqrt(np.square(customer).sum())) / len(label),
            column=category_input(OFFER_ID, "cross", frame[OFFER_ID]),
            contacts={str(name): int(rows) for name, rows in frame[OFFER_ID].value_counts().items()},
        )

    @property
    def tell_apart(self) -> bool:
        """Whether the shifts foretell what customers left out accept; else nothing is added."""
        return self.gain > self.gain_se

    def added_to(self, text: str, inputs: Sequence[ModelInput], *, draw: int | None = None) -> str:
        """A model's text with the shifts as its last tree: by the offer's code, and a new offer's by its category's.

        Args:
            text: LightGBM's own text of a binary model of ``inputs``.
            inputs: The model's, with ``column`` among them; without a category all new offers are alike.
            draw: Of a bootstrap member: its shifts are drawn from their normals, since what is not known of an offer's
                level is the members' to tell.
        """
        if not self.tell_apart:
            return text
        shifts = self.shifts if draw is None else one_draw(self.shifts, draw)
        place = {item.name: index for index, item in enumerate(inputs)}
        kinds = inputs[place[CATEGORY]].levels if CATEGORY in place else ()
        rest = shifts.unknown if kinds or len(shifts.categories) != 1 else next(iter(shifts.categories.values()))
        new: Way = leaf(rest.mean)
        if kinds:
            new = by_code(place[CATEGORY], [leaf(shifts.categories.get(kind, rest).mean) for kind in kinds], new)
        known = [leaf(shifts.offers.get(name, rest).mean, self.contacts.get(name, 1)) for name in self.column.levels]
        return append_blocks(text, [tree_text(by_code(place[OFFER_ID], known, new))])

    def extras(self) -> dict[str, Any]:
        """For the card."""
        kept = self.shifts.extras()
        shifts = {"offers": kept["offers"], "categories": kept["categories"]}
        return {LEVELS: {"used": self.tell_apart, "gain": self.gain, "gain_se": self.gain_se, **shifts}}

    @property
    def note(self) -> str:
        """One sentence for the card."""
        if not self.tell_apart:
            return (
                "Beyond their category and inputs offers hardly differ on customers left out: none has its own level."
            )
        ends = [shift.mean for shift in self.shifts.offers.values()]
        return (
            f"Offers have levels of their own, drawn to their category's: {min(ends):+.2f} to {max(ends):+.2f} on the"
            " log-odds; a new offer takes its category's."
        )


def fit_levels(
    chance: FloatArray,
    label: FloatArray,
    *,
    offer: NDArray[np.object_],
    category: NDArray[np.object_],
    weight: FloatArray | None = None,
) -> Shifts:
    """Shifts of offers and categories on the log-odds; arguments as ``Levels.fit`` has them.

    The error of what an offer shows is the logistic regression's own (the inverse of Fisher's information): taken from
    the contacts' own spread it would be nothing for an offer that nobody of twenty accepted.
    """
    own = np.ones(len(label)) if weight is None else weight
    names, code = np.unique(offer.astype(str), return_inverse=True)
    of = dict(zip(offer.astype(str), category.astype(str), strict=True))
    kinds = [str(of[name]) for name in names]
    raw, at, centre, shifts = log_odds(chance), np.zeros(len(names)), 0.0, Shifts()
    for _ in range(STEPS):
        moved = np.clip(1.0 / (1.0 + np.exp(-(raw + centre + at[code]))), INSIDE, 1.0 - INSIDE)
        told = np.bincount(code, weights=own * moved * (1.0 - moved))
        mean = at + np.bincount(code, weights=own * (label - moved)) / told
        variance = np.bincount(code, weights=np.square(own) * moved * (1.0 - moved)) / np.square(told)
        off = float(np.average(mean, weights=told))
        centre += off
        shifts = draw_in([str(name) for name in names], mean - off, variance, kinds)
        at = np.array([shifts.offers[str(name)].mean for name in names])
    return shifts


def log_odds(chance: FloatArray) -> FloatArray:
    """Of chances, kept ``INSIDE``, shape (n,)."""
    inside = _inside(chance)
    return np.asarray(np.log(inside / (1.0 - inside)))


def _inside(chance: FloatArray) -> FloatArray:
    return np.clip(chance, INSIDE, 1.0 - INSIDE)


def levels_of(shifts: Shifts, offer: NDArray[np.object_], category: NDArray[np.object_]) -> FloatArray:
    """The shift of every row, shape (n,): its offer's; its category's where the offer is not known."""
    pairs = zip(offer.tolist(), category.tolist(), strict=True)
    return np.array([shifts.of_offer(name, kind).mean for name, kind in pairs], dtype=np.float64)


def one_draw(shifts: Shifts, seed: int) -> Shifts:
    """Shifts as they might be: each drawn from the normal of its mean and standard deviation, by seed and name."""

    def drawn(of: Mapping[str, Shift]) -> dict[str, Shift]:
        return {name: replace(one, mean=one.mean + one.sd * _normal(seed, name)) for name, one in of.items()}

    return replace(shifts, offers=drawn(shifts.offers), categories=drawn(shifts.categories))


def _normal(seed: int, name: str) -> float:
    return float(np.random.default_rng(derive_seed(str(seed), "level", name)).normal())


def _any(shifts: Shifts) -> bool:
    return any(one.mean != 0.0 for one in (*shifts.offers.values(), *shifts.categories.values()))
