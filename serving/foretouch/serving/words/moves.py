"""What moved one score, thing by thing, strongest first. Pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from foretouch.core.bundle import ModelCard
from foretouch.core.config import Config
from foretouch.serving.words.features import value_text


class Move(NamedTuple):
    """What one thing that is known of the customer or the offer did to a score.

    Attributes:
        feature: The input; of several that say the same, the one that moved most.
        direction: Of the score.
        contribution: What it added to the model's raw margin, of all inputs that say the same together.
        text: What it is, and what the customer has of it.
    """

    feature: str
    direction: Literal["up", "down"]
    contribution: float
    text: str


def moves(
    card: ModelCard, row: Mapping[str, Any], added: Sequence[float], config: Config, language: str = "en"
) -> list[Move]:
    """What moved a score, strongest first.

    Inputs that say the very same (days since the last activity, where an activity is a purchase) are told once, with
    the sum of what they added, so that all moves still add up to the raw margin.

    Args:
        card: Names the inputs.
        row: Their values by name.
        added: What each added to the raw margin (``pred_contrib``), in the order of the card's inputs.
        config: For the texts.
        language: ``en`` or ``zh``.
    """
    alike: dict[str, list[int]] = {}
    for index, column in enumerate(card.inputs):
        alike.setdefault(value_text(column, row.get(column.name), config), []).append(index)
    found = []
    for indices in alike.values():
        total = math.fsum(added[index] for index in indices)
        if total != 0.0:
            column = card.inputs[max(indices, key=lambda index: abs(added[index]))]  # of equal ones the first
            text = value_text(column, row.get(column.name), config, language)
            found.append(Move(column.name, "up" if total > 0.0 else "down", total, text))
    return sorted(found, key=lambda move: -abs(move.contribution))
