"""What ``evaluate-policy`` is asked about: a policy file, or a version of a model in the place of what decided."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from foretouch.core.bundle import read_aliases
from foretouch.core.canonical import content_hash
from foretouch.core.errors import ConfigError, NotReadyError
from foretouch.core.policy import PolicySpec
from foretouch.core.workspace import Workspace
from foretouch.serving.decision.inputs import DecisionInputs
from foretouch.serving.decision.policies import check_policy
from foretouch.serving.history.replay import under_policy
from foretouch.serving.models.bundles import load_scorer
from foretouch.serving.models.scoring import Scorer
from foretouch.training.refit import judged_store

DECIDING = ("offer", "uplift", "send-time", "churn", "value", "lead")
"""Models that can change a decision; the last three through score weights of the policy."""
ALIASES = ("champion", "challenger", "previous")


@dataclass(frozen=True, kw_only=True)
class PolicyCandidate:
    """A way to decide that is to be valued.

    Attributes:
        name: As it was asked for: ``bold``, ``offer@challenger``.
        version: Content hash of a policy, or ``offer 7``.
        policy: Takes the place of every policy; None leaves them as they were.
        models: Take the place of the models of their names.
        tuned_through: Outcomes up to then have had a say in it; None is not known to have seen any.
    """

    name: str
    version: str
    policy: PolicySpec | None = None
    models: Mapping[str, Scorer] = field(default_factory=dict)
    tuned_through: datetime | None = None

    def inputs(self, inputs: DecisionInputs) -> DecisionInputs:
        """A logged decision's inputs under this candidate; rules, features, counters and seed stay."""
        changed = inputs if self.policy is None else under_policy(inputs, self.policy)
        if not self.models:
            return changed
        return replace(changed, models={**changed.models, **self.models}, early=None)


def read_candidate(workspace: Workspace, name: str, *, tuned_through: datetime | None = None) -> PolicyCandidate:
    """A candidate by name.

    Args:
        workspace: Whose policies and models.
        name: ``policy`` or a file of ``policies/`` without its ending; or ``<model>@<version or alias>``.
        tuned_through: Outcomes up to then have been looked at in choosing it. For a policy, else, what
            ``off_policy.tuned_through`` of ``foretouch.toml`` says; for a model its card says it, and the later of the
            two holds. A model that was fitted again with the rows that judged it is valued as it was judged, since
            no decision is later than the rows of the other.

    Raises:
        ConfigError: There is no such policy or model.
        NotReadyError: The model has no such alias.
        BundleError: Its bundle is damaged.
    """
    if "@" not in name:
        spec = workspace.policy(name)
        check_policy(spec)
        known = workspace.config.off_policy.tuned_through.get(name)
        return PolicyCandidate(
            name=name, version=content_hash(spec), policy=spec, tuned_through=_latest(tuned_through, known)
        )
    model, _, wanted = name.partition("@")
    if model not in DECIDING or not re.fullmatch(r"[\w.-]+", wanted):
        raise ConfigError(
            f"P == {name!r}, must be a policy's name or <model>@<version or alias> with a model of"
            f" {', '.join(DECIDING)}",
            hint="foretouch evaluate-policy offer@challenger",
        )
    version = wanted
    if wanted in ALIASES:
        found = read_aliases(workspace.bundles, model).get(wanted)
        if found is None:
            raise NotReadyError(f"{model} has no {wanted}", hint=f"foretouch train {model}")
        version = found
    scorer = load_scorer(judged_store(workspace, model, version), model, version)
    return PolicyCandidate(
        name=name,
        version=f"{model} {version}",
        models={model: scorer},
        tuned_through=_latest(tuned_through, scorer.card.trained_through),
    )


def _latest(*moments: datetime | None) -> datetime | None:
    known = [moment for moment in moments if moment is not None]
    return max(known) if known else None
