"""Screening: every option through every rule, in one order, so that each dropped one names the first that took it.

Dates, channel, purpose, consent, suppression, the three tiers, the offer's issue limits, and then the rules that ask
at what hour: cool-downs, caps, quiet and working hours, gaps.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, overload
from zoneinfo import ZoneInfo

from foretouch.core.decisions import Suppression
from foretouch.core.offers import Offer
from foretouch.serving.decision.candidates import Lineup, Option
from foretouch.serving.rules.bans import INSTANT, Ban, allowed
from foretouch.serving.rules.contact import (
    Touch,
    check_channel,
    check_consent,
    check_dates,
    check_issues,
    check_purpose,
)
from foretouch.serving.rules.cool_down import suppression_bans
from foretouch.serving.rules.engagement import PASSED, Crowd, OfferRules, Questions, Standing, TierPlan, Values
from foretouch.serving.rules.slots import Bounds, SlotMemo, allowed_slots, common_bounds, shares_slots


class Screened(NamedTuple):
    """An option with the slots that the rules leave it, or the rule that dropped it.

    Attributes:
        option: The option.
        slots: Earliest first; empty where it was dropped.
        dropped: The first rule that took it.
        later: Times at which a tier's rule that begins after the decision forbids it.
    """

    option: Option
    slots: tuple[datetime, ...] = ()
    dropped: Suppression | None = None
    later: tuple[Ban, ...] = ()


class Together(Sequence[Screened]):
    """Options of which no rule dropped any, and whose slots are their channel's; each is put together when asked for.

    Args:
        lineup: The options.
        slots: Of each of the lineup's channels, earliest first.
    """

    __slots__ = ("lineup", "slots")

    def __init__(self, lineup: Lineup, slots: Sequence[tuple[datetime, ...]]) -> None:
        self.lineup = lineup
        self.slots = slots

    def __len__(self) -> int:
        return len(self.lineup)

    @overload
    def __getitem__(self, row: int) -> Screened: ...
    @overload
    def __getitem__(self, row: slice) -> list[Screened]: ...
    def __getitem__(self, row: int | slice) -> Screened | list[Screened]:
        if isinstance(row, slice):
            return [self[index] for index in range(*row.indices(len(self)))]
        return Screened(self.lineup[row], self.slots[self.lineup.channel_at[row]])


def screen(
    options: Sequence[Option], touch: Touch, values: Values, zone: ZoneInfo, expires_at: datetime
) -> Sequence[Screened]:
    """Puts every option through the rules.

    Offers that the rules cannot tell apart (``_Asked.is_plain``) are asked about once per channel, and share the slots.
    All others, and every option of a channel on which slots are not shared, are asked about alone.

    Args:
        options: Candidates; at least one.
        touch: The touchpoint and its rules.
        values: What expressions may name; see ``rule_values``.
        zone: The customer's.
        expires_at: When the decision lapses.
    """
    memo = SlotMemo()
    latest = touch.request.send_window.latest
    until = expires_at if latest is None else min(expires_at, latest + INSTANT)  # the latest moment is still allowed
    plan = touch.plans.get("tiers", (touch.engagement,), lambda: TierPlan(touch.engagement))
    asked = _Asked(touch, Questions(plan, values, touch.now), until)
    lineup = Lineup.of(options)
    odd = asked.odd(lineup, plan, common_bounds(touch, expires_at, memo))
    alone = [place in odd for place in lineup.offer_at] if odd else [False] * len(lineup)
    shared: list[tuple[datetime, ...]] = [()] * len(lineup.channels)
    left = set(range(len(lineup.channels)))
    found: dict[int, Screened] = {}
    for row, channel in enumerate(lineup.channel_at):
        if channel not in left or alone[row]:
            continue
        left.discard(channel)
        item = found[row] = _ask_alone(lineup[row], asked, zone, expires_at, memo)
        if item.slots and shares_slots(touch, item.option.channel, memo):
            shared[channel] = item.slots
        if not left:
            break
    if not odd and all(shared):
        return Together(lineup, shared)
    screened = []
    for row, (option, channel) in enumerate(zip(lineup, lineup.channel_at, strict=True)):
        if alone[row] or not shared[channel]:
            screened.append(found.get(row) or _ask_alone(option, asked, zone, expires_at, memo))
        else:
            screened.append(Screened(option, shared[channel]))
    return tuple(screened)


def _ask_alone(option: Option, asked: "_Asked", zone: ZoneInfo, expires_at: datetime, memo: SlotMemo) -> Screened:
    """One option through every rule."""
    dropped = asked.check(option)
    if dropped is not None:
        return Screened(option, dropped=dropped)
    slots, dropped = allowed_slots(option, asked.touch, zone, expires_at, memo)
    bans = asked.standing.bans
    if dropped is not None or not bans:
        return Screened(option, slots, dropped)
    slots, dropped = _later(option, asked.standing, slots)
    return Screened(option, slots, dropped, tuple(ban for _, ban in bans))


class _Asked:
    """The rules that do not ask at what hour: once per offer and once per channel, not once per option.

    Args:
        touch: The touchpoint.
        questions: The tiers.
        until: When the latest slot is past.
    """

    def __init__(self, touch: Touch, questions: Questions, until: datetime) -> None:
        self.touch = touch
        self._questions = questions
        self._until = until
        self._channels: dict[str, Suppression | None] = {}
        self._offer: Offer | None = None
        self._dates: Suppression | None = None
        self._purpose: Suppression | None = None
        self._rest: Suppression | None = None
        self._asked_rest = False
        self._sent = touch.own_by_offer if touch.own else {}
        self._purpose_asked = touch.request.purpose
        self.standing = PASSED
        """What the tiers say about the offer that was asked about last."""

    def odd(self, lineup: Lineup, plan: TierPlan, within: Bounds) -> Collection[int]:
        """Places of the offers that are not plain (``is_plain``).

        Where all run throughout, are for the purpose, have no limit and pass the tiers, only those that were sent to
        the customer are not: what follows from the offers alone is looked at once for all of them.

        Args:
            lineup: The options.
            plan: The tiers.
            within: ``common_bounds``.
        """
        crowd = lineup.keep("crowd", plan, lambda: plan.crowd(lineup.offers))
        if self._are_plain(crowd, within):
            if not self._sent:
                return ()
            return {place for place, offer in enumerate(lineup.offers) if offer.offer_id in self._sent}
        return {place for place, about in enumerate(crowd.members) if not self.is_plain(about, within)}

    def _are_plain(self, crowd: Crowd, within: Bounds) -> bool:
        """``is_plain`` of every offer of a crowd, but for what was sent to the customer."""
        return (
            crowd.unlimited
            and (crowd.starts_at is None or crowd.starts_at <= within[0])
            and (crowd.ends_at is None or crowd.ends_at >= within[1])
            and self._purpose_asked in crowd.purposes
            and all([self._questions.standing(about) is PASSED for about in crowd.asked])  # noqa: C419 - hot
        )

    def is_plain(self, about: OfferRules, within: Bounds) -> bool:
        """Whether no rule that looks at an offer itself drops it, now or later, or narrows its slots.

        Two plain offers differ in their channels alone: it runs throughout, is for the purpose, passes the tiers, has
        no limit of its own, and was never sent to the customer. Rules by placement or category are not asked here:
        see ``shares_slots``.

        Args:
            about: The offer.
            within: ``common_bounds``.
        """
        offer = about.offer
        return (
            about.unlimited
            and (offer.starts_at is None or offer.starts_at <= within[0])
            and (offer.ends_at is None or offer.ends_at >= within[1])
            and self._purpose_asked in offer.purposes
            and (not self._sent or offer.offer_id not in self._sent)
            and self._questions.standing(about) is PASSED
        )

    def check(self, option: Option) -> Suppression | None:
        """The first rule that drops an option: dates, channel, purpose, consent, lists, tiers, issue limits."""
        if option.offer is not self._offer:
            self._turn_to(option)
        if self._dates is not None:
            return _about(option, self._dates)
        channel = self._check_channel(option)
        if self._purpose is not None and (channel is None or channel.stage != "channel"):
            return _about(option, self._purpose)
        if channel is not None:
            return _about(option, channel)
        if not self._asked_rest:
            self._asked_rest = True
            self.standing = self._questions.ask(option.offer)
            self._rest = _missed(option, self.standing) or check_issues(option, self.touch)
        return None if self._rest is None else _about(option, self._rest)

    def _turn_to(self, option: Option) -> None:
        self._offer = option.offer
        self._dates = check_dates(option, self.touch.now, self._until)
        self._purpose = check_purpose(option, self.touch)
        self._rest = None
        self._asked_rest = False
        self.standing = PASSED

    def _check_channel(self, option: Option) -> Suppression | None:
        if option.channel not in self._channels:
            self._channels[option.channel] = (
                check_channel(option, self.touch)
                or check_consent(option, self.touch)
                or _check_lists(option, self.touch, self._until)
            )
        return self._channels[option.channel]


def screen_again(
    survivors: Iterable[Screened], touch: Touch, zone: ZoneInfo, expires_at: datetime
) -> tuple[Screened, ...]:
    """What is left after a contact was chosen: other offers only, under caps and gaps that count the chosen one."""
    memo = SlotMemo()
    taken = {contact.offer_id for contact in touch.chosen}
    left = []
    for item in survivors:
        if item.option.offer.offer_id in taken or check_issues(item.option, touch) is not None:
            continue
        slots, dropped = allowed_slots(item.option, touch, zone, expires_at, memo)
        if dropped is None and item.later:
            slots = allowed(slots, (span for ban in item.later for span in ban.spans))
        if slots:
            left.append(Screened(item.option, slots, later=item.later))
    return tuple(left)


def _about(option: Option, dropped: Suppression) -> Suppression:
    """A statement made about one option, about another one of the same offer or channel."""
    if dropped.offer_id == option.offer.offer_id and dropped.channel == option.channel:
        return dropped
    return option.drop(dropped.stage, dropped.rule, dropped.text, until=dropped.until, seen=dropped.seen)


def _check_lists(option: Option, touch: Touch, until: datetime) -> Suppression | None:
    """A suppression list that forbids the whole window; one that ends before is asked at the slot."""
    for ban in suppression_bans(touch, option.channel):
        ends = ban.spans[0][1]
        if ends >= until:
            return option.drop("suppression", ban.rule, ban.text, until=ban.until(touch.now))
    return None


def _missed(option: Option, standing: Standing) -> Suppression | None:
    missed = standing.missed
    if missed is None:
        return None
    return option.drop(missed.tier, missed.rule, missed.text, until=missed.until, seen=missed.seen)


def _later(
    option: Option, standing: Standing, slots: tuple[datetime, ...]
) -> tuple[tuple[datetime, ...], Suppression | None]:
    """Slots before a rule that begins later, or after its end."""
    for missed, ban in standing.bans:
        left = allowed(slots, ban.spans)
        if not left:
            until = ban.until(slots[0])
            return (), option.drop(ban.stage, ban.rule, ban.text, until=until, seen=missed.seen)
        slots = left
    return slots, None
