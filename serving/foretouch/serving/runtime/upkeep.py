"""What nobody asks for but must happen: old idempotency answers go, and events of before a crash reach the features."""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from foretouch.core.errors import ForetouchError
from foretouch.core.state.access import forget_answers
from foretouch.core.state.db import to_micros
from foretouch.serving.runtime.dataplane import Dataplane

log = logging.getLogger("foretouch.upkeep")

EVERY_SECONDS = 600.0
CATCH_UP = timedelta(hours=1)
CATCH_UP_CUSTOMERS = 500


def catch_up(plane: Dataplane, refresh: Callable[[str], None]) -> int:
    """Queues customers whose events came in during the last hour: a stopped service may not have got to them.

    Returns:
        How many customers were queued.
    """
    since = to_micros(plane.clock.now() - CATCH_UP)
    rows = (
        plane.state.read()
        .execute(
            "SELECT customer_id FROM events WHERE received_at >= ? GROUP BY customer_id ORDER BY MAX(sequence) DESC"
            " LIMIT ?",
            (since, CATCH_UP_CUSTOMERS),
        )
        .fetchall()
    )
    for (customer_id,) in rows:
        refresh(customer_id)
    return len(rows)


class Upkeep:
    """Forgets idempotency answers that are older than three days, every ten minutes.

    Args:
        plane: Whose.
    """

    def __init__(self, plane: Dataplane) -> None:
        self._plane = plane
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops."""
        self._stop.set()
        self._thread.join(10.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                now = self._plane.clock.now()
                self._plane.state.write(lambda connection, now=now: forget_answers(connection, now))  # type: ignore[misc]
            except (ForetouchError, OSError, ValueError):
                log.exception("old idempotency answers could not be forgotten")
            self._stop.wait(EVERY_SECONDS)
