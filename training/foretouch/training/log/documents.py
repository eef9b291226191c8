"""From stored decisions to plain rows: one per contact, or one (``rank`` 0) for a decision without any."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from math import fsum
from typing import Any, Final

import orjson

from foretouch.core.errors import NotFoundError
from foretouch.core.experiment import HOLDOUTS, ExperimentSpec
from foretouch.core.offers import Catalogue
from foretouch.core.rng import bucket
from foretouch.core.state.connection import Connection, stream, to_micros
from foretouch.core.state.log import read_artifact
from foretouch.core.stored_record import read_fields, time_of
from foretouch.serving.decision.assignment import as_of_version
from foretouch.serving.runtime.settings import ExperimentSet

SALT: Final = "training-rows"
"""Thinning by customer uses the same salt as every other task, so that all keep the same customers."""
STRICTEST: Final = ("no_contact", "business_as_usual", "random")


class Artifacts:
    """Configurations that logged decisions name, each read once.

    Args:
        state: The log.
    """

    def __init__(self, state: Connection) -> None:
        self._state = state
        self._specs: dict[str, Mapping[str, ExperimentSpec]] = {}
        self._catalogues: dict[str, Catalogue] = {}

    def experiments(self, digest: str) -> Mapping[str, ExperimentSpec]:
        """The experiments of a decision by key; none where they were not kept."""
        if digest not in self._specs:
            try:
                kept = ExperimentSet.from_line(read_artifact(self._state, digest))
            except NotFoundError:
                kept = ExperimentSet()
            self._specs[digest] = {spec.key: spec for spec in kept.experiments}
        return self._specs[digest]

    def catalogue(self, digest: str) -> Catalogue:
        """The offers as they were.

        Raises:
            NotFoundError: They were not kept.
        """
        if digest not in self._catalogues:
            self._catalogues[digest] = Catalogue.from_line(read_artifact(self._state, digest))
        return self._catalogues[digest]


def read_rows(
    state: Connection, artifacts: Artifacts, *, since: datetime | None, until: datetime | None, share: float = 1.0
) -> Iterator[dict[str, Any]]:
    """Rows of the decisions with ``since <= decided_at < until``, in the order of the log.

    Args:
        state: The log.
        artifacts: What its decisions name.
        since: None is from the beginning.
        until: None is to the end.
        share: Of customers, by a hash of the id.
    """
    query = "SELECT customer_id, record FROM decisions WHERE decided_at >= ? AND decided_at < ? ORDER BY sequence"
    ends = (to_micros(since) if since else -(2**62), to_micros(until) if until else 2**62)
    kept: dict[str, bool] = {}
    for customer_id, line in stream(state, query, ends):
        if share < 1.0:
            if customer_id not in kept:
                kept[customer_id] = bucket(SALT, customer_id) < share
            if not kept[customer_id]:
                continue
        yield from rows_of(read_fields(line), artifacts)


def rows_of(record: Mapping[str, Any], artifacts: Artifacts) -> Iterator[dict[str, Any]]:
    """The rows of one decision.

    Args:
        record: Its fields, as ``read_fields`` gives them.
        artifacts: What it names.
    """
    features, actions = record["features"], record["action"]
    arm, probability, arms = _arms(record, artifacts)
    chances: dict[str | None, list[float]] = {}
    for candidate in record["candidates"]:
        share = candidate.get("selection_probability")
        if share is not None:
            chances.setdefault(candidate.get("offer_id"), []).append(share)
    silent = fsum(chances.get(None, ())) if chances else None
    head = {
        "decision_id": record["decision_id"],
        "as_of": time_of(record["decided_at"]),
        "touchpoint": record["touchpoint"],
        "purpose": record["purpose"],
        "status": record["status"],
        "step": record["fallback_step"],
        "personalised": record["request"].get("personalised", True),
        "known": bool(features.get("known")) and features.get("error") is None,
        "values": features.get("values") or {},
        "arm": arm,
        "arm_probability": probability,
        "arms": arms,
        "offers_version": record["versions"]["offers"],
        "contacts": len(actions),
        "contact_probability": None if silent is None else max(0.0, 1.0 - silent),
    }
    for action in actions:
        own = chances.get(action["offer_id"])
        send = action.get("send") or {}
        yield {
            **head,
            "rank": action["rank"],
            "offer_id": action["offer_id"],
            "channel": action["channel"],
            "send_at": time_of(action["send_at"]),
            "explored": bool(action.get("explored", False)),
            "selection_probability": action.get("selection_probability"),
            "offer_probability": fsum(own) if own and action["rank"] == 1 else None,
            "slot_probability": send.get("slot_probability", 1.0),
        }
    if not actions:
        yield {
            **head,
            "rank": 0,
            "offer_id": None,
            "channel": None,
            "send_at": None,
            "explored": False,
            "selection_probability": silent,
            "offer_probability": silent,
            "slot_probability": None,
        }


def _arms(record: Mapping[str, Any], artifacts: Artifacts) -> tuple[str, float, str]:
    """The governing arm's kind, the probability of arms of these kinds, and every assignment as JSON.

    Without the experiments' specs a holdout with a contact counts as ``random``, one without as ``no_contact``.
    """
    assigned: Sequence[Mapping[str, Any]] = record["experiments"]
    if not assigned:
        return "policy", 1.0, "[]"
    specs = artifacts.experiments(record["versions"]["experiments"])
    kinds, probability, listed = [], 1.0, []
    for item in assigned:
        spec = specs.get(item["key"])
        if spec is None:
            unknown = "random" if record["action"] else "no_contact"
            kind = unknown if item.get("holdout") else "policy"
        else:
            weights = as_of_version(spec, item.get("version", 1)).weights
            of = {name: spec.arms[name].kind if name in spec.arms else "policy" for name in weights}
            kind = of.get(item["arm"], "policy")
            probability *= min(fsum(weight for name, weight in weights.items() if of[name] == kind), 1.0)
        kinds.append(kind)
        listed.append({"key": item["key"], "arm": item["arm"], "kind": kind, "holdout": kind in HOLDOUTS})
    governing = next((kind for kind in STRICTEST if kind in kinds), "policy")
    return governing, probability, orjson.dumps(listed).decode()
