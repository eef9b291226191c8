"""What-if: expectations by hand, who loses, evidence apart; shadows beside the champion; reasons on demand."""

from dataclasses import replace

import pytest

from foretouch.core.config import ShadowSection
from foretouch.core.decisions import Action, DecisionRecord, ShadowChoice
from foretouch.core.errors import ConfigError
from foretouch.core.policy import Lever, PolicySpec
from foretouch.serving.decide import decide, decide_course
from foretouch.serving.decision.inputs import DecisionInputs
from foretouch.serving.history.shadow import shadow_choice, wants_shadow
from foretouch.serving.history.shadow_report import shadow_reports, wilson
from foretouch.serving.history.what_if import Pair, Tally, decide_both
from foretouch.serving.history.what_if_log import evidence_table
from foretouch.serving.words.explained import explained
from tests.serving.decision.test_decide import experiment
from tests.serving.decision.world import OFFER_MODEL, LogisticScorer, card, counters, inputs, request

SOFT = PolicySpec(name="soft", kind="softmax", temperature=0.5, slot_exploration=0.0)
GREEDY = PolicySpec(name="greedy", kind="greedy", slot_exploration=0.0)
NOOP = PolicySpec(name="noop", kind="noop")


def made(customer: str, seed: int, **changes: object) -> tuple[DecisionRecord, DecisionInputs]:
    given = inputs(seed=seed, policies={"default": SOFT}, decision_id=f"dec_{customer}_{seed}", **changes)
    return decide(request(customer_id=customer), given), given


def pair_of(customer: str, seed: int, policy: PolicySpec) -> Pair:
    found = decide_both(*made(customer, seed), policy)
    assert isinstance(found, Pair)
    return found


def test_expectations_are_those_by_hand() -> None:
    record, given = made("ann", 3)
    tally = Tally()
    found = decide_both(record, given, GREEDY)
    assert isinstance(found, Pair)
    tally.add(found)
    result = tally.result(losers=5)
    base = [item for item in record.candidates if item.offer_id is not None and item.dropped_by is None]
    again = decide(record.request, replace(given, policies={"default": GREEDY}))
    changed = [item for item in again.candidates if item.offer_id is not None and item.dropped_by is None]
    for side, candidates in (("base", base), ("changed", changed)):
        reach = sum(item.selection_probability or 0.0 for item in candidates)
        spend = value = 0.0
        for item in candidates:
            share, chance, cost = item.selection_probability or 0.0, item.propensity or 0.0, item.cost or 0.0
            offer_cost = item.weights["offer_cost"]
            spend += share * (cost + chance * offer_cost)
            value += share * (chance * ((item.value or 0.0) - offer_cost) - cost)
        assert getattr(result.totals.reach, side) == pytest.approx(reach, abs=1e-12)
        assert getattr(result.totals.spend, side) == pytest.approx(spend, abs=1e-12)
        assert getattr(result.totals.value, side) == pytest.approx(value, abs=1e-12)
    assert sum(group.reach.base for group in result.by_offer) == pytest.approx(result.totals.reach.base)
    assert sum(group.value.changed for group in result.by_channel) == pytest.approx(result.totals.value.changed)


def test_under_no_contact_everybody_loses_and_is_named_by_size() -> None:
    tally = Tally(("recency_days", "no_such"))
    for number in range(12):
        tally.add(pair_of(f"c{number % 4}", number, NOOP))
    result = tally.result(losers=3)
    assert (result.totals.reach.changed, result.totals.value.changed) == (0.0, 0.0)
    assert (result.customers, result.customers_losing_contact, len(result.losers)) == (4, 4, 3)
    falls = [loser.value.difference for loser in result.losers]
    assert falls == sorted(falls)
    assert result.losing_segments == ("recency_days=5.0", "no_such=(unknown)")
    assert result.by_segment["no_such"][0].decisions == 12


def test_the_same_policy_changes_nothing() -> None:
    tally = Tally()
    for number in range(6):
        tally.add(pair_of("ann", number, SOFT))
    result = tally.result(losers=3)
    assert result.totals.reach.difference == result.totals.value.difference == 0.0
    assert (result.same_choice, result.losers, result.customers_losing_value) == (1.0, (), 0)


def test_what_no_policy_had_a_say_in_is_left_out() -> None:
    record, given = made("ann", 1, counters=counters(consents={}))
    assert decide_both(record, given, GREEDY) == "the rules left nothing"
    record, given = made("ann", 1, experiments=(experiment("no_contact"),))
    assert decide_both(record, given, GREEDY) == "held out by an experiment"
    record, given = made("ann", 1)
    other = replace(given, models={"offer": replace(OFFER_MODEL, intercept=0.0)})
    assert decide_both(record, other, GREEDY) == "does not come out as it was logged"
    with pytest.raises(ConfigError, match="'bandit'"):
        decide_both(record, given, PolicySpec().model_copy(update={"kind": "bandit"}))


def test_the_evidence_table_is_a_log_that_the_estimators_take() -> None:
    pairs = [pair_of("ann", number, GREEDY) for number in range(40)]
    table = evidence_table(pairs, {pair.record.decision_id: 1.0 for pair in pairs})
    shares = table[[name for name in table.columns if str(name).startswith("pi_")]]
    assert (shares.sum(axis=1) - 1.0).abs().max() < 1e-12
    for row, pair in zip(table.itertuples(), pairs, strict=True):
        logged = pair.record.action[0] if pair.record.action else pair.record.candidates[0]
        assert row.pscore == logged.selection_probability
    assert len(table["action"].unique()) > 2


def key_of(action: Action | None) -> tuple[str | None, ...]:
    return () if action is None else (action.offer_id, action.treatment_id, action.channel)


def shadowed(**section: object) -> DecisionInputs:
    config = inputs().config.replace(shadow=ShadowSection.model_validate(section))
    return inputs(config=config, policies={"default": SOFT, "bold": GREEDY, "noop": NOOP})


def test_a_shadow_policy_decides_on_the_same_inputs() -> None:
    for seed in range(30):
        given = replace(shadowed(policy="bold"), seed=seed)
        course = decide_course(request(), given)
        assert wants_shadow(given, course)
        choice = shadow_choice(request(), given, course)
        alone = decide(request(), replace(given, policies={"default": GREEDY}))
        chosen = alone.action[0] if alone.action else None
        assert choice.offer_id == (chosen.offer_id if chosen else None)
        assert choice.policy == "bold"
        logged = decide(request(), given)
        own = logged.action[0] if logged.action else None
        assert choice.agrees == (key_of(own) == key_of(chosen))
        assert choice.expected_value is not None
        assert choice.champion_value is not None
        assert choice.expected_value >= choice.champion_value - 1e-12, "greedy is best in the champion's priorities"


def test_a_share_of_decisions_has_a_shadow_and_holdouts_have_none() -> None:
    given = shadowed(policy="bold", share=0.3)
    course = decide_course(request(), given)
    drawn = sum(wants_shadow(replace(given, seed=seed), course) for seed in range(2000))
    assert 0.25 < drawn / 2000 < 0.35
    held = replace(shadowed(policy="bold"), experiments=(experiment("no_contact"),))
    assert not wants_shadow(held, decide_course(request(), held))
    nobody = replace(shadowed(policy="bold"), counters=counters(consents={}))
    assert not wants_shadow(nobody, decide_course(request(), nobody))
    off = shadowed()
    assert not wants_shadow(off, decide_course(request(), off))


def test_challengers_decide_in_shadow_with_their_own_scores() -> None:
    challenger = LogisticScorer(
        card=card("offer", ("recency_days", "offer_value"), version="9"), weights=(0.0, -3.0), intercept=4.0
    )
    given = replace(shadowed(challengers=True), challengers={"offer": challenger})
    course = decide_course(request(), given)
    choice = shadow_choice(request(), given, course)
    assert [(ref.name, ref.version) for ref in choice.models] == [("offer", "9")]
    assert "9" not in {ref.version for ref in decide(request(), given).models}
    assert not wants_shadow(shadowed(challengers=True), course), "no challenger, no shadow"


def test_disagreement_is_reported_by_place_with_intervals() -> None:
    record = made("ann", 1)[0]
    agrees = ShadowChoice(policy="bold", agrees=True, expected_value=1.0, champion_value=0.5)
    differs = ShadowChoice(policy="bold", agrees=False, expected_value=2.0, champion_value=0.5)
    records = [record.model_copy(update={"shadow": (agrees if number % 4 else differs,)}) for number in range(40)]
    (report,) = shadow_reports([*records, record])
    assert (report.overall.decisions, report.overall.differs, report.overall.share) == (40, 10, 0.25)
    # Wilson's interval of 10 of 40 by statsmodels 0.14: proportion_confint(10, 40, method="wilson")
    assert (report.overall.low, report.overall.high) == pytest.approx((0.1418712, 0.4019396), abs=1e-6)
    assert report.value_difference == pytest.approx(0.75)
    assert report.by_touchpoint[0].name == "weekly"
    assert wilson(0, 10)[0] == 0.0


def test_reasons_in_full_are_worked_out_from_the_record_when_asked() -> None:
    given = inputs(policies={"default": GREEDY})
    brief = decide(request(), given)
    full = decide(request(options={"explain": "full"}), given)
    asked = explained(brief, given)
    assert [reason.code for reason in brief.action[0].reason_codes if reason.feature] == []
    assert asked.action[0].reason_codes == full.action[0].reason_codes
    assert asked.model_copy(update={"action": brief.action}) == brief, "nothing else changes"
    chinese = explained(brief, given, language="zh")
    assert "优先级最高" in chinese.action[0].reason_codes[0].text
    assert chinese.status_reason.startswith("已决策")


def test_levers_of_the_other_policy_move_the_mix() -> None:
    tilted = SOFT.replace(levers=(Lever(offer_id="tea", percent=900.0),))
    tally = Tally()
    for number in range(5):
        tally.add(pair_of("ann", number, tilted))
    tea = next(group for group in tally.result(losers=0).by_offer if group.name == "tea")
    assert tea.reach.changed > tea.reach.base
