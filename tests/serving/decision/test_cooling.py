"""Exploration falls with the contacts that the model in use has learnt from, and with nothing else."""

import math
from dataclasses import replace
from typing import Any

import pytest

from foretouch.core.decisions import DecisionRecord
from foretouch.core.policy import PolicySpec
from foretouch.serving.decision.cooling import contacts_behind, cooled
from foretouch.serving.decision.policies import distribution
from tests.serving.decision.world import CHURN_MODEL, OFFER_MODEL, LogisticScorer, decided, total_probability

SPEC = PolicySpec(kind="softmax", temperature=0.2, cools_after=1000, floor=0.01)


def trained_on(**contacts: int) -> LogisticScorer:
    return replace(
        OFFER_MODEL, card=OFFER_MODEL.card.replace(extras={**OFFER_MODEL.card.extras, "offer_contacts": contacts})
    )


def answered(model: LogisticScorer, spec: PolicySpec, **others: Any) -> DecisionRecord:
    return decided(models={"offer": model, "churn": CHURN_MODEL}, policies={"default": spec}, **others)


def highest(record: DecisionRecord) -> float:
    return max(item.selection_probability or 0.0 for item in record.candidates)


def test_the_temperature_falls_as_one_over_the_root_of_the_contacts() -> None:
    assert cooled(SPEC, 0) == SPEC
    assert cooled(SPEC.replace(cools_after=0), 10**9).temperature == 0.2
    for contacts in (1, 1000, 3000, 10**9):
        assert cooled(SPEC, contacts).temperature == pytest.approx(0.2 * math.sqrt(1000 / (1000 + contacts)))
        assert cooled(SPEC, contacts).replace(temperature=0.2) == SPEC, "nothing else changes, the floor least"


@pytest.mark.parametrize("contacts", [0, 10**3, 10**5, 10**12])
def test_every_candidate_keeps_its_floor_and_the_probabilities_sum_to_one(contacts: int) -> None:
    shares = distribution([0.0, 0.3, 0.29, -2.0], 0, cooled(SPEC, contacts))
    assert abs(math.fsum(shares) - 1.0) <= 1e-12
    assert min(shares) >= 0.01 / 4 - 1e-15
    assert shares[1] == max(shares)


def test_the_decision_explores_less_with_a_model_that_has_seen_more() -> None:
    plain = SPEC.replace(cools_after=0)
    fresh, old = (trained_on(tea=0, jam=1, rye=1), trained_on(tea=500_000, jam=1, rye=1))
    shares = [highest(answered(model, SPEC)) for model in (fresh, old)]
    assert shares[1] > shares[0] + 0.05, shares
    assert highest(answered(fresh, plain)) == highest(answered(old, plain)), "unless it is asked to, nothing cools"
    record = answered(old, SPEC)
    assert abs(total_probability(record) - 1.0) <= 1e-12


def test_only_the_model_that_scored_counts() -> None:
    models, before = {"offer": trained_on(tea=7, jam=5)}, {"offer": trained_on(tea=100)}
    assert [contacts_behind(step, models, before) for step in ("champion", "stale", "defaults")] == [12, 12, 12]
    assert contacts_behind("previous", models, before) == 100
    assert [contacts_behind(step, models, before) for step in ("prior", "rules", "not_personalised")] == [0, 0, 0]
    assert contacts_behind("champion", {"offer": OFFER_MODEL}, {}) == 0, "the card does not say"
    assert contacts_behind("champion", {}, {}) == 0
