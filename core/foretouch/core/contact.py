"""The contact policy: rules that no score can override."""

from datetime import time
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from foretouch.core.events import Purpose
from foretouch.core.ids import Id
from foretouch.core.schema import Contract

ANY = "*"


def known_zone(name: str) -> str:
    """Returns an IANA zone name, or raises ``ValueError`` naming it."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"time zone == {name!r}, must be an IANA name such as 'Europe/Berlin'") from error
    return name


class QuietHours(Contract):
    """No contact between ``start`` and ``end`` in the customer's own time; may pass midnight."""

    rule: str = "quiet_hours"
    channels: tuple[str, ...] = (ANY,)
    purposes: tuple[Purpose, ...] = ("marketing", "retention", "service")
    start: time
    end: time


class Cap(Contract):
    """At most ``limit`` contacts per ``scope`` in a window of ``days`` (rolling)."""

    rule: str
    scope: Literal["customer", "household", "channel", "offer", "total"] = "customer"
    """``channel`` and ``offer`` count per customer on that channel or of that offer; ``total`` counts everyone."""
    channels: tuple[str, ...] = (ANY,)
    limit: int = Field(ge=0)
    days: float = Field(gt=0)


class ContactPolicy(Contract):
    """Consent, suppression, caps, quiet hours and gaps of one workspace."""

    schema_version: Literal[1] = 1
    name: str = "default"
    purposes_without_consent: tuple[Purpose, ...] = ("transactional",)
    """Purposes that need no consent on record; all others fail closed."""
    purposes_without_caps: tuple[Purpose, ...] = ("transactional",)
    quiet_hours: tuple[QuietHours, ...] = ()
    caps: tuple[Cap, ...] = ()
    minimum_gap_hours: float = Field(default=0.0, ge=0.0)
    suppressed_customers: tuple[Id, ...] = ()
    default_time_zone: str = "UTC"
    """Used, with a warning, where a customer's own zone is unknown; never "no rule"."""

    @field_validator("default_time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        return known_zone(value)
