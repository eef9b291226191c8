"""What a row of each table must satisfy, as pandera schemas; each failed check is a reason for its row."""

import json
import warnings
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors
from pydantic import ValidationError

from foretouch.core import columns as c
from foretouch.core.config import Config
from foretouch.core.contact import ANY, known_zone
from foretouch.core.engagement import TIERS
from foretouch.core.errors import ConfigError
from foretouch.core.expression_kinds import check_kind
from foretouch.core.expressions import compile_expression
from foretouch.core.offers import OfferCaps
from foretouch.features.coerce import Faults, show
from foretouch.features.schemas import COLUMNS, REQUIRED

FUTURE: timedelta = timedelta(minutes=5)
"""How far ahead of our clock another clock may be."""
PURPOSES = ("marketing", "retention", "service", "transactional")

Rule = Callable[["pd.Series[Any]"], "pd.Series[bool]"]


def check_rows(table: str, frame: pd.DataFrame, config: Config, now: datetime, offers: Collection[str]) -> Faults:
    """Runs a table's schema over coerced rows.

    Args:
        table: Which table.
        frame: Rows in canonical types, indexed by row number.
        config: The workspace's.
        now: The workspace's time: nothing occurs after it.
        offers: Ids of the offers that touches and treatments may name.

    Returns:
        The faults of the rows that fail.
    """
    faults = Faults()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # pandera stacks failures of several types
            schema_of(table, config, now, offers).validate(frame, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
        for column, check, value, row in zip(
            cases["column"], cases["check"], cases["failure_case"], cases["index"], strict=True
        ):
            if check == "not_nullable":
                faults.add(int(row), str(column), "missing", f"{column} is missing")
            else:
                code, _, must = str(check).partition(": ")
                faults.add(int(row), str(column), code, f"{column} == {show(value)}, must {must}")
    for first, second in ORDERED.get(table, ()):
        late = frame[frame[first].notna() & frame[second].notna() & (frame[second] <= frame[first])]
        for row, start, end in zip(late.index, late[first], late[second], strict=True):
            text = f"{second} == {end.isoformat()}, must be after {first} == {start.isoformat()}"
            faults.add(int(row), second, "ends before it starts", text)
    return faults


ORDERED = {c.OFFERS: ((c.STARTS_AT, c.ENDS_AT),), c.SUPPRESSIONS: ((c.AT, c.UNTIL),)}
"""Pairs of times that must follow each other."""


def schema_of(table: str, config: Config, now: datetime, offers: Collection[str]) -> pa.DataFrameSchema:
    """The pandera schema of a table's canonical columns."""
    rules = _rules(table, config, now, set(offers))
    return pa.DataFrameSchema(
        {
            name: pa.Column(
                nullable=name not in REQUIRED[table],
                required=name in REQUIRED[table],
                checks=[pa.Check(rule, error=error, ignore_na=True) for error, rule in rules.get(name, ())],
            )
            for name in COLUMNS[table]
        }
    )


def _rules(table: str, config: Config, now: datetime, offers: set[str]) -> dict[str, list[tuple[str, Rule]]]:
    latest = pd.Timestamp(now + FUTURE)
    not_future = ("in the future", "not be later than the workspace's now", lambda s: s <= latest)
    known_offer = ("unknown offer", "name an offer of the offers table", lambda s: s.isin(offers))
    at_least_0 = ("negative", "be at least 0", lambda s: s >= 0)
    currency = config.workspace.currency
    rules: dict[str, dict[str, list[tuple[str, str, Rule]]]] = {
        c.CUSTOMERS: {
            c.TIME_ZONE: [("unknown zone", "be an IANA name such as 'Europe/Berlin'", _each(_zone))],
            c.CREATED_AT: [not_future],
        },
        c.CONSENTS: {
            c.PURPOSE: [("unknown purpose", f"be one of {', '.join(PURPOSES)}", lambda s: s.isin(PURPOSES))],
            c.AT: [not_future],
        },
        c.EVENTS: {
            c.OCCURRED_AT: [not_future],
            c.RECEIVED_AT: [not_future],
            c.CURRENCY: [("other currency", f"be the workspace's {currency}", lambda s: s == currency)],
            c.EVENT: [("too long", "have at most 100 characters", lambda s: s.str.len() <= 100)],
        },
        c.OFFERS: {
            c.COST: [at_least_0],
            c.CAPS: [("bad caps", "hold total, per_customer or per_day, each at least 0", _each(_caps))],
            **{tier: [("bad expression", "be an expression over known names", _each(_expression))] for tier in TIERS},
            c.PURPOSES: [("unknown purpose", f"be among {', '.join(PURPOSES)}", _each(_purposes))],
            c.CHANNELS: [
                ("unknown channel", f"be among {', '.join(config.channels)}", _each(lambda s: _channels(s, config)))
            ],
        },
        c.TREATMENTS: {c.OFFER_ID: [known_offer]},
        c.SUPPRESSIONS: {
            c.CHANNEL: [
                (
                    "unknown channel",
                    f"be * or among {', '.join(config.channels)}",
                    lambda s: s.isin([ANY, *config.channels]),
                )
            ],
            c.PURPOSE: [
                ("unknown purpose", f"be * or one of {', '.join(PURPOSES)}", lambda s: s.isin([ANY, *PURPOSES]))
            ],
            c.AT: [not_future],
        },
        c.TOUCHES: {
            c.OFFER_ID: [known_offer],
            c.SENT_AT: [not_future],
            c.RESPONDED_AT: [not_future],
            c.SELECTION_PROBABILITY: [("not a probability", "be above 0 and at most 1", lambda s: (s > 0) & (s <= 1))],
        },
    }
    return {
        name: [(f"{code}: {must}", rule) for code, must, rule in listed]
        for name, listed in rules.get(table, {}).items()
    }


def _each(test: Callable[[str], object]) -> Rule:
    """A rule that tests each distinct value once; a test fails by raising or by returning False."""

    def rule(values: "pd.Series[Any]") -> "pd.Series[bool]":
        passed = {value: _passes(test, value) for value in values.unique()}
        return values.map(passed).astype(bool)

    return rule


def _passes(test: Callable[[str], object], value: str) -> bool:
    try:
        return test(value) is not False
    except (ValueError, TypeError, ValidationError, ConfigError):
        return False


def _zone(value: str) -> object:
    return known_zone(value)


def _caps(value: str) -> object:
    return OfferCaps.model_validate_json(value)


def _expression(value: str) -> object:
    rule = compile_expression(value)
    check_kind(rule, "expression")
    return rule


def _purposes(value: str) -> bool:
    return set(json.loads(value)) <= set(PURPOSES)


def _channels(value: str, config: Config) -> bool:
    return set(json.loads(value)) <= set(config.channels)
