"""Options by column: what is found once for an offer or a channel is what each option alone has."""

from dataclasses import replace
from datetime import timedelta
from operator import is_
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foretouch.core.decisions import DecisionRequest
from foretouch.core.rng import uniform
from foretouch.serving.decide import DecisionInputs, decide_course
from foretouch.serving.decision.candidates import NO_CONTACT, Lineup, Option, lay_out
from foretouch.serving.decision.course import Course
from foretouch.serving.decision.policies import draw
from foretouch.serving.decision.priority import Appraiser
from foretouch.serving.decision.screening import Screened
from foretouch.serving.decision.send_time import HOURS_OF_WEEK, NO_RHYTHM, TimetableBook
from foretouch.serving.decision.worths import Worth
from tests.serving.decision.stored import big_catalogue, big_inputs, big_request
from tests.serving.decision.world import request
from tests.serving.decision.worlds import worlds

SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
OPTIONS = lay_out(big_catalogue()).options


@SETTINGS
@given(st.lists(st.sampled_from(OPTIONS), unique_by=lambda option: option.key, max_size=12))
def test_a_lineup_says_of_each_option_what_it_is(some: list[Option]) -> None:
    lineup = Lineup.of(some)
    assert [lineup.offers[place] for place in lineup.offer_at] == [option.offer for option in some]
    assert [lineup.channels[place] for place in lineup.channel_at] == [option.channel for option in some]
    assert [lineup[row].channel for row in lineup.first_of_channels] == list(lineup.channels)
    assert [key[0] for key in lineup.first_keys] == [offer.offer_id for offer in lineup.offers]
    assert set(lineup.first_keys) <= set(lineup.keys)
    assert lineup.keys_with_none == [NO_CONTACT, *[option.key for option in some]]
    assert [lineup.keys_with_none[index] for index in lineup.order] == sorted(lineup.keys_with_none)
    assert len(set(map(id, lineup.offers))) == len(lineup.offers) == len(lineup.offers_by_id)
    assert lineup.has_fallback == any(option.offer.fallback for option in some)


def test_a_lineup_is_known_again_by_its_very_options() -> None:
    assert Lineup.of(list(OPTIONS), OPTIONS) is OPTIONS
    assert Lineup.of(OPTIONS) is OPTIONS
    assert Lineup.of(OPTIONS[:-1], OPTIONS) is not OPTIONS
    assert Lineup.of(OPTIONS[::-1], OPTIONS) is not OPTIONS
    again = lay_out(big_catalogue()).options
    assert not any(map(is_, again, OPTIONS))
    assert Lineup.of(again, OPTIONS) is again


def test_what_a_lineup_keeps_is_of_the_object_that_is_asked_about() -> None:
    lineup, one, other = Lineup(OPTIONS), [1], [2]
    kept = lineup.keep("n", one, lambda: list(one))
    assert lineup.keep("n", one, lambda: [0]) is kept
    assert lineup.keep("n", other, lambda: list(other)) == other
    assert lineup.keep("m", other, lambda: "m") == "m"


@SETTINGS
@given(st.lists(st.floats(0.0, 1.0), min_size=5, max_size=5), st.floats(0.0, 0.999), st.permutations(range(4)))
def test_a_draw_in_a_known_order_is_the_draw(weights: list[float], position: float, places: list[int]) -> None:
    lineup = Lineup([OPTIONS[place] for place in places])
    total = sum(weights)
    shares = [weight / total for weight in weights] if total > 0.0 else [1.0, 0.0, 0.0, 0.0, 0.0]
    known = draw(shares, lineup.keys_with_none, position, order=lineup.order)
    assert known == draw(shares, lineup.keys_with_none, position)
    assert shares[known] > 0.0


def appraisals(
    asked: DecisionRequest, given_inputs: DecisionInputs, course: Course, items: list[Screened]
) -> list[Worth]:
    """Options appraised together, in a decision of their own."""
    setting = course.setting
    policy = setting.spec
    rhythm = replace(NO_RHYTHM, effects={"sms": np.linspace(0.5, 1.5, HOURS_OF_WEEK)}, identified=True)
    book = TimetableBook(
        setting.zone, rhythm, now=setting.touch.now, waiting_cost_per_hour=policy.waiting_cost_per_hour
    )
    appraiser = Appraiser(
        spec=policy,
        config=given_inputs.config,
        context=asked.context,
        levels=course.customer.levels,
        chances=course.found.by_key,
        book=book,
        catalogue=given_inputs.catalogue,
        plans=given_inputs.plans,
    )
    return list(appraiser.appraise(items, setting.touch))


def check_worths(asked: DecisionRequest, given_inputs: DecisionInputs) -> None:
    course = decide_course(asked, given_inputs)
    items = list(course.survivors)
    cut = [  # options of one channel with slots of their own
        item._replace(slots=item.slots[len(item.slots) // 2 :]) if uniform(row, "cut") < 0.3 else item
        for row, item in enumerate(items)
    ]
    for some in (items, cut):
        together = appraisals(asked, given_inputs, course, some)
        assert together == [worth for item in some for worth in appraisals(asked, given_inputs, course, [item])]
        for worth in together:
            factor = worth.weights.get("timing", 1.0) * worth.weights.get("patience", 1.0)
            assert worth.gain == worth.scale * factor
            assert worth.priority == worth.chance * worth.gain - worth.fixed


@SETTINGS
@given(worlds())
def test_appraising_all_together_is_appraising_each_alone(world: tuple[dict[str, Any], DecisionInputs]) -> None:
    asked, given_inputs = world
    check_worths(request(**asked), given_inputs)


@pytest.mark.parametrize("seed", range(2))
def test_also_of_sixty_options(seed: int) -> None:
    given_inputs = big_inputs(seed=seed)
    given_inputs = replace(given_inputs, decided_at=given_inputs.decided_at + timedelta(hours=seed))
    check_worths(big_request(), given_inputs)
