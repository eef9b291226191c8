"""Candidates by column: what is written once for an offer or a channel is what was found of each candidate."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foretouch.core.decisions import DecisionRequest
from foretouch.core.offers import Catalogue
from foretouch.core.packing import DIGITS, pack_groups, unpack_column
from foretouch.core.policy import Lever, PolicySpec
from foretouch.serving.decide import DecisionInputs, decide_course
from foretouch.serving.decision.candidate_columns import candidate_columns, groups_of, layout_of
from foretouch.serving.decision.candidates import Key
from foretouch.serving.decision.plans import Plans
from foretouch.serving.decision.record import store_course
from foretouch.serving.decision.selection import NO_CONTACT
from tests.serving.decision.stored import big_catalogue, big_inputs, big_request, full_features
from tests.serving.decision.world import request
from tests.serving.decision.worlds import worlds

SETTINGS = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def check(asked: DecisionRequest, given_inputs: DecisionInputs) -> None:
    """Every candidate of the record beside what the decision found of that very candidate."""
    course = decide_course(asked, given_inputs)
    first, *candidates = store_course(asked, given_inputs, course).record.candidates
    found, selection = course.found, course.selection
    assert first.selection_probability == selection.probabilities[NO_CONTACT]
    assert (first.offer_id, first.priority) == (None, 0.0)
    assert len(candidates) == len(course.screened)
    for candidate, item in zip(candidates, course.screened, strict=True):
        key = item.option.key
        assert (candidate.offer_id, candidate.treatment_id or "", candidate.channel) == key
        assert (candidate.dropped_by is None) == (item.dropped is None)
        if item.dropped is not None:
            assert candidate.dropped_by is not None
            assert candidate.dropped_by.until == item.dropped.until
            assert (candidate.dropped_by.stage, candidate.dropped_by.rule) == (item.dropped.stage, item.dropped.rule)
        worth = selection.worths.get(key) if item.dropped is None else None
        if worth is None:
            assert (candidate.priority, candidate.value, candidate.propensity, candidate.cost) == (None,) * 4
            continue
        assert (candidate.value, candidate.cost, candidate.price) == (worth.value, worth.cost, worth.price)
        assert (candidate.priority, candidate.weights) == (worth.priority, worth.weights)
        assert candidate.selection_probability == selection.probabilities[key]
        assert (candidate.propensity, candidate.uplift) == (found.by_key.get(key), found.uplift.get(key))
        assert candidate.propensity_interval == found.intervals.get(key)
        assert candidate.uplift_interval == found.uplift_intervals.get(key)


@SETTINGS
@given(worlds())
def test_every_candidate_is_written_as_it_was_found(world: tuple[dict[str, Any], DecisionInputs]) -> None:
    asked, given_inputs = world
    check(request(**asked), given_inputs)


@pytest.mark.parametrize("channels", [None, ("sms",), ("email", "push")])
@pytest.mark.parametrize("seed", range(3))
def test_also_of_sixty_candidates_some_of_which_are_dropped(channels: tuple[str, ...] | None, seed: int) -> None:
    check(big_request(channels=channels), big_inputs(seed=seed))
    check(big_request(channels=channels, exclude=["campaign-3", "campaign-12"]), big_inputs(seed=seed))


def test_the_layout_of_a_catalogue_is_kept_and_changes_nothing() -> None:
    asked, given_inputs = big_request(), big_inputs()
    course = decide_course(asked, given_inputs)
    plans = Plans()
    written = [
        orjson.dumps(candidate_columns(course, lambda _: 0, given_inputs.catalogue, which))
        for which in (plans, plans, Plans())
    ]
    assert written[0] == written[1] == written[2]


def test_what_is_kept_of_a_policy_is_right_for_every_customer() -> None:
    plans, policies = Plans(), {"default": PolicySpec(), "dear": PolicySpec(name="dear", levers=(Lever(percent=50.0),))}
    offers = tuple(offer.replace(eligibility="") for offer in big_catalogue().offers)
    consents = {f"{channel}/marketing": True for channel in ("email", "sms", "push")}
    given_inputs = big_inputs(plans=plans, catalogue=Catalogue(offers=offers))
    given_inputs = replace(given_inputs, counters=given_inputs.counters.replace(consents=consents))
    for seed in range(4):
        for spec in policies.values():
            features = full_features(seed)
            inputs = replace(given_inputs, seed=seed, features=features, policies={"default": spec})
            course = decide_course(big_request(), inputs)
            assert not any(item.dropped for item in course.screened)
            check(big_request(), inputs)
    assert sum(name == "fixed" for name, _ in plans._kept) == 2


@SETTINGS
@given(st.lists(st.sampled_from("abcdefg"), max_size=40), st.data())
def test_groups_come_back_row_by_row(names: list[str], data: st.DataObject) -> None:
    groups = groups_of(names)
    numbers = {name: data.draw(st.sampled_from((None, 0.0, 1.0, 2.5))) for name in dict.fromkeys(names)}
    left = [row for row in range(len(names)) if data.draw(st.booleans())]
    for found, rows in ((groups, range(len(names))), (groups.among(left), left)):
        values = [None if row is None else numbers[names[row]] for row in found.first]
        packed = orjson.loads(orjson.dumps(found.column(values)))
        back = unpack_column(packed, len(names) + 1)
        assert back[1:] == [numbers[name] if row in set(rows) else None for row, name in enumerate(names)]


def test_more_offers_than_digits_are_written_row_by_row() -> None:
    keys: list[Key] = [(f"offer-{index:03d}", "", channel) for index in range(len(DIGITS)) for channel in ("a", "b")]
    layout = layout_of(keys)
    assert not layout.offers.at
    values = [float(index) for index in range(len(DIGITS))]
    back = unpack_column(layout.offers.column(values), len(keys) + 1)
    assert back == [None, *(value for value in values for _ in range(2))]
    some = layout.offers.among([0, 5])
    back = unpack_column(some.column([values[index] for index in range(len(DIGITS))]), len(keys) + 1)
    assert [(row, value) for row, value in enumerate(back) if value is not None] == [(1, 0.0), (6, 2.0)]


def test_few_values_of_many_groups_are_written_once() -> None:
    packed = pack_groups([None, 1.0, 2.0, 1.0, 2.0, 1.0], "012345", "011111")
    assert packed == {"of": [None, 1.0, 2.0], "at": "012121"}
    assert pack_groups([None, None], "01", "01") is None
    assert pack_groups([None, 3.0, 3.0], "0122", "0111") == {"of": [None, 3.0], "at": "0111"}
