# mypy: disable-error-code="untyped-decorator"
"""The BentoML service: its plain endpoints, and the front around them. The only module that imports BentoML.

``foretouch serve`` starts it; ``bentoml serve foretouch.serving.service:Foretouch`` does too, with the workspace in
``FORETOUCH_WORKSPACE``.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import bentoml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as MountedRoute

from foretouch.serving.web.api import Api
from foretouch.serving.web.front import Front, plain_answer
from foretouch.serving.web.routes import ROUTES

SETTINGS: dict[str, Any] = {
    "threads": 16,
    "traffic": {"timeout": 30},
    "metrics": {"enabled": False},
    "logging": {"access": {"enabled": False}},
}
"""BentoML labels metrics by raw path, without bound: ours are by route."""


class Running:
    """The one data plane of this worker: made when the service starts, closed when it stops."""

    def __init__(self) -> None:
        self._api: Api | None = None
        self._close: Callable[[], None] | None = None

    def start(self) -> Api:
        """Opens the workspace, loads the champions, and starts the background work."""
        if self._api is None:
            start = import_module("foretouch.serving.runtime.start")  # the supervisor never gets here
            self._api, self._close = start.start_or_say_why()
        return self._api

    def stop(self) -> None:
        """Finishes what is queued."""
        if self._close is not None:
            self._close()
        self._api = self._close = None

    @property
    def api(self) -> Api:
        """What the routes need."""
        return self.start()


RUNNING = Running()


def _plain(scope: Any) -> Response:
    answer = plain_answer(scope, RUNNING.api)
    return Response(answer.body, answer.status, dict(answer.headers), answer.content_type)


def _through(ctx: bentoml.Context) -> Response:
    """A plain endpoint's answer; the body that BentoML parsed is the one that the front has checked."""
    response = _plain(ctx.request.scope)
    ctx.response.status_code = response.status_code
    return response


def _endpoint(request: Request) -> Response:
    return _plain(request.scope)


MOUNTED = Starlette(
    routes=[
        MountedRoute(route.template, _endpoint, methods=[route.method], name=route.name)
        for route in ROUTES
        if route.scopes and (route.method != "POST" or route.placeholders)
    ]
)
"""BentoML's own routes are POST and take no placeholders: the others are mounted."""


class FrontedService(bentoml.Service[Any]):  # type: ignore[misc]
    """BentoML's service with our front around its application: also under plain ``bentoml serve``."""

    __slots__ = ()

    def to_asgi(self, is_main: bool = True) -> Any:
        """BentoML's application behind the front."""
        return Front(super().to_asgi(is_main=is_main), lambda: RUNNING.api)


@bentoml.asgi_app(MOUNTED, path="/")
@bentoml.service(name="foretouch", service_class=FrontedService, **SETTINGS)
class Foretouch:
    """Decides before you touch a customer."""

    @bentoml.on_startup
    def open(self) -> None:
        """Opens the workspace before the first request."""
        RUNNING.start()

    @bentoml.on_shutdown
    def close(self) -> None:
        """Writes what is queued."""
        RUNNING.stop()

    @bentoml.api(route="/v1/decisions")
    def decide(self, body: dict[str, Any], /, ctx: bentoml.Context) -> Any:  # noqa: ARG002
        """One decision."""
        return _through(ctx)

    @bentoml.api(route="/v1/decisions:batch")
    def decide_batch(self, body: dict[str, Any], /, ctx: bentoml.Context) -> Any:  # noqa: ARG002
        """Up to 500 decisions."""
        return _through(ctx)

    @bentoml.api(route="/v1/outcomes")
    def outcomes(self, body: dict[str, Any], /, ctx: bentoml.Context) -> Any:  # noqa: ARG002
        """Outcomes of decisions."""
        return _through(ctx)

    @bentoml.api(route="/v1/events")
    def events(self, body: dict[str, Any], /, ctx: bentoml.Context) -> Any:  # noqa: ARG002
        """Events of customers."""
        return _through(ctx)

    @bentoml.api(route="/v1/scores/lead")
    def score_lead(self, body: dict[str, Any], /, ctx: bentoml.Context) -> Any:  # noqa: ARG002
        """Lead scores."""
        return _through(ctx)

    @bentoml.api(route="/v1/scores/churn")
    def score_churn(self, body: dict[str, Any], /, ctx: bentoml.Context) -> Any:  # noqa: ARG002
        """Churn scores."""
        return _through(ctx)

    @bentoml.api(route="/v1/scores/value")
    def score_value(self, body: dict[str, Any], /, ctx: bentoml.Context) -> Any:  # noqa: ARG002
        """Value scores."""
        return _through(ctx)

    @bentoml.api(route="/v1/offers/rank")
    def rank_offers(self, body: dict[str, Any], /, ctx: bentoml.Context) -> Any:  # noqa: ARG002
        """Offers by priority."""
        return _through(ctx)

    @bentoml.api(route="/v1/send-times")
    def send_times(self, body: dict[str, Any], /, ctx: bentoml.Context) -> Any:  # noqa: ARG002
        """Hours to send at."""
        return _through(ctx)
