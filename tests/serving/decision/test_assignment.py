"""Assignment: the committed vectors, stickiness, shares, independence of salts."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from foretouch.core.experiment import ExperimentSpec
from foretouch.serving.assignment import arm_of, assign, runs, strictest
from tests.serving.decision.make_assignment_vectors import FILE

AT = datetime(2026, 3, 10, tzinfo=UTC)


def spec(**changes: Any) -> ExperimentSpec:
    return ExperimentSpec.model_validate(
        {
            "key": "k",
            "control": "c",
            "weights": {"c": 0.5, "t": 0.5},
            "metrics": [{"name": "m", "kind": "mean", "column": "x"}],
            **changes,
        }
    )


def test_committed_vectors_hold_for_ever() -> None:
    vectors = json.loads(FILE.read_text(encoding="utf-8"))
    assert len(vectors) >= 54
    for item in vectors:
        control = next(iter(item["weights"]))
        for named in (
            spec(key=item["salt"], weights=item["weights"], control=control),
            spec(salt=item["salt"], weights=item["weights"], control=control),
        ):
            assert arm_of(named, item["unit"]) == item["arm"]


def test_the_order_in_a_file_means_nothing() -> None:
    one, other = spec(weights={"c": 0.3, "t": 0.7}), spec(weights={"t": 0.7, "c": 0.3})
    kept = ExperimentSpec.from_line(other.to_line())
    for unit in map(str, range(500)):
        assert arm_of(one, unit) == arm_of(other, unit) == arm_of(kept, unit)


def test_shares_and_independence_of_salts() -> None:
    n = 20_000
    one, other = spec(weights={"c": 0.1, "t": 0.9}), spec(weights={"c": 0.1, "t": 0.9}, salt="again")
    first = [arm_of(one, str(unit)) == "c" for unit in range(n)]
    second = [arm_of(other, str(unit)) == "c" for unit in range(n)]
    both = sum(a and b for a, b in zip(first, second, strict=True))
    assert sum(first) == pytest.approx(0.1 * n, abs=5 * (n * 0.09) ** 0.5)
    assert both == pytest.approx(0.01 * n, abs=5 * (n * 0.0099) ** 0.5)


def test_a_larger_first_arm_only_gains_units() -> None:
    small, large = spec(weights={"c": 0.2, "t": 0.8}), spec(weights={"c": 0.3, "t": 0.7})
    for unit in range(2000):
        if arm_of(small, str(unit)) == "c":
            assert arm_of(large, str(unit)) == "c"


def test_dates_and_touchpoints() -> None:
    bounded = spec(starts_at=AT, ends_at=AT + timedelta(days=1), touchpoints=["weekly"])
    assert runs(bounded, "weekly", AT)
    assert not runs(bounded, "weekly", AT - timedelta(microseconds=1))
    assert not runs(bounded, "weekly", AT + timedelta(days=1))
    assert not runs(bounded, "cart", AT)


def test_a_household_is_one_unit() -> None:
    shared = spec(unit="household_id")
    for household in range(50):
        arms = {
            assign((shared,), customer_id=member, household_id=f"h{household}", touchpoint="t", at=AT)[0][0].arm
            for member in ("ann", "bob", "eve")
        }
        assert len(arms) == 1


def test_no_contact_governs_over_random() -> None:
    specs = tuple(
        spec(key=kind, weights={"c": 1.0, "t": 0.0}, arms={"c": {"kind": kind}})
        for kind in ("random", "no_contact", "policy")
    )
    assigned = assign(specs, customer_id="ann", household_id=None, touchpoint="t", at=AT)
    governing = strictest(assigned)
    assert governing is not None
    assert governing[0].key == "no_contact"
    assert [item.holdout for item, _ in assigned] == [True, True, False]
