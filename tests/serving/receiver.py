"""A real local receiver of webhooks that verifies every signature."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


@dataclass
class Receiver:
    """Fails the first ``failures`` calls, then takes what is signed with ``secret``."""

    secret: str = ""
    failures: int = 0
    calls: int = 0
    taken: list[tuple[str, bytes]] = field(default_factory=list)
    refused: int = 0
    url: str = ""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free local port."""
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            state.calls += 1
            status = 204
            if state.calls <= state.failures:
                status = 503
            else:
                try:
                    Webhook(state.secret).verify(body, dict(self.headers.items()))
                    state.taken.append((self.headers["webhook-id"], body))
                except WebhookVerificationError:
                    state.refused += 1
                    status = 401
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/leads"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def lead_data(message: bytes) -> dict[str, Any]:
    """The ``data`` of a message body."""
    data: dict[str, Any] = json.loads(message)["data"]
    return data
