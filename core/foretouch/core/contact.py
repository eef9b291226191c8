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
    """Its name in answers and records."""
    channels: tuple[str, ...] = (ANY,)
    """``*`` is every channel."""
    purposes: tuple[Purpose, ...] = ("marketing", "retention", "service")
    """Purposes that it holds for."""
    start: time
    """Local time, e.g. ``21:00:00``."""
    end: time
    """Local time, exclusive."""


class Cap(Contract):
    """At most ``limit`` contacts per ``scope`` in a window of ``days`` (rolling)."""

    rule: str
    """Its name in answers and records."""
    scope: Literal["customer", "household", "channel", "offer", "total"] = "customer"
    """``channel`` and ``offer`` count per customer on that channel or of that offer; ``total`` counts everyone."""
    channels: tuple[str, ...] = (ANY,)
    """``*`` is every channel; contacts on other channels neither count nor are stopped."""
    limit: int = Field(ge=0)
    """Most contacts in the window; 0 is none at all."""
    days: float = Field(gt=0)
    """Length of the rolling window."""


class ContactPolicy(Contract):
    """Consent, suppression, caps, quiet hours and gaps of one workspace."""

    schema_version: Literal[1] = 1
    name: str = "default"
    """For people."""
    purposes_without_consent: tuple[Purpose, ...] = ("transactional",)
    """Purposes that need no consent on record; all others fail closed."""
    purposes_without_caps: tuple[Purpose, ...] = ("transactional",)
    """Purposes that caps and gaps do not stop."""
    quiet_hours: tuple[QuietHours, ...] = ()
    """When nobody is contacted."""
    caps: tuple[Cap, ...] = ()
    """How often anybody is contacted."""
    minimum_gap_hours: float = Field(default=0.0, ge=0.0)
    """Least time between two contacts of one customer."""
    suppressed_customers: tuple[Id, ...] = ()
    """Never contacted, for any purpose."""
    default_time_zone: str = "UTC"
    """Used, with a warning, where a customer's own zone is unknown; never "no rule"."""

    @field_validator("default_time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        return known_zone(value)
