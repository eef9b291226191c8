"""Replays from the log: the record, the configuration kept with it, and the models it names."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from foretouch.core.config import Config
from foretouch.core.contact import ContactPolicy
from foretouch.core.decisions import DecisionRecord
from foretouch.core.engagement import EngagementPolicy
from foretouch.core.errors import NotFoundError
from foretouch.core.offers import Catalogue
from foretouch.core.policy import PolicySpec
from foretouch.core.schema import Contract
from foretouch.core.state.db import State
from foretouch.core.state.log import read_artifact, read_decision
from foretouch.serving.decision.inputs import DecisionInputs
from foretouch.serving.decision.plans import Plans
from foretouch.serving.history.replay import Replay, replay, replay_inputs
from foretouch.serving.models.bundles import load_scorers
from foretouch.serving.models.scoring import Scorer
from foretouch.serving.runtime.settings import ExperimentSet, PolicySet

T = TypeVar("T", bound=Contract)
KEPT = 32
"""Configurations, plans and models kept in memory; a log names a handful at a time."""


class Replayer:
    """Makes logged decisions again; configurations and models that several name are read once.

    Args:
        state: The log.
        bundles: Folder of the models' bundles.
        loaded: Models in memory; those of the versions that a record names are used as they are.
    """

    def __init__(self, state: State, bundles: Path, loaded: Mapping[str, Scorer]) -> None:
        self._state = state
        self._bundles = bundles
        self._scorers: dict[tuple[str, str], Scorer] = {
            (name, scorer.card.version): scorer for name, scorer in loaded.items()
        }
        self._artifacts: dict[tuple[type[Contract], str], Contract] = {}
        self._plans: dict[tuple[str, ...], Plans] = {}

    def inputs_of(self, record: DecisionRecord) -> DecisionInputs:
        """What a logged decision was made from.

        Raises:
            NotFoundError: A configuration or model that it names is gone.
        """
        versions = record.versions
        inputs = replay_inputs(
            record,
            models=self._models(record, "champion"),
            catalogue=self._artifact(Catalogue, versions.offers),
            contact_policy=self._artifact(ContactPolicy, versions.contact_policy),
            policies=self._artifact(PolicySet, versions.policy).policies,
            experiments=self._artifact(ExperimentSet, versions.experiments).experiments,
            config=self._artifact(Config, versions.config),
            engagement=(
                self._artifact(EngagementPolicy, versions.engagement) if versions.engagement else EngagementPolicy()
            ),
            previous=self._models(record, "previous"),
        )
        return replace(inputs, plans=self._plans_of(record))

    def replay(self, record: DecisionRecord, *, policy: PolicySpec | None = None) -> Replay:
        """Makes a logged decision again.

        Args:
            record: The decision.
            policy: Decide under this policy instead: what would have been different?

        Raises:
            NotFoundError: A configuration or model that it names is gone.
            ConfigError: ``policy`` is of a kind that cannot be used.
        """
        return replay(record, self.inputs_of(record), policy=policy)

    def _artifact(self, contract: type[T], digest: str) -> T:
        kept = self._artifacts.get((contract, digest))
        if kept is None:
            if len(self._artifacts) >= KEPT:
                self._artifacts = {}
            kept = contract.from_line(read_artifact(self._state.read(), digest))
            self._artifacts[contract, digest] = kept
        if not isinstance(kept, contract):
            raise NotFoundError(f"no {contract.__name__} {digest[:12]}… in the log")
        return kept

    def _plans_of(self, record: DecisionRecord) -> Plans:
        versions = record.versions
        key = (versions.offers, versions.contact_policy, versions.policy, versions.config, versions.engagement)
        if len(self._plans) >= KEPT:
            self._plans = {}
        return self._plans.setdefault(key, Plans())

    def _models(self, record: DecisionRecord, role: str) -> Mapping[str, Scorer]:
        """The model versions that a record names in a role: those in memory, the others from their bundles.

        Raises:
            NotFoundError: One of them is gone or was altered.
        """
        named = {ref.name: ref.version for ref in record.models if ref.role == role}
        wanted = {name: version for name, version in named.items() if (name, version) not in self._scorers}
        if wanted:
            scorers, refused = load_scorers(self._bundles, wanted)
            if refused:
                raise NotFoundError("; ".join(f"{name} {named[name]}: {reason}" for name, reason in refused.items()))
            self._scorers.update(((name, wanted[name]), scorer) for name, scorer in scorers.items())
        return {name: self._scorers[name, version] for name, version in named.items()}


def replay_logged(
    state: State, bundles: Path, loaded: Mapping[str, Scorer], decision_id: str, *, policy: PolicySpec | None = None
) -> Replay:
    """Makes one logged decision again.

    Args:
        state: The log.
        bundles: Folder of the models' bundles.
        loaded: Models in memory; those of the versions that the record names are used as they are.
        decision_id: Which.
        policy: Decide under this policy instead: what would have been different?

    Raises:
        NotFoundError: There is no such decision, or a configuration or model that it names is gone.
        ConfigError: ``policy`` is of a kind that cannot be used.
    """
    record = read_decision(state.read(), decision_id)
    return Replayer(state, bundles, loaded).replay(record, policy=policy)
