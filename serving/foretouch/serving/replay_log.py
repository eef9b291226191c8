"""Replays from the log: the record, the configuration kept with it, and the models it names."""

from collections.abc import Mapping
from pathlib import Path

from foretouch.core.config import Config
from foretouch.core.contact import ContactPolicy
from foretouch.core.decisions import DecisionRecord
from foretouch.core.engagement import EngagementPolicy
from foretouch.core.errors import NotFoundError
from foretouch.core.offers import Catalogue
from foretouch.core.policy import PolicySpec
from foretouch.core.state.db import State
from foretouch.core.state.log import read_artifact, read_decision
from foretouch.serving.bundles import load_scorers
from foretouch.serving.replay import Replay, replay, replay_inputs
from foretouch.serving.scoring import Scorer
from foretouch.serving.settings import ExperimentSet, PolicySet


def replay_logged(
    state: State, bundles: Path, loaded: Mapping[str, Scorer], decision_id: str, *, policy: PolicySpec | None = None
) -> Replay:
    """Makes a logged decision again.

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
    connection = state.read()
    record = read_decision(connection, decision_id)
    versions = record.versions
    inputs = replay_inputs(
        record,
        models=models_of(record, bundles, loaded),
        catalogue=Catalogue.from_line(read_artifact(connection, versions.offers)),
        contact_policy=ContactPolicy.from_line(read_artifact(connection, versions.contact_policy)),
        policies=PolicySet.from_line(read_artifact(connection, versions.policy)).policies,
        experiments=ExperimentSet.from_line(read_artifact(connection, versions.experiments)).experiments,
        config=Config.from_line(read_artifact(connection, versions.config)),
        engagement=(
            EngagementPolicy.from_line(read_artifact(connection, versions.engagement))
            if versions.engagement
            else EngagementPolicy()
        ),
    )
    return replay(record, inputs, policy=policy)


def models_of(record: DecisionRecord, bundles: Path, loaded: Mapping[str, Scorer]) -> Mapping[str, Scorer]:
    """The model versions that a record names: those in memory, and the others from their bundles.

    Raises:
        NotFoundError: One of them is gone or was altered.
    """
    named = {ref.name: ref.version for ref in record.models}
    models = {
        name: loaded[name] for name, version in named.items() if name in loaded and loaded[name].card.version == version
    }
    scorers, refused = load_scorers(bundles, {name: version for name, version in named.items() if name not in models})
    if refused:
        raise NotFoundError("; ".join(f"{name} {named[name]}: {reason}" for name, reason in refused.items()))
    return {**models, **scorers}
