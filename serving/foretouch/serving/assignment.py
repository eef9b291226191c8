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
"""

from datetime import datetime

from foretouch.core.decisions import Assignment
from foretouch.core.events import Purpose
from foretouch.core.experiment import Arm, ExperimentSpec
from foretouch.core.rng import bucket

POLICY_ARM = Arm()


def arm_of(spec: ExperimentSpec, unit: str) -> str:
    """The arm of a unit: a function of the salt, the weights by name, and the unit alone."""
    position = bucket(spec.salt or spec.key, unit)
    cumulated = 0.0
    last = ""
    for arm, weight in sorted(spec.weights.items()):
        cumulated += weight
        if weight > 0.0:
            last = arm
            if position < cumulated:
                return arm
    return last


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
    """Every running experiment's arm for a customer, in the order of the specs, with what the arm does."""
    found = []
    for spec in experiments:
        if runs(spec, touchpoint, at, purpose):
            name = arm_of(spec, unit_of(spec, customer_id, household_id))
            arm = spec.arms.get(name, POLICY_ARM)
            found.append((Assignment(key=spec.key, arm=name, holdout=arm.kind != "policy"), arm))
    return tuple(found)


def strictest(assigned: tuple[tuple[Assignment, Arm], ...]) -> tuple[Assignment, Arm] | None:
    """The holdout that governs a decision: no contact before business as usual before random; None without one."""
    for kind in ("no_contact", "business_as_usual", "random"):
        for assignment, arm in assigned:
            if arm.kind == kind:
                return assignment, arm
    return None
