"""Whether a challenger is a routine retrain of its champion: the same model, learned again from newer rows.

A retrain changes what a model has seen and nothing that anybody decided. The gate then asks that it loses no more than
``promotion.retrain_margin``, not that it earns more: with the same policy twice nothing could ever be shown to gain.
"""

from collections.abc import Mapping
from typing import Any, Final

from foretouch.core.bundle import ModelCard, read_bundle
from foretouch.core.columns import OFFER_ID
from foretouch.core.errors import BundleError, NotFoundError
from foretouch.core.workspace import Workspace

SEARCHED: Final = ("rounds_", "outcome.", "effect.")
"""Parameters that a fit or a search sets for each learner of its own."""


def changes(card: ModelCard, champion: ModelCard) -> tuple[str, ...]:
    """What is not as it was with the champion: ``inputs``, ``goal``, ``learner``; nothing for a routine retrain.

    Levels of a category and figures that a search chose follow the data: they are no change of structure. Names and
    kinds of inputs, the goal, what a score means, the method and every setting in words are. Whether offers have levels
    of their own follows the data, too.
    """
    found = {
        "inputs": _inputs(card) != _inputs(champion) or card.feature_service != champion.feature_service,
        "goal": (card.goal, card.target) != (champion.goal, champion.target),
        "learner": _learner(card) != _learner(champion),
    }
    return tuple(name for name, differs in found.items() if differs)


def changes_beside(workspace: Workspace, card: ModelCard, champion: str) -> tuple[str, ...]:
    """The same beside a champion of a workspace; one that cannot be read is a change of everything."""
    try:
        return changes(card, read_bundle(workspace.bundles, card.model, champion).card)
    except (BundleError, NotFoundError):
        return ("inputs", "goal", "learner")


def _inputs(card: ModelCard) -> tuple[tuple[str, str, str], ...]:
    return tuple((item.name, item.view, item.kind) for item in card.inputs if item.name != OFFER_ID)


def _learner(card: ModelCard) -> Mapping[str, Any]:
    """Names of parameters and those whose value is a word, and whether an effect is identified."""
    kept = {name: value for name, value in card.parameters.items() if not name.startswith(SEARCHED)}
    words = {name: value if isinstance(value, str) else None for name, value in kept.items()}
    return {**words, "identified": card.extras.get("identified")}
