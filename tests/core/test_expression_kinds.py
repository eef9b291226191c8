"""A rule that could never be true or false is refused; every other rule is left alone."""

import pytest

from foretouch.core.expression_kinds import check_kind, never_a_rule
from foretouch.core.expressions import ExpressionError, compile_expression


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("feature.recency_days", "a number"),
        ("1 + 1", "a number"),
        ("'yes'", "a text"),
        ("offer.value", "a number"),
        ("offer.category", "a text"),
        ("customer.language", "a text"),
        ("customer.age > 18 ? 1 : 2", "a number"),
        ("customer.name + 'x'", "a text"),
        ("size(customer.tags)", "a number"),
        ("[customer.age, 3]", "a list"),
        ("{'a': feature.recency_days}", "a map"),
        ("'a' > 1", "neither true nor false"),
    ],
)
def test_what_can_never_be_true_or_false_is_refused(source: str, kind: str) -> None:
    with pytest.raises(ExpressionError, match=f"the rule: line 1, column 1: it .*{kind}.*must be"):
        check_kind(compile_expression(source), "the rule")


@pytest.mark.parametrize(
    "source",
    [
        "true",
        "false",
        "customer.vip",
        "customer.known",
        "context.cart",
        "has(customer.x)",
        "feature.recency_days >= 7.0 && customer.arrears == 0.0",
        "customer.a + customer.b > 3.0 && customer.c.startsWith('x')",
        "customer.region in ['north', 'south']",
        "'vip' in customer.tags",
        "customer.tags.exists(t, t == 'x')",
        "offer.margin > offer.cost",
        "customer.age > 18 ? customer.vip : feature.recency_days",
        "customer.age > 900000 ? true : 2",
        "timestamp(customer.since) < timestamp('2026-01-01T00:00:00Z')",
        "customer.name.matches('^a') || offer.category.contains('x')",
    ],
)
def test_what_can_be_true_or_false_is_left_alone(source: str) -> None:
    assert never_a_rule(compile_expression(source)) is None
