"""The champions that answer: loaded from the bundle store, proven, and swapped while the service runs.

A bundle is accepted when its hashes hold, its text parses in a throw-away process, and it reproduces its golden rows
bit for bit. A promotion is noticed within two seconds; a bundle that fails keeps the earlier model answering.
"""

import logging
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np
import orjson

from foretouch.core.bundle import Bundle, read_aliases, read_bundle
from foretouch.core.errors import BundleError, ForetouchError
from foretouch.core.models import MODEL_NAMES, SERVED_NAMES
from foretouch.serving.models.scorers import EnsembleScorer, TreeScorer, golden_vectors, make_scorer
from foretouch.serving.models.scoring import Scorer

log = logging.getLogger("foretouch.models")

PROBE_SECONDS = 30.0
POLL_SECONDS = 1.0
BESIDE = ("previous", "challenger")
"""Aliases whose versions are loaded beside the champions."""


def check_text(bundles: Mapping[str, Bundle]) -> dict[str, str]:
    """Parses models in a throw-away process; what was wrong with each one that failed, by name."""
    texts = {
        name: [text for text in (bundle.model_text, bundle.members_text) if text] for name, bundle in bundles.items()
    }
    with_trees = [name for name, found in texts.items() for _ in found]
    if not with_trees:
        return {}
    work = orjson.dumps(
        [{"text": text, "rows": bundles[name].golden.inputs[:2]} for name, found in texts.items() for text in found]
    )
    try:
        run = subprocess.run(
            [sys.executable, "-m", "foretouch.serving.models.bundle_probe"],
            input=work,
            capture_output=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
        answers = [str(orjson.loads(line)) for line in run.stdout.splitlines()]
    except (subprocess.TimeoutExpired, orjson.JSONDecodeError) as error:
        return dict.fromkeys(with_trees, f"the model's text could not be tried: {type(error).__name__}")
    if len(answers) == len(with_trees):
        return {name: answer for name, answer in zip(with_trees, answers, strict=True) if answer}
    if len(set(with_trees)) == 1:
        return dict.fromkeys(with_trees, f"the model's text crashes its parser (exit {run.returncode})")
    return {name: wrong for name in dict.fromkeys(with_trees) for wrong in check_text({name: bundles[name]}).values()}


def check_golden(scorer: Scorer, bundle: Bundle) -> None:
    """Compares a scorer with the exact outputs that training wrote.

    Raises:
        BundleError: An output differs in any bit.
    """
    golden, card = bundle.golden, bundle.card
    if not golden.inputs:
        return
    vectors = golden_vectors(bundle)
    raw = np.asarray(scorer.predict(vectors), dtype=np.float64).ravel()
    if bundle.model_text and raw.tobytes() != np.array(golden.raw, dtype=np.float64).tobytes():
        raise BundleError(f"bundle {card.model} {card.version} does not reproduce its golden rows")
    calibrated = tuple(card.calibration.apply(value) for value in golden.raw)
    if card.target != "distribution" and calibrated != golden.calibrated:
        raise BundleError(f"bundle {card.model} {card.version} does not reproduce its calibrated golden rows")
    if isinstance(scorer, EnsembleScorer):
        members = np.ascontiguousarray(scorer.members(golden_vectors(bundle)).T)
        if members.tobytes() != np.array(golden.members, dtype=np.float64).tobytes():
            raise BundleError(f"bundle {card.model} {card.version}: its members do not reproduce their golden rows")


def load_scorers(
    store: Path, versions: Mapping[str, str], *, quick: bool = False
) -> tuple[dict[str, Scorer], dict[str, str]]:
    """Loads and proves the given version of each model.

    Args:
        store: The folder of bundles.
        versions: By model.
        quick: Whether trees are walked in compiled code where that gives the very bits (``TreeScorer.quicken``).

    Returns:
        The scorers by model, and why for each model that was refused.
    """
    bundles: dict[str, Bundle] = {}
    refused: dict[str, str] = {}
    for model, version in versions.items():
        try:
            bundles[model] = read_bundle(store, model, version)
        except (ForetouchError, ValueError, OSError) as error:
            refused[model] = str(error)
    refused |= check_text(bundles)
    scorers: dict[str, Scorer] = {}
    for model, bundle in bundles.items():
        if model in refused:
            continue
        try:
            scorer = make_scorer(bundle)
            if quick and isinstance(scorer, TreeScorer):
                reason = scorer.quicken()
                log.info("model %s %s: %s", model, bundle.card.version, reason or "its trees are compiled")
            check_golden(scorer, bundle)
        except (ForetouchError, ValueError) as error:
            refused[model] = str(error)
        else:
            scorers[model] = scorer
    return scorers, refused


def load_scorer(store: Path, model: str, version: str) -> Scorer:
    """One proven model of one version.

    Raises:
        BundleError: It is missing, altered, or does not reproduce its golden rows.
    """
    scorers, refused = load_scorers(store, {model: version})
    if refused:
        raise BundleError(refused[model], hint=f"foretouch train {model}")
    return scorers[model]


def _named(store: Path, alias: str) -> dict[str, str]:
    """The version that an alias names, by model; a model whose aliases cannot be read has none."""
    versions: dict[str, str] = {}
    for model in SERVED_NAMES:
        with suppress(OSError, ValueError):
            version = read_aliases(store, model).get(alias)
            if version is not None:
                versions[model] = version
    return versions


class ModelWatcher(Protocol):
    """Is told what happens to the models."""

    def loaded(self, model: str, version: str, earlier: str | None) -> None:
        """A version answers from now on."""
        ...

    def refused(self, model: str, reason: str) -> None:
        """A bundle was refused; the earlier one goes on answering."""
        ...


class Silent:
    """Tells nobody."""

    def loaded(self, model: str, version: str, earlier: str | None) -> None:
        """Nothing."""

    def refused(self, model: str, reason: str) -> None:
        """Nothing."""


@dataclass(frozen=True, kw_only=True)
class Champions:
    """The models that answer at one moment; a decision uses one of these from beginning to end.

    Attributes:
        scorers: By model.
        refused: Why the wanted version of a model does not answer, by model.
        previous: The champions before them, by model: a step of the fallback ladder.
        challengers: Versions that wait for promotion, by model: they decide in shadow only.
    """

    scorers: Mapping[str, Scorer] = field(default_factory=lambda: MappingProxyType({}))
    refused: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    previous: Mapping[str, Scorer] = field(default_factory=lambda: MappingProxyType({}))
    challengers: Mapping[str, Scorer] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def missing(self) -> tuple[str, ...]:
        """Models that no version of answers."""
        return tuple(name for name in MODEL_NAMES if name not in self.scorers)


class BundleStore:
    """The champions of a workspace, kept up to date in the background.

    Args:
        store: The folder of bundles.
        watcher: Told of every change.
        quick: See ``load_scorers``.
    """

    def __init__(self, store: Path, watcher: ModelWatcher | None = None, *, quick: bool = False) -> None:
        self.store = store
        self._quick = quick
        self._watcher = watcher or Silent()
        self._champions = Champions()
        self._tried: dict[str, str] = {}
        self._beside: dict[str, dict[str, str]] = {alias: {} for alias in BESIDE}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def champions(self) -> Champions:
        """The models that answer now: one reference, swapped whole."""
        return self._champions

    def refresh(self) -> Champions:
        """Loads what was promoted since the last look; each version is tried once."""
        with self._lock:
            self._refresh_champions()
            self._refresh_beside()
            return self._champions

    def _refresh_beside(self) -> None:
        """Previous champions and challengers, from memory where they are there; one that fails is done without."""
        wanted = {alias: _named(self.store, alias) for alias in BESIDE}
        if wanted == self._beside:
            return
        self._beside = wanted
        now = self._champions
        have = {
            (name, scorer.card.version): scorer
            for group in (now.scorers, now.previous, now.challengers)
            for name, scorer in group.items()
        }
        found: dict[str, Mapping[str, Scorer]] = {}
        for alias, versions in wanted.items():
            known = {name: have[name, version] for name, version in versions.items() if (name, version) in have}
            loaded, failures = load_scorers(
                self.store,
                {name: version for name, version in versions.items() if name not in known},
                quick=self._quick,
            )
            for name, reason in failures.items():
                log.warning("the %s %s cannot be used: %s", alias, name, reason)
            found[alias] = MappingProxyType({**known, **loaded})
        self._champions = replace(now, previous=found["previous"], challengers=found["challenger"])

    def _refresh_champions(self) -> None:
        wanted: dict[str, str] = {}
        refused = dict(self._champions.refused)
        for model in SERVED_NAMES:
            try:
                version = read_aliases(self.store, model).get("champion")
            except (OSError, ValueError) as error:
                refused[model] = f"aliases of {model} cannot be read: {error}"
                continue
            if version is not None and self._tried.get(model) != version:
                wanted[model] = version
        if not wanted and refused == self._champions.refused:
            return
        scorers, failures = load_scorers(self.store, wanted, quick=self._quick)
        earlier = self._champions.scorers
        self._tried |= wanted
        kept = {name: reason for name, reason in refused.items() if name not in scorers}
        self._champions = replace(
            self._champions,
            scorers=MappingProxyType({**earlier, **scorers}),
            refused=MappingProxyType({**kept, **failures}),
        )
        for name, scorer in scorers.items():
            before = earlier[name].card.version if name in earlier else None
            self._watcher.loaded(name, scorer.card.version, before)
        for name, reason in failures.items():
            self._watcher.refused(name, reason)

    def watch(self) -> None:
        """Looks for promotions every second, until ``close``."""
        self._thread = threading.Thread(target=self._watch, name="bundle-watcher", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.refresh()

    def close(self) -> None:
        """Stops looking."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(PROBE_SECONDS)
