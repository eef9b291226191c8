"""Caps, gaps and cool-downs: against windows counted one by one, and the laws that any such rule must keep."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from foretouch.core.config import ChannelSection, Config
from foretouch.core.contact import Cap, ContactPolicy, CoolDown
from foretouch.core.counters import CounterSnapshot, PastContact, PastOutcome
from foretouch.core.decisions import DecisionRequest
from foretouch.core.offers import Offer
from foretouch.serving.decision.candidates import Option
from foretouch.serving.rules.bans import allowed, free_from
from foretouch.serving.rules.caps import Period, bounds_of, period_of
from foretouch.serving.rules.contact import Touch
from foretouch.serving.rules.slots import SlotMemo, allowed_slots

NOW = datetime(2026, 3, 28, 14, 20, tzinfo=UTC)  # the day before Europe's clocks change
CHANNELS = ("email", "sms")
ZONES = ("Europe/Berlin", "America/Havana", "Asia/Kolkata", "Australia/Lord_Howe", "America/Nuuk", "UTC")
CONFIG = Config(channels={name: ChannelSection() for name in CHANNELS})
OFFER = Offer(offer_id="jam", name="Jam", category="b", channels=CHANNELS, placement="hero")
LAWS = settings(max_examples=200, deadline=None)

AGO = st.integers(-4 * 24 * 60, 12 * 24 * 60).map(lambda minutes: NOW - timedelta(minutes=minutes))
ROUND = st.integers(-8, 20).map(lambda halves: NOW - timedelta(hours=12 * halves))
"""Moments that meet windows exactly at their edges."""
CONTACTS = st.lists(
    st.builds(
        PastContact,
        at=AGO | ROUND,
        channel=st.sampled_from(CHANNELS),
        offer_id=st.sampled_from(("jam", "tea")),
        placement=st.sampled_from(("hero", "side", None)),
        category=st.sampled_from(("a", "b", None)),
        answered=st.sampled_from((True, False, None)),
    ),
    max_size=6,
)
SCOPES = st.sampled_from(("customer", "household", "channel", "offer", "placement"))
RULE_CHANNELS = st.sampled_from((("*",), ("email",), ("sms",), ("email", "sms")))
ROLLING = st.builds(
    Cap,
    rule=st.just("cap"),
    scope=SCOPES,
    channels=RULE_CHANNELS,
    limit=st.integers(0, 4),
    days=st.sampled_from((0.25, 0.5, 1.0, 1.5, 3.0, 7.0)),
)
CALENDAR = st.builds(
    Cap,
    rule=st.just("cap"),
    scope=SCOPES,
    channels=RULE_CHANNELS,
    limit=st.integers(0, 4),
    calendar=st.sampled_from(("day", "week", "month")),
)
PAUSES = st.builds(
    CoolDown,
    rule=st.just("pause"),
    after=st.sampled_from((("complaint",), ("unanswered",), ("reject", "complaint"), ("unanswered", "reject"))),
    count=st.integers(1, 3),
    within_days=st.sampled_from((1.0, 4.0, 90.0)),
    days=st.sampled_from((0.5, 1.0, 2.5)),
    scope=st.sampled_from(("customer", "channel", "offer", "category")),
    channels=RULE_CHANNELS,
)
OUTCOMES = st.lists(
    st.builds(
        PastOutcome,
        at=st.integers(0, 8 * 24 * 60).map(lambda minutes: NOW - timedelta(minutes=minutes)),
        type=st.sampled_from(("complaint", "reject", "click")),
        channel=st.sampled_from((*CHANNELS, None)),
        offer_id=st.sampled_from(("jam", "tea", None)),
        category=st.sampled_from(("a", "b", None)),
    ),
    max_size=5,
)


def slots(
    policy: ContactPolicy,
    contacts: list[PastContact],
    *,
    outcomes: list[PastOutcome] | None = None,
    zone: str = "Europe/Berlin",
    channel: str = "email",
    purpose: str = "marketing",
    hours: float = 72.0,
) -> tuple[datetime, ...]:
    """The slots of one option in the next three days."""
    touch = Touch(
        request=DecisionRequest.model_validate({"customer_id": "ann", "purpose": purpose}),
        policy=policy,
        counters=CounterSnapshot(
            contacts=tuple(sorted(contacts, key=lambda contact: contact.at, reverse=True)),
            outcomes=tuple(outcomes or ()),
        ),
        config=CONFIG,
        now=NOW,
    )
    option = Option(offer=OFFER, treatment_id=None, channel=channel)
    found, dropped = allowed_slots(option, touch, ZoneInfo(zone), NOW + timedelta(hours=hours), SlotMemo())
    assert (dropped is None) is bool(found)
    return found


def every_slot() -> tuple[datetime, ...]:
    return slots(ContactPolicy(), [])


def counting(cap: Cap, contacts: list[PastContact], channel: str) -> list[datetime]:
    """The contacts that a cap counts, said once more."""
    wanted = {"channel": channel, "offer": "jam", "placement": "hero"}.get(cap.scope)
    return [
        item.at
        for item in contacts
        if ("*" in cap.channels or item.channel in cap.channels)
        and wanted == {"channel": item.channel, "offer": item.offer_id, "placement": item.placement}.get(cap.scope)
    ]


@LAWS
@given(ROLLING, CONTACTS, st.sampled_from(CHANNELS))
def test_a_rolling_cap_is_what_counting_every_window_says(cap: Cap, contacts: list[PastContact], channel: str) -> None:
    got = set(slots(ContactPolicy(caps=(cap,)), contacts, channel=channel))
    others = counting(cap, contacts, channel)
    length = timedelta(days=cap.longest_days)
    for slot in every_slot():
        held = {slot, *others}
        # a fullest half-open window may be slid to begin at a contact
        fullest = max(
            sum(start <= at < start + length for at in others) + 1 for start in held if start <= slot < start + length
        )
        stopped = "*" in cap.channels or channel in cap.channels
        assert (slot in got) is (not stopped or fullest <= cap.limit), slot


@LAWS
@given(CALENDAR, CONTACTS, st.sampled_from(ZONES), st.sampled_from(CHANNELS))
def test_a_calendar_cap_is_what_counting_local_dates_says(
    cap: Cap, contacts: list[PastContact], zone: str, channel: str
) -> None:
    policy = ContactPolicy(caps=(cap,), default_time_zone="America/Nuuk")
    got = set(slots(policy, contacts, zone=zone, channel=channel))
    clock = ZoneInfo("America/Nuuk" if cap.scope == "household" else zone)

    def period(at: datetime) -> str:
        local = at.astimezone(clock)
        return (
            f"{local:%G-%V}" if cap.calendar == "week" else f"{local:%Y-%m-%d}"[: 7 if cap.calendar == "month" else 10]
        )

    others = [period(at) for at in counting(cap, contacts, channel)]
    stopped = "*" in cap.channels or channel in cap.channels
    for slot in slots(ContactPolicy(), [], zone=zone):
        assert (slot in got) is (not stopped or others.count(period(slot)) < cap.limit), slot


@LAWS
@given(st.sampled_from((0.5, 3.0, 12.0, 30.0)), CONTACTS)
def test_a_gap_is_kept_on_both_sides(hours: float, contacts: list[PastContact]) -> None:
    got = set(slots(ContactPolicy(minimum_gap_hours=hours), contacts))
    for slot in every_slot():
        close = any(abs(slot - contact.at) < timedelta(hours=hours) for contact in contacts)
        assert (slot in got) is not close


@LAWS
@given(PAUSES, CONTACTS, OUTCOMES, st.sampled_from(CHANNELS))
def test_a_cool_down_is_what_looking_back_from_every_slot_says(
    rule: CoolDown, contacts: list[PastContact], outcomes: list[PastOutcome], channel: str
) -> None:
    got = set(slots(ContactPolicy(cool_downs=(rule,)), contacts, outcomes=outcomes, channel=channel))

    def counts(past: Any) -> bool:
        if past.channel is not None and not {"*", past.channel} & set(rule.channels):
            return False
        wanted = {"channel": channel, "offer": "jam", "category": "b"}.get(rule.scope)
        seen = {"channel": past.channel, "offer": past.offer_id, "category": past.category}.get(rule.scope)
        return rule.scope == "customer" or seen is None or seen == wanted

    times = sorted(item.at for item in outcomes if item.type in rule.after and counts(item))
    starts = [
        last
        for last in times
        if sum(last - timedelta(days=rule.within_days) <= at <= last for at in times) >= rule.count
    ]
    latest = sorted(
        (item for item in contacts if item.at <= NOW and counts(item)), key=lambda item: (item.at, bool(item.answered))
    )
    run = latest[-rule.count :]
    silent = "unanswered" in rule.after and len(run) == rule.count and not any(item.answered for item in run)
    if silent and run[-1].at - run[0].at <= timedelta(days=rule.within_days):
        starts.append(run[-1].at)
    stopped = "*" in rule.channels or channel in rule.channels
    for slot in every_slot():
        paused = stopped and any(slot < start + timedelta(days=rule.days) for start in starts)
        assert (slot in got) is not paused, slot


POLICIES = st.builds(
    ContactPolicy,
    caps=st.lists(ROLLING | CALENDAR, max_size=2).map(tuple),
    cool_downs=st.lists(PAUSES, max_size=1).map(tuple),
    minimum_gap_hours=st.sampled_from((0.0, 4.0)),
)


@LAWS
@given(POLICIES, CONTACTS, CONTACTS)
def test_more_contacts_never_allow_more(
    policy: ContactPolicy, contacts: list[PastContact], more: list[PastContact]
) -> None:
    unanswered = [item.model_copy(update={"answered": False}) for item in more]  # an answer may well end a pause
    kept = [item.model_copy(update={"answered": False}) for item in contacts]
    far = policy.model_copy(
        update={"cool_downs": tuple(rule.model_copy(update={"within_days": 900.0}) for rule in policy.cool_downs)}
    )
    assert set(slots(far, [*kept, *unanswered])) <= set(slots(far, kept))


@LAWS
@given(ROLLING, CONTACTS, st.floats(1.0, 3.0))
def test_a_longer_window_never_allows_more(cap: Cap, contacts: list[PastContact], times: float) -> None:
    longer = cap.model_copy(update={"days": (cap.days or 1.0) * times})
    assert set(slots(ContactPolicy(caps=(longer,)), contacts)) <= set(slots(ContactPolicy(caps=(cap,)), contacts))


@LAWS
@given(ROLLING | CALENDAR, CONTACTS, st.integers(1, 3))
def test_a_higher_limit_never_allows_less(cap: Cap, contacts: list[PastContact], more: int) -> None:
    higher = cap.model_copy(update={"limit": cap.limit + more})
    assert set(slots(ContactPolicy(caps=(cap,)), contacts)) <= set(slots(ContactPolicy(caps=(higher,)), contacts))


@LAWS
@given(POLICIES, ROLLING | CALENDAR, CONTACTS)
def test_one_rule_more_never_allows_more(policy: ContactPolicy, cap: Cap, contacts: list[PastContact]) -> None:
    more = policy.model_copy(update={"caps": (*policy.caps, cap)})
    assert set(slots(more, contacts)) <= set(slots(policy, contacts))


@LAWS
@given(POLICIES, CONTACTS, OUTCOMES)
def test_what_is_owed_is_never_stopped_by_caps_gaps_or_pauses(
    policy: ContactPolicy, contacts: list[PastContact], outcomes: list[PastOutcome]
) -> None:
    assert slots(policy, contacts, outcomes=outcomes, purpose="transactional") == every_slot()


@given(st.lists(st.tuples(AGO, st.integers(0, 3000)), max_size=6), AGO)
def test_the_first_free_moment_is_free_and_none_before_it(spans: list[tuple[datetime, int]], at: datetime) -> None:
    bans = [(start, start + timedelta(minutes=length)) for start, length in spans]
    free = free_from(at, bans)
    assert free is not None
    assert allowed([free], bans) == (free,)
    step = timedelta(minutes=7)
    moment = at
    while moment < free:
        assert allowed([moment], bans) == ()
        moment += step


def test_periods_begin_and_end_where_their_dates_do() -> None:
    periods: tuple[Period, ...] = ("day", "week", "month")
    before = timedelta(microseconds=1)
    for zone in map(ZoneInfo, ZONES):
        day = date(2026, 1, 1)
        while day.year == 2026:
            for period in periods:
                first, after = bounds_of(day, period, zone)
                here = period_of(day, period)
                assert period_of(first.astimezone(zone).date(), period) == here
                assert period_of((after - before).astimezone(zone).date(), period) == here
                assert period_of((first - before).astimezone(zone).date(), period) != here
            day += timedelta(days=1)


def test_a_day_is_23_or_25_hours_long_where_clocks_change() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for day, hours in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)):
        first, after = bounds_of(day, "day", berlin)
        assert after - first == timedelta(hours=hours)
        assert first.astimezone(berlin).time() == time()
