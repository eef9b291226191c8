"""A customer's rhythm: when they are active, and what sending at an hour does, as far as the model can say. Pure."""

from foretouch.serving.customer_scores import CustomerScores
from foretouch.serving.rhythm import hour_distribution, send_effect
from foretouch.serving.scoring import Scorer
from foretouch.serving.send_time import NO_RHYTHM, Rhythm

SEND_TIME_MODEL = "send-time"


def rhythm_of(scorer: Scorer | None, customer: CustomerScores) -> tuple[Rhythm, tuple[str, ...]]:
    """A customer's rhythm; without a model that can say, every hour alike, and a warning.

    Args:
        scorer: The send-time model.
        customer: Their features; without any, as where profiling was refused, it is everyone's rhythm.
    """
    if scorer is None:
        return NO_RHYTHM, ("the send-time model is missing: the first allowed slot counts as the best",)
    try:
        shares, support = hour_distribution(scorer, customer.features.values)
        effects, identified = send_effect(scorer, customer.features.values)
    except Exception as error:  # noqa: BLE001 - a model that fails must not cost the caller an answer
        return NO_RHYTHM, (f"the send-time model failed ({type(error).__name__}): the first allowed slot is the best",)
    return (
        Rhythm(
            shares=shares,
            support=support,
            basis="activity" if support > 0.0 else "prior",
            effects=effects,
            identified=identified,
        ),
        (),
    )
