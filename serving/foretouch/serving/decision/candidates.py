"""Candidates: every (offer, treatment, channel) that a touchpoint could mean, before any rule."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from operator import is_
from typing import Any, TypeVar, cast

from foretouch.core.config import Config
from foretouch.core.decisions import DecisionRequest, Stage, Suppression
from foretouch.core.offers import Catalogue, Offer
from foretouch.serving.decision.plans import Plans

T = TypeVar("T")
Key = tuple[str, str, str]
NO_CONTACT: Key = ("", "", "")
"""Sorts before every option; no offer has an empty id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One contact that could be made. "No contact" is no option: it is always allowed and needs no rule.

    Attributes:
        offer: The offer.
        treatment_id: Its content variant, if it has any.
        channel: The channel.
        key: Sorts options the same way whatever the order of the catalogue.
    """

    offer: Offer
    treatment_id: str | None
    channel: str
    key: Key = field(init=False)

    def __post_init__(self) -> None:
        """Works the key out once: it is asked for at every step."""
        object.__setattr__(self, "key", (self.offer.offer_id, self.treatment_id or "", self.channel))

    def fits(self, placement: str | None) -> bool:
        """Whether it may be shown in a placement; None is a touchpoint without placements, where everything may."""
        return placement is None or self.offer.placement is None or self.offer.placement == placement

    def drop(
        self,
        stage: Stage,
        rule: str,
        text: str = "",
        *,
        until: datetime | None = None,
        seen: Mapping[str, Any] | None = None,
    ) -> Suppression:
        """The rule's statement that this option is not allowed.

        Args:
            stage: The kind of rule.
            rule: Its name.
            text: Why, in words.
            until: When it forbids no more, if that is known.
            seen: The values that it looked at.
        """
        return Suppression(
            offer_id=self.offer.offer_id,
            channel=self.channel,
            stage=stage,
            rule=rule,
            text=text,
            until=until,
            seen={} if seen is None else dict(seen),
        )


class Lineup(tuple[Option, ...]):  # noqa: SLOT001 - what was found is kept in its dictionary
    """Options in their order, and what they have in common: found when it is first asked for, and kept.

    That of a whole catalogue is kept with its menu, so that its decisions find it once.
    """

    @classmethod
    def of(cls, options: Sequence[Option], known: "Lineup | None" = None) -> "Lineup":
        """The lineup of some options: the known one if they are its very options in its order."""
        if known is not None and len(options) == len(known) and all(map(is_, options, known)):
            return known
        return options if isinstance(options, Lineup) else cls(options)

    def keep(self, name: str, of: object, make: Callable[[], T]) -> T:
        """What follows from these options and one other object: the last one's is kept.

        Args:
            name: What it is.
            of: The other object; immutable, known again by identity.
            make: Works it out.
        """
        kept = self._kept.get(name)
        if kept is None or kept[0] is not of:
            kept = self._kept[name] = (of, make())
        return cast("T", kept[1])

    @cached_property
    def _kept(self) -> dict[str, tuple[object, Any]]:
        return {}

    @cached_property
    def keys(self) -> list[Key]:
        """Of the options."""
        return [option.key for option in self]

    @cached_property
    def keys_with_none(self) -> list[Key]:
        """The same, after that of "no contact"."""
        return [NO_CONTACT, *self.keys]

    @cached_property
    def order(self) -> list[int]:
        """Indices of ``keys_with_none`` in the order of the keys."""
        return sorted(range(len(self) + 1), key=self.keys_with_none.__getitem__)

    @cached_property
    def offers(self) -> tuple[Offer, ...]:
        """Every offer once, in the order in which they come."""
        return tuple({id(option.offer): option.offer for option in self}.values())

    @cached_property
    def offer_ids(self) -> tuple[str, ...]:
        """Of each of ``offers``."""
        return tuple([offer.offer_id for offer in self.offers])

    @cached_property
    def offers_by_id(self) -> dict[str, Offer]:
        """The same by id; of two objects with one id the last."""
        return {option.offer.offer_id: option.offer for option in self}

    @cached_property
    def offer_at(self) -> list[int]:
        """Of each option, the place of its offer among ``offers``."""
        place = {id(offer): index for index, offer in enumerate(self.offers)}
        return [place[id(option.offer)] for option in self]

    @cached_property
    def first_keys(self) -> list[Key]:
        """Of each of ``offers``, the key of its first option."""
        first = {id(option.offer): option.key for option in reversed(self)}
        return [first[id(offer)] for offer in self.offers]

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """Every channel once, in the order in which they come."""
        return tuple({option.channel: None for option in self})

    @cached_property
    def channel_at(self) -> list[int]:
        """Of each option, the place of its channel among ``channels``."""
        place = {channel: index for index, channel in enumerate(self.channels)}
        return [place[option.channel] for option in self]

    @cached_property
    def first_of_channels(self) -> list[int]:
        """Of each of ``channels``, the place of its first option."""
        return [self.channel_at.index(place) for place in range(len(self.channels))]

    @cached_property
    def has_fallback(self) -> bool:
        """Whether any offer is a fallback offer."""
        return any(offer.fallback for offer in self.offers)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a request asks about.

    Attributes:
        options: Candidates for the rules to look at, sorted by key.
        dropped: Options that the request itself leaves out, with the reason.
        unknown: Statements about names in the request that the catalogue does not have.
    """

    options: Lineup
    dropped: tuple[tuple[Option, Suppression], ...]
    unknown: tuple[Suppression, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Menu:
    """A catalogue laid out once.

    Attributes:
        offers: By id.
        options: Every option, sorted by key.
    """

    offers: dict[str, Offer]
    options: Lineup


def lay_out(catalogue: Catalogue) -> Menu:
    """Every option of a catalogue."""
    return Menu(
        offers={offer.offer_id: offer for offer in catalogue.offers},
        options=_sorted(option for offer in catalogue.offers for option in expand(offer)),
    )


def menu_of(catalogue: Catalogue, plans: Plans) -> Menu:
    """A catalogue's layout, kept with the configuration."""
    return plans.get("menu", (catalogue,), lambda: lay_out(catalogue))


def list_candidates(request: DecisionRequest, catalogue: Catalogue, plans: Plans | None = None) -> Listing:
    """The options that a request asks about.

    Without ``candidates`` and ``collection`` that is the whole catalogue; ``exclude`` then drops offers by name, and
    ``placements`` those that are bound to another one. Channels are not filtered here: an option on a channel that
    cannot be used is dropped by a rule, with its reason.

    Args:
        request: What is asked, with its touchpoint's defaults.
        catalogue: Every offer.
        plans: Where the catalogue's own layout is kept.
    """
    menu = menu_of(catalogue, plans or Plans())
    unknown: list[Suppression] = []
    wanted = menu.options
    if request.candidates is not None:
        wanted = _named(request, menu, unknown)
    elif request.collection is not None:
        wanted = Lineup(option for option in wanted if option.offer.category == request.collection)
        if not wanted:
            text = f"no offer of the catalogue is in the collection {request.collection!r}"
            unknown.append(Suppression(offer_id="*", stage="requested", rule="unknown_collection", text=text))
    if not request.exclude and request.placements is None and (request.candidates is None or not request.collection):
        return Listing(options=wanted, dropped=(), unknown=tuple(unknown))
    excluded = frozenset(request.exclude)
    kept: list[Option] = []
    dropped: list[tuple[Option, Suppression]] = []
    for option in wanted:
        if option.offer.offer_id in excluded:
            dropped.append((option, option.drop("requested", "exclude", "the request excludes it")))
        elif request.collection is not None and option.offer.category != request.collection:
            text = f"its category is {option.offer.category!r}, the request asks for {request.collection!r}"
            dropped.append((option, option.drop("requested", "collection", text)))
        elif request.placements is not None and not any(map(option.fits, request.placements)):
            text = (
                f"it is shown in {option.offer.placement!r} only, and the request fills {_listed(request.placements)}"
            )
            dropped.append((option, option.drop("requested", "placement", text)))
        else:
            kept.append(option)
    return Listing(options=Lineup(kept), dropped=tuple(dropped), unknown=tuple(unknown))


def _named(request: DecisionRequest, menu: Menu, unknown: list[Suppression]) -> Lineup:
    """The options that the caller names; names that the catalogue does not have are added to ``unknown``."""
    wanted: list[Option] = []
    for ref in request.candidates or ():
        found = menu.offers.get(ref.offer_id)
        named = [] if found is None else expand(found, treatment_id=ref.treatment_id, channel=ref.channel)
        if not named:
            text = "not in the catalogue" if found is None else "the offer has no such treatment or channel"
            rule = "unknown_offer" if found is None else "unknown_treatment"
            unknown.append(
                Suppression(offer_id=ref.offer_id, channel=ref.channel, stage="requested", rule=rule, text=text)
            )
        wanted.extend(named)
    return _sorted(wanted)


def _sorted(options: Iterable[Option]) -> Lineup:
    """By key; of options with one key the last."""
    by_key = {option.key: option for option in options}
    return Lineup(by_key[key] for key in sorted(by_key))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


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
