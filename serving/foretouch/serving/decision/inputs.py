"""What a decision depends on besides the request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from foretouch.core.config import Config
from foretouch.core.contact import ContactPolicy
from foretouch.core.counters import CounterSnapshot
from foretouch.core.decisions import FeatureSnapshot, Versions
from foretouch.core.engagement import NO_RULES, EngagementPolicy
from foretouch.core.experiment import ExperimentSpec
from foretouch.core.offers import Catalogue
from foretouch.core.policy import PolicySpec
from foretouch.serving.decision.early_scores import EarlyScores
from foretouch.serving.decision.plans import Plans
from foretouch.serving.models.scoring import Scorer

DEFAULT_POLICY = "default"


@dataclass(frozen=True, kw_only=True)
class DecisionInputs:
    """Everything a decision depends on besides the request.

    Attributes:
        decision_id: The new decision's id.
        decided_at: The workspace's time, tz-aware.
        seed: From ``decision_seed``; a replay passes ``int(record.seed, 16)``.
        features: What is known of the customer.
        counters: Consent, contacts and caps, read in the transaction that logs the decision.
        models: Loaded champions by model name (``offer``, ``churn``, ``value``, ``lead``, ``send-time``); a model that
            cannot be loaded is absent.
        catalogue: Every offer.
        contact_policy: The rules that no score can override.
        policies: By name; ``default`` is the workspace's, the others are those that experiment arms name. Each must
            have passed ``policies.check_policy``.
        experiments: Every spec of the workspace.
        config: Goals and channels.
        versions: Content hashes of the above, as the record names them.
        engagement: Rules about which offers a customer may, needs or should be shown.
        previous: Loaded previous champions by model name: a step of the ladder.
        challengers: Loaded challengers by model name: they decide in shadow only.
        plans: What follows from the configuration alone; kept beside it by whoever holds it, it saves working it out
            for every decision.
        early: Scores that were worked out before, with those of other decisions; taken only where they are of these
            very features, models and offers.
    """

    decision_id: str
    decided_at: datetime
    seed: int
    features: FeatureSnapshot
    counters: CounterSnapshot
    models: Mapping[str, Scorer]
    catalogue: Catalogue
    contact_policy: ContactPolicy
    policies: Mapping[str, PolicySpec]
    experiments: tuple[ExperimentSpec, ...]
    config: Config
    versions: Versions
    engagement: EngagementPolicy = NO_RULES
    previous: Mapping[str, Scorer] = field(default_factory=dict)
    challengers: Mapping[str, Scorer] = field(default_factory=dict)
    plans: Plans = field(default_factory=Plans, compare=False, repr=False)
    early: EarlyScores | None = field(default=None, compare=False, repr=False)
