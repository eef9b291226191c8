"""The setting of one decision: arms, policy, expiry, time zone, and what the contact rules know. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from foretouch.core.decisions import Assignment, DecisionRequest
from foretouch.core.experiment import Arm
from foretouch.core.policy import PolicySpec
from foretouch.serving.assignment import assign, strictest
from foretouch.serving.contact import Touch
from foretouch.serving.inputs import DEFAULT_POLICY, DecisionInputs
from foretouch.serving.moment import settle_window
from foretouch.serving.slots import zone_of

WORKSPACE_POLICY = frozenset({DEFAULT_POLICY, "policy"})
"""Names by which an arm may call the workspace's own policy."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is fixed before any candidate is looked at.

    Attributes:
        touch: What the contact rules know.
        spec: The policy, the workspace's or an arm's.
        zone: The customer's.
        expires_at: When the decision lapses, UTC.
        assigned: Every running experiment's arm.
        holdout: The arm that holds this customer out, if one does.
        warnings: What the caller should know.
    """

    touch: Touch
    spec: PolicySpec
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
    assigned = assign(
        inputs.experiments,
        customer_id=request.customer_id,
        household_id=counters.household_id,
        touchpoint=request.touchpoint,
        at=now,
        purpose=request.purpose,
    )
    spec, warnings = _policy([arm for _, arm in assigned], inputs)
    window, moved = settle_window(inputs.config.clock, request.send_window, now)
    if moved:
        request = request.model_copy(update={"send_window": window})
    touch = Touch(request=request, policy=inputs.contact_policy, counters=counters, config=inputs.config, now=now)
    zone, warning = zone_of(touch)
    return Setting(
        touch=touch,
        spec=spec,
        zone=zone,
        expires_at=now + timedelta(hours=spec.expires_after_hours),
        assigned=assigned,
        holdout=strictest(assigned),
        warnings=(
            *warnings,
            *moved,
            *_unknown_names(request, inputs),
            *([warning] if warning is not None else []),
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
    if baseline is not None and all(offer.offer_id != baseline for offer in inputs.catalogue.offers):
        said.append(f"baseline_offer_id {baseline!r} is not in the catalogue")
    return tuple(said)


def _policy(arms: Sequence[Arm], inputs: DecisionInputs) -> tuple[PolicySpec, tuple[str, ...]]:
    """The policy of the first arm that names one, else the workspace's."""
    named = [arm.policy for arm in arms if arm.kind == "policy" and arm.policy is not None]
    if not named or named[0] in WORKSPACE_POLICY:
        return inputs.policies[DEFAULT_POLICY], ()
    warnings = []
    if len(set(named)) > 1:
        warnings.append(f"arms name several policies ({', '.join(named)}); the first is used")
    if named[0] not in inputs.policies:
        warnings.append(f"policy {named[0]!r} of an arm is not there; the workspace's is used")
        return inputs.policies[DEFAULT_POLICY], tuple(warnings)
    return inputs.policies[named[0]], tuple(warnings)
