"""Candidates: every (offer, treatment, channel) that a touchpoint could mean, before any rule."""

from collections.abc import Sequence
from dataclasses import dataclass

from foretouch.core.config import Config
from foretouch.core.decisions import DecisionRequest, Stage, Suppression
from foretouch.core.offers import Catalogue, Offer

Key = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class Option:
    """One contact that could be made. "No contact" is no option: it is always allowed and needs no rule."""

    offer: Offer
    treatment_id: str | None
    channel: str

    @property
    def key(self) -> Key:
        """Sorts options the same way whatever the order of the catalogue."""
        return (self.offer.offer_id, self.treatment_id or "", self.channel)

    def drop(self, stage: Stage, rule: str, text: str = "") -> Suppression:
        """The rule's statement that this option is not allowed."""
        return Suppression(offer_id=self.offer.offer_id, channel=self.channel, stage=stage, rule=rule, text=text)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a request asks about.

    Attributes:
        options: Candidates for the rules to look at, sorted by key.
        dropped: Options that the request itself leaves out, with the reason.
        unknown: Statements about names in the request that the catalogue does not have.
    """

    options: tuple[Option, ...]
    dropped: tuple[tuple[Option, Suppression], ...]
    unknown: tuple[Suppression, ...]


def list_candidates(request: DecisionRequest, catalogue: Catalogue) -> Listing:
    """The options that a request asks about.

    Without ``candidates`` and ``collection`` that is the whole catalogue; ``exclude`` then drops offers by name.
    Channels are not filtered here: an option on a channel that cannot be used is dropped by a rule, with its reason.
    """
    offers = {offer.offer_id: offer for offer in catalogue.offers}
    unknown: list[Suppression] = []
    wanted: dict[Key, Option] = {}
    if request.candidates is None:
        for offer in catalogue.offers:
            if request.collection is None or offer.category == request.collection:
                wanted.update((option.key, option) for option in expand(offer))
        if request.collection is not None and not wanted:
            text = f"no offer of the catalogue is in the collection {request.collection!r}"
            unknown.append(Suppression(offer_id="*", stage="requested", rule="unknown_collection", text=text))
    else:
        for ref in request.candidates:
            found = offers.get(ref.offer_id)
            named = [] if found is None else expand(found, treatment_id=ref.treatment_id, channel=ref.channel)
            if not named:
                text = "not in the catalogue" if found is None else "the offer has no such treatment or channel"
                rule = "unknown_offer" if found is None else "unknown_treatment"
                unknown.append(
                    Suppression(offer_id=ref.offer_id, channel=ref.channel, stage="requested", rule=rule, text=text)
                )
            wanted.update((option.key, option) for option in named)
    excluded = frozenset(request.exclude)
    kept: list[Option] = []
    dropped: list[tuple[Option, Suppression]] = []
    for key in sorted(wanted):
        option = wanted[key]
        if option.offer.offer_id in excluded:
            dropped.append((option, option.drop("requested", "exclude", "the request excludes it")))
        elif request.collection is not None and option.offer.category != request.collection:
            text = f"its category is {option.offer.category!r}, the request asks for {request.collection!r}"
            dropped.append((option, option.drop("requested", "collection", text)))
        else:
            kept.append(option)
    return Listing(options=tuple(kept), dropped=tuple(dropped), unknown=tuple(unknown))


def expand(offer: Offer, *, treatment_id: str | None = None, channel: str | None = None) -> list[Option]:
    """Every option of an offer: per channel its treatments, or one without a treatment where it has none.

    Args:
        offer: The offer.
        treatment_id: Only this treatment.
        channel: Only this channel.
    """
    options: list[Option] = []
    for name in offer.channels:
        if channel is not None and name != channel:
            continue
        treatments: Sequence[str | None] = [item.treatment_id for item in offer.treatments if item.channel == name]
        options.extend(
            Option(offer=offer, treatment_id=item, channel=name)
            for item in (treatments or [None])
            if treatment_id is None or item == treatment_id
        )
    return options


def usable_channels(request: DecisionRequest, config: Config) -> tuple[str, ...]:
    """Channels that the config has and the engine can use now."""
    if request.channels is None:
        return tuple(config.channels)
    return tuple(channel for channel in request.channels if channel in config.channels)
