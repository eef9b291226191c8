"""The policies under their contract, and by hand."""

import math

import numpy as np
import pytest

from foretouch.core.errors import ConfigError
from foretouch.core.policy import NewOffers, PolicySpec
from foretouch.serving.decision.policies import check_policy, distribution, draw
from tests.suites.policies import PolicyContract, chi_square_p, frequencies


class TestPolicies(PolicyContract):
    """Every kind in the table."""


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


def test_thompson_counts_the_members_and_shares_ties() -> None:
    spec = PolicySpec(kind="thompson", floor=0.0)
    draws = np.array([[0.0, 1.0, 2.0], [0.0, 3.0, 1.0], [0.0, -1.0, -2.0], [0.0, 5.0, 5.0]])
    assert distribution([0.0, 1.0, 1.0], 0, spec, draws=draws) == (0.25, 0.375, 0.375)
    floored = distribution([0.0, 1.0, 1.0], 0, spec.replace(floor=0.3), draws=draws)
    assert floored == pytest.approx((0.25 * 0.7 + 0.1, 0.375 * 0.7 + 0.1, 0.375 * 0.7 + 0.1))


def test_thompson_is_the_frequency_with_which_a_drawn_member_would_choose() -> None:
    rng = np.random.default_rng(5)
    draws = np.column_stack([np.zeros(64), rng.normal([0.3, 0.5, -0.2], [1.0, 0.2, 2.0], size=(64, 3))])
    shares = distribution([0.0, 0.3, 0.5, -0.2], 0, PolicySpec(kind="thompson", floor=0.0), draws=draws)
    chosen = draws[rng.integers(64, size=20_000)].argmax(axis=1)
    assert chi_square_p(np.bincount(chosen, minlength=4).tolist(), shares) > 1e-4
    assert chi_square_p(frequencies((0.25,) * 4, 20_000), (0.2, 0.3, 0.25, 0.25)) < 1e-10, "it can fail"


def test_without_members_thompson_is_softmax() -> None:
    spec = PolicySpec(kind="thompson")
    assert distribution([0.0, 1.0, 2.0], 0, spec) == distribution([0.0, 1.0, 2.0], 0, PolicySpec(kind="softmax"))
    nobody = np.empty((0, 3))
    assert distribution([0.0, 1.0, 2.0], 0, spec, draws=nobody) == distribution([0.0, 1.0, 2.0], 0, spec)


def test_what_immature_offers_lose_goes_where_the_policy_would_have_put_it() -> None:
    new = NewOffers(immature_share=0.1)
    greedy = distribution([0.0, 2.0, 9.0], 0, PolicySpec(kind="greedy", new_offers=new), immature=[False, False, True])
    assert greedy == pytest.approx((0.0, 0.9, 0.1))
    alone = distribution([0.0, 9.0], 0, PolicySpec(kind="greedy", new_offers=new), immature=[False, True])
    assert alone == pytest.approx((0.9, 0.1))
    none = distribution([0.0, 2.0], 0, PolicySpec(new_offers=NewOffers(immature_share=0.0)), immature=[False, True])
    assert none == (1.0, 0.0)


def test_extreme_priorities_keep_their_order() -> None:
    shares = distribution([0.0, 1.7e308, -1.7e308], 0, PolicySpec(floor=0.0, temperature=0.5))
    weights = [math.exp(-1.0), 1.0, math.exp(-2.0)]
    assert shares == pytest.approx([weight / sum(weights) for weight in weights])


def test_a_policy_that_cannot_be_followed_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be one of"):
        check_policy(PolicySpec().model_copy(update={"kind": "bandit"}))
    with pytest.raises(ValueError, match="finite"):
        distribution([0.0, math.nan], 0, PolicySpec())
    with pytest.raises(ValueError, match=r"\(members, 2\)"):
        distribution([0.0, 1.0], 0, PolicySpec(kind="thompson"), draws=np.zeros((3, 4)))
    with pytest.raises(ValueError, match="member"):
        distribution([0.0, 1.0], 0, PolicySpec(kind="thompson"), draws=np.full((3, 2), np.inf))
