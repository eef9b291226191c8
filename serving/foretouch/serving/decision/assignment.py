"""Experiment arms: deterministic, sticky assignment of units. Pure.

Definition (``tests/golden/assignment_vectors.json`` holds vectors that are only ever appended to)::

    salt     = spec.salt, or spec.key where it is empty
    seed     = first 8 bytes, big-endian, of SHA-256(len8(salt) salt len8(unit) unit)
    position = (first 8 bytes, big-endian, of SHA-256(len8(dec(seed)) dec(seed) len8("") "") >> 11) x 2^-53
    arm      = the first arm, in the order of their names, whose cumulated weight is greater than position

where len8 is the length in bytes as 8 bytes big-endian and dec the decimal digits, all texts in UTF-8. The same unit
is always in the same arm; a weight raised for the last name moves only the units that it gains; another salt deals
the cards anew and independently. The order in which a file lists the arms means nothing: a spec kept by its content
hash has its keys sorted, and a replay from it must find the same arm.

**Changes of weights.** With ``earlier_weights`` w[0], w[1], … (oldest first, then ``weights``) the arm above is found
under w[0]; for each change t = 1, 2, … a unit in arm a with w[t][a] < w[t-1][a] leaves it if

    position(salt/leave/t, unit) >= w[t][a] / w[t-1][a]

and goes to the first arm, in the order of the names, whose cumulated gain over the sum of gains is greater than
``position(salt/enter/t, unit)``, gains being max(0, w[t] - w[t-1]). No other unit moves: the share that does is the
total variation between the weights, the least that any assignment could move.

**Layers.** In a layer, a unit takes part where ``slice[0] <= position(layer/<layer>, unit) < slice[1]``: experiments of
one layer whose slices do not overlap share no unit.

**Portfolio.** Experiments with ``portfolio`` come first, by key. A unit that one of them holds in an arm other than
``policy`` takes part in no experiment after it.
"""

from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise

from foretouch.core.decisions import Assignment
from foretouch.core.events import Purpose
from foretouch.core.experiment import HOLDOUTS, Arm, ExperimentSpec
from foretouch.core.rng import bucket

POLICY_ARM = Arm()


def arm_of(spec: ExperimentSpec, unit: str) -> str:
    """The arm of a unit: a function of the salt, the weights by name and their history, and the unit alone."""
    salt = spec.salt or spec.key
    if not spec.earlier_weights:
        return _pick(spec.weights, bucket(salt, unit))
    history = (*spec.earlier_weights, spec.weights)
    arm = _pick(history[0], bucket(salt, unit))
    for change, (before, after) in enumerate(pairwise(history), start=1):
        kept = after.get(arm, 0.0)
        if kept >= before[arm] or bucket(f"{salt}/leave/{change}", unit) < kept / before[arm]:
            continue
        gains = {name: max(0.0, weight - before.get(name, 0.0)) for name, weight in after.items()}
        total = sum(gains.values())
        arm = _pick(gains, bucket(f"{salt}/enter/{change}", unit) * total) if total > 0.0 else arm
    return arm


def as_of_version(spec: ExperimentSpec, version: int) -> ExperimentSpec:
    """The spec as it assigned when a decision was logged under an earlier version; each version made one change.

    A version older than the history that the spec keeps gets the oldest weights that are known.
    """
    back = min(max(spec.version - version, 0), len(spec.earlier_weights))
    if back == 0:
        return spec
    history = spec.earlier_weights
    return spec.model_copy(update={"weights": history[-back], "earlier_weights": history[:-back], "version": version})


def _pick(weights: Mapping[str, float], position: float) -> str:
    """The first arm by name whose cumulated weight is greater than a position; never one without weight."""
    cumulated = 0.0
    last = ""
    for arm, weight in sorted(weights.items()):
        cumulated += weight
        if weight > 0.0:
            last = arm
            if position < cumulated:
                return arm
    return last


def in_slice(spec: ExperimentSpec, unit: str) -> bool:
    """Whether a unit is in the part of the layer that takes part."""
    if not spec.layer:
        return True
    return spec.slice[0] <= bucket(f"layer/{spec.layer}", unit) < spec.slice[1]


def runs(spec: ExperimentSpec, touchpoint: str, at: datetime, purpose: Purpose = "marketing") -> bool:
    """Whether an experiment takes part in a decision: its touchpoints (none named is all), its dates, the purpose.

    A transactional contact is owed to the customer: no experiment that runs everywhere holds it back, only one that
    names the touchpoint.
    """
    if spec.touchpoints and touchpoint not in spec.touchpoints:
        return False
    if purpose == "transactional" and not spec.touchpoints:
        return False
    return (spec.starts_at is None or spec.starts_at <= at) and (spec.ends_at is None or at < spec.ends_at)


def unit_of(spec: ExperimentSpec, customer_id: str, household_id: str | None) -> str:
    """What is assigned: the household where the spec says so (a customer without one is their own), or the customer."""
    return household_id or customer_id if spec.unit == "household_id" else customer_id


def assign(
    experiments: tuple[ExperimentSpec, ...],
    *,
    customer_id: str,
    household_id: str | None,
    touchpoint: str,
    at: datetime,
    purpose: Purpose = "marketing",
) -> tuple[tuple[Assignment, Arm], ...]:
    """Every running experiment's arm for a customer, with what the arm does: portfolio first, then by order."""
    found: list[tuple[Assignment, Arm]] = []
    for spec in experiments if len(experiments) == 1 else sorted(experiments, key=_turn):
        if not runs(spec, touchpoint, at, purpose):
            continue
        unit = unit_of(spec, customer_id, household_id)
        if not in_slice(spec, unit):
            continue
        name = arm_of(spec, unit)
        arm = spec.arms.get(name, POLICY_ARM)
        found.append((Assignment(key=spec.key, arm=name, holdout=arm.kind in HOLDOUTS, version=spec.version), arm))
        if spec.portfolio and arm.kind != "policy":
            break
    return tuple(found)


def _turn(spec: ExperimentSpec) -> tuple[bool, str]:
    """Portfolio first, by key; the others as they come."""
    return not spec.portfolio, spec.key if spec.portfolio else ""


def strictest(assigned: tuple[tuple[Assignment, Arm], ...]) -> tuple[Assignment, Arm] | None:
    """The holdout that governs a decision: no contact before business as usual before random; None without one."""
    for kind in ("no_contact", "business_as_usual", "random"):
        for assignment, arm in assigned:
            if arm.kind == kind:
                return assignment, arm
    return None
