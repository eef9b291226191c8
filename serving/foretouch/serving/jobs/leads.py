"""The hand-off to sales: one signed webhook when a lead's score first reaches the threshold.

A crossing is written to the outbox (table ``crossings``) in the transaction that notices it, and delivered afterwards
as a Standard Webhook (HMAC-SHA256 over id, time and body) until the receiver answers 2xx. A customer is not handed
over again before the score has fallen below the threshold. A message keeps its ``webhook-id`` through every retry, so
that a receiver that sees it twice can tell.
"""

import base64
import fcntl
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from standardwebhooks.webhooks import Webhook

from foretouch.core.canonical import canonical_json
from foretouch.core.clock import utc_now
from foretouch.core.errors import ConfigError
from foretouch.core.ids import new_id
from foretouch.core.state.connection import Connection, to_micros
from foretouch.core.state.db import State
from foretouch.core.workspace import Workspace

MODEL = "lead"
EVENT_TYPE = "lead.crossed"
TIMEOUT_S = 5.0
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
LOCK_FILE = "leads.lock"

Wait = Callable[[float], None]


@dataclass(frozen=True, kw_only=True)
class ScoredLead:
    """A lead with its score.

    Attributes:
        customer_id: Who.
        score: Calibrated probability of the goal.
        data: What else the receiver is told: interval, band, reasons, model version.
    """

    customer_id: str
    score: float
    data: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class HandOff:
    """What one run did.

    Attributes:
        crossed: Customers whose score reached the threshold in this run.
        rearmed: Customers whose score fell below again.
        delivered: Messages that the receiver took, also of earlier runs.
        waiting: Messages kept for the next run.
        problem: Why some wait; None when none does.
    """

    crossed: int
    rearmed: int
    delivered: int
    waiting: int
    problem: str | None = None


def signing_secret(workspace: Workspace) -> str:
    """The secret that the receiver verifies with, in Standard Webhooks' form ``whsec_<base64>``.

    It is ``secrets/webhook.key`` (256 bits in hex, made at first use) in another notation.
    """
    return "whsec_" + base64.b64encode(bytes.fromhex(workspace.secret("webhook"))).decode()


def checked_address(url: str) -> str:
    """An ``http`` or ``https`` address with a host.

    Raises:
        ConfigError: It is anything else; nothing is sent to files or other schemes.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(
            f"lead_alert.url == {url!r}, must be an http:// or https:// address",
            hint="edit [lead_alert] in foretouch.toml",
        )
    return url


def hand_off(workspace: Workspace, state: State, leads: Sequence[ScoredLead], *, wait: Wait = time.sleep) -> HandOff:
    """Notices crossings among freshly scored leads, and delivers what waits in the outbox.

    Does nothing without an address in ``lead_alert.url``.

    Args:
        workspace: Configuration, clock and secret.
        state: Its state database.
        leads: Everybody scored now; somebody absent keeps the state they had.
        wait: Sleeps between attempts.

    Raises:
        ConfigError: The address is no http or https address.
    """
    settings = workspace.config.lead_alert
    if settings.url is None:
        return HandOff(crossed=0, rearmed=0, delivered=0, waiting=0)
    address = checked_address(settings.url)
    with _alone(workspace.root / LOCK_FILE):
        now = workspace.clock.now()
        crossed, rearmed = state.write(
            lambda connection: note_crossings(
                connection, leads, threshold=settings.threshold, now=now, origin=workspace.config.workspace.origin
            )
        )
        delivered, problem = _deliver(
            state, address, signing_secret(workspace), attempts=settings.attempts, now=now, wait=wait
        )
    return HandOff(crossed=crossed, rearmed=rearmed, delivered=delivered, waiting=len(_waiting(state)), problem=problem)


def note_crossings(
    connection: Connection, leads: Sequence[ScoredLead], *, threshold: float, now: datetime, origin: str
) -> tuple[int, int]:
    """Writes new crossings to the outbox and re-arms who fell below.

    Args:
        connection: Inside a transaction.
        leads: Scored now.
        threshold: A score at or above it crosses.
        now: The workspace's time.
        origin: Where the data come from; said in the message, so that nobody calls a simulated lead.

    Returns:
        How many crossed, and how many were re-armed.
    """
    rows = connection.execute(
        "SELECT customer_id, max(crossed_at), sum(CASE WHEN rearmed_at IS NULL THEN 1 ELSE 0 END) FROM crossings"
        " WHERE model = ? GROUP BY customer_id",
        (MODEL,),
    ).fetchall()
    last = {customer_id: crossed_at for customer_id, crossed_at, _ in rows}
    above = {customer_id for customer_id, _, armed_off in rows if armed_off}
    micros = to_micros(now)
    crossed = rearmed = 0
    for lead in leads:
        if lead.score >= threshold and lead.customer_id not in above:
            message = {
                "type": EVENT_TYPE,
                "timestamp": utc_now().isoformat(),
                "data": {
                    **lead.data,
                    "customer_id": lead.customer_id,
                    "score": lead.score,
                    "threshold": threshold,
                    "crossed_at": now.isoformat(),
                    "origin": origin,
                },
            }
            connection.execute(
                "INSERT INTO crossings (model, customer_id, crossed_at, message_id, body) VALUES (?, ?, ?, ?, ?)",
                (
                    MODEL,
                    lead.customer_id,
                    max(micros, last.get(lead.customer_id, -1) + 1),
                    new_id("msg"),
                    canonical_json(message),
                ),
            )
            crossed += 1
        elif lead.score < threshold and lead.customer_id in above:
            connection.execute(
                "UPDATE crossings SET rearmed_at = ? WHERE model = ? AND customer_id = ? AND rearmed_at IS NULL",
                (micros, MODEL, lead.customer_id),
            )
            rearmed += 1
    return crossed, rearmed


def _waiting(state: State) -> list[tuple[str, bytes]]:
    return (
        state.read()
        .execute(
            "SELECT message_id, body FROM crossings WHERE model = ? AND delivered_at IS NULL"
            " ORDER BY crossed_at, customer_id",
            (MODEL,),
        )
        .fetchall()
    )


def _deliver(
    state: State, address: str, secret: str, *, attempts: int, now: datetime, wait: Wait
) -> tuple[int, str | None]:
    """Delivers in order; a message that fails every attempt ends the run, and it and the rest wait for the next."""
    delivered = 0
    for message_id, body in _waiting(state):
        problem = None
        for attempt in range(attempts):
            if attempt:
                wait(min(FIRST_WAIT_S * 2 ** (attempt - 1), LONGEST_WAIT_S))
            problem = _post(address, secret, message_id, body)
            state.write(_marker(message_id, to_micros(now) if problem is None else None))
            if problem is None:
                delivered += 1
                break
        if problem is not None:
            return delivered, problem
    return delivered, None


def _marker(message_id: str, delivered_at: int | None) -> Callable[[Connection], None]:
    def mark(connection: Connection) -> None:
        connection.execute(
            "UPDATE crossings SET attempts = attempts + 1, delivered_at = ? WHERE model = ? AND message_id = ?",
            (delivered_at, MODEL, message_id),
        )

    return mark


def _post(address: str, secret: str, message_id: str, body: bytes) -> str | None:
    """Sends one signed message; None when the receiver took it, else why not."""
    # Receivers refuse signatures older than five minutes of real time, so the machine's clock is meant here.
    sent_at = utc_now()
    text = body.decode()
    headers = {
        "content-type": "application/json",
        "user-agent": "foretouch",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(secret).sign(msg_id=message_id, timestamp=sent_at, data=text),
    }
    request = urllib.request.Request(address, data=body, headers=headers, method="POST")  # noqa: S310 - checked_address
    try:
        with closing(_OPENER.open(request, timeout=TIMEOUT_S)) as answer:
            status = int(answer.status)
    except urllib.error.HTTPError as error:
        status = error.code
        error.close()
    except (OSError, http.client.HTTPException) as error:
        return f"{urlsplit(address).netloc} cannot be reached: {error}"
    return None if 200 <= status < 300 else f"{urlsplit(address).netloc} answered {status}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is a failure: a signed message goes to the configured address and nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One hand-off at a time per workspace, so that two runs never deliver the same message twice."""
    with path.open("a", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
