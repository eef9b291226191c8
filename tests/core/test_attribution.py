"""What every decision earned: the rule, written again from its text, and the laws that it must obey."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import fsum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from foretouch.core.attribution import (
    DAY,
    Decided,
    Happening,
    Occurrence,
    Reward,
    attribute,
    machine_clicks,
)
from foretouch.core.config import Config

LATE = 1000 * DAY


def config(**reward: object) -> Config:
    return Config.model_validate(
        {
            "reward": {"window_days": 7.0, **reward},
            "goals": {"offer": {"acceptance": {"*": "conversion", "food": "redemption"}}, "value": {}},
        }
    )


def contact(name: str, at: int, *, rank: int = 1, **fields: object) -> Decided:
    values = {"decision_id": name, "rank": rank, "customer_id": "c", "decided_at": at, "send_at": at, "offer_id": "o"}
    return Decided(**{**values, **fields})  # type: ignore[arg-type]


def outcome(name: str, kind: str, at: int, *, rank: int = 1, **fields: object) -> Happening:
    values = {"outcome_id": f"{name}-{kind}-{at}-{rank}", "decision_id": name, "rank": rank, "type": kind}
    return Happening(**{**values, "occurred_at": at, "received_at": at, **fields})  # type: ignore[arg-type]


def event(name: str, at: int, *, kind: str = "conversion", **fields: object) -> Occurrence:
    values = {"event_id": name, "customer_id": "c", "event": kind, "occurred_at": at, "received_at": at}
    return Occurrence(**{**values, **fields})  # type: ignore[arg-type]


def sent(*names: str) -> list[Happening]:
    return [outcome(name, "delivered", 0) for name in names]


def rewards(found: Iterable[Reward]) -> dict[str, float | None]:
    return {item.decided.decision_id: item.reward for item in found}


def test_an_event_goes_to_the_latest_contact_before_it() -> None:
    decisions = [contact("a", 0), contact("b", 2 * DAY), contact("d", 4 * DAY)]
    found = attribute(decisions, sent("a", "b", "d"), [event("e", 3 * DAY)], config(), LATE)
    assert rewards(found) == {"a": 0.0, "b": 1.0, "d": 0.0}
    assert [item.credited for item in found] == [(), ("e",), ()]


def test_the_window_is_half_open_and_the_contact_itself_is_in_it() -> None:
    for at, expected in ((0, 1.0), (-1, 0.0), (7 * DAY - 1, 1.0), (7 * DAY, 0.0)):
        found = attribute([contact("a", 0)], sent("a"), [event("e", at)], config(), LATE)
        assert found[0].reward == expected, at


def test_contacts_of_one_instant_are_told_apart_by_their_ids() -> None:
    decisions = [contact("b", 0), contact("a", 0, rank=2), contact("a", 0)]
    outcomes = [*sent("a", "b"), outcome("a", "delivered", 0, rank=2)]
    found = attribute(decisions, outcomes, [event("e", 1)], config(), LATE)
    credited = [(item.decided.decision_id, item.decided.rank) for item in found if item.credited]
    assert credited == [("a", 1)]


def test_an_offer_is_accepted_by_its_categorys_own_event() -> None:
    decisions = [contact("a", 0, category="food"), contact("b", DAY, category="fuel")]
    found = attribute(decisions, sent("a", "b"), [event("e", 2 * DAY, kind="redemption")], config(), LATE)
    assert rewards(found) == {"a": 1.0, "b": 0.0}


def test_an_event_that_names_its_offer_or_decision_goes_there_or_nowhere() -> None:
    decisions = [contact("a", 0, offer_id="one"), contact("b", DAY, offer_id="two")]
    named = [event("e", 2 * DAY, offer_id="one"), event("f", 2 * DAY, offer_id="three")]
    assert rewards(attribute(decisions, sent("a", "b"), named, config(), LATE)) == {"a": 1.0, "b": 0.0}
    posted = [event("e", 2 * DAY, decision_id="a"), event("f", 2 * DAY, decision_id="elsewhere")]
    assert rewards(attribute(decisions, sent("a", "b"), posted, config(), LATE)) == {"a": 1.0, "b": 0.0}


def test_an_undelivered_contact_earns_nothing_and_takes_nothing() -> None:
    decisions = [contact("a", 0), contact("b", DAY)]
    bounced = [*sent("a"), outcome("b", "bounced", DAY)]
    found = attribute(decisions, bounced, [event("e", 2 * DAY)], config(), LATE)
    assert rewards(found) == {"a": 1.0, "b": None}
    assert [item.goal_count for item in found] == [1, 1], "goals are everybody's"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("delivered", "delivered"),
        ("confirmed", "confirmed"),
        ("click", "engagement"),
        ("machine_open", "engagement"),
        ("unsubscribe", "engagement"),
        ("bounced", None),
        ("released", None),
        ("reject", None),
        ("convert", None),
        ("revenue", None),
    ],
)
def test_what_activates_a_contact(kind: str, expected: str | None) -> None:
    (found,) = attribute([contact("a", 0)], [outcome("a", kind, 1)], [], config(), LATE)
    assert (found.activated, found.activated_by) == (expected is not None, expected)
    assert (found.reward is None) == (expected is None)


def test_goals_are_the_same_for_controls_and_contacts() -> None:
    held = contact("h", 0, rank=0, send_at=None, offer_id=None, customer_id="d")
    events = [event("e", DAY, value=3.0), event("f", DAY, value=3.0, customer_id="d"), event("x", DAY, is_bot=True)]
    events.append(event("p", DAY, kind="purchase", value=20.0, customer_id="d"))
    treated, control = attribute([contact("a", 0), held], sent("a"), events, config(), LATE)
    assert (treated.goal_count, treated.goal_value, treated.revenue) == (1, 3.0, 0.0)
    assert (control.goal_count, control.goal_value, control.revenue) == (1, 3.0, 20.0)
    assert (control.reward, control.activated, control.goal_occurred) == (None, False, True)


def test_a_late_outcome_opens_the_label_again() -> None:
    late = [event("e", DAY, received_at=20 * DAY)]
    early = attribute([contact("a", 0)], sent("a"), late, config(default=-0.5), 19 * DAY)
    again = attribute([contact("a", 0)], sent("a"), late, config(default=-0.5), 20 * DAY)
    assert (early[0].mature, early[0].reward, early[0].goal_count) == (True, -0.5, 0)
    assert (again[0].mature, again[0].reward, again[0].goal_count) == (True, 1.0, 1)


def test_the_default_comes_when_the_window_closes_and_nobody_answered() -> None:
    worth = config(goal="click", default=-0.5, outcome_values={"unsubscribe": -2.0})
    assert attribute([contact("a", 0)], sent("a"), [], worth, 7 * DAY - 1)[0].reward == 0.0
    assert dict(attribute([contact("a", 0)], sent("a"), [], worth, 7 * DAY)[0].parts) == {"default": -0.5}
    answered = [*sent("a"), outcome("a", "unsubscribe", 5), outcome("a", "unsubscribe", 6), outcome("a", "click", 4)]
    (found,) = attribute([contact("a", 0)], answered, [], worth, LATE)
    assert dict(found.parts) == {"goal": 1.0, "unsubscribe": -2.0}, "once each"
    after = [*sent("a"), outcome("a", "click", 7 * DAY)]
    assert dict(attribute([contact("a", 0)], after, [], worth, LATE)[0].parts) == {"default": -0.5}


def test_an_open_is_a_persons() -> None:
    for kind, by_machine, expected in (
        ("open", False, 1.0),
        ("click", False, 1.0),
        ("machine_open", False, 0.0),
        ("open", True, 0.0),
    ):
        opened = [*sent("a"), outcome("a", kind, 1, by_machine=by_machine)]
        assert attribute([contact("a", 0)], opened, [], config(goal="open"), LATE)[0].reward == expected


def test_revenue_is_summed_to_the_last_bit_in_any_order() -> None:
    purchases = [event(f"e{index}", DAY, kind="purchase", value=0.1) for index in range(10)]
    forth = attribute([contact("a", 0)], sent("a"), purchases, config(goal="revenue"), LATE)
    back = attribute([contact("a", 0)], sent("a"), purchases[::-1], config(goal="revenue"), LATE)
    assert forth == back
    assert forth[0].reward == fsum([0.1] * 10) == 1.0


def test_a_scanner_that_clicks_everything_is_no_person() -> None:
    burst = [outcome("a", "click", at * 1_000_000, link=f"l{at}") for at in range(3)]
    person = outcome("a", "click", 3600 * 1_000_000, link="l1")
    delivered = sent("a")
    assert machine_clicks([*delivered, *burst, person], 0) == {item.outcome_id for item in burst}
    assert machine_clicks([*delivered, *burst[:2], person], 0) == frozenset(), "two links of many"
    whole = [replace(item, links=2) for item in burst[:2]]
    assert machine_clicks([*delivered, *whole], 0) == {item.outcome_id for item in whole}, "all links there are"
    assert machine_clicks([*delivered, *(replace(item, link="l0") for item in burst)], 0) == frozenset()
    slow = [replace(item, occurred_at=item.occurred_at + 11_000_000) for item in burst]
    assert machine_clicks([*delivered, *slow], 0) == frozenset()
    (found,) = attribute([contact("a", 0)], [*delivered, *burst], [], config(goal="click"), LATE)
    assert (found.reward, found.activated_by) == (0.0, "delivered")
    (found,) = attribute([contact("a", 0)], [*delivered, *burst, person], [], config(goal="click"), LATE)
    assert found.reward == 1.0


def test_an_outcome_that_does_not_exist_has_no_value() -> None:
    with pytest.raises(ValidationError, match="unsubscibe"):
        config(outcome_values={"unsubscibe": -2.0})


CUSTOMERS = st.sampled_from(["c", "d"])
TIMES = st.integers(0, 20).map(lambda half: half * DAY // 2)
KINDS = ("delivered", "confirmed", "click", "bounced", "unsubscribe", "machine_open", "open")


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Decided], list[Happening], list[Occurrence]]:
    decisions, outcomes = [], []
    for number in range(draw(st.integers(1, 7))):
        at, delay = draw(TIMES), draw(st.integers(0, 2)) * DAY
        name, customer = f"d{number}", draw(CUSTOMERS)
        if draw(st.integers(0, 4)) == 0:
            decisions.append(contact(name, at, rank=0, send_at=None, offer_id=None, customer_id=customer))
            continue
        for rank in range(1, draw(st.integers(1, 2)) + 1):
            category, offer = draw(st.sampled_from(["", "food"])), draw(st.sampled_from(["one", "two"]))
            decisions.append(
                contact(
                    name, at, rank=rank, send_at=at + delay, category=category, offer_id=offer, customer_id=customer
                )
            )
            outcomes += [
                outcome(name, kind, at + delay, rank=rank, received_at=at + draw(TIMES))
                for kind in draw(st.lists(st.sampled_from(KINDS), max_size=3, unique=True))
            ]
    events = []
    for number in range(draw(st.integers(0, 8))):
        at = draw(TIMES)
        kind = draw(st.sampled_from(["conversion", "redemption", "purchase"]))
        named = draw(st.sampled_from([None, None, "one", "two"]))
        value = draw(st.sampled_from([None, 0.1, 7.3]))
        events.append(
            event(
                f"e{number}",
                at,
                kind=kind,
                offer_id=named,
                value=value,
                customer_id=draw(CUSTOMERS),
                received_at=at + draw(TIMES),
                is_bot=draw(st.integers(0, 5)) == 0,
            )
        )
    return decisions, outcomes, events


def credit_by_hand(
    decisions: Sequence[Decided], outcomes: Sequence[Happening], events: Sequence[Occurrence], as_of: int
) -> dict[str, tuple[str, int]]:
    """The stated rule, event by event, over everything: no sorting by customer, no bisection."""
    given_to = {}
    for item in events:
        if item.is_bot or item.received_at > as_of or item.event == "purchase":
            continue
        fitting = []
        for decided in decisions:
            if decided.send_at is None or decided.customer_id != item.customer_id or decided.decided_at > as_of:
                continue
            known = {
                told.type
                for told in outcomes
                if (told.decision_id, told.rank) == (decided.decision_id, decided.rank) and told.received_at <= as_of
            }
            if not known - {"bounced"}:
                continue
            wanted = "redemption" if decided.category == "food" else "conversion"
            in_window = decided.send_at <= item.occurred_at < decided.send_at + 7 * DAY
            if in_window and wanted == item.event and item.offer_id in {None, decided.offer_id}:
                fitting.append((-decided.send_at, decided.decision_id, decided.rank))
        if fitting:
            given_to[item.event_id] = min(fitting)[1:]
    return given_to


@settings(max_examples=150, deadline=None)
@given(worlds(), TIMES.map(lambda at: at + 5 * DAY), st.randoms(use_true_random=False))
def test_any_world_obeys_the_rule_and_no_order_matters(
    world: tuple[list[Decided], list[Happening], list[Occurrence]], as_of: int, random: object
) -> None:
    decisions, outcomes, events = world
    found = attribute(decisions, outcomes, events, config(default=-0.1, outcome_values={"unsubscribe": -2.0}), as_of)
    credited = {name: (item.decided.decision_id, item.decided.rank) for item in found for name in item.credited}
    assert sum(len(item.credited) for item in found) == len(credited), "no event twice"
    assert credited == credit_by_hand(decisions, outcomes, events, as_of)
    assert len(found) == sum(item.decided_at <= as_of for item in decisions), "no decision lost"
    shuffled = [list(part) for part in world]
    for part in shuffled:
        random.shuffle(part)  # type: ignore[attr-defined]
    settings_ = config(default=-0.1, outcome_values={"unsubscribe": -2.0})
    assert attribute(*shuffled, settings_, as_of) == found  # type: ignore[call-arg, arg-type]
    halves = [
        item
        for customer in ("c", "d")
        for item in attribute(
            [row for row in decisions if row.customer_id == customer],
            outcomes,
            [row for row in events if row.customer_id == customer],
            settings_,
            as_of,
        )
    ]
    assert halves == found
