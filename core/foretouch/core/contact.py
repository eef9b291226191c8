"""The contact policy: rules that no score can override."""

from datetime import time
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, field_validator, model_validator

from foretouch.core.events import Purpose
from foretouch.core.ids import Id
from foretouch.core.outcomes import OutcomeType
from foretouch.core.schema import Contract, Days, Hours, Time

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""Monday first, as ``datetime.weekday`` counts."""

ANY = "*"


def known_zone(name: str) -> str:
    """Returns an IANA zone name, or raises ``ValueError`` naming it."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"time zone == {name!r}, must be an IANA name such as 'Europe/Berlin'") from error
    return name


def local_time(value: time) -> time:
    """Returns a time without an offset, or raises ``ValueError``: it is read on the customer's own clock."""
    if value.tzinfo is not None:
        raise ValueError(f"{value.isoformat()} has an offset; write the local time alone, e.g. 21:00:00")
    return value


LocalTime = Annotated[time, AfterValidator(local_time)]
"""A time of the day on the customer's own clock."""


class QuietHours(Contract):
    """No contact between ``start`` and ``end`` in the customer's own time; may pass midnight."""

    rule: str = "quiet_hours"
    """Its name in answers and records."""
    channels: tuple[str, ...] = (ANY,)
    """``*`` is every channel."""
    purposes: tuple[Purpose, ...] = ("marketing", "retention", "service")
    """Purposes that it holds for."""
    start: LocalTime
    """Local time, e.g. ``21:00:00``."""
    end: LocalTime
    """Local time, exclusive; equal to ``start`` is a whole day."""
    days: tuple[Weekday, ...] = WEEKDAYS
    """Weekdays on which the quiet hours begin; a night that passes midnight ends on the next day, listed or not."""


class WorkingHours(Contract):
    """Contact only between ``start`` and ``end`` on working days, in the customer's own time."""

    rule: str = "working_hours"
    """Its name in answers and records."""
    channels: tuple[str, ...] = (ANY,)
    """``*`` is every channel."""
    purposes: tuple[Purpose, ...] = ("marketing", "retention", "service")
    """Purposes that it holds for."""
    start: LocalTime = time(9)
    """Local time, e.g. ``09:00:00``."""
    end: LocalTime = time(18)
    """Local time, exclusive; must be after ``start``."""
    calendar: str = ""
    """Country, and subdivision if any, whose public holidays and make-up working days count, e.g. ``CN``, ``US`` or
    ``DE-BY``; empty is Monday to Friday, holidays or not."""

    @model_validator(mode="after")
    def _order(self) -> "WorkingHours":
        if self.end <= self.start:
            raise ValueError(f"end == {self.end.isoformat()}, must be after start ({self.start.isoformat()})")
        return self


class Cap(Contract):
    """At most ``limit`` contacts per ``scope`` in a window: rolling ``days``, or a ``calendar`` period."""

    rule: str
    """Its name in answers and records."""
    scope: Literal["customer", "household", "channel", "offer", "placement", "total"] = "customer"
    """``channel``, ``offer`` and ``placement`` count per customer on that channel, of that offer or in that placement;
    ``total`` counts everyone."""
    channels: tuple[str, ...] = (ANY,)
    """``*`` is every channel; contacts on other channels neither count nor are stopped."""
    limit: int = Field(ge=0)
    """Most contacts in the window; 0 is none at all."""
    days: Days | None = None
    """Length of the rolling window; give this or ``calendar``."""
    calendar: Literal["day", "week", "month"] | None = None
    """A period that begins at local midnight (a week on Monday): in the customer's zone, or for ``household`` and
    ``total`` in ``default_time_zone``."""

    @property
    def longest_days(self) -> float:
        """The most days that its window can hold."""
        return (
            self.days if self.days is not None else {"day": 1.0, "week": 7.0, "month": 31.0, None: 0.0}[self.calendar]
        )

    @model_validator(mode="after")
    def _one_window(self) -> "Cap":
        if (self.days is None) == (self.calendar is None):
            raise ValueError(f"cap {self.rule!r}: give either days or calendar")
        return self


class CoolDown(Contract):
    """After ``count`` of certain outcomes no contact for ``days``."""

    rule: str
    """Its name in answers and records."""
    after: tuple[OutcomeType | Literal["unanswered"], ...] = Field(min_length=1)
    """Outcomes that start it. ``unanswered`` is a contact without ``open``, ``click`` or ``convert`` so far."""
    count: int = Field(default=1, ge=1)
    """How many are needed; for ``unanswered`` in a row, the latest contacts."""
    within_days: Days = 90.0
    """The most days from the first of them to the last."""
    days: Days
    """How long it lasts, from the last of them."""
    scope: Literal["customer", "channel", "offer", "category"] = "customer"
    """What is counted and stopped: everything, or the same channel, offer or offer category."""
    channels: tuple[str, ...] = (ANY,)
    """``*`` is every channel; others neither count nor are stopped."""
    purposes: tuple[Purpose, ...] = ("marketing", "retention")
    """Purposes that it stops."""

    @property
    def longest_days(self) -> float:
        """How far back an outcome or contact can matter: those counted lie within ``within_days`` of the last one."""
        return self.within_days + self.days

    @property
    def outcomes(self) -> frozenset[str]:
        """The outcomes that start it, without ``unanswered``."""
        return frozenset(self.after) - {"unanswered"}


class SuppressionEntry(Contract):
    """One line of a suppression list: this customer is not contacted."""

    customer_id: Id
    channel: str = ANY
    """``*`` is every channel."""
    purpose: Purpose | Literal["*"] = "*"
    """``*`` is every purpose, also transactional."""
    reason: str = ""
    """For people, e.g. ``complaint to the regulator``."""
    until: Time | None = None
    """When the line ends; none is never."""


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
    working_hours: tuple[WorkingHours, ...] = ()
    """The only time when a channel is used, e.g. calls."""
    caps: tuple[Cap, ...] = ()
    """How often anybody is contacted."""
    cool_downs: tuple[CoolDown, ...] = ()
    """Pauses after outcomes."""
    reservation_hours: Hours | None = Field(default=72.0, gt=0)
    """A reserved contact that nobody confirmed so long after its send time counts no more; none counts for ever."""
    minimum_gap_hours: Hours = 0.0
    """Least time between two contacts of one customer."""
    suppressed_customers: tuple[Id, ...] = ()
    """Never contacted, for any purpose; longer lists are kept in the workspace's state."""
    default_time_zone: str = "UTC"
    """Used, with a warning, where a customer's own zone is unknown; never "no rule"."""

    @field_validator("default_time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        return known_zone(value)
