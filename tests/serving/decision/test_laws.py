"""Whatever the rules and the customer: no action breaks a rule, and the record is whole, true and repeatable."""

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings

from foretouch.core.decisions import DecisionRecord
from foretouch.serving.decide import DecisionInputs, decide
from foretouch.serving.decision.touchpoint import effective_request
from foretouch.serving.history.replay import replay
from tests.serving.decision import oracle
from tests.serving.decision.world import inputs, request, total_probability
from tests.serving.decision.worlds import CHANNELS, worlds

SETTINGS = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SETTINGS
@given(worlds())
def test_no_action_breaks_a_rule(world: tuple[dict[str, Any], DecisionInputs]) -> None:
    asked, given_inputs = world
    record = decide(request(**asked), given_inputs)
    broken = list(oracle.violations(record, given_inputs.contact_policy, given_inputs.catalogue, given_inputs.config))
    assert not broken


@SETTINGS
@given(worlds())
def test_what_is_dropped_for_consent_channel_or_suppression_breaks_that_rule(
    world: tuple[dict[str, Any], DecisionInputs],
) -> None:
    asked, given_inputs = world
    record = decide(request(**asked), given_inputs)
    for candidate in record.candidates:
        drop = candidate.dropped_by
        if candidate.offer_id is None or candidate.channel is None:
            continue
        forbidden = list(oracle.consent_broken(record, given_inputs.contact_policy, candidate.channel))
        if drop is None:
            assert not forbidden
        elif drop.stage == "consent":
            assert forbidden
        elif drop.stage == "suppression":
            assert record.customer_id in given_inputs.contact_policy.suppressed_customers
        elif drop.stage == "channel":
            effective = effective_request(record.request, given_inputs.config)
            usable = set(given_inputs.config.channels) & set(effective.channels or CHANNELS)
            assert candidate.channel not in usable


@SETTINGS
@given(worlds())
def test_the_record_is_whole(world: tuple[dict[str, Any], DecisionInputs]) -> None:
    asked, given_inputs = world
    record = decide(request(**asked), given_inputs)
    nobody = [candidate for candidate in record.candidates if candidate.offer_id is None]
    assert len(nobody) == 1
    assert nobody[0].priority == 0.0
    assert abs(total_probability(record) - 1.0) < 1e-12
    for candidate in record.candidates:
        assert (candidate.dropped_by is None) == (candidate.selection_probability is not None)
    expected = sum(len(offer.channels) for offer in given_inputs.catalogue.offers)
    assert len(record.candidates) >= expected + 1
    assert record.contact == bool(record.action)
    assert (record.status == "suppressed") <= (not record.action)
    assert record.status_reason.endswith(".")


@SETTINGS
@given(worlds())
def test_the_same_inputs_give_the_same_record_also_after_the_log(
    world: tuple[dict[str, Any], DecisionInputs],
) -> None:
    asked, given_inputs = world
    record = decide(request(**asked), given_inputs)
    assert decide(request(**asked), given_inputs).to_line() == record.to_line()
    logged = DecisionRecord.from_line(record.to_line())
    from_log = inputs(
        **{**vars(given_inputs), "features": logged.features, "counters": logged.counters, "seed": int(logged.seed, 16)}
    )
    found = replay(logged, from_log)
    assert found.identical, found.differences


@SETTINGS
@given(worlds())
def test_every_placement_shows_what_fits_it_and_no_more_than_asked(
    world: tuple[dict[str, Any], DecisionInputs],
) -> None:
    asked, given_inputs = world
    record = decide(request(**asked), given_inputs)
    effective = effective_request(record.request, given_inputs.config)
    own = {offer.offer_id: offer.placement for offer in given_inputs.catalogue.offers}
    shown = Counter(action.placement for action in record.action)
    if effective.placements is None:
        assert len(record.action) <= effective.n
        assert all(action.placement == own.get(action.offer_id) for action in record.action)
    else:
        assert set(shown) <= set(effective.placements)
        assert all(count <= effective.n for count in shown.values())
        assert all(own.get(action.offer_id) in {None, action.placement} for action in record.action)
        places = [effective.placements.index(action.placement) for action in record.action if action.placement]
        assert places == sorted(places)
    assert len({action.offer_id for action in record.action}) == len(record.action)


@SETTINGS
@given(worlds())
def test_a_fallback_offer_stands_beside_no_other_offer_of_its_placement(
    world: tuple[dict[str, Any], DecisionInputs],
) -> None:
    asked, given_inputs = world
    record = decide(request(**asked), given_inputs)
    offers = {offer.offer_id: offer for offer in given_inputs.catalogue.offers}
    others = [
        offers[candidate.offer_id]
        for candidate in record.candidates
        if candidate.offer_id in offers and candidate.dropped_by is None and not offers[candidate.offer_id].fallback
    ]
    for candidate in record.candidates:
        if candidate.dropped_by is not None and candidate.dropped_by.stage == "fallback":
            assert candidate.offer_id is not None
            assert offers[candidate.offer_id].fallback
            assert others
    if record.fallback_step == "default_action" or not record.action:
        return
    placements = effective_request(record.request, given_inputs.config).placements
    for action in record.action:
        if action.offer_id in offers and offers[action.offer_id].fallback:
            place = action.placement if placements else None
            assert not any(place is None or other.placement in {None, place} for other in others)
