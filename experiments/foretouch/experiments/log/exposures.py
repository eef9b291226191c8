"""From the decision log to first exposures: one row per unit of an experiment."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from foretouch.core.experiment import ExperimentSpec
from foretouch.core.state.connection import from_micros, stream
from foretouch.core.state.opening import read_state
from foretouch.core.stored_record import read_fields
from foretouch.core.workspace import Workspace
from foretouch.serving.decision.assignment import arm_of, as_of_version, unit_of


@dataclass(kw_only=True)
class Exposure:
    """A unit's first logged decision under an experiment.

    Attributes:
        unit: What was assigned: a customer, or a household.
        customer_id: Whose decision it was, aliases merged.
        at: When it was decided.
        arm: The arm in the log.
        contacted: Whether that decision said to contact.
        assigned: The arm that the spec assigns, with the weights of the version that was logged.
        known: Feature values and attributes as of the decision: covariates and segments.
        arms: Every arm in which the unit was ever logged.
        customers: Whose decisions they were: more than one where the unit is a household.
    """

    unit: str
    customer_id: str
    at: datetime
    arm: str
    contacted: bool
    assigned: str
    known: Mapping[str, Any]
    arms: set[str] = field(default_factory=set)
    customers: set[str] = field(default_factory=set)


def logged(workspace: Workspace) -> bool:
    """Whether the workspace has logged any decision."""
    connection = read_state(workspace)
    if connection is None:
        return False
    with closing(connection):
        return connection.execute("SELECT 1 FROM decisions LIMIT 1").fetchone() is not None


def read_exposures(
    workspace: Workspace, spec: ExperimentSpec, *, until: datetime, aliases: Mapping[str, str]
) -> list[Exposure]:
    """The first exposure of every unit, in order of time.

    Decisions that say ``logged: false`` (dry runs) are no exposure. A customer who was merged into another counts as
    that other one; arms are compared with the id under which they were assigned.

    Args:
        workspace: Whose decision log.
        spec: The experiment.
        until: Decisions after this time are left out.
        aliases: From an alias to the customer it stands for.
    """
    connection = read_state(workspace)
    if connection is None:
        return []
    found: dict[str, Exposure] = {}
    with closing(connection):
        rows = stream(connection, "SELECT decided_at, record FROM decisions ORDER BY decided_at, sequence")
        for micros, body in rows:
            record = read_fields(body, candidates=False)
            at = from_micros(micros)
            if at > until:
                break
            logged_as = _arm(record, spec.key)
            if logged_as is None:
                continue
            arm, version = logged_as
            household = record["request"].get("household_id") or record["counters"].get("household_id")
            assigned_unit = unit_of(spec, record["customer_id"], household)
            customer = aliases.get(record["customer_id"], record["customer_id"])
            unit = unit_of(spec, customer, household)
            if unit not in found:
                found[unit] = Exposure(
                    unit=unit,
                    customer_id=customer,
                    at=at,
                    arm=arm,
                    contacted=bool(record["contact"]),
                    assigned=arm_of(as_of_version(spec, version), assigned_unit),
                    known=_known(record),
                )
            found[unit].arms.add(arm)
            found[unit].customers.add(customer)
    return list(found.values())


def _arm(record: dict[str, Any], key: str) -> tuple[str, int] | None:
    """The arm and the version of the spec that were logged; records of before there were versions are of the first."""
    if not record.get("logged", True):
        return None
    of_key = (item for item in record["experiments"] if item["key"] == key)
    return next(((str(item["arm"]), int(item.get("version", 1))) for item in of_key), None)


def _known(record: dict[str, Any]) -> dict[str, Any]:
    """What was known before the decision, by name; features win over attributes of the same name."""
    counters = record["counters"]
    context: dict[str, Any] = {
        "touchpoint": record["touchpoint"],
        "language": counters.get("language"),
        "household_id": counters.get("household_id") or record["customer_id"],
    }
    return {**context, **counters.get("attributes", {}), **record["features"].get("values", {})}
