"""The contact rules that do not ask at what hour: dates, purpose, channel, consent, the issue limits of an offer. Pure.

Each rule looks at one option and returns the statement that drops it, or None. What cannot be read or is not on
record forbids: the rules fail closed. Rules that depend on the moment of sending are in ``bans.py`` and ``slots.py``.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from foretouch.core.config import Config
from foretouch.core.contact import ContactPolicy
from foretouch.core.counters import CounterSnapshot, PastContact
from foretouch.core.decisions import DecisionRequest, Suppression
from foretouch.core.engagement import NO_RULES, EngagementPolicy
from foretouch.serving.decision.candidates import Option
from foretouch.serving.decision.plans import Plans

FATIGUE_DAYS = 7.0
"""Contacts of the last week set the policy's fatigue price."""


@dataclass(frozen=True, kw_only=True)
class Touch:
    """What the contact rules know of one touchpoint.

    Attributes:
        request: What is asked.
        policy: The rules.
        counters: Consent and contacts. ``total_contacts`` is counted by the caller for caps of scope ``total``.
        config: Says which channels there are.
        now: The decision's time.
        chosen: Contacts that this very decision has already chosen; they count like earlier ones.
        placement: The placement that is being filled; None where the request has none. An offer that is bound to a
            placement is shown in its own.
        engagement: Rules about which offers a customer may, needs or should be shown.
        plans: What follows from the configuration alone.
    """

    request: DecisionRequest
    policy: ContactPolicy
    counters: CounterSnapshot
    config: Config
    now: datetime
    chosen: tuple[PastContact, ...] = ()
    placement: str | None = None
    engagement: EngagementPolicy = NO_RULES
    plans: Plans = field(default_factory=Plans, compare=False, repr=False)

    @property
    def capped(self) -> bool:
        """Whether caps and gaps apply to this purpose."""
        return self.request.purpose not in self.policy.purposes_without_caps

    @cached_property
    def own(self) -> tuple[PastContact, ...]:
        """The customer's contacts, past, planned and just chosen; newest first."""
        return _newest_first((*self.chosen, *self.counters.contacts))

    @cached_property
    def own_by_offer(self) -> Counter[str]:
        """How many of them are of each offer."""
        return Counter(contact.offer_id for contact in self.own)

    @cached_property
    def household(self) -> tuple[PastContact, ...]:
        """The household's contacts, the customer's among them; the customer's own without a household."""
        ours = self.counters.household_contacts
        if self.counters.household_id is None or not ours:
            return self.own
        there = Counter(map(_same, ours))
        missing = []
        for contact in self.counters.contacts:
            key = _same(contact)
            if there[key] > 0:
                there[key] -= 1
            else:
                missing.append(contact)
        return _newest_first((*self.chosen, *missing, *ours))


def placement_of(option: Option, touch: Touch) -> str | None:
    """Where an option would be shown: the offer's own placement, else the one that is being filled."""
    return option.offer.placement if option.offer.placement is not None else touch.placement


def first_violation(option: Option, touch: Touch) -> Suppression | None:
    """The first of channel, purpose and consent rules that forbids an option, whenever it is sent."""
    return check_channel(option, touch) or check_purpose(option, touch) or check_consent(option, touch)


def check_dates(option: Option, now: datetime, until: datetime) -> Suppression | None:
    """The offer must run at some time in [now, until)."""
    offer = option.offer
    if offer.ends_at is not None and offer.ends_at <= now:
        return option.drop("dates", "ends_at", f"the offer ended {in_words(offer.ends_at)}")
    if offer.starts_at is not None and offer.starts_at >= until:
        return option.drop("dates", "starts_at", f"the offer starts {in_words(offer.starts_at)}", until=offer.starts_at)
    return None


def check_channel(option: Option, touch: Touch) -> Suppression | None:
    """The channel must be configured, and usable by the engine now."""
    if option.channel not in touch.config.channels:
        return option.drop("channel", "not_configured", f"channel {option.channel!r} is not in foretouch.toml")
    if touch.request.channels is not None and option.channel not in touch.request.channels:
        return option.drop("channel", "not_requested", f"the request does not offer channel {option.channel!r}")
    return None


def check_purpose(option: Option, touch: Touch) -> Suppression | None:
    """The offer must be meant for the purpose: a coupon is not sent as what is owed to the customer."""
    purposes = option.offer.purposes
    if touch.request.purpose in purposes:
        return None
    text = f"the offer is for {', '.join(purposes) or 'no purpose'}, not {touch.request.purpose}"
    return option.drop("purpose", "purposes", text)


def check_consent(option: Option, touch: Touch) -> Suppression | None:
    """Consent by channel and purpose: the newest statement holds, and the request's snapshot can only narrow it."""
    channel, purpose = option.channel, touch.request.purpose
    counters = touch.counters
    if counters.consent_error is not None:
        return option.drop("consent", "unreadable", f"consent could not be read: {counters.consent_error}")
    if touch.request.consent is not None and touch.request.consent.get(channel) is False:
        return option.drop("consent", "request", f"the request says that consent for {channel} is withdrawn")
    on_record = counters.consents.get(f"{channel}/{purpose}")
    if on_record is False:
        return option.drop("consent", "withdrawn", f"consent for {channel}/{purpose} was refused or withdrawn")
    if on_record is None and purpose not in touch.policy.purposes_without_consent:
        return option.drop("consent", "no_record", f"no consent on record for {channel}/{purpose}")
    return None


def check_issues(option: Option, touch: Touch) -> Suppression | None:
    """The offer's own issue limits; they hold for every purpose."""
    caps, offer_id = option.offer.caps, option.offer.offer_id
    unlimited = caps.total is None and caps.per_customer is None and caps.per_day is None
    if touch.counters.caps_error is not None and (touch.capped or not unlimited):
        return option.drop("caps", "unreadable", f"caps could not be read: {touch.counters.caps_error}")
    if unlimited:
        return None
    chosen = sum(contact.offer_id == offer_id for contact in touch.chosen)
    counters = touch.counters
    limits: Sequence[tuple[str, int | None, Mapping[str, int]]] = (
        ("total", caps.total, counters.offer_totals),
        ("per_customer", caps.per_customer, counters.offer_per_customer),
        ("per_day", caps.per_day, counters.offer_today),
    )
    for name, limit, counts in limits:
        counted = counts.get(offer_id, 0) + chosen
        if limit is not None and counted >= limit:
            until = next_midnight(touch.now, touch.policy.default_time_zone) if name == "per_day" and limit else None
            text = f"issued {counted} times ({name}); {limit} allowed"
            return option.drop("caps", f"offer_{name}", text, until=until)
    return None


def contacts_last_week(touch: Touch) -> int:
    """Contacts of the customer in the last seven days, and those planned."""
    since = touch.now - timedelta(days=FATIGUE_DAYS)
    return sum(contact.at > since for contact in touch.own)


def in_words(at: datetime) -> str:
    """A moment for people, to the minute, UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def next_midnight(now: datetime, time_zone: str) -> datetime:
    """When the next day begins in a zone."""
    zone = ZoneInfo(time_zone)
    tomorrow = (now.astimezone(zone) + timedelta(days=1)).date()
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone).astimezone(now.tzinfo)


def _same(contact: PastContact) -> tuple[datetime, str, str]:
    """What makes a contact of the customer and one of the household the same."""
    return (contact.at, contact.channel, contact.offer_id)


def _newest_first(contacts: Sequence[PastContact]) -> tuple[PastContact, ...]:
    if len(contacts) < 2:
        return tuple(contacts)
    return tuple(sorted(contacts, key=_at, reverse=True))


def _at(contact: PastContact) -> datetime:
    return contact.at
