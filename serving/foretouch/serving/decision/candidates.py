"""Candidates: every (offer, treatment, channel) that a touchpoint could mean, before any rule."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from foretouch.core.config import Config
from foretouch.core.decisions import DecisionRequest, Stage, Suppression
from foretouch.core.offers import Catalogue, Offer
from foretouch.serving.decision.plans import Plans

Key = tuple[str, str, str]


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Menu:
    """A catalogue laid out once.

    Attributes:
        offers: By id.
        options: Every option, sorted by key.
    """

    offers: dict[str, Offer]
    options: tuple[Option, ...]


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
        wanted = tuple(option for option in wanted if option.offer.category == request.collection)
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
    return Listing(options=tuple(kept), dropped=tuple(dropped), unknown=tuple(unknown))


def _named(request: DecisionRequest, menu: Menu, unknown: list[Suppression]) -> tuple[Option, ...]:
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


def _sorted(options: Iterable[Option]) -> tuple[Option, ...]:
    """By key; of options with one key the last."""
    by_key = {option.key: option for option in options}
    return tuple(by_key[key] for key in sorted(by_key))


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
