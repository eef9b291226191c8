"""Eligibility expressions: CEL (the Common Expression Language), compiled once, never ``eval``.

Four namespaces may be named: ``customer.`` (attributes on record), ``feature.`` (values by feature name),
``context.`` (the request's) and ``offer.`` (the offer's fields and attributes). CEL has no loops, no assignment and
no access to Python; every evaluation ends. A value that is not known makes a rule false, and the text says so.

Example:
    >>> rule = compile_expression('feature.recency_days < 30.0 && customer.region == "north"')
    >>> rule.evaluate({"feature": {"recency_days": 45.0}, "customer": {"region": "north"}}).text
    'not met: feature.recency_days == 45, customer.region == "north"'
"""

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import cel

from foretouch.core.errors import ConfigError

NAMESPACES = ("customer", "feature", "context", "offer")
MAX_LENGTH = 2000
FUNCTIONS = frozenset(
    {
        *("size", "contains", "startsWith", "endsWith", "matches", "has", "int", "uint", "double", "string", "bool"),
        *("min", "max", "timestamp", "duration", "getFullYear", "getMonth", "getDate", "getDayOfMonth"),
        *("getDayOfWeek", "getDayOfYear", "getHours", "getMinutes", "getSeconds"),
    }
)
"""Functions a rule may call besides the operators; all are pure."""

_STRING = re.compile(r"""[rR]?("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')""")
_IDENTIFIER = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_BINDER = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,")
_NUMBER = r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_COMPARED = re.compile(
    rf"(?<![\w.])feature\s*\.\s*(?P<left>[A-Za-z_]\w*)\s*(?:[<>]=?|==)\s*(?P<right_number>{_NUMBER})"
    rf"|(?P<left_number>(?<![\w.]){_NUMBER})\s*(?:[<>]=?|==)\s*feature\s*\.\s*(?P<right>[A-Za-z_]\w*)"
)
_JUST_AFTER = 1.0 / 86_400.0
"""A second, in days: a rule that says "more than" holds from then on."""
_POSITION = re.compile(r"<input>:(\d+):(\d+): (?:Syntax error: )?([^\n]*)")
_WORDS = frozenset({"true", "false", "null", "in"})


class ExpressionError(ConfigError):
    """A rule that cannot be used, with its place inside the rule's text.

    Args:
        where: The rule, in words.
        line: From 1.
        column: From 1.
        problem: What is wrong there.
    """

    def __init__(self, where: str, line: int, column: int, problem: str) -> None:
        super().__init__(
            f"{where}: line {line}, column {column}: {problem}",
            hint="mend the rule; docs/decisions/0003-eligibility-language.md shows the language",
        )
        self.line = line
        self.column = column
        self.problem = problem


class _ProblemError(ValueError):
    def __init__(self, place: tuple[int, int], problem: str) -> None:
        super().__init__(problem)
        self.place = place


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a rule said of one customer and offer.

    Attributes:
        passed: True only if the rule is true; anything unknown or ill-typed is False.
        text: Why not, with the values seen; empty when it passed.
        seen: Every value that the rule names, by ``namespace.name``; None is unknown.
        result: What the rule gave; None where it could not be decided.
    """

    passed: bool
    text: str
    seen: dict[str, Any]
    result: Any = None


class Expression:
    """A compiled rule; see ``compile_expression``."""

    def __init__(self, source: str, program: "cel.Program", fields: tuple[tuple[str, str], ...]) -> None:
        self.source = source
        self.fields = fields
        self.compared = tuple(
            (found["left"] or found["right"], float(found["right_number"] or found["left_number"]))
            for found in _COMPARED.finditer(_blank(source))
        )
        """Features that are compared with a number, and the number."""
        self._program = program
        self._spaces = tuple(space for space in NAMESPACES if space in source)  # handing over the others costs as much
        self._labelled = tuple((space, name, f"{space}.{name}") for space, name in fields)

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"

    def evaluate(self, values: Mapping[str, Mapping[str, Any]]) -> Verdict:
        """Decides the rule on values by namespace and name. Never raises.

        Args:
            values: E.g. ``{"feature": {"recency_days": 3.0}}``; None, NaN and absent are all "unknown".
        """
        seen: dict[str, Any] = {}
        given: dict[str, dict[str, Any]] = {space: {} for space in self._spaces}
        for space, name, label in self._labelled:
            value = values[space].get(name) if space in values else None
            if value is None or (isinstance(value, float) and not math.isfinite(value)):
                seen[label] = None
            else:
                seen[label] = given[space][name] = value
        try:
            result = self._program.execute(given)
        except (LookupError, TypeError, ValueError, RuntimeError, ArithmeticError) as error:
            return Verdict(passed=False, text=_failure(error, seen), seen=seen)
        if result is True:
            return Verdict(passed=True, text="", seen=seen, result=True)
        if result is False:
            text = f"not met: {_listed(seen)}" if seen else "never met"
            return Verdict(passed=False, text=text, seen=seen, result=False)
        text = f"the rule gives {result!r}, which is neither true nor false ({_listed(seen)})"
        return Verdict(passed=False, text=text, seen=seen, result=result)

    def turns_true(self, values: Mapping[str, Mapping[str, Any]], ages: Collection[str]) -> float | None:
        """In how many days a rule that is not met now is first met, if nothing happens but time passing.

        Only features that are ages in days change by that, and only at a number that one of them is compared with can
        the rule change; each such moment is tried with every age grown alike.

        Args:
            values: As for ``evaluate``.
            ages: Names of features that grow by one a day.

        Returns:
            Days from now, above 0; None where time alone does not help.
        """
        features = values.get("feature", {})
        waits: set[float] = set()
        for name, number in self.compared:
            age = features.get(name)
            if name in ages and isinstance(age, (int, float)) and not isinstance(age, bool) and number >= age:
                waits.update((number - age, number - age + _JUST_AFTER))
        growing = [name for space, name in self.fields if space == "feature" and name in ages]
        for wait in sorted(waits - {0.0}):
            older = dict(features)
            for name in growing:
                if isinstance(older.get(name), (int, float)):
                    older[name] = float(older[name]) + wait
            if self.evaluate({**values, "feature": older}).passed:
                return wait
        return None


def _failure(error: Exception, seen: Mapping[str, Any]) -> str:
    if any(value is None for value in seen.values()):
        return f"value unknown: {_listed(seen)}"
    message = str(error).split(". ")[0].rstrip(".")
    return f"the rule cannot be decided on these values: {_listed(seen)} ({message})"


def _listed(seen: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {'unknown' if value is None else '== ' + _shown(value)}" for name, value in seen.items())


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def compile_expression(
    source: str, *, where: str = "expression", known: Mapping[str, Collection[str]] | None = None
) -> Expression:
    """Compiles a rule and checks every name in it.

    Args:
        source: The rule in CEL.
        where: What an error names, e.g. ``offer 'C1', eligibility``.
        known: Names by namespace; a namespace that is absent from it takes any name.

    Raises:
        ExpressionError: A syntax error, an unknown name (with the nearest known one) or function, or a rule of more
            than 2,000 characters, with its line and column.
    """
    try:
        expression = _compile(source)
    except _ProblemError as error:
        raise ExpressionError(where, *error.place, str(error)) from None
    for namespace, name in expression.fields:
        names = (known or {}).get(namespace)
        if names is not None and name not in names:
            place = _place(source, _find(source, namespace, name))
            raise ExpressionError(where, *place, f"{namespace}.{name} is not known{nearest(name, names)}")
    return expression


def nearest(name: str, names: Collection[str]) -> str:
    """What an error about an unknown name adds: the nearest known one, or those that there are."""
    close = get_close_matches(name, sorted(names), n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(map(repr, sorted(names)))}" if 0 < len(names) <= 12 else ""


@lru_cache(maxsize=4096)
def _compile(source: str) -> Expression:
    if len(source) > MAX_LENGTH:
        raise _ProblemError((1, 1), f"the rule has {len(source)} characters, must have at most {MAX_LENGTH}")
    try:
        program = cel.compile(source)
    except ValueError as error:
        found = _POSITION.search(str(error))
        if found is None:
            raise _ProblemError((1, 1), str(error).splitlines()[0]) from None
        raise _ProblemError((int(found[1]), int(found[2])), found[3][:200]) from None
    blanked = _blank(source)
    bound = set(_BINDER.findall(blanked))
    fields: dict[tuple[str, str], None] = {}
    for match in _IDENTIFIER.finditer(blanked):
        word, after = match[0], source[match.end() :]
        if word in bound or word in _WORDS or (after.lstrip().startswith("(") and word not in NAMESPACES):
            continue
        if word not in NAMESPACES:
            problem = f"{word!r} is not known, must start with {', '.join(NAMESPACES)}"
            raise _ProblemError(_place(source, match.start()), problem)
        name = re.match(r"""\s*(?:\.\s*([A-Za-z_]\w*)|\[\s*(?:"([^"\\]+)"|'([^'\\]+)')\s*\])""", after)
        if name is None:
            raise _ProblemError(
                _place(source, match.start()), f"{word!r} must be followed by a name, as in {word}.name"
            )
        fields[(word, name[1] or name[2] or name[3])] = None
    for function in program.functions():
        if function[0] not in "_@!-?" and function not in FUNCTIONS:
            problem = f"function {function!r} is not known{nearest(function, FUNCTIONS)}"
            raise _ProblemError(_place(source, blanked.find(function)), problem)
    return Expression(source, program, tuple(fields))


def _blank(source: str) -> str:
    """The source with the insides of string literals blanked, so that positions stay."""
    return _STRING.sub(lambda match: '"' + " " * (len(match[0]) - 2) + '"', source)


def _find(source: str, namespace: str, name: str) -> int:
    found = re.search(rf"""\b{namespace}\s*(?:\.\s*{re.escape(name)}\b|\[\s*["']{re.escape(name)}["'])""", source)
    return found.start() if found else 0


def _place(source: str, position: int) -> tuple[int, int]:
    before = source[: max(position, 0)]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
