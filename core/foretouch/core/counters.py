"""The counters that the contact rules look at: contacts, consents, outcomes and lists, as one decision found them."""

from typing import Any

from pydantic import Field

from foretouch.core.outcomes import OutcomeType
from foretouch.core.schema import Contract, Time


class PastContact(Contract):
    """A contact that counts against caps."""

    at: Time
    channel: str
    offer_id: str
    placement: str | None = None
    category: str | None = None
    answered: bool | None = None
    """Whether the customer opened, clicked or converted; null where no cool-down asks."""


class PastOutcome(Contract):
    """An outcome that a cool-down looks at."""

    at: Time
    type: OutcomeType
    channel: str | None = None
    offer_id: str | None = None
    category: str | None = None


class OnList(Contract):
    """A line of a suppression list that names the customer."""

    channel: str
    """``*`` is every channel."""
    purpose: str
    """``*`` is every purpose."""
    reason: str = ""
    until: Time | None = None


class CounterSnapshot(Contract):
    """Everything mutable that the contact rules look at, read in the transaction that logs the decision."""

    time_zone: str | None = None
    household_id: str | None = None
    language: str | None = None
    known: bool = False
    attributes: dict[str, Any] = Field(default_factory=dict)
    consents: dict[str, bool] = Field(default_factory=dict)
    """By ``channel/purpose``: the newest statement."""
    consent_error: str | None = None
    """Consent could not be read: nobody may be contacted."""
    caps_error: str | None = None
    """Counters of caps could not be read: nothing that a cap or a limit of an offer might stop is sent."""
    contacts: tuple[PastContact, ...] = ()
    """The customer's own, newest first, over the longest cap window."""
    household_contacts: tuple[PastContact, ...] = ()
    offer_totals: dict[str, int] = Field(default_factory=dict)
    offer_today: dict[str, int] = Field(default_factory=dict)
    offer_per_customer: dict[str, int] = Field(default_factory=dict)
    total_contacts: dict[str, int] = Field(default_factory=dict)
    """By the rule of a cap with scope ``total``: contacts of everyone, on its channels, in its window or planned."""
    total_later: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    """By the rule of such a cap over a calendar: those of them that lie in the next period or later, in the one after
    that or later, and so on; empty where that was not counted."""
    outcomes: tuple[PastOutcome, ...] = ()
    """The customer's, newest first, as far back as any cool-down looks."""
    suppressions: tuple[OnList, ...] = ()
    """Lines of suppression lists that name the customer and have not ended."""
    offer_contacts: dict[str, int] = Field(default_factory=dict)
    """Contacts of anybody ever, by offer: the evidence that there is on it; empty where no policy asks."""
