"""Rules: what they say, what they refuse, and that nothing in them can fail or reach out."""

from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretouch.core.errors import ConfigError
from foretouch.core.expressions import FUNCTIONS, MAX_LENGTH, compile_expression

VALUES: dict[str, dict[str, Any]] = {
    "feature": {"recency_days": 45.0, "stage": "loyal", "hours": [1, 2, 3], "gone": None, "odd": float("nan")},
    "customer": {"region": "north", "vip": True, "two words": 1},
    "context": {"intent": "leave"},
    "offer": {"category": "a", "value": 3.0},
}


@pytest.mark.parametrize(
    ("rule", "passed"),
    [
        ("feature.recency_days > 30", True),
        ('customer.region in ["north", "east"] && offer.value >= 3.0', True),
        ("feature.hours.exists(hour, hour > 2)", True),
        ("!has(feature.gone)", True),
        ("has(feature.stage) && feature.stage.startsWith('loy')", True),
        ("customer['two words'] == 1", True),
        ("feature.recency_days < 30", False),
        ("feature.gone > 3", False),
        ("feature.gone < 3", False),
        ("!(feature.gone > 3)", False),
        ("feature.odd > 3", False),
        ("feature.never_heard_of != 3", False),
        ("feature.stage > 3", False),
        ("feature.recency_days", False),
        ("1 / 0 == 1", False),
        ("[1][7] == 1", False),
        ("context.intent.matches('(')", False),
    ],
)
def test_what_a_rule_says(rule: str, passed: bool) -> None:
    verdict = compile_expression(rule).evaluate(VALUES)
    assert verdict.passed is passed
    assert bool(verdict.text) is not passed


def test_the_text_shows_the_values_seen_and_the_unknown() -> None:
    rule = compile_expression('feature.recency_days < 30.0 && customer.region == "north"')
    assert rule.evaluate(VALUES).text == 'not met: feature.recency_days == 45, customer.region == "north"'
    unknown = compile_expression("feature.gone > 3 && customer.vip").evaluate(VALUES)
    assert unknown.text == "value unknown: feature.gone unknown, customer.vip == true"
    assert unknown.seen == {"feature.gone": None, "customer.vip": True}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("feature.x >\n  ) 3", "line 2, column 3"),
        ("feature.x > 1 &&\n   nobody.y == 2", "line 2, column 4: 'nobody' is not known"),
        ("feature == 1", "line 1, column 1: 'feature' must be followed by a name"),
        ("launch(feature.x)", "line 1, column 1: function 'launch' is not known"),
        ("feature.x\n  < feature.nope", "line 2, column 5: feature.nope is not known"),
        ("__import__('os').system('id') == 0", "is not known"),
        ("1 ==" + " " * MAX_LENGTH + "1", "must have at most"),
    ],
)
def test_mistakes_are_found_when_loaded_with_their_place(rule: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_expression(rule, where="offer 'tea', eligibility", known={"feature": {"x"}})
    assert caught.value.message.startswith("offer 'tea', eligibility: ")
    assert message in caught.value.message


def test_names_inside_texts_are_no_names() -> None:
    assert compile_expression("context.intent == 'feature.x > nobody.y'").fields == (("context", "intent"),)


@given(st.text(max_size=60))
def test_any_text_compiles_or_is_refused_by_name(rule: str) -> None:
    try:
        expression = compile_expression(rule)
    except ConfigError:
        return
    assert expression.evaluate(VALUES).passed in {True, False}


@given(
    st.recursive(
        st.sampled_from(("feature.gone", "feature.stage", "feature.recency_days", "1", "-9223372036854775808", "'a'")),
        lambda inner: st.builds(
            lambda left, sign, right: f"({left} {sign} {right})",
            inner,
            st.sampled_from(("+", "-", "*", "/", "%", "<", "==", "&&", "||", "in")),
            inner,
        ),
        max_leaves=8,
    )
)
def test_no_value_makes_a_rule_fail(rule: str) -> None:
    verdict = compile_expression(rule).evaluate(VALUES)
    assert verdict.passed in {True, False}


class Watched(dict[str, Any]):
    """A scope that counts what is asked of it, and cannot be walked through."""

    asked = 0

    def __getitem__(self, name: str) -> Any:
        Watched.asked += 1
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        Watched.asked += 1
        return super().get(name, default)

    def __iter__(self) -> NoReturn:
        raise AssertionError("a rule looks at what it names, not at everything")

    keys = values = items = __iter__


def test_a_rule_looks_at_what_it_names_alone() -> None:
    """A rule on three of 150 fields costs what it costs on three of three."""
    rule = compile_expression('feature.recency_days < 30.0 && customer.region == "north" && offer.value > 1.0')
    many = {f"f{index}": float(index) for index in range(150)} | VALUES["feature"]
    Watched.asked = 0
    verdict = rule.evaluate({**VALUES, "feature": Watched(many)})
    assert verdict == rule.evaluate(VALUES)
    assert 1 <= Watched.asked <= 2


def test_no_function_reads_the_clock() -> None:
    assert not {"now", "getTime"} & FUNCTIONS
