"""A customer's rhythm: when they are active, and what sending at an hour does, as far as the model can say. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from foretouch.core.bundle import ModelCard
from foretouch.serving.decision.customer_scores import CustomerScores
from foretouch.serving.decision.plans import Plans
from foretouch.serving.decision.send_time import NO_RHYTHM, Rhythm
from foretouch.serving.models import rhythm as patterns
from foretouch.serving.models.scoring import Scorer
from foretouch.serving.models.send_effect import SendEffect

SEND_TIME_MODEL = "send-time"


def rhythm_of(
    scorer: Scorer | None, customer: CustomerScores, plans: Plans | None = None
) -> tuple[Rhythm, tuple[str, ...]]:
    """A customer's rhythm; without a model that can say, every hour alike, and a warning.

    Args:
        scorer: The send-time model.
        customer: Their features; without any, as where profiling was refused, it is everyone's rhythm.
        plans: Where what the model's card says is kept.
    """
    if scorer is None:
        return NO_RHYTHM, ("the send-time model is missing: the first allowed slot counts as the best",)
    card = scorer.card
    try:
        reading = (plans or Plans()).get("rhythm", (card,), lambda: Reading(card))
        return reading.of(scorer, customer.features.values), ()
    except Exception as error:  # noqa: BLE001 - a model that fails must not cost the caller an answer
        return NO_RHYTHM, (f"the send-time model failed ({type(error).__name__}): the first allowed slot is the best",)


class Reading:
    """A send-time model's card, read once: ``rhythm.hour_distribution`` and ``rhythm.send_effect`` in one go.

    Args:
        card: The model's.
    """

    __slots__ = ("_anybody", "_by_segment", "_effect")

    def __init__(self, card: ModelCard) -> None:
        whole = patterns.Rhythm.from_extras(card.extras)
        self._anybody = replace(whole, segments={})
        self._by_segment = {name: replace(whole, segments={name: shares}) for name, shares in whole.segments.items()}
        self._effect = SendEffect.from_extras(card.extras)

    def of(self, scorer: Scorer, values: Mapping[str, Any]) -> Rhythm:
        """One customer's rhythm.

        Args:
            scorer: The model whose card this is.
            values: Features by name; without the customer's own hours it is the look-alikes' or everyone's.
        """
        anybody, effect = self._anybody, self._effect
        segment = values.get(anybody.segment_feature)
        pattern = anybody if segment is None else self._by_segment.get(str(segment), anybody)
        counts = patterns.read_counts(values.get(anybody.counts_feature))[None, :]
        prior = next(iter(pattern.segments.values()), pattern.everyone)
        own = patterns.drawn_towards(pattern, counts, prior[None, :])
        shares = own
        if pattern.refined:
            names = np.array([segment], dtype=object)
            shares = patterns.refined_shares(pattern, counts, names, scorer.predict)
        support = float(counts.sum())
        return Rhythm(
            shares=shares[0],
            support=support,
            basis="activity" if support > 0.0 else "prior",
            effects=effect.of(own[0], segment) if effect.identified else {},
            identified=effect.identified,
        )
