"""Assignment: the committed vectors, stickiness, shares, independence of salts."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from foretouch.core.experiment import ExperimentSpec
from foretouch.serving.decision.assignment import arm_of, as_of_version, assign, in_slice, runs, strictest
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
    assert len(vectors) >= 126
    for item in vectors:
        if "layer" in item:
            placed = spec(layer=item["layer"], slice=item["slice"])
            assert in_slice(placed, item["unit"]) is item["takes_part"]
            continue
        control = next(iter(item["weights"]))
        if "earlier_weights" in item:
            past = item["earlier_weights"]
            changed = spec(
                salt=item["salt"],
                weights=item["weights"],
                earlier_weights=past,
                version=len(past) + 1,
                control=control,
            )
            assert arm_of(changed, item["unit"]) == item["arm"]
            continue
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


def assigned(specs: tuple[ExperimentSpec, ...], unit: str) -> dict[str, str]:
    found = assign(specs, customer_id=unit, household_id=None, touchpoint="t", at=AT)
    return {assignment.key: assignment.arm for assignment, _ in found}


def test_slices_of_a_layer_share_no_unit_and_together_hold_all() -> None:
    parts = tuple(
        spec(key=f"e{index}", layer="search", slice=part)
        for index, part in enumerate([(0.0, 0.3), (0.3, 0.4), (0.4, 1.0)])
    )
    counts = {"e0": 0, "e1": 0, "e2": 0}
    for unit in range(10_000):
        found = assigned(parts, str(unit))
        assert len(found) == 1
        counts[next(iter(found))] += 1
    assert [counts[f"e{index}"] / 10_000 for index in range(3)] == pytest.approx([0.3, 0.1, 0.6], abs=0.02)


def test_a_slice_does_not_tell_the_arm_nor_another_layers_slice() -> None:
    half = spec(layer="one", slice=(0.0, 0.5))
    other = spec(key="o", layer="two", slice=(0.0, 0.5))
    inside = [str(unit) for unit in range(20_000) if in_slice(half, str(unit))]
    assert sum(arm_of(half, unit) == "t" for unit in inside) / len(inside) == pytest.approx(0.5, abs=0.02)
    assert sum(in_slice(other, unit) for unit in inside) / len(inside) == pytest.approx(0.5, abs=0.02)


def portfolio(**changes: Any) -> ExperimentSpec:
    kinds = ("no_contact", "business_as_usual", "random", "propensity_only", "no_levers", "rules_only")
    return spec(
        key="portfolio",
        control="no_contact",
        weights={**dict.fromkeys(kinds, 0.02), "whole": 0.88},
        arms={kind: {"kind": kind} for kind in kinds},
        portfolio=True,
        **changes,
    )


def test_a_unit_that_the_portfolio_holds_is_in_nothing_else() -> None:
    specs = (
        spec(key="a-first-file"),
        portfolio(),
        spec(key="portfolio-two", portfolio=True, arms={"c": {"kind": "random"}}),
    )
    held = 0
    for unit in map(str, range(5000)):
        found = assigned(specs, unit)
        if found["portfolio"] != "whole":
            held += 1
            assert list(found) == ["portfolio"]
        elif found["portfolio-two"] == "c":
            assert list(found) == ["portfolio", "portfolio-two"]
        else:
            assert set(found) == {"portfolio", "portfolio-two", "a-first-file"}
    assert held / 5000 == pytest.approx(0.12, abs=0.02)


def test_the_order_of_files_means_nothing_to_the_portfolio() -> None:
    specs = (spec(key="x"), portfolio(), spec(key="b", portfolio=True, arms={"c": {"kind": "no_contact"}}))
    for unit in map(str, range(500)):
        assert assigned(specs, unit) == assigned(specs[::-1], unit)


def test_where_the_portfolio_does_not_run_others_do() -> None:
    there = portfolio(touchpoints=["elsewhere"])
    assert all("k" in assigned((there, spec()), str(unit)) for unit in range(200))


def test_standing_arms_are_no_holdouts_and_every_assignment_names_its_version() -> None:
    kinds = {}
    for unit in map(str, range(3000)):
        for assignment, arm in assign(
            (portfolio(version=4),), customer_id=unit, household_id=None, touchpoint="t", at=AT
        ):
            kinds[arm.kind] = assignment.holdout
            assert assignment.version == 4
    assert {kind for kind, holdout in kinds.items() if holdout} == {"no_contact", "business_as_usual", "random"}
    assert len(kinds) == 7


HISTORY = ({"a": 0.2, "b": 0.3, "c": 0.5}, {"a": 0.4, "b": 0.3, "c": 0.3}, {"a": 0.1, "b": 0.0, "c": 0.5, "d": 0.4})


@pytest.mark.parametrize("changes", [1, 2])
def test_a_change_of_weights_moves_no_more_units_than_it_must(changes: int) -> None:
    units = [str(unit) for unit in range(20_000)]
    before = spec(control="a", weights=HISTORY[changes - 1], earlier_weights=HISTORY[: changes - 1], version=changes)
    after = spec(control="a", weights=HISTORY[changes], earlier_weights=HISTORY[:changes], version=changes + 1)
    moves = [(arm_of(before, unit), arm_of(after, unit)) for unit in units]
    old, new = HISTORY[changes - 1], HISTORY[changes]
    least = sum(max(0.0, share - old.get(arm, 0.0)) for arm, share in new.items())
    moved = sum(one != other for one, other in moves) / len(units)
    assert moved == pytest.approx(least, abs=4 * (least / len(units)) ** 0.5)
    for arm, share in new.items():
        found = sum(other == arm for _, other in moves) / len(units)
        assert found == pytest.approx(share, abs=5 * (share / len(units)) ** 0.5 + 1e-12)
    assert all(
        new.get(one, 0.0) < old[one] and new[other] > old.get(other, 0.0) for one, other in moves if one != other
    )


def test_a_logged_arm_is_compared_with_the_version_under_which_it_was_logged() -> None:
    now = spec(control="a", weights=HISTORY[2], earlier_weights=HISTORY[:2], version=3)
    then = spec(control="a", weights=HISTORY[0])
    assert as_of_version(now, 3) is now
    for unit in map(str, range(300)):
        assert arm_of(as_of_version(now, 1), unit) == arm_of(then, unit)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"earlier_weights": [{"c": 0.5, "t": 0.4}], "version": 2}, "sum to 0.9"),
        ({"earlier_weights": [{"c": 0.4, "t": 0.6}]}, "version == 1, must be above 1"),
        ({"slice": [0.0, 0.5]}, "slice needs a layer"),
        ({"layer": "x", "slice": [0.5, 0.5]}, "from below to"),
    ],
)
def test_a_spec_that_cannot_be_dealt_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        spec(**changes)
