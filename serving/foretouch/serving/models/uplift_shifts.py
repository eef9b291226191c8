"""What one offer adds to the uplift model's score, as its card keeps it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Shift:
    """A number added to an uplift.

    Attributes:
        mean: What is added.
        sd: Its standard deviation.
    """

    mean: float = 0.0
    sd: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Shifts:
    """By offer, by category for offers that have no contacts yet, and by channel.

    Attributes:
        offers: By offer id.
        categories: Of an unknown offer of a category.
        unknown: Of an unknown offer of an unknown category.
        channels: What is left by channel: for the card, since an uplift is the offer's whatever the channel.
    """

    offers: Mapping[str, Shift] = field(default_factory=dict)
    categories: Mapping[str, Shift] = field(default_factory=dict)
    unknown: Shift = field(default_factory=Shift)
    channels: Mapping[str, Shift] = field(default_factory=dict)

    def extras(self) -> dict[str, Any]:
        """As the card keeps it."""

        def pair(shift: Shift) -> list[float]:
            return [shift.mean, shift.sd]

        return {
            "offers": {name: pair(shift) for name, shift in sorted(self.offers.items())},
            "categories": {name: pair(shift) for name, shift in sorted(self.categories.items())},
            "unknown": pair(self.unknown),
            "channels": {name: pair(shift) for name, shift in sorted(self.channels.items())},
        }

    @classmethod
    def of(cls, kept: Mapping[str, Any] | None) -> "Shifts":
        """What ``extras`` gave, read back; none where a card has none."""
        if not kept:
            return cls()

        def shift(pair: Sequence[float]) -> Shift:
            return Shift(mean=float(pair[0]), sd=float(pair[1]))

        return cls(
            offers={name: shift(pair) for name, pair in kept["offers"].items()},
            categories={name: shift(pair) for name, pair in kept["categories"].items()},
            unknown=shift(kept["unknown"]),
            channels={name: shift(pair) for name, pair in kept["channels"].items()},
        )

    def of_offer(self, offer_id: str, category: str) -> Shift:
        """Of an offer; one without contacts in training takes its category's."""
        return self.offers.get(offer_id) or self.categories.get(category, self.unknown)
