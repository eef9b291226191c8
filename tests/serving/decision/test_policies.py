"""Laws of every policy, discovered from the table, so that none is forgotten."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretouch.core.errors import ConfigError
from foretouch.core.policy import PolicySpec
from foretouch.serving.policies import KINDS, check_policy, distribution, draw

PRIORITIES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8).map(lambda rest: [0.0, *rest])
SPECS = st.builds(
    PolicySpec,
    kind=st.sampled_from(sorted(KINDS)),
    temperature=st.floats(0.01, 10.0),
    floor=st.floats(0.0, 1.0),
    epsilon=st.floats(0.0, 1.0),
)


@given(PRIORITIES, SPECS)
def test_sums_to_one(priorities: list[float], spec: PolicySpec) -> None:
    shares = distribution(priorities, 0, spec)
    assert len(shares) == len(priorities)
    assert all(0.0 <= share <= 1.0 for share in shares)
    assert abs(math.fsum(shares) - 1.0) < 1e-12


@given(PRIORITIES, SPECS, st.randoms(use_true_random=False))
def test_order_does_not_matter(priorities: list[float], spec: PolicySpec, random: "object") -> None:
    order = list(range(len(priorities)))
    random.shuffle(order)  # type: ignore[attr-defined]
    straight = distribution(priorities, 0, spec)
    turned = distribution([priorities[index] for index in order], order.index(0), spec)
    assert turned == pytest.approx([straight[index] for index in order], abs=1e-12)


@given(PRIORITIES, SPECS, st.floats(0.0, 1e6), st.data())
def test_more_priority_is_never_less_probability(
    priorities: list[float], spec: PolicySpec, more: float, data: st.DataObject
) -> None:
    which = data.draw(st.integers(1, len(priorities) - 1))
    raised = [value + more if index == which else value for index, value in enumerate(priorities)]
    assert distribution(raised, 0, spec)[which] >= distribution(priorities, 0, spec)[which] - 1e-12


@given(PRIORITIES, st.floats(0.0, 1.0))
def test_the_floor_holds(priorities: list[float], floor: float) -> None:
    shares = distribution(priorities, 0, PolicySpec(floor=floor))
    assert min(shares) >= floor / len(shares) - 1e-12


@given(PRIORITIES, SPECS, st.floats(0.0, 1.0, exclude_max=True))
def test_what_is_impossible_is_never_drawn(priorities: list[float], spec: PolicySpec, position: float) -> None:
    shares = distribution(priorities, 0, spec)
    keys = [(f"{index:03}",) for index in range(len(shares))]
    assert shares[draw(shares, keys, position)] > 0.0


def test_the_draw_follows_keys_and_not_the_order_of_arrival() -> None:
    shares, keys = (0.2, 0.3, 0.5), [("b",), ("a",), ("c",)]
    assert [draw(shares, keys, position) for position in (0.0, 0.29, 0.31, 0.49, 0.51, 0.999999)] == [1, 1, 0, 0, 2, 2]


def test_by_hand() -> None:
    assert distribution([0.0, 2.0, 2.0], 0, PolicySpec(kind="greedy")) == (0.0, 0.5, 0.5)
    assert distribution([0.0, 2.0], 0, PolicySpec(kind="epsilon", epsilon=0.1)) == pytest.approx((0.05, 0.95))
    assert distribution([0.0, 9.0], 0, PolicySpec(kind="noop")) == (1.0, 0.0)
    soft = distribution([0.0, 5.0, 10.0], 0, PolicySpec(temperature=0.5, floor=0.0))
    weights = [math.exp(-2.0), math.exp(-1.0), 1.0]
    assert soft == pytest.approx([weight / sum(weights) for weight in weights])


def test_a_policy_that_cannot_be_followed_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be one of"):
        check_policy(PolicySpec().model_copy(update={"kind": "bandit"}))
    with pytest.raises(ValueError, match="finite"):
        distribution([0.0, math.nan], 0, PolicySpec())
