"""The setting of one decision: arms, policy, expiry, time zone, and what the contact rules know. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from foretouch.core.decisions import Assignment, DecisionRequest
from foretouch.core.experiment import Arm
from foretouch.core.policy import PolicySpec
from foretouch.serving.decision.arm_policy import UNAIDED, choose_policy, uniform
from foretouch.serving.decision.assignment import assign, strictest
from foretouch.serving.decision.inputs import DecisionInputs
from foretouch.serving.decision.moment import settle_window
from foretouch.serving.rules.contact import Touch
from foretouch.serving.rules.slots import calendar_warnings, zone_of


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is fixed before any candidate is looked at.

    Attributes:
        touch: What the contact rules know.
        spec: The policy, the workspace's, the touchpoint's or an arm's, as a standing arm leaves it.
        drawing: The policy that draws: ``spec``, or the uniform one of the holdout ``random``.
        unaided: The standing arm ``rules_only`` holds this customer: no model takes part.
        zone: The customer's.
        expires_at: When the decision lapses, UTC.
        assigned: Every running experiment's arm.
        holdout: The arm that holds this customer out, if one does.
        warnings: What the caller should know.
    """

    touch: Touch
    spec: PolicySpec
    drawing: PolicySpec
    unaided: bool
    zone: ZoneInfo
    expires_at: datetime
    assigned: tuple[tuple[Assignment, Arm], ...]
    holdout: tuple[Assignment, Arm] | None
    warnings: tuple[str, ...] = ()


def set_out(request: DecisionRequest, inputs: DecisionInputs) -> Setting:
    """Finds the setting of a request."""
    now = inputs.decided_at.astimezone(UTC)
    counters = inputs.counters
    if request.household_id is not None and request.household_id != counters.household_id:
        counters = counters.model_copy(update={"household_id": request.household_id})
    if not request.personalised and (counters.attributes or counters.language):  # rules may ask about offers alone
        counters = counters.model_copy(update={"attributes": {}, "language": None})
    assigned = assign(
        inputs.experiments,
        customer_id=request.customer_id,
        household_id=counters.household_id,
        touchpoint=request.touchpoint,
        at=now,
        purpose=request.purpose,
    )
    section = inputs.config.touchpoints.get(request.touchpoint)
    spec, standing, warnings = choose_policy(assigned, None if section is None else section.policy, inputs.policies)
    holdout = strictest(assigned)
    window, moved = settle_window(inputs.config.clock, request.send_window, now)
    if moved:
        request = request.model_copy(update={"send_window": window})
    touch = Touch(
        request=request,
        policy=inputs.contact_policy,
        counters=counters,
        config=inputs.config,
        now=now,
        engagement=inputs.engagement,
        plans=inputs.plans,
    )
    zone, warning = zone_of(touch)
    expires_at = now + timedelta(hours=spec.expires_after_hours)
    return Setting(
        touch=touch,
        spec=spec,
        drawing=uniform(spec) if holdout is not None and holdout[1].kind == "random" else spec,
        unaided=standing.kind == UNAIDED,
        zone=zone,
        expires_at=expires_at,
        assigned=assigned,
        holdout=holdout,
        warnings=(
            *warnings,
            *moved,
            *_unknown_names(request, inputs),
            *([warning] if warning is not None else []),
            *calendar_warnings(touch, zone, expires_at),
        ),
    )


def _unknown_names(request: DecisionRequest, inputs: DecisionInputs) -> tuple[str, ...]:
    """Names in the request that are probably mistyped: nothing here has them."""
    said = [
        f"the request names channel {name!r}, which foretouch.toml does not have"
        for name in request.channels or ()
        if name not in inputs.config.channels
    ]
    baseline = request.baseline_offer_id
    if baseline is not None and not any([offer.offer_id == baseline for offer in inputs.catalogue.offers]):  # noqa: C419
        said.append(f"baseline_offer_id {baseline!r} is not in the catalogue")
    return tuple(said)
