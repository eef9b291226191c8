"""The offers of a workspace as the contract that decisions read."""

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd
from pydantic import ValidationError

from foretouch.core import columns as c
from foretouch.core.engagement import TIERS
from foretouch.core.errors import DataError
from foretouch.core.offers import Catalogue, Offer, OfferCaps, Treatment
from foretouch.core.workspace import Workspace
from foretouch.features.schemas import COLUMNS
from foretouch.features.tables import read_table

LEVER = "lever"


def load_catalogue(workspace: Workspace) -> Catalogue:
    """Every offer with its treatments, in the order of their ids.

    Columns beyond the canonical ones become ``attributes``; ``lever`` is the marketer's multiplier.

    Raises:
        DataError: A row breaks the offer's contract.
    """
    treatments: dict[str, list[Treatment]] = {}
    for row in read_table(workspace, c.TREATMENTS).sort_values(c.TREATMENT_ID).to_dict("records"):
        treatments.setdefault(str(row[c.OFFER_ID]), []).append(
            Treatment(
                treatment_id=row[c.TREATMENT_ID],
                offer_id=row[c.OFFER_ID],
                channel=row[c.CHANNEL],
                name=_scalar(row[c.NAME]) or "",
            )
        )
    rows = read_table(workspace, c.OFFERS).sort_values(c.OFFER_ID).to_dict("records")
    return Catalogue(
        offers=tuple(
            offer_of({str(key): value for key, value in row.items()}, tuple(treatments.get(row[c.OFFER_ID], ())))
            for row in rows
        )
    )


def offer_of(row: Mapping[str, Any], treatments: tuple[Treatment, ...] = ()) -> Offer:
    """One row of the offers table as a contract.

    Raises:
        DataError: The row breaks the contract; the message names offer and field.
    """
    values = {name: _scalar(value) for name, value in row.items()}
    caps = values.get(c.CAPS)
    try:
        return Offer(
            offer_id=values[c.OFFER_ID],
            name=values[c.NAME],
            issue=values.get(c.ISSUE) or "",
            category=values.get(c.CATEGORY) or "",
            channels=tuple(json.loads(values[c.CHANNELS])),
            value=values.get(c.VALUE) or 0.0,
            cost=values.get(c.COST) or 0.0,
            starts_at=values.get(c.STARTS_AT),
            ends_at=values.get(c.ENDS_AT),
            **{tier: values.get(tier) or "" for tier in TIERS},
            purposes=_purposes(values.get(c.PURPOSES)),
            fallback=bool(values.get(c.FALLBACK)),
            caps=OfferCaps.model_validate_json(caps) if caps else OfferCaps(),
            placement=values.get(c.PLACEMENT),
            lever=1.0 if values.get(LEVER) is None else values[LEVER],
            attributes={
                name: value for name, value in values.items() if name not in COLUMNS[c.OFFERS] and name != LEVER
            },
            treatments=treatments,
        )
    except (ValidationError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"offer {row.get(c.OFFER_ID)!r} breaks its contract: {error}", hint="foretouch ingest --offers FILE"
        ) from error


def _purposes(text: str | None) -> tuple[str, ...]:
    """What an offer may be sent for; without a word on it, what the contract says."""
    return Offer.model_fields["purposes"].default if text is None else tuple(json.loads(text))


def _scalar(value: Any) -> Any:
    """A cell as a plain Python value; every kind of missing is ``None``."""
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, pd.Timestamp):
        moment: datetime = value.to_pydatetime()
        return moment
    return value.item() if hasattr(value, "item") else value
