"""Replay: the same function on what the record holds; identical, or every difference by name. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

import orjson

from foretouch.core.canonical import canonical_json, content_hash
from foretouch.core.config import Config
from foretouch.core.contact import ContactPolicy
from foretouch.core.decisions import DecisionRecord
from foretouch.core.engagement import NO_RULES, EngagementPolicy
from foretouch.core.experiment import ExperimentSpec
from foretouch.core.offers import Catalogue
from foretouch.core.policy import PolicySpec
from foretouch.core.schema import Contract
from foretouch.serving.decide import decide
from foretouch.serving.decision.inputs import DEFAULT_POLICY, DecisionInputs
from foretouch.serving.decision.policies import check_policy
from foretouch.serving.models.scoring import Scorer

NOT_COMPARED = ("latency_ms", "shadow")
"""How long it took, and what others would have done, is no part of what was decided."""


class Difference(Contract):
    """One field that came out otherwise; ``null`` where one side has no such field."""

    path: str
    """E.g. ``action.0.offer_id``."""
    logged: Any = None
    replayed: Any = None


class Replay(Contract):
    """What a replay found."""

    schema_version: Literal[1] = 1
    identical: bool
    """Every field but ``latency_ms`` is the same, digit for digit."""
    decision: DecisionRecord
    """The decision as it comes out now."""
    differences: tuple[Difference, ...] = ()


def replay_inputs(
    record: DecisionRecord,
    *,
    models: Mapping[str, Scorer],
    catalogue: Catalogue,
    contact_policy: ContactPolicy,
    policies: Mapping[str, PolicySpec],
    experiments: tuple[ExperimentSpec, ...],
    config: Config,
    engagement: EngagementPolicy = NO_RULES,
    previous: Mapping[str, Scorer] = MappingProxyType({}),
    challengers: Mapping[str, Scorer] = MappingProxyType({}),
) -> DecisionInputs:
    """What a logged decision was made from.

    Features, counters, time and seed come from the record; the rest from what the log keeps by content hash
    (``record.versions``) and from the bundles that the record names (``record.models``).

    Args:
        record: The logged decision.
        models: The bundles it names, by model name; no others, or the replay could use what was missing then.
        catalogue: The artifact ``versions.offers``.
        contact_policy: The artifact ``versions.contact_policy``.
        policies: The artifact ``versions.policy``.
        experiments: The artifact ``versions.experiments``.
        config: The artifact ``versions.config``.
        engagement: The artifact ``versions.engagement``.
        previous: Previous champions that took part, by model name.
        challengers: Challengers that took part, by model name.
    """
    return DecisionInputs(
        decision_id=record.decision_id,
        decided_at=record.decided_at,
        seed=int(record.seed, 16),
        features=record.features,
        counters=record.counters,
        models=models,
        catalogue=catalogue,
        contact_policy=contact_policy,
        policies=policies,
        experiments=experiments,
        config=config,
        versions=record.versions,
        engagement=engagement,
        previous=previous,
        challengers=challengers,
    )


def replay(record: DecisionRecord, inputs: DecisionInputs, *, policy: PolicySpec | None = None) -> Replay:
    """Decides again.

    Args:
        record: The logged decision.
        inputs: See ``replay_inputs``.
        policy: Decide under this policy instead (what-if): it takes the place of every policy, also those that arms
            name; rules and holdouts stay. The draw uses the same seed.

    Raises:
        ConfigError: ``policy`` is of a kind that cannot be used.
    """
    if policy is not None:
        inputs = under_policy(inputs, policy)
    again = decide(record.request, inputs)
    if not record.logged:  # a dry run, or a decision that could not be logged: it said so, and reserved nothing
        again = again.model_copy(update={"logged": False})
    differences = compare(record, again)
    return Replay(identical=not differences, decision=again, differences=differences)


def under_policy(inputs: DecisionInputs, policy: PolicySpec) -> DecisionInputs:
    """The same inputs with one policy in the place of every other; the versions name it.

    Raises:
        ConfigError: It is of a kind that cannot be used.
    """
    check_policy(policy)
    policies = {DEFAULT_POLICY: policy, **dict.fromkeys(inputs.policies, policy)}
    versions = inputs.versions.model_copy(update={"policy": content_hash(policy)})
    return replace(inputs, policies=policies, versions=versions)


def compare(logged: DecisionRecord, replayed: DecisionRecord) -> tuple[Difference, ...]:
    """Every field of two records that differs, as canonical JSON has it."""
    left, right = (orjson.loads(canonical_json(record)) for record in (logged, replayed))
    for name in NOT_COMPARED:
        left.pop(name, None)
        right.pop(name, None)
    return tuple(_differences("", left, right))


def _differences(path: str, left: Any, right: Any) -> Iterator[Difference]:
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted({*left, *right}):
            yield from _differences(f"{path}.{name}" if path else name, left.get(name), right.get(name))
    elif isinstance(left, list) and isinstance(right, list):
        for index in range(max(len(left), len(right))):
            one = left[index] if index < len(left) else None
            other = right[index] if index < len(right) else None
            yield from _differences(f"{path}.{index}", one, other)
    elif left != right or type(left) is not type(right):
        yield Difference(path=path, logged=left, replayed=right)
