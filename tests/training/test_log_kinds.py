"""The table of kinds: whole, read by the code, and the one that the docs show."""

import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretouch.training.log.kinds import KINDS, LEARNERS, MEANING, TABLE, Facts, Kind, kind_of, used
from foretouch.training.log.weights import MAX_WEIGHT, effective_rows, inverse_propensity

PAGE = Path(__file__).parents[2] / "docs" / "training-from-the-log.md"
PLAIN = Facts(
    mature=True,
    personalised=True,
    known=True,
    contact=True,
    activated=True,
    by_machine=False,
    status="decided",
    step="champion",
    arm="policy",
    purpose="marketing",
    contacts=1,
    explored=False,
)
NOBODY = replace(PLAIN, contact=False, activated=False, contacts=0)
EXAMPLES: dict[Kind, Facts] = {
    "out_of_scope": replace(PLAIN, in_scope=False, mature=False),
    "immature": replace(PLAIN, mature=False, personalised=False),
    "not_personalised": replace(PLAIN, personalised=False, known=False),
    "fallback": replace(PLAIN, known=False, activated=False),
    "undelivered": replace(PLAIN, activated=False, arm="random"),
    "bot": replace(PLAIN, by_machine=True, explored=True),
    "suppressed": replace(NOBODY, status="suppressed", step="none"),
    "nothing": replace(NOBODY, status="fallback", step="nothing"),
    "holdout": replace(NOBODY, status="control", step="none", arm="no_contact"),
    "business_as_usual": replace(PLAIN, status="control", step="none", arm="business_as_usual"),
    "transactional": replace(PLAIN, purpose="transactional", explored=True),
    "no_contact": replace(NOBODY, arm="random"),
    "several": replace(PLAIN, contacts=2, explored=True),
    "random_arm": replace(PLAIN, arm="random", explored=True),
    "lower_step": replace(PLAIN, step="prior", explored=True),
    "explored": replace(PLAIN, explored=True),
    "ordinary": PLAIN,
}


def test_every_kind_and_learner_has_an_answer_with_a_reason() -> None:
    assert set(TABLE) == set(KINDS) == set(MEANING)
    for kind, learner in itertools.product(KINDS, LEARNERS):
        treatment = TABLE[kind][learner]
        assert treatment.use in {"keep", "weight", "drop"}
        assert treatment.why


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_of_the_first_kind_that_is_true_of_it(kind: Kind) -> None:
    assert kind_of(EXAMPLES[kind]) == kind


def test_nobody_learns_from_what_is_open_unknown_or_declined() -> None:
    for kind in ("out_of_scope", "immature", "not_personalised", "fallback"):
        assert {TABLE[kind][learner].use for learner in LEARNERS} == {"drop"}


def test_holdouts_are_uplifts_controls_and_no_responses() -> None:
    assert TABLE["holdout"]["uplift"].use == "keep"
    assert TABLE["holdout"]["offer"].use == "drop"
    assert TABLE["undelivered"]["offer"].use == TABLE["undelivered"]["uplift"].use == "drop"
    assert "explored" in used("offer", ["weight"])


def test_the_page_shows_the_table_that_the_code_reads() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (.+?) \| (\w+) \| (\w+) \| (\w+) \| (\w+) \|$", PAGE.read_text("utf-8"), re.MULTILINE
    )
    shown = {kind: (meaning, *uses) for kind, meaning, *uses in rows}
    wanted = {
        kind: (MEANING[kind], *(TABLE[kind][learner].use for learner in ("offer", "uplift", "send-time", "lead")))
        for kind in KINDS
    }
    assert shown == wanted
    assert [kind for kind, *_ in rows] == list(KINDS)
    for kind in KINDS:
        assert TABLE[kind]["lead"] == TABLE[kind]["churn"] == TABLE[kind]["value"]


def test_weights_undo_the_choice() -> None:
    """A policy that favours one half of the people: weighted, each action's rows are like everybody."""
    rng = np.random.default_rng(5)
    person = rng.integers(0, 2, 40_000)
    chance = np.where(person == 1, 0.9, 0.2)
    action = (rng.random(len(person)) < chance).astype(int)
    probability = np.where(action == 1, chance, 1.0 - chance)
    weight = inverse_propensity(probability, action.astype(object), np.ones(len(person), dtype=bool))
    for name in (0, 1):
        rows = action == name
        assert weight[rows].mean() == pytest.approx(1.0)
        assert person[rows].mean() == pytest.approx({0: 0.111, 1: 0.818}[name], abs=0.02)
        assert np.average(person[rows], weights=weight[rows]) == pytest.approx(0.5, abs=0.02)


@given(st.lists(st.tuples(st.floats(1e-6, 1.0), st.sampled_from("abc"), st.booleans()), min_size=1, max_size=60))
def test_weights_are_finite_cut_and_of_mean_one(rows: list[tuple[float, str, bool]]) -> None:
    chance, action, used_rows = (np.array(column, dtype=object) for column in zip(*rows, strict=True))
    used_mask = used_rows.astype(bool)
    weight = inverse_propensity(chance.astype(float), action, used_mask)
    assert np.isfinite(weight).all()
    assert (weight > 0.0).all()
    assert (weight[~used_mask] == 1.0).all()
    for name in set(action[used_mask]):
        own = weight[used_mask & (action == name)]
        assert own.mean() == pytest.approx(1.0)
        assert own.max() / own.min() <= MAX_WEIGHT * len(own) * 1e6
    assert 0.0 < effective_rows(weight) <= len(weight) * (1.0 + 1e-12)


def test_what_is_not_on_record_weighs_one() -> None:
    weight = inverse_propensity(np.array([np.nan, 0.0, 0.5]), np.array(["a", "a", "a"], dtype=object), np.ones(3, bool))
    assert weight.tolist() == [1.0, 1.0, 1.0]
