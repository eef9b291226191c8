"""Whether a rule can be true or false at all: ``customer.age`` is a number, whatever the customer.

The language has no types that could be read off a rule, so it is tried: on every kind of value that its names may have,
all alike first, then mixed. A rule that gives true or false on any of them is a rule. One that only ever gives
something else would forbid everything, and one without names that fails always fails.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from foretouch.core.expressions import Expression, ExpressionError
from foretouch.core.rng import derive_seed

NUMBERS: tuple[Any, ...] = (1.5, 3, 0.0, -2.0, 1e12, -1e12)
TEXTS: tuple[Any, ...] = ("a", "", "2026-01-01T00:00:00Z", "12")
OTHERS: tuple[Any, ...] = (True, False, ["a"], [1.5], {"a": 1.5})
ANYTHING = (*NUMBERS, *TEXTS, *OTHERS)
MEASURED = (*NUMBERS, *TEXTS)
"""A feature is a number or a text, never true or false."""
MIXED = 200
"""Assignments of different kinds that are tried after those of one kind."""
FIELDS: Mapping[str, Mapping[str, Any]] = {
    "customer": {"known": True, "language": "en", "time_zone": "UTC"},
    "offer": {
        **dict.fromkeys(("offer_id", "name", "issue", "category", "placement"), "a"),
        **dict.fromkeys(("value", "cost", "lever"), 1.5),
    },
}
"""Values of the kinds that these fields have, whoever is asked about; attributes may be of any kind."""
KINDS: tuple[tuple[type, str], ...] = (
    (int, "a number"),
    (float, "a number"),
    (str, "a text"),
    (list, "a list"),
    (dict, "a map"),
)


def check_kind(expression: Expression, where: str) -> None:
    """Refuses an expression that would forbid everything.

    Args:
        expression: Compiled.
        where: What an error names.

    Raises:
        ExpressionError: It can be neither true nor false.
    """
    problem = never_a_rule(expression)
    if problem is not None:
        raise ExpressionError(where, 1, 1, problem)


def never_a_rule(expression: Expression) -> str | None:
    """Why an expression can be neither true nor false; None where it can be, or where that cannot be told."""
    given: Any = None
    for values in _tries(expression):
        verdict = expression.evaluate(values)
        if verdict.passed or verdict.result is False:
            return None
        if verdict.result is not None and given is None:
            given = verdict.result
    if given is not None:
        kind = next((words for kind, words in KINDS if isinstance(given, kind)), f"a {type(given).__name__}")
        return f"it gives {kind}, must be true or false, e.g. a comparison"
    return None if expression.fields else "it can be neither true nor false, must be a comparison or a condition"


def _tries(expression: Expression) -> Iterator[Mapping[str, Mapping[str, Any]]]:
    choices: list[tuple[str, str, tuple[Any, ...]]] = []
    for namespace, name in expression.fields:
        fixed = FIELDS.get(namespace, {})
        kinds = (fixed[name],) if name in fixed else MEASURED if namespace == "feature" else ANYTHING
        choices.append((namespace, name, kinds))
    if not choices:
        yield {}
        return
    for turn in range(len(ANYTHING)):
        yield _values([(space, name, kinds[turn % len(kinds)]) for space, name, kinds in choices])
    for turn in range(MIXED if len(choices) > 1 else 0):
        yield _values([(*field, kinds[_drawn(turn, field, len(kinds))]) for *field, kinds in choices])


def _drawn(turn: int, field: list[str], among: int) -> int:
    """One of several, always the same one for the same field and turn."""
    return derive_seed("kinds", str(turn), *field) % among


def _values(chosen: list[tuple[str, str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for namespace, name, value in chosen:
        found.setdefault(namespace, {})[name] = value
    return found
