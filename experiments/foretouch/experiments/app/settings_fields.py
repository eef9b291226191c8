"""Which values of a policy and of the contact rules a form shows, and what a form's words become in the file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import time
from typing import Any, get_args

from foretouch.core.contact import Cap, ContactPolicy
from foretouch.core.errors import ConfigError
from foretouch.core.policy import Factors, PolicySpec
from foretouch.core.toml_edit import Plain, add_table, remove_table, set_value
from foretouch.core.toml_places import Path

KINDS = get_args(PolicySpec.model_fields["kind"].annotation)
CREDITS = get_args(PolicySpec.model_fields["propensity"].annotation)
SCOPES = get_args(Cap.model_fields["scope"].annotation)
POLICY_NUMBERS = (
    "temperature",
    "floor",
    "epsilon",
    "slot_exploration",
    "fatigue_cost",
    "waiting_cost_per_hour",
    "expires_after_hours",
)
CONTACT_NUMBERS = ("minimum_gap_hours", "reservation_hours")
TABLES: Mapping[str, tuple[str, ...]] = {
    "levers": ("percent",),
    "context_weights": ("percent",),
    "score_weights": ("percent",),
    "caps": ("limit", "days"),
    "cool_downs": ("count", "days"),
    "quiet_hours": ("start", "end"),
    "working_hours": ("start", "end"),
}
"""Of every table of an array: the values that a form changes."""
PREFIX = "v."


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One value in a form.

    Attributes:
        name: Of the form's field: ``v.`` and the path.
        path: In the file.
        key: Names its label.
        value: As it is; the contract's default where the file does not say it.
        kind: ``number``, ``time``, ``switch`` or ``choice``.
        choices: Of a choice.
    """

    name: str
    path: Path
    key: str
    value: Any
    kind: str = "number"
    choices: tuple[str, ...] = ()


def policy_entries(policy: PolicySpec) -> dict[str, list[Entry]]:
    """The fields of a policy: how it chooses, and which factors count."""
    choice = [
        _entry(("kind",), policy.kind, kind="choice", choices=KINDS),
        _entry(("propensity",), policy.propensity, kind="choice", choices=CREDITS),
    ]
    numbers = [_entry((name,), getattr(policy, name)) for name in POLICY_NUMBERS]
    factors = [
        _entry(("factors", name), getattr(policy.factors, name), kind="switch", key=f"factor_{name}")
        for name in Factors.model_fields
    ]
    return {"choice": [*choice, *numbers], "factors": factors}


def contact_entries(policy: ContactPolicy) -> list[Entry]:
    """The fields of the contact rules that stand alone."""
    return [_entry((name,), getattr(policy, name)) for name in CONTACT_NUMBERS]


def rows(policy: PolicySpec | ContactPolicy, table: str) -> list[dict[str, Any]]:
    """The tables of an array, each with its fields and everything else that it says."""
    found = []
    for index, item in enumerate(getattr(policy, table)):
        entries = [
            _entry((table, index, name), value, kind="time" if isinstance(value, time) else "number")
            for name in TABLES[table]
            if (value := getattr(item, name)) is not None
        ]
        found.append({"item": item, "entries": entries, "place": f"{table}.{index}"})
    return found


def _entry(path: Path, value: Any, *, kind: str = "number", choices: tuple[str, ...] = (), key: str = "") -> Entry:
    name = PREFIX + ".".join(str(part) for part in path)
    return Entry(name=name, path=path, key=key or str(path[-1]), value=value, kind=kind, choices=choices)


def with_values(text: str, entries: Iterator[Entry], form: Mapping[str, str]) -> str:
    """The file with every field that a form says otherwise.

    Raises:
        ConfigError: A field holds no number or time.
    """
    for entry in entries:
        given = form.get(entry.name)
        if given is None or (given.strip() == "" and entry.value is None):
            continue
        value = _read(entry, given.strip())
        if value != entry.value:
            text = set_value(text, entry.path, value)
    return text


def _read(entry: Entry, given: str) -> Plain:
    shown = ".".join(str(part + 1 if isinstance(part, int) else part) for part in entry.path)
    if entry.kind == "choice":
        return given
    if entry.kind == "switch":
        return given == "true"
    if entry.kind == "time":
        try:
            return time.fromisoformat(given)
        except ValueError as error:
            raise ConfigError(f"{shown} == {given!r}, must be a time like 21:00") from error
    try:
        number = float(given)
    except ValueError as error:
        raise ConfigError(f"{shown} == {given!r}, must be a number") from error
    return int(number) if number.is_integer() and abs(number) < 1e15 else number


def without(text: str, place: str) -> str:
    """The file without one table: ``place`` is its array and index, e.g. ``levers.0``.

    Raises:
        ConfigError: There is no such table.
    """
    name, _, index = place.partition(".")
    if name not in TABLES or not index.isdigit():
        raise ConfigError(f"there is no {place} to remove")
    return remove_table(text, name, int(index))


def with_lever(text: str, form: Mapping[str, str]) -> str:
    """The file with one more lever."""
    return add_table(text, "levers", {**_target(form), "percent": _number(form, "percent")})


def with_context_weight(text: str, form: Mapping[str, str]) -> str:
    """The file with one more context weight.

    Raises:
        ConfigError: The occasion is not named.
    """
    key, equals = form.get("key", "").strip(), form.get("equals", "").strip()
    if not key or not equals:
        raise ConfigError("a context weight needs a key and a value of the request's context")
    said: Plain = equals == "true" if equals in {"true", "false"} else equals
    values: dict[str, Plain] = {"key": key, "equals": said, **_target(form), "percent": _number(form, "percent")}
    return add_table(text, "context_weights", values)


def with_cap(text: str, form: Mapping[str, str]) -> str:
    """The file with one more cap.

    Raises:
        ConfigError: It has no name.
    """
    rule = form.get("rule", "").strip()
    if not rule:
        raise ConfigError("a cap needs a name: answers and records show it")
    values: dict[str, Plain] = {
        "rule": rule,
        "scope": form.get("scope", "customer"),
        "limit": _number(form, "limit"),
        "days": _number(form, "days"),
    }
    return add_table(text, "caps", values)


def _target(form: Mapping[str, str]) -> dict[str, Plain]:
    """Whom a lever or weight is for: ``offer_id:…``, ``category:…``, ``issue:…``, or everything."""
    kind, _, name = form.get("target", "").partition(":")
    return {kind: name} if kind in {"offer_id", "category", "issue"} and name else {}


def _number(form: Mapping[str, str], name: str) -> int | float:
    given = form.get(name, "").strip()
    try:
        number = float(given)
    except ValueError as error:
        raise ConfigError(f"{name} == {given!r}, must be a number") from error
    return int(number) if number.is_integer() and abs(number) < 1e15 else number
