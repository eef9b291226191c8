"""Every rule, one class each; the last test finds rules that have none."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from foretouch.core.contact import Cap, CoolDown, QuietHours, WorkingHours
from foretouch.core.counters import CounterSnapshot, OnList, PastContact, PastOutcome
from foretouch.core.engagement import EngagementPolicy, EngagementRule
from foretouch.core.offers import Catalogue, OfferCaps
from tests.serving.decision.world import NOW, counters
from tests.serving.rules.contract import MICROSECOND, ONE, OPEN, RuleContract, World, at, every_rule

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
BERLIN = ZoneInfo("Europe/Berlin")
OTHERS = frozenset({"service", "transactional"})
OWED = frozenset({"transactional"})


def contact(ago: timedelta, **changes: Any) -> PastContact:
    values = {"at": NOW - ago, "channel": "email", "offer_id": "x", "category": "b", **changes}
    return PastContact.model_validate(values)


def outcome(kind: str, ago: timedelta, **changes: Any) -> PastOutcome:
    values = {"at": NOW - ago, "type": kind, "channel": "email", "offer_id": "jam", "category": "b", **changes}
    return PastOutcome.model_validate(values)


def catalogue(**changes: Any) -> Catalogue:
    return Catalogue(offers=(ONE.replace(**changes),))


class TestDates(RuleContract):
    rule, stage, named = "dates", "dates", "starts_at"

    def forbidden(self) -> World:
        starts = NOW + timedelta(hours=3)
        return World(given={"catalogue": catalogue(starts_at=starts)}, until=starts)

    def allowed(self) -> World:
        return World(given={"catalogue": catalogue(starts_at=NOW, ends_at=NOW + MICROSECOND)})


class TestChannel(RuleContract):
    rule, stage, named = "channel", "channel", "not_requested"

    def forbidden(self) -> World:
        return World(ask={"channels": ["sms"]})

    def allowed(self) -> World:
        return World(ask={"channels": ["sms", "email"]})


class TestPurpose(RuleContract):
    rule, stage, named = "purpose", "purpose", "purposes"
    exempt = frozenset({"retention"})

    def forbidden(self) -> World:
        return World(given={"catalogue": catalogue(purposes=("retention",))})

    def allowed(self) -> World:
        return World(given={"catalogue": catalogue(purposes=("retention", "marketing"))})

    def test_a_coupon_is_not_smuggled_as_what_is_owed(self) -> None:
        plain = ONE.model_copy(update={"purposes": ("marketing", "retention", "service")})
        record = at(World(ask={"purpose": "transactional"}, given={"catalogue": Catalogue(offers=(plain,))}))
        assert record.candidates[1].dropped_by is not None
        assert record.candidates[1].dropped_by.stage == "purpose"
        named = {"default_action": {"offer_id": "jam", "channel": "email"}, "purpose": "transactional"}
        assert not at(World(ask=named, given={"catalogue": Catalogue(offers=(plain,))})).action
        own = {"default_action": {"offer_id": "order-confirmation", "channel": "email"}, "purpose": "transactional"}
        sent = at(World(ask={**own, "candidates": [own["default_action"]]}, given={"catalogue": Catalogue()}))
        assert [action.offer_id for action in sent.action] == ["order-confirmation"]


class TestConsent(RuleContract):
    rule, stage, named = "consent", "consent", "no_record"
    exempt = OWED

    def forbidden(self) -> World:
        return World(given={"counters": counters(consents={"sms/marketing": True}), "keep_consents": True})

    def allowed(self) -> World:
        return World(given={"counters": counters(consents={"email/marketing": True}), "keep_consents": True})


class TestSuppressionList(RuleContract):
    rule, stage, named = "suppression", "suppression", "suppression_list"

    def forbidden(self) -> World:
        until = NOW + timedelta(hours=2)
        lines = (OnList(channel="*", purpose="*", reason="moved", until=until),)
        return World(given={"counters": counters(suppressions=lines)}, until=until)

    def allowed(self) -> World:
        lines = (OnList(channel="sms", purpose="*"), OnList(channel="email", purpose="service"))
        return World(given={"counters": counters(suppressions=lines)})

    def test_a_line_without_an_end_never_ends(self) -> None:
        lines = (OnList(channel="email", purpose="marketing", reason="complaint to the regulator"),)
        drop = at(World(given={"counters": counters(suppressions=lines)})).candidates[1].dropped_by
        assert drop is not None
        assert (drop.until, "complaint to the regulator" in drop.text) == (None, True)


class TestSuppressedCustomers(RuleContract):
    rule, stage, named = "suppressed_customers", "suppression", "suppressed_customers"

    def forbidden(self) -> World:
        return World(given={"contact_policy": OPEN.replace(suppressed_customers=("bob", "ann"))})

    def allowed(self) -> World:
        return World(given={"contact_policy": OPEN.replace(suppressed_customers=("bob",))})


class TierContract(RuleContract):
    def forbidden(self) -> World:
        ends = NOW + timedelta(hours=5)
        return World(given={"engagement": policy(self.rule, "feature.recency_days > 9.0", ends)}, until=ends)

    def allowed(self) -> World:
        return World(given={"engagement": policy(self.rule, "feature.recency_days >= 5.0", None)})


class TestEligibility(TierContract):
    rule, stage, named, slot_rule = "eligibility", "eligibility", "own rule", False


class TestApplicability(TierContract):
    rule, stage, named, slot_rule = "applicability", "applicability", "own rule", False


class TestSuitability(TierContract):
    rule, stage, named, slot_rule = "suitability", "suitability", "own rule", False


def policy(tier: Any, when: str, ends: datetime | None) -> EngagementPolicy:
    return EngagementPolicy(rules=(EngagementRule(rule="own rule", tier=tier, when=when, ends_at=ends),))


class CapContract(RuleContract):
    stage, named = "caps", "cap"
    exempt = OWED

    def cap(self, **changes: Any) -> Cap:
        scope = self.rule.removeprefix("cap:")
        return Cap.model_validate({"rule": "cap", "scope": scope, "limit": 2, "days": 7.0, **changes})

    def contacts(self) -> tuple[PastContact, ...]:
        return (contact(DAY), contact(WEEK - timedelta(hours=1)))

    def given(self, *contacts: PastContact, **changes: Any) -> dict[str, Any]:
        return {"contact_policy": OPEN.replace(caps=(self.cap(**changes),)), "counters": counters(contacts=contacts)}

    def forbidden(self) -> World:
        return World(given=self.given(*self.contacts()), until=NOW + timedelta(hours=1))

    def allowed(self) -> World:
        first, second = self.contacts()
        return World(given=self.given(first, second.replace(at=NOW - WEEK)))

    def test_a_planned_contact_counts_and_leaves_room_only_after_a_full_window(self) -> None:
        ahead = contact(-timedelta(hours=10)).replace(**self.matching())
        world = World(given=self.given(ahead, contact(timedelta(hours=1)).replace(**self.matching())))
        drop = at(world).candidates[1].dropped_by
        assert drop is not None
        assert drop.until == NOW - timedelta(hours=1) + WEEK
        far = World(given=self.given(ahead.replace(at=NOW + WEEK), contact(timedelta(hours=1), **self.matching())))
        assert at(far).action

    def test_a_calendar_day_is_the_customers_own(self) -> None:
        midnight = datetime.combine(NOW.astimezone(BERLIN).date() + DAY, time(), BERLIN).astimezone(UTC)
        today = [contact(timedelta(hours=hours), **self.matching()) for hours in (1, 2)]
        world = World(given=self.given(*today, days=None, calendar="day"), until=midnight)
        assert at(world).candidates[1].dropped_by is not None
        assert not at(world, now=midnight - MICROSECOND).action
        assert at(world, now=midnight).action

    def matching(self) -> dict[str, Any]:
        return {}


class TestCustomerCap(CapContract):
    rule = "cap:customer"


class TestHouseholdCap(CapContract):
    rule = "cap:household"

    def given(self, *contacts: PastContact, **changes: Any) -> dict[str, Any]:
        found = super().given(*contacts[:1], **changes)
        found["counters"] = found["counters"].replace(household_id="home", household_contacts=contacts)
        return found


class TestChannelCap(CapContract):
    rule = "cap:channel"

    def test_other_channels_do_not_count(self) -> None:
        assert at(World(given=self.given(contact(DAY), contact(DAY, channel="sms")))).action


class TestOfferCap(CapContract):
    rule = "cap:offer"

    def contacts(self) -> tuple[PastContact, ...]:
        return (contact(DAY, offer_id="jam"), contact(WEEK - timedelta(hours=1), offer_id="jam"))

    def matching(self) -> dict[str, Any]:
        return {"offer_id": "jam"}

    def test_other_offers_do_not_count(self) -> None:
        assert at(World(given=self.given(contact(DAY, offer_id="jam"), contact(DAY)))).action


class TestPlacementCap(CapContract):
    rule = "cap:placement"

    def contacts(self) -> tuple[PastContact, ...]:
        return (contact(DAY, placement="hero"), contact(WEEK - timedelta(hours=1), placement="hero"))

    def given(self, *contacts: PastContact, **changes: Any) -> dict[str, Any]:
        return {**super().given(*contacts, **changes), "catalogue": catalogue(placement="hero")}

    def matching(self) -> dict[str, Any]:
        return {"placement": "hero"}

    def test_other_placements_do_not_count(self) -> None:
        assert at(World(given=self.given(contact(DAY, placement="hero"), contact(DAY, placement="side")))).action


class TestTotalCap(CapContract):
    rule = "cap:total"

    def given(self, *contacts: PastContact, **changes: Any) -> dict[str, Any]:
        found = super().given(*contacts, **changes)
        found["counters"] = found["counters"].replace(total_contacts={"cap": len(contacts)})
        return found

    def forbidden(self) -> World:
        return World(given=self.given(*self.contacts()))

    def allowed(self) -> World:
        return World(given=self.given(contact(DAY)))

    def test_a_planned_contact_counts_and_leaves_room_only_after_a_full_window(self) -> None:
        """Of everyone there is only a count, which the state makes; planned contacts are in it."""

    def test_a_calendar_day_is_the_customers_own(self) -> None:
        """Of everyone it is the policy's: only the present day's count is known, so that tomorrow is not used."""
        today = World(given=self.given(contact(DAY), days=None, calendar="day"))
        record = at(today, latest=NOW + 2 * DAY, expires=NOW + 2 * DAY)
        assert record.action[0].send_at.astimezone(BERLIN).date() == NOW.astimezone(BERLIN).date()
        tomorrow = World(ask={"send_window": {"earliest": NOW + DAY}}, given=today.given)
        drop = at(tomorrow, expires=NOW + 3 * DAY).candidates[1].dropped_by
        assert drop is not None
        assert (drop.rule, drop.until) == ("cap", datetime(2026, 3, 10, 23, tzinfo=UTC))

    @pytest.mark.parametrize(
        ("counts", "days", "until"),
        [
            ((1, 0, 0, 0), {0, 1, 2}, None),
            ((2, 0, 0, 0), {1, 2}, datetime(2026, 3, 10, 23, tzinfo=UTC)),
            ((3, 3, 1, 0), {0, 2}, datetime(2026, 3, 11, 23, tzinfo=UTC)),  # two are planned for tomorrow
            ((4, 2, 0, 0), {2}, datetime(2026, 3, 11, 23, tzinfo=UTC)),
            ((6, 4, 2, 0), set(), datetime(2026, 3, 12, 23, tzinfo=UTC)),  # full as far as is known
            ((5, 5, 5, 5), {0, 1, 2}, None),  # all of it later than is told apart
        ],
    )
    def test_a_day_is_used_where_that_very_day_has_room(
        self, counts: tuple[int, ...], days: set[int], until: datetime | None
    ) -> None:
        """Of a calendar the counts of later periods are known, and of nothing after them."""
        given = self.given(days=None, calendar="day")
        given["counters"] = given["counters"].replace(
            total_contacts={"cap": counts[0]}, total_later={"cap": counts[1:]}
        )
        used = set()
        midnight = NOW.astimezone(BERLIN).replace(hour=0, minute=0)
        for ahead in range(5):
            noon = midnight + timedelta(days=ahead, hours=12)
            window = {"earliest": max(noon, NOW), "latest": noon + timedelta(hours=11)}
            record = at(World(ask={"send_window": window}, given=given), expires=NOW + 9 * DAY)
            if record.action:
                used.add(ahead)
                assert record.action[0].send_at.astimezone(BERLIN).date() == noon.date()
            elif ahead == min(set(range(3)) - days, default=9) and until is not None:
                drop = record.candidates[1].dropped_by
                assert drop is not None
                assert (drop.rule, drop.until) == ("cap", until)
        assert used == days

    def test_what_was_not_counted_forbids(self) -> None:
        given = self.given(contact(DAY))
        record = at(World(given={**given, "counters": given["counters"].replace(total_contacts={})}))
        assert not record.action


class LimitContract(RuleContract):
    stage = "caps"
    counts = ""

    def forbidden(self) -> World:
        return World(given=self.given(3))

    def allowed(self) -> World:
        return World(given=self.given(2))

    def given(self, issued: int) -> dict[str, Any]:
        caps = OfferCaps.model_validate({self.rule.removeprefix("limit:"): 3})
        return {"catalogue": catalogue(caps=caps), "counters": counters(**{self.counts: {"jam": issued}})}


class TestTotalLimit(LimitContract):
    rule, named, counts = "limit:total", "offer_total", "offer_totals"


class TestCustomerLimit(LimitContract):
    rule, named, counts = "limit:per_customer", "offer_per_customer", "offer_per_customer"


class TestDailyLimit(LimitContract):
    rule, named, counts = "limit:per_day", "offer_per_day", "offer_today"

    def forbidden(self) -> World:
        return World(given=self.given(3), until=datetime(2026, 3, 10, 23, tzinfo=UTC))

    def test_it_says_until_when(self) -> None:
        world = self.forbidden()
        drop = at(world).candidates[1].dropped_by
        assert drop is not None
        assert drop.until == world.until  # the day after has a count of its own, which the state reads then

    def test_a_later_slot_is_used_where_it_is_free(self) -> None:
        record = at(self.forbidden(), latest=NOW + 2 * DAY, expires=NOW + 2 * DAY)
        assert not record.action, "of tomorrow's count nothing is known today"


class CoolDownContract(RuleContract):
    stage, named = "cool_down", "pause"
    exempt = OTHERS

    def rule_of(self, **changes: Any) -> CoolDown:
        scope = self.rule.removeprefix("cool_down:")
        values = {"rule": "pause", "after": ("complaint", "reject"), "count": 2, "within_days": 30.0, "days": 3.0}
        return CoolDown.model_validate({**values, "scope": scope, **changes})

    def given(self, *outcomes: PastOutcome, **changes: Any) -> dict[str, Any]:
        rules = OPEN.replace(cool_downs=(self.rule_of(**changes),))
        return {"contact_policy": rules, "counters": counters(outcomes=outcomes)}

    def forbidden(self) -> World:
        ago = 3 * DAY - timedelta(hours=4)
        return World(
            given=self.given(outcome("complaint", ago), outcome("reject", 20 * DAY)), until=NOW + timedelta(hours=4)
        )

    def allowed(self) -> World:
        return World(given=self.given(outcome("complaint", 3 * DAY), outcome("reject", 20 * DAY)))

    def other(self) -> dict[str, Any]:
        """What makes an outcome one that does not count."""
        return {"type": "click"}

    def test_other_outcomes_and_older_ones_do_not_count(self) -> None:
        late = outcome("complaint", DAY)
        assert not at(World(given=self.given(late, outcome("reject", 31 * DAY)))).action
        assert at(World(given=self.given(late, outcome("reject", 31 * DAY + MICROSECOND)))).action
        assert at(World(given=self.given(late, outcome("reject", 2 * DAY).replace(**self.other())))).action

    def test_contacts_in_a_row_that_nobody_answered(self) -> None:
        silent = [contact(days * DAY, offer_id="jam", answered=False) for days in (1, 2)]
        rules = {"after": ("unanswered",)}
        given = {**self.given(**rules), "counters": counters(contacts=tuple(silent))}
        drop = at(World(given=given)).candidates[1].dropped_by
        assert drop is not None
        assert (drop.rule, drop.until) == ("pause", NOW - DAY + 3 * DAY)
        for contacts, free in (
            ((silent[0].replace(answered=True), silent[1]), True),
            ((silent[0], silent[1].replace(answered=True)), True),
            ((silent[0], silent[1].replace(answered=None)), False),  # nobody knows: it counts as not answered
            ((silent[0], silent[1].replace(at=NOW - 31 * DAY - MICROSECOND)), True),
            ((silent[0].replace(at=NOW + DAY), silent[1]), True),  # one that is planned was not left unanswered yet
            (silent[:1], True),
        ):
            found = at(World(given={**given, "counters": counters(contacts=tuple(contacts))}))
            assert bool(found.action) is free, contacts


class TestCustomerCoolDown(CoolDownContract):
    rule = "cool_down:customer"


class TestChannelCoolDown(CoolDownContract):
    rule = "cool_down:channel"

    def other(self) -> dict[str, Any]:
        return {"channel": "sms"}

    def test_an_outcome_of_an_unknown_channel_counts(self) -> None:
        lost = outcome("reject", DAY, channel=None)
        assert not at(World(given=self.given(outcome("complaint", DAY), lost))).action


class TestOfferCoolDown(CoolDownContract):
    rule = "cool_down:offer"

    def other(self) -> dict[str, Any]:
        return {"offer_id": "tea"}


class TestCategoryCoolDown(CoolDownContract):
    rule = "cool_down:category"

    def other(self) -> dict[str, Any]:
        return {"category": "a"}


class TestMinimumGap(RuleContract):
    rule, stage, named = "minimum_gap_hours", "caps", "minimum_gap"
    exempt = OWED

    def forbidden(self) -> World:
        past = counters(contacts=(contact(timedelta(hours=3)),))
        given = {"contact_policy": OPEN.replace(minimum_gap_hours=5.0), "counters": past}
        return World(given=given, until=NOW + timedelta(hours=2))

    def allowed(self) -> World:
        past = counters(contacts=(contact(timedelta(hours=5)), contact(-timedelta(hours=5))))
        return World(given={"contact_policy": OPEN.replace(minimum_gap_hours=5.0), "counters": past})


class TestQuietHours(RuleContract):
    rule, stage, named = "quiet_hours", "quiet_hours", "quiet_hours"
    exempt = OWED

    def forbidden(self) -> World:
        until = datetime.combine(date(2026, 3, 11), time(7, 45), BERLIN).astimezone(UTC)
        return World(given=self.given(QuietHours(start=time(15, 20), end=time(7, 45), days=("tue",))), until=until)

    def allowed(self) -> World:
        return World(given=self.given(QuietHours(start=time(15, 20, 0, 1), end=time(15, 20))))  # 15:20 in Berlin

    def given(self, rule: QuietHours) -> dict[str, Any]:
        return {"contact_policy": OPEN.replace(quiet_hours=(rule,))}

    def test_a_night_belongs_to_the_day_on_which_it_begins(self) -> None:
        for days, free in ((("mon",), True), (("tue",), False), (("wed",), True)):
            rule = QuietHours(start=time(21), end=time(8), days=days)
            tuesday_night = datetime.combine(date(2026, 3, 11), time(3), BERLIN).astimezone(UTC)
            assert bool(at(World(given=self.given(rule)), now=tuesday_night).action) is free


class TestWorkingHours(RuleContract):
    rule, stage, named = "working_hours", "quiet_hours", "office"
    exempt = OWED

    def forbidden(self) -> World:
        until = datetime.combine(date(2026, 3, 11), time(9), BERLIN).astimezone(UTC)
        return World(given=self.given(end=time(15, 20)), until=until)

    def allowed(self) -> World:
        return World(given=self.given(end=time(15, 20, 0, 1)))

    def given(self, **changes: Any) -> dict[str, Any]:
        rule = WorkingHours.model_validate({"rule": "office", "calendar": "DE-BY", **changes})
        return {"contact_policy": OPEN.replace(working_hours=(rule,))}

    def test_public_holidays_and_weekends_are_closed(self) -> None:
        thursday = datetime.combine(date(2026, 4, 2), time(18), BERLIN).astimezone(UTC)
        drop = at(World(given=self.given()), now=thursday).candidates[1].dropped_by
        assert drop is not None
        # Good Friday, the weekend and Easter Monday are off
        assert drop.until == datetime.combine(date(2026, 4, 7), time(9), BERLIN).astimezone(UTC)


def test_every_rule_has_its_class() -> None:
    classes = [item for item in _all(RuleContract) if hasattr(item, "rule")]
    assert {item.rule for item in classes} == every_rule()
    assert all(item.__name__.startswith("Test") for item in classes), "and pytest finds it"


def test_what_cannot_be_read_forbids() -> None:
    unreadable = counters(caps_error="the store does not answer")
    assert not at(World(given={"counters": unreadable})).action
    pause = CoolDown(rule="pause", after=("unanswered",), days=3.0, purposes=("transactional",))
    given = {"counters": unreadable, "contact_policy": OPEN.replace(cool_downs=(pause,))}
    assert not at(World(ask={"purpose": "transactional"}, given=given)).action
    assert at(World(ask={"purpose": "transactional"}, given={"counters": unreadable})).action
    gone = counters(consent_error="disk I/O error")
    assert not at(World(ask={"purpose": "transactional"}, given={"counters": gone, "keep_consents": True})).action


def test_a_missing_zone_is_the_policys_with_a_warning_never_no_rule() -> None:
    rule = QuietHours(start=time(15), end=time(16))
    for zone in (None, "Mars/Base"):
        nobody = CounterSnapshot(known=True, time_zone=zone)
        quiet = OPEN.replace(quiet_hours=(rule,))
        record = at(World(given={"contact_policy": quiet, "counters": nobody}))  # 15:20 in Berlin, 14:20 UTC
        assert not record.action
        assert any("time zone" in warning for warning in record.warnings)
        elsewhere = quiet.replace(default_time_zone="UTC")
        assert at(World(given={"contact_policy": elsewhere, "counters": nobody})).action


def _all(parent: type[RuleContract]) -> list[type[RuleContract]]:
    return [item for child in parent.__subclasses__() for item in (child, *_all(child))]
