"""Cool-downs and suppression lists: what already happened, or was said, forbids contacts for a while. Pure."""

from datetime import datetime, timedelta

from foretouch.core.contact import ANY, CoolDown
from foretouch.core.counters import PastContact, PastOutcome
from foretouch.serving.rules.bans import ALWAYS, NEVER_ENDS, Ban
from foretouch.serving.rules.contact import Touch, in_words

UNANSWERED = "unanswered"


def cool_down_ban(
    rule: CoolDown, touch: Touch, *, channel: str, offer_id: str | None, category: str | None
) -> Ban | None:
    """How long a cool-down forbids contacts; None if it does not.

    It is started by ``count`` of its outcomes that lie within ``within_days``, and lasts ``days`` from the last of
    them. ``unanswered`` is started by the latest ``count`` contacts, past ones only, none of which was answered; a
    contact of which nobody knows whether it was answered counts as not answered, and of contacts at the same moment the
    answered one is the latest. An outcome or a contact whose channel
    or category is not known counts for every one.

    Args:
        rule: The cool-down; it must hold for the channel and the purpose.
        touch: The touchpoint.
        channel: Of the contact that is asked about.
        offer_id: Its offer, where the rule's scope is ``offer``.
        category: Its offer's category, where the rule's scope is ``category``.
    """
    outcomes, unanswered = touch.counters.outcomes, UNANSWERED in rule.after
    if not outcomes and not unanswered:
        return None
    length, within = timedelta(days=rule.days), timedelta(days=rule.within_days)
    until: datetime | None = None
    text = ""
    kinds = rule.outcomes if outcomes else frozenset()
    if kinds:
        times = sorted(
            outcome.at
            for outcome in outcomes
            if outcome.type in kinds and _counts(rule, outcome, channel, offer_id, category)
        )
        lasts = [
            last
            for first, last in zip(times, times[rule.count - 1 :], strict=False)
            if last - first <= within and last + length > touch.now
        ]
        if lasts:
            until = lasts[-1] + length
            text = f"{_times(rule.count)} {' or '.join(sorted(kinds))}, last on {in_words(lasts[-1])}"
    if unanswered and touch.counters.caps_error is not None:
        text = f"whether contacts were answered could not be read: {touch.counters.caps_error}"
        return Ban("cool_down", rule.rule, text, ((ALWAYS, NEVER_ENDS),))
    if unanswered:
        latest = _unanswered(rule, touch, channel, offer_id, category)
        if latest is not None and latest + length > touch.now and (until is None or latest + length > until):
            until = latest + length
            text = f"{rule.count} contacts in a row were not answered, the last on {in_words(latest)}"
    if until is None:
        return None
    return Ban("cool_down", rule.rule, f"{text}; pause of {rule.days:g} days", ((ALWAYS, until),))


def suppression_bans(touch: Touch, channel: str) -> tuple[Ban, ...]:
    """What suppression lists say about a customer on a channel; transactional contacts are no exception.

    A line that names another purpose does not hold; a line with an end holds until then.
    """
    bans = []
    if touch.request.customer_id in touch.policy.suppressed_customers:
        text = "the customer is on the suppression list"
        bans.append(Ban("suppression", "suppressed_customers", text, ((ALWAYS, NEVER_ENDS),)))
    for line in touch.counters.suppressions:
        if line.channel in {ANY, channel} and line.purpose in {ANY, touch.request.purpose}:
            reason = f": {line.reason}" if line.reason else ""
            text = f"the customer is on the suppression list for {line.channel}/{line.purpose}{reason}"
            bans.append(Ban("suppression", "suppression_list", text, ((ALWAYS, line.until or NEVER_ENDS),)))
    return tuple(bans)


def _unanswered(
    rule: CoolDown, touch: Touch, channel: str, offer_id: str | None, category: str | None
) -> datetime | None:
    """When the latest contact went out, if the latest ``count`` were not answered."""
    latest: list[datetime] = []
    for contact in sorted(touch.counters.contacts, key=_order, reverse=True):
        if contact.at > touch.now or not _counts(rule, contact, channel, offer_id, category):
            continue
        if contact.answered:
            return None
        latest.append(contact.at)
        if len(latest) == rule.count:
            return latest[0] if latest[0] - latest[-1] <= timedelta(days=rule.within_days) else None
    return None


def _counts(
    rule: CoolDown, past: PastContact | PastOutcome, channel: str, offer_id: str | None, category: str | None
) -> bool:
    if past.channel is not None and ANY not in rule.channels and past.channel not in rule.channels:
        return False
    if rule.scope == "channel":
        return past.channel is None or past.channel == channel
    if rule.scope == "offer":
        return past.offer_id is None or past.offer_id == offer_id
    return rule.scope != "category" or past.category is None or past.category == category


def _times(count: int) -> str:
    return "after" if count == 1 else f"{count} times"


def _order(contact: PastContact) -> tuple[datetime, bool]:
    return contact.at, bool(contact.answered)
