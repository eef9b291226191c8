"""What comes back: outcomes, events and consents, each stored once, checked for its time, and acted upon."""

from collections.abc import Callable, Sequence
from datetime import datetime

from foretouch.core.attribution import happening, machine_clicks
from foretouch.core.canonical import canonical_json
from foretouch.core.config import Config
from foretouch.core.decisions import Action, DecisionRecord
from foretouch.core.errors import DataError
from foretouch.core.events import Consent, CustomerEvent
from foretouch.core.offers import Catalogue
from foretouch.core.outcomes import ACTIVATING, ANSWERS, GOAL_TYPES, MACHINES, UNSENT, Outcome
from foretouch.core.schema import Contract
from foretouch.core.state.connection import Connection
from foretouch.core.state.contacts import (
    add_contacts,
    confirm_contact,
    mark_answered,
    release_contact,
    reservation_id,
)
from foretouch.core.state.db import to_micros
from foretouch.core.state.log import append_event, append_outcome, read_decision
from foretouch.core.state.people import add_consents, read_consents
from foretouch.serving.decision.moment import FUTURE, Moment, settle_time
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.runtime.reservations import contact_of
from foretouch.serving.runtime.settings import Settings
from foretouch.serving.runtime.speech import told_about, told_of
from foretouch.serving.web.models import ConsentsAnswer, ConsentsBody, ItemResult

WITHDRAWN = {
    "unsubscribe": ("marketing", "retention"),
    "complaint": ("marketing", "retention", "service"),
}
"""Purposes whose consent on the action's channel an outcome withdraws."""


class Intake:
    """Stores what is posted back.

    Args:
        plane: The workspace's data plane.
        refresh: Told of each customer whose events came in.
    """

    def __init__(self, plane: Dataplane, refresh: Callable[[str], None] = lambda _: None) -> None:
        self._plane = plane
        self._refresh = refresh

    def outcome(self, outcome: Outcome) -> ItemResult:
        """Stores one outcome and what follows from it.

        A goal is stored as an event too; a delivery confirms the contact's reservation, a bounce or rejection
        releases it; an unsubscription or complaint withdraws consent on that channel, whatever is wrong with its time.

        Raises:
            NotFoundError: It names a decision that is not in the log.
            ConflictError: Its id came before with other content.
            DataError: A revenue without a value, or in another currency than the workspace's.
        """
        now = self._plane.clock.now()
        settings = self._plane.settings.current
        check_money(outcome, settings.config)
        moment = settle_time(settings.config.clock, outcome.occurred_at, now)
        outcome = outcome.replace(occurred_at=moment.at)
        if outcome.occurred_at > now + FUTURE:
            record = read_decision(self._plane.state.read(), outcome.decision_id)
            reason = _future(outcome.occurred_at, now)
            kept = self._quarantine("outcome", outcome.outcome_id, outcome, reason, now)
            if outcome.type in WITHDRAWN:
                statements = withdrawals(record, outcome, now, settings.config)
                self._plane.state.write(lambda connection: add_consents(connection, statements))
                reason = f"{reason}; {_holds_from_now(statements)}"
            return kept.replace(reason=told_of(record, [reason])[0])

        def job(connection: Connection) -> tuple[DecisionRecord, frozenset[str]] | None:
            if not append_outcome(connection, outcome, now):
                return None
            record = read_decision(connection, outcome.decision_id)
            _act_on(connection, record, outcome, now, settings)
            if outcome.type in GOAL_TYPES:
                append_event(connection, goal_event(record, outcome, settings.config, settings.catalogue), now)
            return record, flag_machines(connection, record, outcome)

        done = self._plane.state.write(job)
        warnings = tuple(filter(None, [moment.warning]))
        if done is not None:
            record, scanned = done
            warnings += oddities(record, outcome, settings.config)
            if outcome.outcome_id in scanned:
                warnings += ("a burst of clicks on several links right after the delivery: kept as a machine's",)
            if outcome.type in GOAL_TYPES:
                self._refresh(record.customer_id)
        if warnings:
            record = done[0] if done is not None else read_decision(self._plane.state.read(), outcome.decision_id)
            warnings = told_of(record, warnings)
        status = "duplicate" if done is None else "accepted"
        self._plane.telemetry.outcomes.labels(outcome.type, status).inc()
        return ItemResult(id=outcome.outcome_id, status=status, warnings=warnings)

    def event(self, event: CustomerEvent) -> ItemResult:
        """Stores one event, and has the customer's online features recomputed.

        Raises:
            ConflictError: Its id came before with other content.
        """
        now, config = self._plane.clock.now(), self._plane.settings.current.config
        moment = settle_time(config.clock, event.occurred_at, now)
        warnings = tuple(filter(None, [moment.warning]))
        received = None if event.received_at is None else settle_time(config.clock, event.received_at, now).at
        event = event.replace(occurred_at=moment.at, received_at=received)
        for at in (event.occurred_at, event.received_at):
            if at is not None and at > now + FUTURE:
                return self._refused(event, _future(at, now), now)
        if event.currency not in {None, config.workspace.currency}:
            return self._refused(event, _other_currency(event.currency, config), now)
        new = self._plane.state.write(lambda connection: append_event(connection, event, now))
        if new:
            self._refresh(event.customer_id)
        status = "accepted" if new else "duplicate"
        self._plane.telemetry.events.labels(status).inc()
        warnings = told_about(self._plane.state, event.customer_id, warnings)
        return ItemResult(id=event.event_id, status=status, warnings=warnings)

    def consents(self, customer_id: str, body: ConsentsBody) -> ConsentsAnswer:
        """Stores statements of consent and returns what holds now.

        Raises:
            DataError: A consent is given in the future. A withdrawal of the future holds from now.
        """
        now, config = self._plane.clock.now(), self._plane.settings.current.config
        warnings: list[str] = []
        statements: list[Consent] = []
        for item in body.consents:
            moment = Moment(at=now) if item.at is None else settle_time(config.clock, item.at, now)
            warnings += filter(None, [moment.warning])
            if moment.at > now + FUTURE:
                if item.granted:
                    raise DataError(f"consent for {item.channel}/{item.purpose}: {_future(moment.at, now)}")
                warnings.append(f"{_future(moment.at, now)}; the withdrawal of {item.channel} holds from now")
            if item.channel not in config.channels:
                warnings.append(f"channel {item.channel!r} is not in foretouch.toml")
            statements.append(item.consent(customer_id, min(moment.at, now)))

        def job(connection: Connection) -> dict[str, bool]:
            add_consents(connection, statements)
            return read_consents(connection, customer_id, now)

        held = self._plane.state.write(job)
        said = told_about(self._plane.state, customer_id, warnings)
        return ConsentsAnswer(customer_id=customer_id, accepted=len(statements), consents=held, warnings=said)

    def _refused(self, event: CustomerEvent, reason: str, now: datetime) -> ItemResult:
        kept = self._quarantine("event", event.event_id, event, reason, now)
        return kept.replace(reason=told_about(self._plane.state, event.customer_id, [reason])[0])

    def _quarantine(self, kind: str, identity: str, body: Contract, reason: str, now: datetime) -> ItemResult:
        self._plane.state.write(
            lambda connection: (
                connection.execute(
                    "INSERT INTO quarantine (kind, reason, at, body) VALUES (?, ?, ?, ?)",
                    (kind, reason, to_micros(now), canonical_json(body)),
                ).rowcount
            )
        )
        if isinstance(body, Outcome):
            self._plane.telemetry.outcomes.labels(body.type, "quarantined").inc()
        else:
            self._plane.telemetry.events.labels("quarantined").inc()
        return ItemResult(id=identity, status="quarantined", reason=reason)


def _future(at: datetime, now: datetime) -> str:
    return f"{at.isoformat()} is more than 5 minutes in the future (now is {now.isoformat()})"


def _other_currency(currency: str | None, config: Config) -> str:
    return f"currency == {currency!r}, must be the workspace's {config.workspace.currency}: nothing is converted here"


def check_money(outcome: Outcome, config: Config) -> None:
    """Refuses money that would be counted wrongly.

    Raises:
        DataError: A revenue without a value, or in another currency than the workspace's.
    """
    if outcome.type == "revenue" and outcome.value is None:
        raise DataError("value is missing: an outcome of type revenue says how much")
    if outcome.currency not in {None, config.workspace.currency}:
        raise DataError(_other_currency(outcome.currency, config))


def oddities(record: DecisionRecord, outcome: Outcome, config: Config) -> tuple[str, ...]:
    """What is strange about an outcome that was stored all the same."""
    said = []
    if outcome.type not in GOAL_TYPES and _action_of(record, outcome) is None:
        follows = "nothing follows from this outcome"
        if outcome.type in WITHDRAWN:
            follows = _holds_from_now(withdrawals(record, outcome, record.decided_at, config))
        said.append(f"the decision has no contact of rank {outcome.rank}: {follows}")
    if outcome.occurred_at < record.decided_at - FUTURE:
        said.append(f"it occurred before the decision was made ({record.decided_at.isoformat()})")
    return tuple(said)


def _action_of(record: DecisionRecord, outcome: Outcome) -> Action | None:
    return next((action for action in record.action if action.rank == outcome.rank), None)


def _act_on(
    connection: Connection, record: DecisionRecord, outcome: Outcome, now: datetime, settings: Settings
) -> None:
    contact_id = reservation_id(record.decision_id, outcome.rank)
    if outcome.type in ACTIVATING:
        if confirm_contact(connection, contact_id) is None:
            _went_out(connection, record, outcome, settings)
    elif outcome.type in UNSENT:
        release_contact(connection, contact_id)
    if outcome.type in WITHDRAWN:
        add_consents(connection, withdrawals(record, outcome, now, settings.config))


def withdrawals(record: DecisionRecord, outcome: Outcome, now: datetime, config: Config) -> list[Consent]:
    """What an unsubscription or complaint withdraws.

    On its contact's channel; on every channel where the decision has no contact of its rank, for in doubt nobody is
    contacted. Never older than the decision, and never of the future.
    """
    action = _action_of(record, outcome)
    return [
        Consent(
            customer_id=record.customer_id,
            channel=channel,
            purpose=purpose,
            granted=False,
            at=min(max(outcome.occurred_at, record.decided_at), now),
            source=f"outcome:{outcome.type}",
        )
        for channel in ((action.channel,) if action is not None else tuple(config.channels))
        for purpose in WITHDRAWN[outcome.type]
    ]


def _holds_from_now(statements: Sequence[Consent]) -> str:
    channels = ", ".join(dict.fromkeys(statement.channel for statement in statements))
    return f"consent is withdrawn from now on all the same ({channels})"


def _went_out(connection: Connection, record: DecisionRecord, outcome: Outcome, settings: Settings) -> None:
    """A contact that was never reserved, and yet went out, counts from now on."""
    action = _action_of(record, outcome)
    if action is not None:
        add_contacts(connection, [contact_of(record, action, at=action.send_at, settings=settings)])


def flag_machines(connection: Connection, record: DecisionRecord, outcome: Outcome) -> frozenset[str]:
    """Marks what machines did with one contact, as far as the outcomes so far tell, and returns the clicks among it.

    What was posted stays as it was; only the columns by which the log is searched, and whether the contact counts as
    answered, follow the mark. Every outcome of the contact is looked at again, for they come in any order.
    """
    if outcome.type not in {"delivered", *MACHINES, *ANSWERS}:
        return frozenset()
    rows = connection.execute("SELECT body FROM outcomes WHERE decision_id = ?", (record.decision_id,)).fetchall()
    told = [item for item in (Outcome.from_line(body) for (body,) in rows) if item.rank == outcome.rank]
    action = _action_of(record, outcome)
    sent_at = None if action is None else to_micros(action.send_at)
    scanned = machine_clicks([happening(item, 0) for item in told if not item.by_machine], sent_at)
    for item in told:
        by_machine = item.is_bot or item.outcome_id in scanned
        kind = MACHINES.get(item.type, item.type) if by_machine else item.type
        connection.execute(
            "UPDATE outcomes SET type = ?, is_bot = ? WHERE outcome_id = ? AND (type <> ? OR is_bot <> ?)",
            (kind, int(by_machine), item.outcome_id, kind, int(by_machine)),
        )
    answered = any(item.type in ANSWERS and not item.is_bot and item.outcome_id not in scanned for item in told)
    mark_answered(connection, reservation_id(record.decision_id, outcome.rank), answered=answered)
    return scanned


def goal_event(record: DecisionRecord, outcome: Outcome, config: Config, catalogue: Catalogue) -> CustomerEvent:
    """A posted goal as an event, so that goals are counted for every decision alike.

    ``convert`` becomes the event that counts as acceptance of the action's offer (by its category), ``revenue`` the
    value event. A caller that posts the event itself should not post the goal as well.
    """
    action = _action_of(record, outcome)
    category = next(
        (offer.category for offer in catalogue.offers if action is not None and offer.offer_id == action.offer_id), "*"
    )
    acceptance = config.goals.offer.acceptance
    accepted = acceptance.get(category) or acceptance.get("*") or config.goals.lead.goal_event
    return CustomerEvent(
        event_id=f"outcome:{outcome.outcome_id}"[:256],
        customer_id=record.customer_id,
        event=config.goals.value.value_event if outcome.type == "revenue" else accepted,
        occurred_at=outcome.occurred_at,
        channel=None if action is None else action.channel,
        value=outcome.value,
        currency=outcome.currency or (config.workspace.currency if outcome.value is not None else None),
        is_bot=outcome.is_bot,
        properties={
            **outcome.properties,
            "decision_id": record.decision_id,
            "rank": outcome.rank,
            "outcome_id": outcome.outcome_id,
        },
    )
