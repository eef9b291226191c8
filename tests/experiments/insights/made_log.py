"""A tiny log made by hand: decisions with their candidates, outcomes and events, each with a known answer."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from foretouch.core.canonical import content_hash
from foretouch.core.counters import CounterSnapshot
from foretouch.core.decisions import (
    Action,
    Assignment,
    Candidate,
    DecisionRecord,
    DecisionRequest,
    FeatureSnapshot,
    Suppression,
    Versions,
)
from foretouch.core.events import CustomerEvent
from foretouch.core.offers import Catalogue, Offer
from foretouch.core.outcomes import Outcome
from foretouch.core.state.connection import Connection
from foretouch.core.state.db import State
from foretouch.core.state.log import append_decision, append_event, append_outcome, keep_artifact
from foretouch.core.workspace import Workspace

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOW = START + timedelta(days=60)
CONFIG = """
[workspace]
name = "made"
currency = "EUR"
[clock]
kind = "manual"
[channels.email]
cost = 0.01
[channels.sms]
cost = 0.05
[goals.offer]
acceptance = { "*" = "order" }
[goals.value]
value_event = "order"
[reward]
window_days = 7
"""
OFFERS = Catalogue(
    offers=(
        Offer(offer_id="tea", name="Tea", category="drinks", channels=("email", "sms"), value=10.0, cost=2.0),
        Offer(offer_id="cake", name="Cake", category="food", channels=("email",), value=20.0, cost=1.0),
    )
)
Drop = tuple[str, str] | None


class MadeLog:
    """Writes a log a line at a time.

    Args:
        root: An empty folder.
        config: Of the workspace.
    """

    def __init__(self, root: Path, config: str = CONFIG) -> None:
        root.mkdir(parents=True, exist_ok=True)
        (root / "foretouch.toml").write_text(config)
        (root / "clock.json").write_text(f'{{"now": "{NOW.isoformat()}"}}')
        self._opened = Workspace.open(root)
        self._count = 0
        self._offers = content_hash(OFFERS)
        self._waiting: list[Callable[[Connection], object]] = [
            lambda connection: keep_artifact(connection, "offers", OFFERS)
        ]

    @property
    def workspace(self) -> Workspace:
        """The workspace, with everything written that waits, in one transaction."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            with State(self._opened.state_file) as state:
                state.write(lambda connection: [line(connection) for line in waiting])
        return self._opened

    @property
    def root(self) -> Path:
        """Its folder."""
        return self._opened.root

    def decide(
        self,
        customer: str,
        day: float,
        candidates: Sequence[tuple[str, str, Drop]] = (("tea", "email", None),),
        *,
        chosen: tuple[str, str] | None = None,
        arms: dict[str, str] | None = None,
        probabilities: Sequence[float] | None = None,
        status: str | None = None,
        logged: bool = True,
    ) -> str:
        """Logs a decision and returns its id; ``probabilities`` are of no contact and then of each candidate."""
        self._count += 1
        name, at = f"dec_{self._count:05d}", START + timedelta(days=day)
        shares = probabilities or [0.0 if chosen else 1.0, *(float(item[:2] == chosen) for item in candidates)]
        rows = [Candidate(offer_id=None, selection_probability=shares[0])]
        for (offer, channel, drop), share in zip(candidates, shares[1:], strict=True):
            dropped = None if drop is None else Suppression(offer_id=offer, stage=drop[0], rule=drop[1])
            rows.append(Candidate(offer_id=offer, channel=channel, dropped_by=dropped, selection_probability=share))
        costs = {"email": 0.01, "sms": 0.05}
        actions: tuple[Action, ...] = ()
        if chosen is not None:
            actions = (
                Action(
                    rank=1,
                    offer_id=chosen[0],
                    channel=chosen[1],
                    send_at=at,
                    cost=costs[chosen[1]],
                    value=10.0 if chosen[0] == "tea" else 20.0,
                ),
            )
        record = DecisionRecord(
            decision_id=name,
            customer_id=customer,
            status=status or ("decided" if chosen else "suppressed"),
            status_reason="made",
            decided_at=at,
            expires_at=at + timedelta(days=1),
            contact=chosen is not None,
            action=actions,
            experiments=tuple(Assignment(key=key, arm=arm) for key, arm in (arms or {}).items()),
            versions=Versions(
                policy="p",
                contact_policy="c",
                offers=self._offers,
                experiments="e",
                features="f",
                config="c",
                code="0",
            ),
            touchpoint="weekly",
            purpose="marketing",
            request=DecisionRequest(customer_id=customer, touchpoint="weekly"),
            candidates=tuple(rows),
            features=FeatureSnapshot(known=True),
            counters=CounterSnapshot(known=True),
            seed="0",
            fallback_step="champion",
            logged=logged,
        )
        self._waiting.append(lambda connection: append_decision(connection, record))
        return name

    def outcome(self, decision: str, kind: str, day: float, **more: object) -> None:
        """Posts an outcome."""
        self._count += 1
        at = START + timedelta(days=day)
        posted = Outcome.model_validate(
            {"outcome_id": f"out_{self._count}", "decision_id": decision, "type": kind, "occurred_at": at, **more}
        )
        self._waiting.append(lambda connection: append_outcome(connection, posted, at))

    def event(
        self, customer: str, day: float, *, value: float | None = 30.0, kind: str = "order", bot: bool = False
    ) -> None:
        """Posts an event."""
        self._count += 1
        at = START + timedelta(days=day)
        posted = CustomerEvent(
            event_id=f"ev_{self._count}",
            customer_id=customer,
            event=kind,
            occurred_at=at,
            received_at=at,
            value=value,
            currency=None if value is None else "EUR",
            is_bot=bot,
        )
        self._waiting.append(lambda connection: append_event(connection, posted, at))
