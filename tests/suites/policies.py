"""The contract of every policy. ``CASES`` is made from the table of kinds, so that no policy is forgotten."""

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from foretouch.core.policy import NewOffers, PolicySpec
from foretouch.core.rng import derive_seed, uniform
from foretouch.serving.decision.policies import KINDS, Draws, check_policy, distribution, draw

EXTREME = 1e308
VALUES = st.one_of(
    st.floats(-1e6, 1e6),
    st.sampled_from([0.0, -0.0, 1e-300, 5e-324, -5e-324, EXTREME, -EXTREME, 1.0, 1.0 + 2**-52]),
)
PRIORITIES = st.lists(VALUES, max_size=8).map(lambda rest: [0.0, *rest])
RANKING = ("greedy", "epsilon", "softmax", "thompson")
"""Kinds that look at priorities."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One policy to try: with members, or without."""

    spec: PolicySpec
    members: int = 0
    width: float | None = None
    """Of every candidate; candidates of different widths are told apart in test_doubt.py."""

    def shares(self, priorities: list[float], no_contact: int = 0, **more: Any) -> tuple[float, ...]:
        """Its distribution; members are the priorities, each off by a factor and a step of its own."""
        draws = None if not self.members else self.draws(priorities)
        widths = None if self.width is None else [self.width] * len(priorities)
        return distribution(priorities, no_contact, self.spec, draws=draws, widths=widths, **more)

    def draws(self, priorities: list[float]) -> Draws:
        """Priorities under every member; a function of the value and the member alone, and rising in the value."""
        rows = [
            [value * (0.5 + member / self.members) if math.isfinite(value * 1.5) else value for value in priorities]
            for member in range(self.members)
        ]
        return np.array(rows)


@st.composite
def cases(draw_from: st.DrawFn, kinds: tuple[str, ...] = tuple(sorted(KINDS))) -> Case:
    """Every kind, with every parameter, with and without members."""
    spec = PolicySpec(
        kind=draw_from(st.sampled_from(kinds)),
        temperature=draw_from(st.one_of(st.floats(0.01, 10.0), st.sampled_from([5e-324, 1e300]))),
        floor=draw_from(st.floats(0.0, 1.0)),
        epsilon=draw_from(st.floats(0.0, 1.0)),
        explores_by=draw_from(st.sampled_from(["spread", "evidence"])),
    )
    width = draw_from(st.sampled_from([None, 0.0, 5e-324, 0.3, 1e3, EXTREME]))
    return Case(spec=spec, members=draw_from(st.sampled_from([0, 1, 7])), width=width)


def floor_of(spec: PolicySpec) -> float:
    """What every policy promises to each candidate, times their number."""
    promised = {"shuffle": 1.0, "epsilon": spec.epsilon, "softmax": spec.floor, "thompson": spec.floor}
    return promised.get(spec.kind, 0.0)


def example(kind: Any) -> tuple[float, ...]:
    """A policy's distribution over five candidates and no contact, with members that disagree."""
    priorities = [0.0, 0.4, 1.1, -0.3, 1.0, 1.0]
    noise = np.random.default_rng(16).normal(size=(16, len(priorities)))
    noise[:, 0] = 0.0
    spec = PolicySpec(kind=kind, temperature=0.5, floor=0.05, epsilon=0.1)
    return distribution(priorities, 0, spec, draws=np.array(priorities) + noise)


def frequencies(shares: tuple[float, ...], draws: int, *, key: str = "contract") -> list[int]:
    """How often each candidate is drawn by as many decisions, through the stream that decisions use."""
    keys = [(f"{index:03}",) for index in range(len(shares))]
    counts = [0] * len(shares)
    for decision in range(draws):
        counts[draw(shares, keys, uniform(derive_seed(key, "ann", f"dec_{decision}"), "candidate/1"))] += 1
    return counts


def chi_square_p(counts: list[int], shares: tuple[float, ...]) -> float:
    """Pearson's test that counts come from a distribution; what is impossible must not have come up."""
    assert all(count == 0 for count, share in zip(counts, shares, strict=True) if share == 0.0)
    total = sum(counts)
    cells = [(count, share * total) for count, share in zip(counts, shares, strict=True) if share > 0.0]
    if len(cells) < 2:
        return 1.0
    assert min(expected for _, expected in cells) >= 5.0, "too few draws for this distribution"
    statistic = math.fsum((count - expected) ** 2 / expected for count, expected in cells)
    return float(chi2.sf(statistic, len(cells) - 1))


class PolicyContract:
    """What holds for every policy."""

    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_can_be_followed(self, kind: Any) -> None:
        check_policy(PolicySpec(kind=kind))

    @given(PRIORITIES, cases())
    def test_sums_to_one(self, priorities: list[float], case: Case) -> None:
        shares = case.shares(priorities)
        assert len(shares) == len(priorities)
        assert all(0.0 <= share <= 1.0 for share in shares)
        assert abs(math.fsum(shares) - 1.0) < 1e-12

    @given(PRIORITIES, cases(), st.randoms(use_true_random=False))
    def test_order_does_not_matter(self, priorities: list[float], case: Case, random: Any) -> None:
        order = list(range(len(priorities)))
        random.shuffle(order)
        straight = case.shares(priorities)
        turned = case.shares([priorities[index] for index in order], order.index(0))
        assert turned == pytest.approx([straight[index] for index in order], abs=1e-12)

    @given(PRIORITIES, cases(RANKING))
    def test_higher_priority_is_never_less_likely(self, priorities: list[float], case: Case) -> None:
        if case.members:
            case = replace(case, members=1)  # members may disagree with the mean
        shares = case.shares(priorities)
        ranked = sorted(zip(case.draws(priorities)[0] if case.members else priorities, shares, strict=True))
        assert all(
            low_share <= high_share + 1e-12 or low == high for (low, low_share), (high, high_share) in pairwise(ranked)
        )

    @given(PRIORITIES.filter(lambda values: len(values) > 1), cases(), st.floats(0.0, 1e6), st.data())
    def test_more_priority_is_never_less_probability(
        self, priorities: list[float], case: Case, more: float, data: st.DataObject
    ) -> None:
        which = data.draw(st.integers(1, len(priorities) - 1))
        raised = [value + more if index == which else value for index, value in enumerate(priorities)]
        assert case.shares(raised)[which] >= case.shares(priorities)[which] - 1e-12

    @given(PRIORITIES, cases())
    def test_the_floor_holds_for_every_candidate_and_no_contact(self, priorities: list[float], case: Case) -> None:
        shares = case.shares(priorities)
        assert min(shares) >= floor_of(case.spec) / len(shares) - 1e-12

    @given(cases(), VALUES, st.integers(2, 8))
    def test_equal_priorities_are_equally_likely(self, case: Case, value: float, count: int) -> None:
        shares = case.shares([0.0, *[value] * count])
        assert max(shares[1:]) - min(shares[1:]) < 1e-12

    @given(cases())
    def test_where_there_is_no_contact_only_it_is_certain(self, case: Case) -> None:
        assert case.shares([0.0]) == (1.0,)

    @given(PRIORITIES, cases(), st.floats(0.0, 1.0, exclude_max=True))
    def test_what_is_impossible_is_never_drawn(self, priorities: list[float], case: Case, position: float) -> None:
        shares = case.shares(priorities)
        keys = [(f"{index:03}",) for index in range(len(shares))]
        assert shares[draw(shares, keys, position)] > 0.0

    @given(PRIORITIES, cases(), st.floats(0.0, 1.0), st.data())
    def test_immature_offers_stay_under_their_joint_limit(
        self, priorities: list[float], case: Case, limit: float, data: st.DataObject
    ) -> None:
        young = [False, *(data.draw(st.booleans()) for _ in priorities[1:])]
        case = replace(case, spec=case.spec.replace(new_offers=NewOffers(immature_share=limit)))
        free, limited = case.shares(priorities), case.shares(priorities, immature=young)
        held = math.fsum(share for share, flag in zip(limited, young, strict=True) if flag)
        before = math.fsum(share for share, flag in zip(free, young, strict=True) if flag)
        assert abs(math.fsum(limited) - 1.0) < 1e-12
        assert held == pytest.approx(min(before, limit), abs=1e-9)
        assert all(
            after >= earlier - 1e-12 for after, earlier, flag in zip(limited, free, young, strict=True) if not flag
        )
        floor = floor_of(case.spec) / len(free)
        if floor * sum(young) < limit:
            assert min(limited) >= floor - 1e-9

    @settings(max_examples=20)
    @given(PRIORITIES, cases())
    def test_the_same_arguments_give_the_same_distribution(self, priorities: list[float], case: Case) -> None:
        assert case.shares(priorities) == case.shares(list(priorities))

    draws: int = 20_000
    """Of every frequency test; the slow proof takes ten times as many."""

    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_frequencies_are_the_probabilities(self, kind: Any) -> None:
        shares = example(kind)
        assert chi_square_p(frequencies(shares, self.draws), shares) > 1e-4
