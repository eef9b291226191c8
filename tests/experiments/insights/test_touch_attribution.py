"""Attribution against brute force, an independent library and counts made by hand."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations, permutations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretouch.core.attribution import DAY
from foretouch.experiments.insights import markov
from foretouch.experiments.insights.contract import Attribution
from foretouch.experiments.insights.insights import insights
from foretouch.experiments.insights.touch_rules import RULES, shapley
from tests.experiments.insights.made_log import MadeLog

TOUCHES = st.sampled_from(["a", "b", "c", "d"])
PATHS = st.lists(st.tuples(st.lists(TOUCHES, min_size=1, max_size=4), st.booleans()), min_size=1, max_size=12)
Route = tuple[Sequence[str], bool]


def steps_of(paths: Sequence[Route]) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for path, converted in paths:
        found += markov.steps_of(path, converted=converted)
    return found


def walked(paths: Sequence[Route], without: str | None = None) -> float:
    """The chance to convert by walking the chain step by step: no linear algebra."""
    following: dict[str, Counter[str]] = {}
    for (before, after), count in steps_of(paths).items():
        following.setdefault(before, Counter())[after] += count
    at = {markov.START: 1.0}
    converted = 0.0
    while sum(at.values()) > 1e-13:
        then: dict[str, float] = {}
        for state, chance in at.items():
            total = sum(following[state].values())
            for after, count in following[state].items():
                moved = chance * count / total
                if after == markov.CONVERTED:
                    converted += moved
                elif after not in {markov.LOST, without}:
                    then[after] = then.get(after, 0.0) + moved
        at = then
    return converted


@settings(max_examples=25, deadline=None)
@given(PATHS)
def test_the_chain_equals_walking_it(paths: list[Route]) -> None:
    steps = steps_of(paths)
    assert markov.conversion_probability(steps) == pytest.approx(walked(paths), abs=1e-9)
    for name, effect in markov.removal_effects(steps).items():
        whole = walked(paths)
        assert effect == pytest.approx(1.0 - walked(paths, name) / whole if whole > 0.0 else 0.0, abs=1e-8)


@settings(max_examples=40, deadline=None)
@given(PATHS)
def test_a_chain_converts_as_often_as_its_paths(paths: list[Route]) -> None:
    """Law of a first-order chain: its flow into conversion is the share of paths that converted."""
    share = sum(converted for _, converted in paths) / len(paths)
    assert markov.conversion_probability(steps_of(paths)) == pytest.approx(share)


def brute_shapley(paths: Sequence[Route]) -> dict[str, float]:
    """The mean marginal worth over every order in which touches can arrive."""
    names = sorted({name for path, _ in paths for name in path})

    def worth(coalition: frozenset[str]) -> float:
        return float(sum(converted and set(path) <= coalition for path, converted in paths))

    found = dict.fromkeys(names, 0.0)
    for order in permutations(names):
        there: frozenset[str] = frozenset()
        for name in order:
            found[name] += (worth(there | {name}) - worth(there)) / factorial(len(names))
            there |= {name}
    return found


@settings(max_examples=40, deadline=None)
@given(PATHS)
def test_the_equal_split_is_the_shapley_value(paths: list[Route]) -> None:
    found: Counter[str] = Counter()
    for path, converted in paths:
        for name, weight in shapley(path).items():
            found[name] += weight * converted  # type: ignore[assignment]
    assert dict(found) == pytest.approx(brute_shapley(paths))


@given(st.lists(st.floats(0.0, 30.0), min_size=1, max_size=7))
def test_every_rule_shares_one_conversion_out(days: list[float]) -> None:
    ages = sorted((DAY * day for day in days), reverse=True)
    for name, rule in RULES.items():
        weights = rule(ages)
        assert len(weights) == len(ages)
        assert min(weights) >= 0.0
        assert sum(weights) == pytest.approx(1.0), name
    decayed = RULES["time_decay"](ages)
    assert decayed == sorted(decayed)


def test_rules_by_hand() -> None:
    ages = [14.0 * DAY, 7.0 * DAY, 0.0]
    assert RULES["first"](ages) == [1.0, 0.0, 0.0]
    assert RULES["last"](ages) == [0.0, 0.0, 1.0]
    assert RULES["time_decay"](ages) == pytest.approx([1 / 7, 2 / 7, 4 / 7])
    assert RULES["position"](ages) == pytest.approx([0.4, 0.2, 0.4])
    assert RULES["position"](ages[:2]) == [0.5, 0.5]
    assert RULES["position"](ages[:1]) == [1.0]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeLog:
    """Window 7 days; a: two touches, then an order; b: too late; c: no touch; d: not delivered; e: still open."""
    log = MadeLog(tmp_path_factory.mktemp("touches"))

    def touch(customer: str, day: float, offer: str, channel: str, *, delivered: bool = True) -> str:
        name = log.decide(customer, day, [(offer, channel, None)], chosen=(offer, channel))
        if delivered:
            log.outcome(name, "delivered", day)
        return name

    touch("a", 0, "tea", "email")
    touch("a", 4, "cake", "email")
    touch("a", 5, "tea", "sms")
    log.event("a", 6)
    log.event("a", 6.5)  # no touch since the conversion before
    touch("b", 0, "tea", "email")
    log.event("b", 7)  # windows are half open
    log.decide("c", 0)
    log.event("c", 1)
    log.event("c", 2, bot=True)
    touch("d", 0, "tea", "email", delivered=False)
    log.event("d", 1)
    touch("e", 56, "tea", "sms")
    return log


def credit(found: Attribution, dimension: str, model: str) -> Mapping[str, float]:
    return {row.touch: row.credit[model] for row in found.rows if row.dimension == dimension}


def test_journeys_by_hand(made: MadeLog) -> None:
    found = insights(made.workspace).attribution
    assert found is not None
    # a's second order, b's late one, c's and d's had no touch in the window before them
    assert (found.conversions, found.without_touch, found.lost, found.open) == (1, 4, 1, 1)
    assert found.touches_per_conversion == 3.0
    assert credit(found, "channel", "first") == {"email": 1.0, "sms": 0.0}
    assert credit(found, "channel", "last") == {"email": 0.0, "sms": 1.0}
    assert credit(found, "channel", "linear") == pytest.approx({"email": 2 / 3, "sms": 1 / 3})
    assert credit(found, "offer", "position") == pytest.approx({"tea": 0.8, "cake": 0.2})
    assert credit(found, "channel", "shapley") == {"email": 0.5, "sms": 0.5}
    decay = np.exp2([-6 / 7, -2 / 7, -1 / 7])
    assert credit(found, "offer", "time_decay")["cake"] == pytest.approx(decay[1] / decay.sum())
    # of the paths email, email, sms → order and email → nothing: every conversion needs both channels
    effects = {row.touch: row.removal_effect for row in found.rows if row.dimension == "channel"}
    assert effects == pytest.approx({"email": 1.0, "sms": 1.0})


def test_every_models_credits_sum_to_the_conversions(made: MadeLog) -> None:
    found = insights(made.workspace).attribution
    assert found is not None
    for dimension, model in ((d, m) for d in ("channel", "offer") for m in (*RULES, "markov", "shapley")):
        assert sum(credit(found, dimension, model).values()) == pytest.approx(found.conversions), (dimension, model)


def test_subsets_do_not_depend_on_their_order() -> None:
    for names in combinations("abcd", 3):
        assert {shapley(order)["a" if "a" in names else "b"] for order in permutations(names)} == {1 / 3}


def test_an_independent_library_says_the_same() -> None:
    """marketing_attribution_models 2.1.1: ``MAM(df, 2, "channels", "conv", …)``, touches 48 hours apart, then
    ``run_first_click``, …, ``run_time_decay(168.0)`` and ``run_markov(transition_to_same_state=True)``.

    Its Markov credit is shared out path by path, ours by removal effect, as in the paper: effects are compared.
    """
    paths: list[Route] = [
        (["email", "sms", "email"], True),
        (["email"], False),
        (["sms", "push"], True),
        (["push"], False),
        (["email", "push"], True),
        (["sms"], True),
        (["email", "email", "sms", "push"], False),
        (["push", "email"], False),
    ]
    expected = {
        "first": {"email": 2.0, "sms": 2.0, "push": 0.0},
        "last": {"email": 1.0, "sms": 1.0, "push": 2.0},
        "linear": {"email": 1.166667, "sms": 1.833333, "push": 1.0},
        "position": {"email": 1.3, "sms": 1.7, "push": 1.0},
        "time_decay": {"email": 1.121633, "sms": 1.779668, "push": 1.098699},
    }
    for name, credited in expected.items():
        found = dict.fromkeys(credited, 0.0)
        for path, converted in paths:
            ages = [2.0 * DAY * (len(path) - 1 - index) for index in range(len(path))]
            for touch, weight in zip(path, RULES[name](ages), strict=True):
                found[touch] += weight * converted
        assert found == pytest.approx(credited, abs=1e-6), name
    effects = markov.removal_effects(steps_of(paths))
    assert effects == pytest.approx({"email": 0.575, "push": 0.568182, "sms": 0.534483}, abs=1e-6)
