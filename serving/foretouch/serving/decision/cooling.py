"""Exploration that falls as the model learns. Pure.

The standard error of what a model believes falls as one over the root of the contacts that it has learnt from, and so
does the range in which another candidate may well be the better one. A policy with ``cools_after`` explores over that
range: its temperature is multiplied by sqrt(cools_after / (cools_after + contacts)), which is 1 without evidence.
The contacts are those of the offer model in use, so that the factor changes with the model alone, and a replay has it
from the same card. The floor stays: it is what off-policy evaluation rests on.
"""

import math
from collections.abc import Mapping

from foretouch.core.policy import PolicySpec
from foretouch.serving.decision.estimates import OFFER_MODEL
from foretouch.serving.decision.new_offers import OFFER_CONTACTS
from foretouch.serving.models.scoring import Scorer

OWN = frozenset({"champion", "stale", "defaults"})
"""Steps on which the champion scores."""


def cooled(spec: PolicySpec, contacts: int) -> PolicySpec:
    """The policy with the temperature that so many contacts leave it.

    Args:
        spec: Which policy.
        contacts: That the offer model in use has learnt from.
    """
    if not spec.cools_after or contacts <= 0:
        return spec
    factor = math.sqrt(spec.cools_after / (spec.cools_after + contacts))
    return spec.model_copy(update={"temperature": spec.temperature * factor})


def contacts_behind(step: str, models: Mapping[str, Scorer], previous: Mapping[str, Scorer]) -> int:
    """Contacts that the offer model which scored has learnt from, as its card counts them; 0 where none did.

    Args:
        step: Of the fallback ladder.
        models: Loaded champions by model name.
        previous: The champions before them.
    """
    scorers = models if step in OWN else previous if step == "previous" else {}
    scorer = scorers.get(OFFER_MODEL)
    counted = scorer.card.extras.get(OFFER_CONTACTS) if scorer is not None else None
    return sum(map(int, counted.values())) if isinstance(counted, Mapping) else 0
