"""The candidates of a record by column, "no contact" first. Pure.

Sixty candidates are twenty offers on three channels: most of what is known of a candidate is the offer's (propensity,
uplift, value, and the weights of context, score, lever and the offer's cost) or the channel's (cost and price of a
contact), and is looked up, kept and written once for all of its candidates.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from foretouch.core.decisions import Suppression
from foretouch.core.offers import Catalogue
from foretouch.core.packing import DIGITS, pack_columns, pack_groups
from foretouch.core.record_parts import WEIGHT, WRITE, time_text
from foretouch.serving.decision.candidates import Key, Menu, lay_out
from foretouch.serving.decision.course import Course
from foretouch.serving.decision.plans import Plans
from foretouch.serving.decision.propensities import Span
from foretouch.serving.decision.selection import NO_CONTACT, Selection

Positions = Callable[[Suppression], int]
"""Where a rule's statement is kept in the document."""
OWN_WEIGHTS = frozenset({"context", "score", "lever", "offer_cost"})
"""Weights that are the offer's, whatever the channel and the slot."""


class Groups(NamedTuple):
    """Candidates that share an offer, or a channel.

    Attributes:
        at: The digit of each row's group, "no contact" first, whose digit is 0; empty where there are more groups than
            digits.
        known: The same where all groups are one: 1 where something is known, 0 where nothing is.
        group: Each option's group.
        first: Each group's first option of which anything is known; None where there is none.
    """

    at: str
    known: str
    group: tuple[int, ...]
    first: tuple[int | None, ...]

    def column(self, values: Sequence[Any]) -> Any:
        """A column of one value per group, as it is kept; null for "no contact".

        Args:
            values: Of each group.
        """
        if self.at:
            return pack_groups([None, *values], self.at, self.known)
        known = zip(self.group, self.known[1:], strict=True)
        return pack_columns({"": [None, *[values[group] if one == "1" else None for group, one in known]]}).get("")

    def among(self, left: Sequence[int]) -> "Groups":
        """The same groups where something is known of these options alone."""
        group = self.group
        first = {group[row]: row for row in reversed(left)}
        rows = {row + 1 for row in left}
        at = "".join([digit if row in rows else "0" for row, digit in enumerate(self.at)])
        known = "".join(["1" if row in rows else "0" for row in range(len(self.known))])
        return Groups(at, known, group, tuple(map(first.get, range(len(self.first)))))


def groups_of(names: Sequence[str]) -> Groups:
    """Options by the name that they share."""
    first: dict[str, int] = {}
    for row, name in enumerate(names):
        first.setdefault(name, row)
    position = {name: group for group, name in enumerate(first)}
    index = tuple(position[name] for name in names)
    at = "0" + "".join(DIGITS[group + 1] for group in index) if len(first) < len(DIGITS) else ""
    return Groups(at, "0" + "1" * len(index), index, tuple(first.values()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """What is known of the columns of some options before any decision.

    Attributes:
        keys: The options.
        names: Columns of their names, as JSON.
        offers: Options by offer.
        channels: Options by channel.
    """

    keys: list[Key]
    names: dict[str, orjson.Fragment]
    offers: Groups
    channels: Groups


def layout_of(keys: Sequence[Key]) -> Layout:
    """The layout of options in this order."""
    offers, treatments, channels = zip(*keys, strict=True) if keys else ((), (), ())
    columns: dict[str, Sequence[Any]] = {
        "offer_id": (None, *offers),
        "treatment_id": (None, *(name or None for name in treatments)) if any(treatments) else (),
        "channel": (None, *channels),
    }
    packed = pack_columns(columns)
    return Layout(
        keys=list(keys),
        names={name: orjson.Fragment(orjson.dumps(column, option=WRITE)) for name, column in packed.items()},
        offers=groups_of(offers),
        channels=groups_of(channels),
    )


def candidate_columns(course: Course, position: Positions, catalogue: Catalogue, plans: Plans) -> dict[str, Any]:
    """Every candidate by column, as the record keeps them.

    Args:
        course: What the decision found.
        position: Where statements of rules are kept.
        catalogue: Every offer.
        plans: Where the layout of the whole catalogue is kept, and what a policy makes of its offers.
    """
    screened, worths = course.screened, course.selection.worths
    keys: list[Key] = [item.option.key for item in screened]
    layout = plans.get("layout", (catalogue,), lambda: _whole(catalogue, plans))
    whole = keys == layout.keys
    if not whole:
        layout = layout_of(keys)
    packed: dict[str, Any] = {"count": len(keys) + 1, **layout.names}
    drops = [item.dropped for item in screened]
    offers, channels = layout.offers, layout.channels
    rows: Sequence[int] | None = None
    if any(drops) or len(worths) < len(keys):
        packed |= _dropped(drops, position)
        rows = [row for row, key in enumerate(keys) if drops[row] is None and key in worths]
        offers, channels, whole = offers.among(rows), channels.among(rows), False
    one_each = [NO_CONTACT if row is None else keys[row] for row in offers.first]
    packed |= _of_offers(course, one_each, offers)
    if whole:
        packed |= plans.get(
            "fixed", (catalogue, course.setting.spec), lambda: _as_json(_fixed(course, one_each, offers))
        )
    else:
        packed |= _fixed(course, one_each, offers)
    tolls = [None if row is None else worths[keys[row]] for row in channels.first]
    packed["cost"] = channels.column([None if worth is None else worth.cost + 0.0 for worth in tolls])
    packed["price"] = channels.column([None if worth is None else worth.price + 0.0 for worth in tolls])
    packed |= pack_columns(_of_rows(course.selection, rows, len(keys)))
    return {name: column for name, column in packed.items() if column is not None}


def _whole(catalogue: Catalogue, plans: Plans) -> Layout:
    menu: Menu = plans.get("menu", (catalogue,), lambda: lay_out(catalogue))
    return layout_of([option.key for option in menu.options])


def _dropped(drops: Sequence[Suppression | None], position: Positions) -> dict[str, Any]:
    """The rule that dropped each candidate, and until when."""
    if not any(drops):
        return {}
    texts: dict[int, str] = {}
    until: list[str | None] = [None]
    for drop in drops:
        if drop is None or drop.until is None:
            until.append(None)
        else:
            text = texts.get(id(drop.until))
            until.append(text or texts.setdefault(id(drop.until), time_text(drop.until)))
    return pack_columns({"rule": [None, *[None if drop is None else position(drop) for drop in drops]], "until": until})


def _as_json(columns: Mapping[str, Any]) -> dict[str, orjson.Fragment | None]:
    return {
        name: None if column is None else orjson.Fragment(orjson.dumps(column, option=WRITE))
        for name, column in columns.items()
    }


def _fixed(course: Course, keys: Sequence[Key], offers: Groups) -> dict[str, Any]:
    """What is the offer's under a policy, whoever the customer is."""
    worths = [course.selection.worths.get(key) for key in keys]
    return {
        "value": offers.column([None if worth is None else worth.value + 0.0 for worth in worths]),
        **{
            WEIGHT + factor: offers.column([None if worth is None else worth.weights[factor] + 0.0 for worth in worths])
            for factor in ("lever", "offer_cost")
        },
    }


def _of_offers(course: Course, keys: Sequence[Key], offers: Groups) -> dict[str, Any]:
    """What is the offer's for this customer; ``NO_CONTACT`` stands for an offer of which nothing is known."""
    found = course.found
    packed = {"propensity": offers.column([_number(found.by_key.get(key)) for key in keys])}
    if found.spans:
        packed |= _intervals("propensity_interval", found.spans, found.level, keys, offers)
    if found.uplift:
        packed["uplift"] = offers.column([_number(found.uplift.get(key)) for key in keys])
        packed |= _intervals("uplift_interval", found.uplift_spans, found.uplift_level, keys, offers)
    worths = [course.selection.worths.get(key) for key in keys]
    for factor in ("context", "score"):
        values = [None if worth is None else worth.weights[factor] + 0.0 for worth in worths]
        packed[WEIGHT + factor] = offers.column(values)
    return packed


def _intervals(
    name: str, spans: Mapping[Key, Span | None], level: float, keys: Sequence[Key], offers: Groups
) -> dict[str, Any]:
    """Intervals by column; no columns where there are no intervals."""
    around = [spans.get(key) for key in keys]
    if not any(around):
        return {}
    return {
        f"{name}.low": offers.column([None if span is None else span[0] + 0.0 for span in around]),
        f"{name}.high": offers.column([None if span is None else span[1] + 0.0 for span in around]),
        f"{name}.level": offers.column([None if span is None else level for span in around]),
    }


def _of_rows(selection: Selection, rows: Sequence[int] | None, count: int) -> dict[str, Sequence[Any]]:
    """What is each candidate's own.

    Args:
        selection: Worths and probabilities, in the order of the options that no rule dropped.
        rows: Places of those options among all; None is all of them.
        count: How many options there are.
    """
    nothing, *shares = [share + 0.0 for share in selection.probabilities.values()]
    worths = list(selection.worths.values())

    def spread(values: list[Any], first: Any = None) -> list[Any]:
        if rows is None:
            return [first, *values]
        column = [first, *[None] * count]
        for row, value in zip(rows, values, strict=True):
            column[row + 1] = value
        return column

    columns: dict[str, Sequence[Any]] = {
        "priority": spread([worth.priority + 0.0 for worth in worths], 0.0),
        "selection_probability": spread(shares, nothing),
    }
    for factor in worths[0].weights if worths else ():
        if factor not in OWN_WEIGHTS:
            columns[WEIGHT + factor] = spread([worth.weights[factor] + 0.0 for worth in worths])
    return columns


def _number(value: float | None) -> float | None:
    """A number as the contract has it: no integer, no negative zero."""
    return None if value is None else value + 0.0
