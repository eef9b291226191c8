"""Exploration by evidence: wide where little is known, narrow where much is, and true probabilities throughout."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretouch.core.decisions import DecisionRecord
from foretouch.core.policy import NewOffers, PolicySpec
from foretouch.serving.decision.doubt import widths
from foretouch.serving.decision.policies import distribution
from tests.serving.decision.world import CHURN_MODEL, OFFER_MODEL, counters, decided, total_probability

SPEC = PolicySpec(kind="softmax", explores_by="evidence", temperature=1.0, floor=0.006)
PLAIN = SPEC.replace(floor=0.0)


def answered(spec: PolicySpec, **contacts: int) -> DecisionRecord:
    """A decision by a model that was trained on so many contacts of each offer."""
    card = OFFER_MODEL.card.replace(extras={**OFFER_MODEL.card.extras, "offer_contacts": contacts})
    return decided(
        models={"offer": replace(OFFER_MODEL, card=card), "churn": CHURN_MODEL},
        policies={"default": spec},
        counters=counters(offer_contacts=contacts),
    )


def chosen_by_offer(record: DecisionRecord) -> dict[str, float]:
    found: dict[str, float] = {}
    for item in record.candidates:
        name = item.offer_id or ""
        found[name] = found.get(name, 0.0) + (item.selection_probability or 0.0)
    return found


def test_a_width_is_the_standard_error_of_a_rate_times_what_an_acceptance_is_worth() -> None:
    none, first, second = widths([0.2, 0.1], [10.0, 40.0], [300, 0], 100.0)
    assert first == pytest.approx(10.0 * math.sqrt(0.2 * 0.8 / 400))
    assert second == pytest.approx(40.0 * math.sqrt(0.1 * 0.9 / 100))
    assert none == min(first, second)
    assert widths([], [], [], 100.0) == [0.0]
    assert widths([1.0, 0.0, -0.3], [5.0, 5.0, 5.0], [0, 0, 0], 0.0) == [0.0] * 4, "certain, or no probability"
    assert widths([0.5], [1.0], [0], 0.0)[1] == 0.5, "without any prior, one contact's worth"


def test_more_contacts_leave_less_doubt() -> None:
    found = [widths([0.1], [10.0], [seen], 100.0)[1] for seen in (0, 100, 10_000)]
    assert found[0] > found[1] > found[2]
    assert found[0] / found[1] == pytest.approx(math.sqrt(2.0))


def test_what_is_little_known_is_tried_more_often_than_what_is_known_to_be_as_good() -> None:
    shares = distribution([0.0, 1.0, 0.8, 0.8], 0, PLAIN, widths=[0.01, 0.02, 0.2, 0.02])
    weights = [math.exp(-1.0 / 0.01), 1.0, math.exp(-1.0), math.exp(-10.0)]
    assert shares == pytest.approx([weight / sum(weights) for weight in weights])
    certain = distribution([0.0, 1.0, 0.8], 0, PLAIN, widths=[0.0, 0.0, 0.0])
    assert certain == (0.0, 1.0, 0.0)
    assert distribution([2.0, 2.0], 0, PLAIN, widths=[0.0, 0.0]) == (0.5, 0.5), "ties share"


def test_nobody_is_contacted_only_to_learn() -> None:
    shares = distribution([0.0, -0.01, -2.0], 0, PLAIN, widths=[0.1, 5.0, 5.0])
    assert shares == (1.0, 0.0, 0.0)
    floored = distribution([0.0, -0.01, -2.0], 0, SPEC, widths=[0.1, 5.0, 5.0])
    assert floored == pytest.approx((0.996, 0.002, 0.002))
    above = distribution([0.01, -0.01, 0.02], 0, PLAIN, widths=[0.1, 5.0, 5.0])
    assert above[0] == pytest.approx(math.exp(-0.1) * above[2])
    assert above[1] == 0.0


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0.0, 1e6)), min_size=1, max_size=6),
    st.floats(0.0, 1e6),
    st.data(),
)
def test_more_priority_is_never_less_probability_whatever_the_widths(
    candidates: list[tuple[float, float]], more: float, data: st.DataObject
) -> None:
    values, about = [0.0, *(value for value, _ in candidates)], [0.5, *(width for _, width in candidates)]
    which = data.draw(st.integers(1, len(candidates)))
    raised = [value + more if index == which else value for index, value in enumerate(values)]
    before, after = (distribution(priorities, 0, SPEC, widths=about) for priorities in (values, raised))
    assert after[which] >= before[which] - 1e-12
    assert min(after) >= SPEC.floor / len(values) - 1e-12
    assert abs(math.fsum(after) - 1.0) < 1e-12


@pytest.mark.parametrize("wrong", [[0.1], [0.1, -0.1], [0.1, math.nan]])
def test_widths_that_do_not_fit_are_refused(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match="must be 2 numbers"):
        distribution([0.0, 1.0], 0, SPEC, widths=wrong)


def test_a_decision_explores_the_offer_that_has_hardly_been_sent() -> None:
    spec = SPEC.replace(temperature=10.0)
    known = {"tea": 100_000, "jam": 100_000, "rye": 100_000}
    sure = answered(spec, **known)
    ranked = sorted(((share, name) for name, share in chosen_by_offer(sure).items() if name), reverse=True)
    other = ranked[1][1]
    unsure = answered(spec, **{**known, other: 1})
    assert chosen_by_offer(unsure)[other] > chosen_by_offer(sure)[other] + 0.05
    for record in (sure, unsure):
        assert abs(total_probability(record) - 1.0) <= 1e-12
        kept = [item.selection_probability for item in record.candidates if item.dropped_by is None]
        assert min(share or 0.0 for share in kept) >= SPEC.floor / len(kept) - 1e-15


@pytest.mark.parametrize("changed", [{"explores_by": "spread"}, {"kind": "greedy"}, {"kind": "thompson"}])
def test_other_policies_do_not_look_at_widths(changed: dict[str, Any]) -> None:
    spec = PolicySpec(kind="softmax", explores_by="evidence", new_offers=NewOffers()).replace(**changed)
    plain = distribution([0.0, 1.0, 0.9], 0, spec)
    assert distribution([0.0, 1.0, 0.9], 0, spec, widths=[0.1, 0.2, 9.0]) == plain
    assert distribution([0.0, 1.0, 0.9], 0, SPEC) == distribution(
        [0.0, 1.0, 0.9], 0, SPEC.replace(explores_by="spread")
    )
