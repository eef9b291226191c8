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
from foretouch.serving.decision.candidates import Key, Lineup, menu_of
from foretouch.serving.decision.course import Course
from foretouch.serving.decision.plans import Plans
from foretouch.serving.decision.propensities import OfOffers, Span
from foretouch.serving.decision.selection import Selection
from foretouch.serving.decision.worths import Stand, Toll

Positions = Callable[[Suppression], int]
"""Where a rule's statement is kept in the document."""


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
    screened, worths, lineup = course.screened, course.selection.valued, course.selection.valued.lineup
    rows: Sequence[int] | None = None
    dropped: dict[str, Any] = {}
    if len(worths) == len(screened):
        layout = lineup.keep("layout", None, lambda: layout_of(lineup.keys))
        offers, channels = layout.offers, layout.channels
    else:
        listed = Lineup.of([item.option for item in screened], course.listed)
        layout = listed.keep("layout", None, lambda: layout_of(listed.keys))
        drops = [item.dropped for item in screened]
        dropped = _dropped(drops, position)
        rows = [row for row, drop in enumerate(drops) if drop is None] if worths else []
        offers, channels = layout.offers.among(rows), layout.channels.among(rows)
    found = _Found(course, offers, channels, rows)
    packed: dict[str, Any] = {"count": len(screened) + 1, **layout.names, **dropped, **_of_offers(found)}
    if rows is None and lineup is menu_of(catalogue, plans).options:
        packed |= plans.get("fixed", (catalogue, course.setting.spec), lambda: _as_json(_fixed(found)))
    else:
        packed |= _fixed(found)
    packed["cost"] = channels.column([None if toll is None else toll.cost + 0.0 for toll in found.tolls])
    packed["price"] = channels.column([None if toll is None else toll.price + 0.0 for toll in found.tolls])
    packed |= pack_columns(_of_rows(course.selection, rows, len(screened)))
    return {name: column for name, column in packed.items() if column is not None}


class _Found:
    """What a decision found of each offer and channel, in the order of their groups; None where it found nothing.

    Args:
        course: What it found.
        offers: Its candidates by offer.
        channels: Its candidates by channel.
        rows: Places among the candidates of those that no rule dropped; None is all of them.
    """

    __slots__ = ("course", "names", "offers", "stands", "tolls")

    def __init__(self, course: Course, offers: Groups, channels: Groups, rows: Sequence[int] | None) -> None:
        worths = course.selection.valued
        lineup = worths.lineup
        self.course = course
        self.offers = offers
        self.names: Sequence[str | None]
        self.stands: Sequence[Stand | None]
        self.tolls: Sequence[Toll | None]
        if rows is None and len(offers.first) == len(lineup.offers):  # no two offers share an id
            self.names, self.stands, self.tolls = lineup.offer_ids, worths.stands, worths.tolls
            return
        place = range(len(worths)) if rows is None else {row: at for at, row in enumerate(rows)}
        first = [None if row is None else place[row] for row in offers.first]
        on = [None if row is None else place[row] for row in channels.first]
        self.names = [None if at is None else lineup.keys[at][0] for at in first]
        self.stands = [None if at is None else worths.stands[lineup.offer_at[at]] for at in first]
        self.tolls = [None if at is None else worths.tolls[lineup.channel_at[at]] for at in on]


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


def _fixed(found: _Found) -> dict[str, Any]:
    """What is the offer's under a policy, whoever the customer is."""
    terms = [None if stand is None else stand.terms for stand in found.stands]
    column = found.offers.column
    return {
        "value": column([None if one is None else one.value + 0.0 for one in terms]),
        f"{WEIGHT}lever": column([None if one is None else one.lever + 0.0 for one in terms]),
        f"{WEIGHT}offer_cost": column([None if one is None else one.offer_cost + 0.0 for one in terms]),
    }


def _of_offers(found: _Found) -> dict[str, Any]:
    """What is the offer's for this customer."""
    known, names, offers = found.course.found, found.names, found.offers
    packed = {"propensity": _numbers(known.by_key, names, offers)}
    if known.spans and any_known(known.spans.offers):
        packed |= _intervals("propensity_interval", known.spans, known.level, names, offers)
    if known.uplift and any_known(known.uplift.offers):
        packed["uplift"] = _numbers(known.uplift, names, offers)
        packed |= _intervals("uplift_interval", known.uplift_spans, known.uplift_level, names, offers)
    packed[f"{WEIGHT}context"] = offers.column([None if one is None else one.context + 0.0 for one in found.stands])
    packed[f"{WEIGHT}score"] = offers.column([None if one is None else one.score + 0.0 for one in found.stands])
    return packed


def any_known(values: Mapping[str, object]) -> bool:
    """Whether any value is there."""
    return list(values.values()).count(None) < len(values)


def _intervals(
    name: str, spans: OfOffers[Span | None], level: float, names: Sequence[str | None], offers: Groups
) -> dict[str, Any]:
    """Intervals by column; no columns where there are no intervals."""
    around = [None if one is None else spans.offers.get(one) for one in names]
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
    nothing, *shares = [share + 0.0 for share in selection.shares]
    worths = selection.valued

    def spread(values: list[Any], first: Any = None) -> list[Any]:
        if rows is None:
            return [first, *values]
        column = [first, *[None] * count]
        for row, value in zip(rows, values, strict=True):
            column[row + 1] = value
        return column

    columns: dict[str, Sequence[Any]] = {
        "priority": spread([priority + 0.0 for priority in worths.priorities], 0.0),
        "selection_probability": spread(shares, nothing),
    }
    for factor in worths.moments[0][2] if worths else ():
        columns[WEIGHT + factor] = spread([parts[factor] + 0.0 for _, _, parts in worths.moments])
    return columns


def _numbers(known: OfOffers[float | None], names: Sequence[str | None], offers: Groups) -> Any:
    """A column of offers' numbers as the contract has them: no integer, no negative zero."""
    found = [None if name is None else known.offers.get(name) for name in names]
    return offers.column([None if value is None else value + 0.0 for value in found])
