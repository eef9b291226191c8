"""The configuration that answers at one moment: read from the workspace's files, re-read when one of them changes."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from foretouch.core.canonical import canonical_json, content_hash
from foretouch.core.clock import monotonic
from foretouch.core.config import Config, load_toml
from foretouch.core.contact import ContactPolicy
from foretouch.core.decisions import Versions
from foretouch.core.engagement import NO_RULES, EngagementPolicy
from foretouch.core.experiment import ExperimentSpec
from foretouch.core.offers import Catalogue, Offer
from foretouch.core.policy import PolicySpec
from foretouch.core.schema import Contract
from foretouch.core.state.people import Asked
from foretouch.core.workspace import Workspace
from foretouch.features.catalogue import features_of
from foretouch.features.offers import load_catalogue
from foretouch.serving.decision.customer_scores import SCORE_FEATURES
from foretouch.serving.decision.inputs import DEFAULT_POLICY
from foretouch.serving.decision.plans import Plans
from foretouch.serving.decision.policies import check_policy
from foretouch.serving.rules.loose_names import loose_names
from foretouch.serving.rules.rule_check import (
    check_catalogue,
    check_contact_policy,
    check_engagement,
    check_touchpoints,
)

LOOK_SECONDS = 1.0

log = logging.getLogger("foretouch.settings")

T = TypeVar("T", bound=Contract)


class PolicySet(Contract):
    """Every policy a decision may follow, by name, as kept for replay."""

    policies: dict[str, PolicySpec]


class ExperimentSet(Contract):
    """Every experiment of a workspace, as kept for replay."""

    experiments: tuple[ExperimentSpec, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything configurable that shapes a decision, and its content hashes."""

    config: Config
    contact_policy: ContactPolicy
    policies: PolicySet
    experiments: ExperimentSet
    catalogue: Catalogue
    engagement: EngagementPolicy = NO_RULES
    warnings: tuple[str, ...] = ()
    """What is written and does nothing, for people; no decision looks at it."""

    @cached_property
    def versions(self) -> Versions:
        """The hashes that a decision names; each is the key of an artifact in the log."""
        return Versions(
            policy=content_hash(self.policies),
            contact_policy=content_hash(self.contact_policy),
            offers=content_hash(self.catalogue),
            experiments=content_hash(self.experiments),
            features=feature_version(self.config),
            config=content_hash(self.config),
            code=version("foretouch"),
            engagement=content_hash(self.engagement),
        )

    @property
    def artifacts(self) -> Mapping[str, Contract]:
        """What a replay needs to find again, by kind."""
        return {
            "config": self.config,
            "contact_policy": self.contact_policy,
            "policies": self.policies,
            "experiments": self.experiments,
            "offers": self.catalogue,
            "engagement_policy": self.engagement,
        }

    @cached_property
    def plans(self) -> Plans:
        """What follows from these settings alone, worked out at the first decision that needs it."""
        return Plans()

    @cached_property
    def capped_offers(self) -> tuple[str, ...]:
        """Offers whose issues are counted over everyone."""
        return tuple(
            offer.offer_id
            for offer in self.catalogue.offers
            if offer.caps.total is not None or offer.caps.per_day is not None
        )

    @cached_property
    def offers_by_id(self) -> Mapping[str, Offer]:
        """Every offer by its id."""
        return {offer.offer_id: offer for offer in self.catalogue.offers}

    @cached_property
    def offer_ids(self) -> tuple[str, ...]:
        """Of every offer."""
        return tuple(self.offers_by_id)

    @cached_property
    def asked(self) -> Asked:
        """What the contact policy and the offers look at: other tables are not read."""
        limited = any(offer.caps.per_customer is not None for offer in self.catalogue.offers)
        return Asked.by(self.contact_policy, own_offers=limited)

    @cached_property
    def offers_by_category(self) -> Mapping[str, tuple[str, ...]]:
        """Ids of the offers of each category."""
        found: dict[str, list[str]] = {}
        for offer in self.catalogue.offers:
            found.setdefault(offer.category, []).append(offer.offer_id)
        return {category: tuple(offers) for category, offers in found.items()}

    @cached_property
    def asks_evidence(self) -> bool:
        """Whether any policy believes a model the more, or explores the less, the more contacts an offer has had."""
        return any(
            spec.new_offers.prior_strength > 0.0
            or spec.new_offers.mature_from > 0
            or (spec.kind == "softmax" and spec.explores_by == "evidence")
            for spec in self.policies.policies.values()
        )


def feature_version(config: Config) -> str:
    """Hash of the names, views and kinds of every feature of a workspace."""
    return content_hash([[spec.name, spec.view, spec.kind] for spec in features_of(config).values()])


def read_settings(workspace: Workspace) -> Settings:
    """Reads every configuration file and the offers.

    Raises:
        ForetouchError: A file is missing or breaks its contract.
    """
    workspace = Workspace.open(workspace.root)  # a fresh one: a workspace reads its configuration once
    experiments = ExperimentSet(experiments=workspace.experiments())
    config = workspace.config
    named = {arm.policy for spec in experiments.experiments for arm in spec.arms.values() if arm.policy}
    named |= {section.policy for section in config.touchpoints.values() if section.policy}
    named |= {config.shadow.policy} if config.shadow.policy else set()
    policies = {DEFAULT_POLICY: workspace.policy()}
    for name in sorted(named - {DEFAULT_POLICY, "policy"}):
        policies[name] = workspace.policy(name)
    files = _every_policy(workspace)
    catalogue = load_catalogue(workspace)
    known_features = {*features_of(config), *SCORE_FEATURES}
    check_catalogue(catalogue, known_features)
    contact_policy, engagement = workspace.contact_policy(), workspace.engagement_policy()
    check_touchpoints(config, workspace.root / "foretouch.toml")
    check_contact_policy(contact_policy, config, workspace.root / "contact_policy.toml")
    check_engagement(engagement, catalogue, known_features, workspace.root / "engagement_policy.toml")
    return Settings(
        config=as_kept(workspace.config),
        contact_policy=as_kept(contact_policy),
        policies=as_kept(PolicySet(policies=policies)),
        experiments=as_kept(experiments),
        catalogue=as_kept(catalogue),
        engagement=as_kept(engagement),
        warnings=loose_names(config, files, catalogue, workspace.root),
    )


def _every_policy(workspace: Workspace) -> dict[str, PolicySpec]:
    """Every policy file, also one that nothing names yet: an experiment or a replay may name it tomorrow.

    Raises:
        ConfigError: A file breaks its contract; with file, line and column.
    """
    paths = [workspace.root / "policy.toml", *sorted((workspace.root / "policies").glob("*.toml"))]
    found = {path.relative_to(workspace.root).as_posix(): load_toml(path, PolicySpec) for path in paths}
    for spec in found.values():
        check_policy(spec)
    return found


def as_kept(value: T) -> T:
    """A value as it reads back from the log: a decision is made with exactly what its replay will be made with."""
    return type(value).from_line(canonical_json(value))


class SettingsReader:
    """The settings in force; looks at the files' times at most once a second.

    Args:
        workspace: Whose files.

    Raises:
        ForetouchError: At the start, when a file is missing or wrong. Later, a wrong file keeps the earlier settings
            in force and is named by ``error``.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = threading.Lock()
        self._stamps = self._look()
        self._settings = read_settings(workspace)
        self._say()
        self._next_look = monotonic() + LOOK_SECONDS
        self.error: str | None = None

    @property
    def current(self) -> Settings:
        """The settings in force."""
        if monotonic() >= self._next_look and self._lock.acquire(blocking=False):
            try:
                self._reread()
            finally:
                self._next_look = monotonic() + LOOK_SECONDS
                self._lock.release()
        return self._settings

    def _reread(self) -> None:
        stamps = self._look()
        if stamps == self._stamps:
            return
        self._stamps = stamps
        try:
            self._settings = read_settings(self._workspace)
        except Exception as error:  # noqa: BLE001 - whatever is wrong, the earlier settings go on and it is said
            said = str(error) or type(error).__name__
            self.error = said.replace(f"{self._workspace.root}/", "")  # where it is on our disk is no caller's business
        else:
            self.error = None
            self._say()

    def _say(self) -> None:
        for warning in self._settings.warnings:
            log.warning("%s", warning)

    def _look(self) -> Mapping[Path, tuple[int, int]]:
        root = self._workspace.root
        paths = [
            root / "foretouch.toml",
            root / "policy.toml",
            root / "contact_policy.toml",
            root / "engagement_policy.toml",
            *sorted((root / "policies").glob("*.toml")),
            *sorted(self._workspace.experiments_folder.glob("*.toml")),
            self._workspace.table("offers"),
            self._workspace.table("treatments"),
        ]
        found = {path: path.stat() for path in paths if path.exists()}
        return MappingProxyType({path: (stat.st_mtime_ns, stat.st_size) for path, stat in found.items()})
