"""A decision that is made and not yet written down: what it reserves at once, and how its record comes to be."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from foretouch.core.decisions import DecisionRequest
from foretouch.core.state.contacts import Contact, reservation_id
from foretouch.core.stored_record import StoredRecord
from foretouch.serving.decision.course import Course
from foretouch.serving.decision.inputs import DecisionInputs
from foretouch.serving.decision.record import reserves
from foretouch.serving.runtime.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A decision, made.

    Attributes:
        contacts: What its actions reserve; the next decision must see them.
        write: Writes it down; nobody else waits for that, so that it may come after the next decisions.
    """

    contacts: Sequence[Contact]
    write: Callable[[], StoredRecord]


def reservations(request: DecisionRequest, inputs: DecisionInputs, course: Course, settings: Settings) -> list[Contact]:
    """The contacts that a decision's actions reserve; none when the caller asked for none.

    Args:
        request: As it was asked.
        inputs: What the decision was made from.
        course: What it found.
        settings: The configuration it is made under.
    """
    if not reserves(request):
        return []
    hours = settings.contact_policy.reservation_hours
    found = []
    for rank, pick in enumerate(course.selection.picks, start=1):
        option = pick.item.option
        offer = settings.offers_by_id.get(option.offer.offer_id)
        found.append(
            Contact(
                contact_id=reservation_id(inputs.decision_id, rank),
                customer_id=request.customer_id,
                household_id=inputs.counters.household_id,
                offer_id=option.offer.offer_id,
                channel=option.channel,
                at=pick.send_at,
                status="reserved",
                decision_id=inputs.decision_id,
                expires_at=None if hours is None else pick.send_at + timedelta(hours=hours),
                placement=pick.placement,
                category=offer.category if offer is not None else None,
                answered=False,
            )
        )
    return found
