"""Hyper-parameter search: Optuna over a search space kept in ``search_spaces/<model>.toml``.

A study lives in a journal file of the workspace and is named by data, seed, space and releases. The draw of trial i
depends on (seed, i, earlier trials) only, so that a search that was interrupted ends like one that was not, and the
same search asked for again is read from the journal.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from foretouch.core.canonical import content_hash
from foretouch.core.errors import ConfigError
from foretouch.core.rng import derive_seed
from foretouch.training.task import TrainingRun

_HERE = Path(__file__).parent
_FOLDERS = (_HERE / "search_spaces", _HERE.parents[1] / "search_spaces")
_FINISHED = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """What may be tried.

    Attributes:
        fixed: Parameters that are not searched.
        defaults: The first trial, and the answer when no trial is asked for.
        ranges: By parameter: ``{"low", "high", "log"?}`` (whole numbers make a whole-number range) or ``{"choices"}``.
    """

    fixed: Mapping[str, Any]
    defaults: Mapping[str, Any]
    ranges: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """The best trial.

    Attributes:
        parameters: Fixed and chosen parameters together.
        value: Its objective.
        default_value: The objective of the defaults.
        trials: Finished trials.
        pruned: How many of them were stopped early.
        notes: What the objective kept for the best trial, e.g. the number of rounds.
    """

    parameters: dict[str, Any]
    value: float
    default_value: float
    trials: int
    pruned: int
    notes: dict[str, Any]


class Attempt:
    """One trial as an objective sees it: its parameters, and a place to report how it goes."""

    def __init__(self, parameters: dict[str, Any], trial: "optuna.trial.Trial | None") -> None:
        self.parameters = parameters
        self.notes: dict[str, Any] = {}
        self._trial = trial

    def report(self, step: int, value: float) -> None:
        """Reports an intermediate objective; a hopeless trial ends here.

        Args:
            step: Grows with each report.
            value: The objective so far, comparable between trials at the same step.
        """
        if self._trial is not None:
            self._trial.report(value, step)
            if self._trial.should_prune():
                raise optuna.TrialPruned


Objective = Callable[[Attempt], float]


def read_space(model: str) -> SearchSpace:
    """The search space of a model.

    Raises:
        ConfigError: There is none, or a range has no default.
    """
    for folder in _FOLDERS:
        path = folder / f"{model.replace('-', '_')}.toml"
        if path.is_file():
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
            space = SearchSpace(
                fixed=raw.get("fixed", {}), defaults=raw.get("defaults", {}), ranges=raw.get("space", {})
            )
            if set(space.ranges) != set(space.defaults):
                odd = sorted(set(space.ranges) ^ set(space.defaults))
                raise ConfigError(f"{path.name}: {odd} must have both a default and a range")
            return space
    raise ConfigError(f"no search space for {model}: training/search_spaces/{model.replace('-', '_')}.toml is missing")


def tune(
    objective: Objective,
    *,
    run: TrainingRun,
    model: str,
    space: SearchSpace,
    data_sha256: str,
    direction: Literal["minimize", "maximize"] = "minimize",
) -> Tuned:
    """Searches, the defaults first, and returns the best parameters.

    Args:
        objective: Called with an ``Attempt``; returns the figure to be bettered.
        run: Seed, number of trials, where the journal lives.
        model: Names the journal.
        space: What may be tried.
        data_sha256: Of the rows; other rows make another study.
        direction: Whether less or more is better.
    """
    if run.parameters is not None:
        return _as_chosen(objective, run.parameters, space)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = run.journal(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = content_hash(
        [data_sha256, run.seed, space.fixed, space.defaults, space.ranges, direction]
        + [version(package) for package in ("foretouch", "lightgbm", "optuna")]
    )
    study = optuna.create_study(
        study_name=name[:24],
        storage=JournalStorage(JournalFileBackend(str(path))),
        direction=direction,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=0),
        load_if_exists=True,
    )
    finished = [trial for trial in study.get_trials(deepcopy=False) if trial.state in _FINISHED]
    if not finished:
        study.enqueue_trial(dict(space.defaults), skip_if_exists=True)
    wanted = max(run.trials, 1)
    for index in range(len(finished), wanted):
        study.sampler = optuna.samplers.TPESampler(
            seed=derive_seed(str(run.seed), "tune", model, str(index)) % 2**31, n_startup_trials=5
        )
        _one_trial(study, objective, space)
        run.say(f"{model}: trial {index + 1} of {wanted}, best {study.best_value:.5g}")
    done = sorted(
        (trial for trial in study.get_trials(deepcopy=False) if trial.state in _FINISHED),
        key=lambda trial: trial.number,
    )[:wanted]
    complete = [trial for trial in done if trial.state == optuna.trial.TrialState.COMPLETE]
    sign = 1.0 if direction == "minimize" else -1.0
    best = min(complete, key=lambda trial: (sign * _value(trial), trial.number))
    return Tuned(
        parameters={**space.fixed, **best.params},
        value=_value(best),
        default_value=_value(complete[0]),
        trials=len(done),
        pruned=len(done) - len(complete),
        notes=dict(best.user_attrs),
    )


def _as_chosen(objective: Objective, chosen: Mapping[str, Any], space: SearchSpace) -> Tuned:
    """One attempt with parameters that were chosen on other rows: only what it notes is new."""
    own = {name: chosen.get(name, default) for name, default in space.defaults.items()}
    attempt = Attempt({**space.fixed, **own}, None)
    value = objective(attempt)
    return Tuned(
        parameters=attempt.parameters, value=value, default_value=value, trials=1, pruned=0, notes=attempt.notes
    )


def _one_trial(study: optuna.Study, objective: Objective, space: SearchSpace) -> None:
    trial = study.ask()
    attempt = Attempt({**space.fixed, **{name: _suggest(trial, name, of) for name, of in space.ranges.items()}}, trial)
    try:
        value = objective(attempt)
    except optuna.TrialPruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    except BaseException:
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        raise
    else:
        for key, note in attempt.notes.items():
            trial.set_user_attr(key, note)
        study.tell(trial, value)


def _suggest(trial: optuna.trial.Trial, name: str, of: Mapping[str, Any]) -> Any:
    if "choices" in of:
        return trial.suggest_categorical(name, of["choices"])
    low, high, log = of["low"], of["high"], bool(of.get("log", False))
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(name, low, high, log=log)
    return trial.suggest_float(name, float(low), float(high), log=log)


def _value(trial: optuna.trial.FrozenTrial) -> float:
    if trial.value is None:
        raise ValueError(f"trial {trial.number} has no value")
    return trial.value
