"""Uplift in a decision: shifts of offers with their variance, and null where the effect is not identified."""

from math import sqrt
from typing import Any

import numpy as np
import pytest

from foretouch.core.bundle import ModelInput, ScoreIntervals
from foretouch.core.decisions import DecisionRecord
from foretouch.core.policy import PolicySpec
from foretouch.serving.decision.uplifts import Z
from foretouch.serving.words.translations import in_chinese
from foretouch.training.uplift.identification import identify
from foretouch.training.uplift.trial import Trial
from tests.serving.decision.world import CHURN_MODEL, OFFER_MODEL, LogisticScorer, card, decided

SHIFTS = {
    "offers": {"tea": [0.1, 0.0], "jam": [-0.2, 0.05]},
    "categories": {"a": [0.04, 0.02], "b": [0.0, 0.0]},
    "unknown": [0.0, 0.3],
    "channels": {"email": [0.0, 0.0], "sms": [0.03, 0.04]},
}


def model(**extras: Any) -> LogisticScorer:
    spans = ScoreIntervals(upper_edges=(1.0,), low=(0.1,), high=(0.6,))
    about = card("uplift", ("recency_days", "offer_value"), target="difference", intervals=spans, extras=extras)
    return LogisticScorer(card=about, weights=(-0.1, 0.1), intercept=-0.5)


def asked(scorer: LogisticScorer, **policy: Any) -> DecisionRecord:
    models = {"offer": OFFER_MODEL, "churn": CHURN_MODEL, "uplift": scorer}
    return decided(models=models, policies={"default": PolicySpec(kind="greedy", **policy)})


def by_option(record: DecisionRecord) -> dict[tuple[str, str], float]:
    return {
        (item.offer_id, item.channel or ""): item.uplift
        for item in record.candidates
        if item.offer_id and item.uplift is not None
    }


def test_an_offer_adds_its_shift_on_every_channel() -> None:
    plain, shifted = by_option(asked(model())), by_option(asked(model(identified=True, shifts=SHIFTS)))
    assert plain.keys() == shifted.keys()
    assert shifted["tea", "email"] == pytest.approx(plain["tea", "email"] + 0.1)
    assert shifted["tea", "sms"] == pytest.approx(plain["tea", "sms"] + 0.1)
    assert shifted["jam", "email"] == pytest.approx(plain["jam", "email"] - 0.2)
    assert shifted["rye", "email"] == pytest.approx(plain["rye", "email"] + 0.04)  # unknown: its category's


def test_what_a_shift_is_unsure_of_widens_the_interval() -> None:
    plain, shifted = (asked(model(**extras)).action[0] for extras in ({}, {"shifts": SHIFTS}))
    of_offer = {"tea": 0.0, "jam": 0.05, "rye": 0.02}
    for action, sd in ((plain, 0.0), (shifted, of_offer[shifted.offer_id])):
        assert action.uplift is not None
        assert action.uplift_interval is not None
        assert action.uplift_interval.low <= action.uplift <= action.uplift_interval.high
        base = by_option(asked(model()))[action.offer_id, action.channel]
        below = sqrt((base - min(0.1, base)) ** 2 + (Z * sd) ** 2)
        assert action.uplift_interval.low == pytest.approx(max(action.uplift - below, -1.0))


def test_an_uplift_stays_between_minus_one_and_one() -> None:
    far = {**SHIFTS, "offers": {"tea": [5.0, 0.0], "jam": [-5.0, 1.0], "rye": [0.0, 0.0]}}
    found = by_option(asked(model(shifts=far)))
    assert found["tea", "email"] == 1.0
    assert found["jam", "email"] == -1.0


def test_a_model_that_is_not_identified_gives_null_with_its_reason() -> None:
    reason = (
        "not identified: 40% of the rows were chosen without a logged probability between 0 and 1, so contacts may"
        " differ from controls by how they were chosen"
    )
    record = asked(model(identified=False, uplift_reason=reason, shifts=SHIFTS))
    assert record.status == "decided"
    assert by_option(record) == {}
    assert all(action.uplift is None for action in record.action)
    assert all(action.uplift_interval is None for action in record.action)
    assert all(reason in (action.uplift_reason or "") for action in record.action)
    weighed = asked(model(identified=False, uplift_reason=reason), propensity="uplift")
    assert weighed.status == "degraded"
    assert reason in weighed.status_reason
    nameless = asked(model(identified=False))
    assert "not identified" in (nameless.action[0].uplift_reason or "")
    for said in (reason, nameless.action[0].uplift_reason, "the uplift model failed (ValueError)"):
        assert in_chinese(said or "")
    assert "40%" in str(in_chinese(reason))


def test_reasons_of_the_diagnostics_are_in_the_table() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(1_500, 1))
    arm = (rng.random(1_500) < 1.0 / (1.0 + np.exp(-1.5 * matrix[:, 0]))).astype(np.int64)
    rows = Trial(
        matrix=matrix,
        inputs=(ModelInput(name="x", view="v"),),
        arm=arm,
        outcome=(rng.random(1_500) < 0.4).astype(float),
    )
    for randomised in (np.ones(1_500, dtype=bool), np.arange(1_500) > 300):
        found = identify(rows, randomised=randomised, seed=0)
        assert not found.identified
        assert in_chinese(found.reason)
