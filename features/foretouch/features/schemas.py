"""The canonical tables as DuckDB types: what ``data/<table>.parquet`` holds and what a missing table looks like."""

import re
from typing import Final

from foretouch.core import columns as c

TEXT, NUMBER, FLAG, MOMENT = "VARCHAR", "DOUBLE", "BOOLEAN", "TIMESTAMP WITH TIME ZONE"

COLUMNS: Final[dict[str, dict[str, str]]] = {
    c.CUSTOMERS: {
        c.CUSTOMER_ID: TEXT,
        c.HOUSEHOLD_ID: TEXT,
        c.CREATED_AT: MOMENT,
        c.TIME_ZONE: TEXT,
        c.LANGUAGE: TEXT,
    },
    c.CONSENTS: {
        c.CUSTOMER_ID: TEXT,
        c.CHANNEL: TEXT,
        c.PURPOSE: TEXT,
        c.GRANTED: FLAG,
        c.AT: MOMENT,
        c.SOURCE: TEXT,
    },
    c.ALIASES: {c.CUSTOMER_ID: TEXT, c.ALIAS_OF: TEXT},
    c.EVENTS: {
        c.EVENT_ID: TEXT,
        c.CUSTOMER_ID: TEXT,
        c.EVENT: TEXT,
        c.OCCURRED_AT: MOMENT,
        c.RECEIVED_AT: MOMENT,
        c.CHANNEL: TEXT,
        c.VALUE: NUMBER,
        c.CURRENCY: TEXT,
        c.IS_BOT: FLAG,
        c.PROPERTIES: TEXT,
    },
    c.OFFERS: {
        c.OFFER_ID: TEXT,
        c.NAME: TEXT,
        c.CATEGORY: TEXT,
        c.CHANNELS: TEXT,
        c.VALUE: NUMBER,
        c.COST: NUMBER,
        c.STARTS_AT: MOMENT,
        c.ENDS_AT: MOMENT,
        c.ELIGIBILITY: TEXT,
        c.CAPS: TEXT,
        c.PLACEMENT: TEXT,
        c.ISSUE: TEXT,
        c.APPLICABILITY: TEXT,
        c.SUITABILITY: TEXT,
        c.PURPOSES: TEXT,
        c.FALLBACK: FLAG,
    },
    c.TREATMENTS: {c.TREATMENT_ID: TEXT, c.OFFER_ID: TEXT, c.CHANNEL: TEXT, c.NAME: TEXT},
    c.TOUCHES: {
        c.TOUCH_ID: TEXT,
        c.CUSTOMER_ID: TEXT,
        c.OFFER_ID: TEXT,
        c.CHANNEL: TEXT,
        c.SENT_AT: MOMENT,
        c.SELECTION_PROBABILITY: NUMBER,
        c.RESPONDED: FLAG,
        c.RESPONDED_AT: MOMENT,
        "immature": FLAG,
    },
    c.SUPPRESSIONS: {
        c.CUSTOMER_ID: TEXT,
        c.CHANNEL: TEXT,
        c.PURPOSE: TEXT,
        c.REASON: TEXT,
        c.UNTIL: MOMENT,
        c.AT: MOMENT,
    },
}
"""Columns of each table and their types.

``channels`` and ``purposes`` are JSON lists, ``caps`` and ``properties`` are JSON objects.

``immature`` marks a touch whose outcome was not yet known when the data ended; no model is trained on it.
Columns beyond these are attributes and are kept as they came.
"""

REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    c.CUSTOMERS: (c.CUSTOMER_ID, c.CREATED_AT),
    c.CONSENTS: (c.CUSTOMER_ID, c.CHANNEL, c.PURPOSE, c.GRANTED, c.AT),
    c.ALIASES: (c.CUSTOMER_ID, c.ALIAS_OF),
    c.EVENTS: (c.EVENT_ID, c.CUSTOMER_ID, c.EVENT, c.OCCURRED_AT),
    c.OFFERS: (c.OFFER_ID, c.NAME, c.CHANNELS),
    c.TREATMENTS: (c.TREATMENT_ID, c.OFFER_ID, c.CHANNEL),
    c.TOUCHES: (c.TOUCH_ID, c.CUSTOMER_ID, c.OFFER_ID, c.CHANNEL, c.SENT_AT),
    c.SUPPRESSIONS: (c.CUSTOMER_ID,),
}
"""Columns without which a row means nothing."""


def quoted(name: str) -> str:
    """An SQL identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def slug(text: str) -> str:
    """A feature-name part from any text: ``DRUG GM`` becomes ``drug_gm``.

    Letters of any script are kept, everything else becomes one underscore.
    """
    return re.sub(r"\W+", "_", text.casefold()).strip("_") or "blank"
