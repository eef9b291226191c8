"""Replay: identical from the log alone, and every difference named after a change."""

import pytest

from foretouch.core.decisions import DecisionRecord
from foretouch.core.errors import ConfigError
from foretouch.core.policy import PolicySpec
from foretouch.serving.decision.inputs import DecisionInputs
from foretouch.serving.history.replay import replay, replay_inputs
from tests.serving.decision.world import decided, inputs


def from_log(record: DecisionRecord) -> DecisionInputs:
    then = inputs()
    return replay_inputs(
        record,
        models={name: then.models[name] for name in (model.name for model in record.models)},
        catalogue=then.catalogue,
        contact_policy=then.contact_policy,
        policies=then.policies,
        experiments=then.experiments,
        config=then.config,
    )


def logged(**changes: object) -> DecisionRecord:
    record = decided({"n": 2}, **changes).model_copy(update={"latency_ms": {"decide": 3.2}})
    return DecisionRecord.from_line(record.to_line())


def test_identical_from_the_log_whatever_it_took() -> None:
    for seed in range(25):
        record = logged(seed=seed)
        found = replay(record, from_log(record))
        assert found.identical
        assert found.decision.latency_ms == {}


def test_a_model_that_was_missing_stays_missing() -> None:
    record = logged(models={})
    assert record.models == ()
    assert replay(record, from_log(record)).identical


def test_another_policy_changes_what_it_changes_and_nothing_else() -> None:
    record = logged()
    found = replay(record, from_log(record), policy=PolicySpec(kind="noop"))
    paths = {item.path for item in found.differences}
    assert not found.identical
    assert not found.decision.contact
    assert {"contact", "versions.policy", "candidates.0.selection_probability"} <= paths
    assert not any(path.startswith(("features", "counters", "request", "seed")) for path in paths)


def test_another_model_is_found_out() -> None:
    record = logged()
    other = from_log(record)
    changed = DecisionInputs(**{**vars(other), "models": {**other.models, "offer": other.models["churn"]}})
    assert not replay(record, changed).identical
    assert replay(record, from_log(record)).identical


def test_a_policy_that_cannot_be_followed_is_refused() -> None:
    record = logged()
    with pytest.raises(ConfigError, match="'bandit'"):
        replay(record, from_log(record), policy=PolicySpec().model_copy(update={"kind": "bandit"}))
