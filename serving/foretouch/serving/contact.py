"""The contact rules: dates, channel, consent, suppression, caps. No score can override them. Pure.

Each rule looks at one option and returns the statement that drops it, or None. What cannot be read or is not on
record forbids: the rules fail closed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from foretouch.core.config import Config
from foretouch.core.contact import ANY, Cap, ContactPolicy
from foretouch.core.decisions import CounterSnapshot, DecisionRequest, PastContact, Suppression
from foretouch.serving.candidates import Option

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
    """

    request: DecisionRequest
    policy: ContactPolicy
    counters: CounterSnapshot
    config: Config
    now: datetime
    chosen: tuple[PastContact, ...] = ()
    placement: str | None = None

    @property
    def capped(self) -> bool:
        """Whether caps and gaps apply to this purpose."""
        return self.request.purpose not in self.policy.purposes_without_caps

    @property
    def own(self) -> tuple[PastContact, ...]:
        """The customer's contacts, past, planned and just chosen; newest first."""
        return _newest_first((*self.chosen, *self.counters.contacts))

    @property
    def household(self) -> tuple[PastContact, ...]:
        """The household's contacts, the customer's among them; the customer's own without a household."""
        if self.counters.household_id is None:
            return self.own
        ours = self.counters.household_contacts
        missing = [contact for contact in self.counters.contacts if contact not in ours]
        return _newest_first((*self.chosen, *missing, *ours))


def first_violation(option: Option, touch: Touch) -> Suppression | None:
    """The first of channel, consent and suppression rules that forbids an option."""
    return check_channel(option, touch) or check_consent(option, touch) or check_suppression(option, touch)


def check_dates(option: Option, now: datetime, until: datetime) -> Suppression | None:
    """The offer must run at some time in [now, until)."""
    offer = option.offer
    if offer.ends_at is not None and offer.ends_at <= now:
        return option.drop("dates", "ends_at", f"the offer ended {in_words(offer.ends_at)}")
    if offer.starts_at is not None and offer.starts_at >= until:
        dropped = option.drop("dates", "starts_at", f"the offer starts {in_words(offer.starts_at)}")
        return dropped.model_copy(update={"until": offer.starts_at})
    return None


def check_channel(option: Option, touch: Touch) -> Suppression | None:
    """The channel must be configured, and usable by the engine now."""
    if option.channel not in touch.config.channels:
        return option.drop("channel", "not_configured", f"channel {option.channel!r} is not in foretouch.toml")
    if touch.request.channels is not None and option.channel not in touch.request.channels:
        return option.drop("channel", "not_requested", f"the request does not offer channel {option.channel!r}")
    return None


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


def check_suppression(option: Option, touch: Touch) -> Suppression | None:
    """A suppressed customer is never contacted, for no purpose."""
    if touch.request.customer_id in touch.policy.suppressed_customers:
        return option.drop("suppression", "suppressed_customers", "the customer is on the suppression list")
    return None


def check_caps(option: Option, touch: Touch) -> Suppression | None:
    """Contact caps over rolling windows, then the offer's own issue limits.

    A window of d days holds every contact later than now - d, also those planned or reserved for the future, so that
    no window of that length ends up with more than the limit whenever the new contact is sent. The offer's issue
    limits hold for every purpose; contact caps do not for ``purposes_without_caps``.
    """
    if touch.capped:
        for cap in touch.policy.caps:
            if ANY in cap.channels or option.channel in cap.channels:
                dropped = _check_cap(option, cap, touch)
                if dropped is not None:
                    return dropped
    return _check_offer_caps(option, touch)


def _check_cap(option: Option, cap: Cap, touch: Touch) -> Suppression | None:
    if cap.scope == "total":
        counted = touch.counters.total_contacts.get(cap.rule)
        if counted is None:
            return option.drop("caps", cap.rule, "the contacts of everyone were not counted")
        if counted + len(touch.chosen) >= cap.limit:
            return option.drop(
                "caps", cap.rule, f"{counted} contacts of everyone in {cap.longest_days:g} days; {cap.limit} allowed"
            )
        return None
    contacts = touch.household if cap.scope == "household" else touch.own
    since = touch.now - timedelta(days=cap.longest_days)
    counted_contacts = [
        contact
        for contact in contacts
        if contact.at > since
        and (ANY in cap.channels or contact.channel in cap.channels)
        and (cap.scope != "channel" or contact.channel == option.channel)
        and (cap.scope != "offer" or contact.offer_id == option.offer.offer_id)
    ]
    if len(counted_contacts) < cap.limit:
        return None
    text = f"{len(counted_contacts)} contacts ({cap.scope}) in {cap.longest_days:g} days; {cap.limit} allowed"
    dropped = option.drop("caps", cap.rule, text)
    if cap.limit == 0:
        return dropped
    return dropped.model_copy(update={"until": counted_contacts[cap.limit - 1].at + timedelta(days=cap.longest_days)})


def _check_offer_caps(option: Option, touch: Touch) -> Suppression | None:
    caps, offer_id = option.offer.caps, option.offer.offer_id
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
            dropped = option.drop("caps", f"offer_{name}", f"issued {counted} times ({name}); {limit} allowed")
            if name == "per_day":
                return dropped.model_copy(update={"until": next_midnight(touch.now, touch.policy.default_time_zone)})
            return dropped
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


def _newest_first(contacts: Sequence[PastContact]) -> tuple[PastContact, ...]:
    return tuple(sorted(contacts, key=lambda contact: contact.at, reverse=True))
