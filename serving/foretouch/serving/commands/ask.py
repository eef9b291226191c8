"""Asking from the command line: the same dataplane as the service, opened for one call."""

from collections.abc import Callable, Sequence

from pydantic import ValidationError

from foretouch.core.decisions import DecisionRecord, DecisionRequest
from foretouch.core.errors import ConfigError
from foretouch.core.workspace import Workspace
from foretouch.serving.history.replay import Replay
from foretouch.serving.runtime.dataplane import Dataplane


def request_of(
    customer_id: str,
    touchpoint: str,
    *,
    channels: Sequence[str] | None = None,
    purpose: str | None = None,
    placements: Sequence[str] | None = None,
    language: str | None = None,
    explain: str = "full",
    dry_run: bool = False,
) -> DecisionRequest:
    """A request from the words of a command line; what the user did not say, the touchpoint's section says.

    Args:
        customer_id: Whom it is about.
        touchpoint: The occasion.
        channels: Those that can be used; none given is every one.
        purpose: Why somebody would be contacted.
        placements: Where offers are shown, filled in this order.
        language: Of texts, ``en`` or ``zh``; none is the customer's own.
        explain: How much of the reasons: ``none``, ``brief`` or ``full``.
        dry_run: Answer and keep nothing.

    Raises:
        ConfigError: One of them is not what the contract allows.
    """
    said = {"channels": channels or None, "purpose": purpose, "placements": placements or None}
    options = {"dry_run": dry_run, "explain": explain, "language": language}
    try:
        return DecisionRequest.model_validate(
            {
                "customer_id": customer_id,
                "touchpoint": touchpoint,
                "options": options,
                **{name: value for name, value in said.items() if value is not None},
            }
        )
    except ValidationError as error:
        lines = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        raise ConfigError("; ".join(lines), hint="foretouch decide --help") from error


def ask(
    workspace: Workspace, request: DecisionRequest, warn: Callable[[str], object] = lambda _: None
) -> DecisionRecord:
    """Decides one touchpoint as the service would, and returns the whole record.

    Args:
        workspace: Whose.
        request: The touchpoint.
        warn: Told of what is written in the settings and does nothing.
    """
    with Dataplane(workspace) as plane:
        for warning in plane.settings.current.warnings:
            warn(warning)
        given = plane.decide_one(request)
        return given.record if given.record is not None else plane.get_decision(given.decision.decision_id)


def ask_again(workspace: Workspace, decision_id: str, policy: str | None) -> tuple[DecisionRecord, Replay]:
    """A logged decision, and what comes out when it is decided again.

    Raises:
        NotFoundError: There is no such decision, or a configuration or model that it names is gone.
        ConfigError: There is no such policy, or it cannot be used.
    """
    with Dataplane(workspace) as plane:
        return plane.get_decision(decision_id), plane.replay(decision_id, policy=policy)
