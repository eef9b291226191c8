"""A decision request as a query string, for engines that can only GET."""

from collections.abc import Mapping
from typing import Any

import orjson

PLAIN = ("customer_id", "household_id", "request_id", "purpose", "collection", "n", "baseline_offer_id", "personalised")
LISTS = ("channels", "placements", "exclude", "candidates")
OPTIONS = ("explain", "language", "dry_run", "defer_activation", "reserve_caps")
WINDOW = ("earliest", "latest", "time_zone")
DEFAULT = ("default_offer_id", "default_treatment_id", "default_channel")
CONTEXT, CONSENT = "context.", "consent."

PARAMETERS: Mapping[str, str] = {
    "customer_id": "The customer.",
    "household_id": "The customer's household, if the caller knows better than our table.",
    "request_id": "Makes the call repeatable.",
    "purpose": "marketing, retention, service or transactional.",
    "channels": "Channels the engine can use, separated by commas.",
    "collection": "Only offers of this category.",
    "candidates": "Only these offers, separated by commas.",
    "exclude": "None of these offers, separated by commas.",
    "placements": "Where offers are shown, separated by commas; filled in this order.",
    "n": "How many actions at most, per placement where there are any.",
    "earliest": "The earliest time to send, ISO 8601 with an offset.",
    "latest": "The latest time to send.",
    "time_zone": "The customer's IANA zone, if the caller knows better than our table.",
    "baseline_offer_id": "What the engine would have sent by itself.",
    "default_offer_id": "Taken, where rules allow, when nothing else can decide; with default_channel.",
    "default_treatment_id": "Of the default.",
    "default_channel": "Of the default.",
    "personalised": "false: nothing about the person but the contact rules may enter the choice.",
    "explain": "none, brief or full.",
    "language": "Of texts: en or zh.",
    "dry_run": "true: answer and keep nothing.",
    "defer_activation": "true: nothing is reserved or learned until the reservation is confirmed.",
    "reserve_caps": "false: the contact does not count against caps until it is reported.",
    "context.<name>": "An attribute of the occasion; numbers, true and false are read as such.",
    "consent.<channel>": "true or false: can only narrow what is on record.",
}
"""Every parameter and what it means; one that is not here is refused."""


def request_fields(query: Mapping[str, str], touchpoint: str) -> dict[str, Any]:
    """The fields of a decision request; whatever is not known stays in, so that the contract refuses it by name.

    Args:
        query: Names and values, decoded.
        touchpoint: From the path.
    """
    fields: dict[str, Any] = {"touchpoint": touchpoint}
    nested: dict[str, dict[str, Any]] = {}
    for name, text in query.items():
        if name in LISTS:
            parts = [part.strip() for part in text.split(",") if part.strip()]
            fields[name] = [{"offer_id": part} for part in parts] if name == "candidates" else parts
        elif name in OPTIONS:
            nested.setdefault("options", {})[name] = text
        elif name in WINDOW:
            # a "+" of an offset that was not escaped has become a space
            nested.setdefault("send_window", {})[name] = text if name == "time_zone" else text.replace(" ", "+")
        elif name in DEFAULT:
            nested.setdefault("default_action", {})[name.removeprefix("default_")] = text
        elif name.startswith(CONTEXT):
            nested.setdefault("context", {})[name.removeprefix(CONTEXT)] = scalar(text)
        elif name.startswith(CONSENT):
            nested.setdefault("consent", {})[name.removeprefix(CONSENT)] = text
        else:
            fields[name] = text
    return {**fields, **nested}


def scalar(text: str) -> str | int | float | bool | None:
    """A value of the context: a JSON number, flag or quoted text as that, anything else as text."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value if isinstance(value, (str, int, float, bool)) else text
