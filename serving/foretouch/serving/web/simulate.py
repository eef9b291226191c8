"""Handler of ``POST /v1/simulate``: what another policy would have changed over a stored sample of decisions."""

from foretouch.core.errors import ConfigError
from foretouch.serving.history.what_if_report import SimulateBody
from foretouch.serving.web.api import Api, checked
from foretouch.serving.web.call import Answer, Call
from foretouch.serving.web.problems import Problem


def simulate(api: Api, call: Call) -> Answer:
    """A policy over a sample of the log."""
    from foretouch.serving.history.replay_log import Replayer  # noqa: PLC0415 - the supervisor reads the routes too
    from foretouch.serving.history.what_if_log import policy_of, what_if  # noqa: PLC0415

    body, plane = checked(SimulateBody, call.body), api.plane
    try:
        policy = policy_of(plane.workspace, body.policy, body.policy_name)
        found = what_if(
            plane.state,
            Replayer(plane.state, plane.workspace.bundles, plane.bundles.champions.scorers),
            plane.workspace,
            policy,
            sample=body.sample,
            since=body.since,
            until=body.until,
            segments=body.segments,
            losers=body.losers,
            evidence=body.evidence,
        )
    except ConfigError as error:  # where the workspace is on our disk is no caller's business
        detail = error.message.replace(f"{plane.workspace.root}/", "")
        raise Problem(status=422, code="policy", detail=detail) from error
    return Answer.of(found)
