"""An independent judge of a record: it reads the record and the raw rules, and imports nothing from serving."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from foretouch.core.config import Config
from foretouch.core.contact import Cap, ContactPolicy
from foretouch.core.decisions import Action, DecisionRecord
from foretouch.core.offers import Catalogue, Offer

Sent = tuple[datetime, str, str, str | None]
"""When, on which channel, which offer, in which placement."""


def violations(record: DecisionRecord, policy: ContactPolicy, catalogue: Catalogue, config: Config) -> Iterator[str]:
    """Every rule that an action of the record breaks, in words."""
    offers = {offer.offer_id: offer for offer in catalogue.offers}
    default = record.request.default_action
    if default is not None and default.channel is not None and record.fallback_step == "default_action":
        offers.setdefault(default.offer_id, Offer(offer_id=default.offer_id, name="", channels=(default.channel,)))
    sent: list[Sent] = [
        (contact.at, contact.channel, contact.offer_id, contact.placement) for contact in record.counters.contacts
    ]
    household: list[Sent] = [
        (contact.at, contact.channel, contact.offer_id, contact.placement)
        for contact in record.counters.household_contacts
    ]
    issued: list[str] = []
    for action in record.action:
        offer = offers[action.offer_id]
        yield from consent_broken(record, policy, action.channel)
        if record.customer_id in policy.suppressed_customers:
            yield "suppressed customer contacted"
        if action.channel not in config.channels or action.channel not in offer.channels:
            yield f"channel {action.channel} is not the offer's or not configured"
        if record.request.channels is not None and action.channel not in record.request.channels:
            yield f"channel {action.channel} was not offered"
        yield from dates_broken(record, action, offer)
        yield from quiet_broken(record, policy, action)
        yield from caps_broken(record, policy, action, sent, household)
        if record.purpose not in offer.purposes:
            yield f"offer {action.offer_id} is not for {record.purpose}"
        yield from issue_broken(record, action, offer, issued)
        if action.offer_id in issued:
            yield f"offer {action.offer_id} twice in one answer"
        issued.append(action.offer_id)
        sent.append((action.send_at, action.channel, action.offer_id, action.placement))
        household.append(sent[-1])


def consent_broken(record: DecisionRecord, policy: ContactPolicy, channel: str) -> Iterator[str]:
    statement = record.counters.consents.get(f"{channel}/{record.purpose}")
    if record.counters.consent_error is not None:
        yield "consent unreadable"
    if statement is False:
        yield "consent withdrawn"
    if statement is None and record.purpose not in policy.purposes_without_consent:
        yield "no consent on record"
    if record.request.consent is not None and record.request.consent.get(channel, True) is False:
        yield "the request withdrew consent"


def dates_broken(record: DecisionRecord, action: Action, offer: Offer) -> Iterator[str]:
    window = record.request.send_window
    at = action.send_at
    if at < record.decided_at or at >= record.expires_at:
        yield "sent before the decision or after its expiry"
    if offer.starts_at is not None and at < offer.starts_at:
        yield "sent before the offer starts"
    if offer.ends_at is not None and at >= offer.ends_at:
        yield "sent after the offer ended"
    if window.earliest is not None and at < window.earliest:
        yield "sent before the window"
    if window.latest is not None and at > window.latest:
        yield "sent after the window"


def quiet_broken(record: DecisionRecord, policy: ContactPolicy, action: Action) -> Iterator[str]:
    name = record.request.send_window.time_zone or record.counters.time_zone or policy.default_time_zone
    local = action.send_at.astimezone(ZoneInfo(name))
    minute = local.hour * 60 + local.minute + local.second / 60 + local.microsecond / 6e7
    for rule in policy.quiet_hours:
        if record.purpose not in rule.purposes or not {"*", action.channel} & set(rule.channels):
            continue
        start, end = (moment.hour * 60 + moment.minute for moment in (rule.start, rule.end))
        length = (end - start) % 1440 or 1440
        if (minute - start) % 1440 < length:
            yield f"sent at {local} inside {rule.start}-{rule.end}"


def caps_broken(
    record: DecisionRecord, policy: ContactPolicy, action: Action, sent: Sequence[Sent], household: Sequence[Sent]
) -> Iterator[str]:
    if record.purpose in policy.purposes_without_caps:
        return
    for cap in policy.caps:
        if "*" not in cap.channels and action.channel not in cap.channels:
            continue
        pool = household if cap.scope == "household" and record.counters.household_id is not None else sent
        if cap.scope == "total":
            everyone = record.counters.total_contacts[cap.rule] + action.rank
            if everyone > cap.limit:
                yield f"{cap.rule}: {everyone} contacts of everyone"
            continue
        if cap.scope == "placement" and action.placement is None:
            continue
        counted = [at for at, channel, name, place in pool if matches(cap, action, channel, name, place)]
        if fullest(counted, action.send_at, timedelta(days=cap.longest_days)) > cap.limit:
            yield f"{cap.rule}: a window of {cap.days} days is over {cap.limit}"
    gap = timedelta(hours=policy.minimum_gap_hours)
    if any(abs(at - action.send_at) < gap for at, *_ in sent):
        yield "too close to another contact"


def matches(cap: Cap, action: Action, channel: str, offer: str, placement: str | None) -> bool:
    if "*" not in cap.channels and channel not in cap.channels:
        return False
    if cap.scope == "channel":
        return channel == action.channel
    if cap.scope == "placement":
        return placement == action.placement
    return cap.scope != "offer" or offer == action.offer_id


def fullest(others: Sequence[datetime], at: datetime, length: timedelta) -> int:
    """Most contacts in any half-open window of a length that holds ``at``, the one at ``at`` included."""
    starts = [start for start in (*others, at) if start <= at < start + length]
    return max(1 + sum(start <= other < start + length for other in others) for start in starts)


def issue_broken(record: DecisionRecord, action: Action, offer: Offer, issued: Sequence[str]) -> Iterator[str]:
    counters, more = record.counters, issued.count(offer.offer_id) + 1
    for name, limit, counts in (
        ("total", offer.caps.total, counters.offer_totals),
        ("per_customer", offer.caps.per_customer, counters.offer_per_customer),
        ("per_day", offer.caps.per_day, counters.offer_today),
    ):
        if limit is not None and counts.get(offer.offer_id, 0) + more > limit:
            yield f"offer cap {name}"
