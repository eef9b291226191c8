"""Asking from the command line: the same dataplane as the service, opened for one call."""

from pydantic import ValidationError

from foretouch.core.decisions import DecisionRecord, DecisionRequest
from foretouch.core.errors import ConfigError
from foretouch.core.workspace import Workspace
from foretouch.serving.dataplane import Dataplane
from foretouch.serving.replay import Replay


def request_of(
    customer_id: str, touchpoint: str, channels: tuple[str, ...] | None, purpose: str, *, dry_run: bool
) -> DecisionRequest:
    """A request from the words of a command line.

    Raises:
        ConfigError: One of them is not what the contract allows.
    """
    try:
        return DecisionRequest.model_validate(
            {
                "customer_id": customer_id,
                "touchpoint": touchpoint,
                "channels": channels,
                "purpose": purpose,
                "options": {"dry_run": dry_run, "explain": "full"},
            }
        )
    except ValidationError as error:
        lines = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        raise ConfigError("; ".join(lines), hint="foretouch decide --help") from error


def ask(workspace: Workspace, request: DecisionRequest) -> DecisionRecord:
    """Decides one touchpoint as the service would, and returns the whole record."""
    with Dataplane(workspace) as plane:
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
