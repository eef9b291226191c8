"""Taking a decided contact up, or giving it back: ``/v1/reservations/{id}:confirm`` and ``:release``.

A reservation's id is the decision's with the action's rank. What was reserved with the decision is confirmed by a word.
A decision with ``defer_activation`` or without ``reserve_caps`` reserved nothing: its contact is made when it is
confirmed, in one transaction with a look at every contact rule as things stand then, and refused if a rule forbids it
by now. Both calls can be made again; a call that contradicts an earlier one is a conflict. Each is kept as an outcome
(``confirmed``, ``released``), so that what was learned from can be told from the log for ever.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

from foretouch.core.counters import CounterSnapshot
from foretouch.core.decisions import Action, DecisionRecord, SendWindow, Suppression
from foretouch.core.errors import ConflictError, NotFoundError
from foretouch.core.offers import CandidateRef, Catalogue
from foretouch.core.outcomes import UNSENT, Outcome
from foretouch.core.state.connection import Connection
from foretouch.core.state.contacts import (
    Contact,
    add_contacts,
    confirm_contact,
    find_contact,
    release_contact,
    reservation_id,
)
from foretouch.core.state.log import append_outcome, read_decision
from foretouch.serving.decide import DecisionInputs, decide
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.runtime.log_write import RESERVE_TRIES, look_at_counters
from foretouch.serving.runtime.settings import Settings
from foretouch.serving.runtime.speech import told_of
from foretouch.serving.web.models import ReservationAnswer, ReservationStatus

MOMENT = timedelta(seconds=1)


class ReleasedError(ConflictError):
    """The contact was given back, bounced or was rejected before."""

    code = "reservation_released"


class ConfirmedError(ConflictError):
    """The contact went out before."""

    code = "reservation_confirmed"


class ExpiredError(ConflictError):
    """The decision is too old to be acted on."""

    code = "reservation_expired"


class ForbiddenError(ConflictError):
    """A contact rule forbids by now what the decision allowed."""

    code = "reservation_refused"


class Reservations:
    """Confirms and releases.

    Args:
        plane: The workspace's data plane.
    """

    def __init__(self, plane: Dataplane) -> None:
        self._plane = plane

    def confirm(self, identity: str) -> ReservationAnswer:
        """The contact is taken up: it counts, and is learned from.

        Args:
            identity: The action's ``reservation_id``.

        Raises:
            NotFoundError: No decision in the log has such an action.
            ReleasedError: It was given back before.
            ExpiredError: It was deferred, and the decision has expired.
            ForbiddenError: It was deferred, and a rule forbids it by now.
        """
        now, settings = self._plane.clock.now(), self._plane.settings.current

        def job(connection: Connection) -> ReservationAnswer:
            record, action = find_action(connection, identity)
            contact = find_contact(connection, identity, now)
            warnings: tuple[str, ...] = ()
            if contact is None:
                if _unsent(connection, record, action):
                    raise ReleasedError(f"reservation {identity!r} was released before; ask for a new decision")
                contact = self._take_up(connection, record, action, now, settings)
                changed = True
            elif contact.status == "released":
                raise ReleasedError(f"reservation {identity!r} was released before; ask for a new decision")
            else:
                if contact.status == "expired":
                    warnings = ("the reservation had expired: others may have used up its caps in between",)
                changed = contact.status != "sent"
                confirm_contact(connection, identity)
            _note(connection, record, action, "confirmed", now)
            return _answer(
                record, action, "sent", send_at=contact.at, changed=changed, warnings=told_of(record, warnings)
            )

        return self._plane.state.write(job)

    def release(self, identity: str) -> ReservationAnswer:
        """The contact is not made: it counts no more, and nothing is learned from it.

        Args:
            identity: The action's ``reservation_id``.

        Raises:
            NotFoundError: No decision in the log has such an action.
            ConfirmedError: It is known to have gone out.
        """
        now = self._plane.clock.now()

        def job(connection: Connection) -> ReservationAnswer:
            record, action = find_action(connection, identity)
            contact = find_contact(connection, identity, now)
            if contact is not None and contact.status == "sent":
                raise ConfirmedError(f"reservation {identity!r} was confirmed before: that contact went out")
            changed = not _unsent(connection, record, action)
            if contact is not None:
                changed = contact.status != "released"
                release_contact(connection, identity)
            _note(connection, record, action, "released", now)
            return _answer(record, action, "released", changed=changed)

        return self._plane.state.write(job)

    def _take_up(
        self, connection: Connection, record: DecisionRecord, action: Action, now: datetime, settings: Settings
    ) -> Contact:
        """Makes the contact of a decision that reserved nothing, if every contact rule still allows it.

        Where caps are counted in a store of their own, the contact is reserved there first, exactly like that of a
        decision: the store refuses if a counter has moved since the rules looked at it, and they look again. It
        expires there by itself, should the log's transaction fail; the log then tells the store that it is sent.
        """
        if now >= record.expires_at:
            raise ExpiredError(f"the decision expired at {record.expires_at.isoformat()}; ask for a new one")
        caps, at = self._plane.state.caps, max(action.send_at, now)
        for _ in range(RESERVE_TRIES):
            counters, seen = look_at_counters(connection, record.request, now, settings, caps=caps)
            forbidden = check_again(record, action, at=at, now=now, counters=counters, settings=settings)
            if forbidden is not None:
                until = "" if forbidden.until is None else f" until {forbidden.until.isoformat()}"
                raise ForbiddenError(f"rule {forbidden.rule!r} forbids this contact by now{until}: {forbidden.text}")
            contact = contact_of(record, action, at=at, settings=settings)
            if caps is None or seen is None or caps.reserve(seen, [reserved(contact, settings)]):
                add_contacts(connection, [contact])
                return contact
        raise ForbiddenError(f"the counters of caps moved {RESERVE_TRIES} times; confirm again")


def find_action(connection: Connection, identity: str) -> tuple[DecisionRecord, Action]:
    """The decision and the action of a reservation's id.

    Raises:
        NotFoundError: No decision in the log has such an action.
    """
    decision_id, _, rank = identity.rpartition(".")
    record = read_decision(connection, decision_id)
    for action in record.action:
        if rank == str(action.rank):
            return record, action
    raise NotFoundError(f"no reservation {identity!r}: the decision has no contact of that rank")


def contact_of(record: DecisionRecord, action: Action, *, at: datetime, settings: Settings) -> Contact:
    """The contact of an action, known to go out."""
    categories = {offer.offer_id: offer.category for offer in settings.catalogue.offers}
    return Contact(
        contact_id=reservation_id(record.decision_id, action.rank),
        customer_id=record.customer_id,
        household_id=record.counters.household_id,
        offer_id=action.offer_id,
        channel=action.channel,
        at=at,
        status="sent",
        decision_id=record.decision_id,
        placement=action.placement,
        category=categories.get(action.offer_id),
        answered=False,
    )


def reserved(contact: Contact, settings: Settings) -> Contact:
    """A contact as the store of caps counts it until the log says that it is sent."""
    hours = settings.contact_policy.reservation_hours
    return replace(
        contact, status="reserved", expires_at=None if hours is None else contact.at + timedelta(hours=hours)
    )


def check_again(
    record: DecisionRecord,
    action: Action,
    *,
    at: datetime,
    now: datetime,
    counters: CounterSnapshot,
    settings: Settings,
) -> Suppression | None:
    """The contact rule that forbids an action by now, or None. Pure.

    Made with ``decide`` itself, asked about this one candidate at this one moment, under the rules and offers in force
    now and without models, experiments and engagement rules: those had their say when the decision was made.

    Args:
        record: The decision.
        action: Of the decision.
        at: When the contact would be made.
        now: The workspace's time.
        counters: As of now.
        settings: In force now.
    """
    offers = tuple(
        offer.model_copy(update={"eligibility": "", "applicability": "", "suitability": ""})
        for offer in settings.catalogue.offers
        if offer.offer_id == action.offer_id
    )
    if not offers:
        return Suppression(offer_id=action.offer_id, stage="requested", rule="catalogue", text="the offer is gone")
    zone = record.request.send_window.time_zone
    request = record.request.model_copy(
        update={
            "purpose": record.purpose,
            "channels": (action.channel,),
            "candidates": (
                CandidateRef(offer_id=action.offer_id, treatment_id=action.treatment_id, channel=action.channel),
            ),
            "collection": None,
            "exclude": (),
            "n": 1,
            "placements": None if action.placement is None else (action.placement,),
            "send_window": SendWindow(earliest=at, latest=at + MOMENT, time_zone=zone),
        }
    )
    inputs = DecisionInputs(
        decision_id=record.decision_id,
        decided_at=now,
        seed=0,
        features=record.features,
        counters=counters,
        models={},
        catalogue=Catalogue(offers=offers),
        contact_policy=settings.contact_policy,
        policies=settings.policies.policies,
        experiments=(),
        config=settings.config,
        versions=settings.versions,
    )
    again = decide(request, inputs)
    return next((item.dropped_by for item in again.candidates if item.offer_id is not None), None)


def _unsent(connection: Connection, record: DecisionRecord, action: Action) -> bool:
    """Whether it was said before that the contact does not go out."""
    rows = connection.execute(
        "SELECT body FROM outcomes WHERE decision_id = ? ORDER BY sequence", (record.decision_id,)
    ).fetchall()
    told = (Outcome.from_line(body) for (body,) in rows)
    return any(outcome.rank == action.rank and outcome.type in UNSENT for outcome in told)


def _note(
    connection: Connection,
    record: DecisionRecord,
    action: Action,
    kind: Literal["confirmed", "released"],
    now: datetime,
) -> None:
    """Keeps the call in the log, once."""
    outcome_id = f"{kind}:{reservation_id(record.decision_id, action.rank)}"
    if connection.execute("SELECT 1 FROM outcomes WHERE outcome_id = ?", (outcome_id,)).fetchone() is None:
        outcome = Outcome(
            outcome_id=outcome_id, decision_id=record.decision_id, rank=action.rank, type=kind, occurred_at=now
        )
        append_outcome(connection, outcome, now)


def _answer(
    record: DecisionRecord, action: Action, status: ReservationStatus, *, send_at: datetime | None = None, **more: Any
) -> ReservationAnswer:
    return ReservationAnswer(
        reservation_id=reservation_id(record.decision_id, action.rank),
        decision_id=record.decision_id,
        rank=action.rank,
        customer_id=record.customer_id,
        offer_id=action.offer_id,
        channel=action.channel,
        send_at=send_at or action.send_at,
        status=status,
        **more,
    )
