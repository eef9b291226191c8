"""The scorers of bundles: trees, alone, with bootstrap members or a purchase model, and models without any."""

import logging
from collections.abc import Sequence

import lightgbm
import numpy as np

from foretouch.core.bundle import Bundle, ModelCard
from foretouch.core.errors import BundleError
from foretouch.serving.models.ensemble import MemberTrees
from foretouch.serving.models.native import native_or_none
from foretouch.serving.models.purchase_blend import PurchaseBlend
from foretouch.serving.models.quick_trees import QuickTrees, quick_or_none
from foretouch.serving.models.score_plan import ScorePlan
from foretouch.serving.models.scoring import FloatArray, Scorer

log = logging.getLogger("foretouch.models")
NATIVE_ROWS = 4096
"""Beyond that many rows the way to LightGBM costs nothing beside the trees."""


class TreeScorer:
    """A LightGBM model on one thread: a row costs microseconds, and threads would cost more than they bring.

    Rows go straight to LightGBM's C API where that gives the very bits of ``Booster.predict``, which is tried when the
    model is loaded; where it does not, they go through ``Booster.predict``.

    Args:
        card: What the model is.
        text: LightGBM's own text of it.
        examples: Vectors to try that on, shape (n, inputs).

    Raises:
        BundleError: The text does not fit the card.
    """

    row_by_row = True
    """LightGBM adds the leaves of one row up by themselves, whichever rows come with it."""

    def __init__(self, card: ModelCard, text: str, examples: FloatArray | None = None) -> None:
        try:
            self._booster = lightgbm.Booster(model_str=text)
        except lightgbm.basic.LightGBMError as error:
            raise BundleError(
                f"bundle {card.model} {card.version}: the model's text cannot be read: {error}"
            ) from error
        self._card = card
        if self._booster.num_feature() != len(card.inputs):
            raise BundleError(
                f"bundle {card.model} {card.version}: the model takes {self._booster.num_feature()} inputs,"
                f" its card names {len(card.inputs)}"
            )
        self._plan = ScorePlan(card)
        tried = np.empty((0, len(card.inputs))) if examples is None else examples
        self._text, self._tried = text, tried
        self._quick: QuickTrees | None = None
        self._native, self.slow_because = native_or_none(self._booster, tried)
        if self._native is None:
            log.warning("model %s %s goes the longer way: %s", card.model, card.version, self.slow_because)

    def quicken(self) -> str:
        """Walks the trees in compiled code from now on, where that gives the very bits; returns why it does not.

        Worth its second of start-up in a process that goes on scoring small groups of rows: the service.
        """
        self._quick, reason = quick_or_none(self._booster, self._text, self._tried)
        return reason

    @property
    def card(self) -> ModelCard:
        """What the model is and how to call it."""
        return self._card

    @property
    def plan(self) -> ScorePlan:
        """How the card makes vectors and reads raw scores."""
        return self._plan

    def predict_one(self, vector: Sequence[float], /) -> float:
        """The raw score of one vector."""
        if self._native is None:
            return float(np.asarray(self._booster.predict(np.array([vector]), num_threads=1)).ravel()[0])
        return self._native.one(vector)

    def predict(self, vectors: FloatArray, /) -> FloatArray:
        """Raw scores, shape (n,) or (n, classes)."""
        if self._quick is not None and len(vectors) <= NATIVE_ROWS:
            return self._quick.many(vectors)
        if self._native is not None and len(vectors) <= NATIVE_ROWS:
            return self._native.many(vectors)
        return np.asarray(self._booster.predict(vectors, num_threads=1), dtype=np.float64)

    def contributions(self, vectors: FloatArray, /) -> FloatArray:
        """LightGBM's own SHAP values, shape (n, inputs + 1); the last column is the base value."""
        return np.asarray(self._booster.predict(vectors, num_threads=1, pred_contrib=True), dtype=np.float64)


class EnsembleScorer(TreeScorer):
    """A LightGBM model with bootstrap members.

    Args:
        card: What the model is.
        text: LightGBM's own text of it.
        members_text: That of its members, one output each.
        examples: Vectors to try the short way on, shape (n, inputs).

    Raises:
        BundleError: A text does not fit the card.
    """

    def __init__(self, card: ModelCard, text: str, members_text: str, examples: FloatArray | None = None) -> None:
        super().__init__(card, text, examples)
        self._members = MemberTrees(card, members_text)

    def members(self, vectors: FloatArray, /) -> FloatArray:
        """Raw scores of every member, shape (K, n)."""
        return self._members.predict(vectors)


class BlendScorer(TreeScorer):
    """Trees and a purchase model.

    Args:
        card: What the model is; its extras describe the blend.
        text: LightGBM's own text of the trees.
        blend: How both are weighed.
        examples: Vectors to try the short way on, shape (n, inputs).

    Raises:
        BundleError: The text does not fit the card.
    """

    def __init__(self, card: ModelCard, text: str, blend: PurchaseBlend, examples: FloatArray | None = None) -> None:
        super().__init__(card, text, examples)
        self._blend = blend

    def predict_one(self, vector: Sequence[float], /) -> float:
        """The blend of one vector."""
        return self._blend.mixed(super().predict_one(vector), vector)

    def predict(self, vectors: FloatArray, /) -> FloatArray:
        """The blend of every vector, shape (n,)."""
        return self._blend.all_mixed(super().predict(vectors), vectors)

    def contributions(self, vectors: FloatArray, /) -> FloatArray:
        """What each input added to the logarithm of the blend, shape (n, inputs + 1)."""
        added, trees = super().contributions(vectors), super().predict(vectors)
        rows = zip(added, trees.tolist(), vectors.tolist(), strict=True)
        return np.array([self._blend.contributions(*row) for row in rows], dtype=np.float64).reshape(added.shape)


class ConstantScorer:
    """A model without trees: everything it knows is in its card's extras; every raw score is NaN.

    Args:
        card: What the model is; whoever scores with it reads its extras.
    """

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self.plan = ScorePlan(card)

    @property
    def card(self) -> ModelCard:
        """What the model is and how to call it."""
        return self._card

    def predict(self, vectors: FloatArray, /) -> FloatArray:
        """NaN for every row: there is no raw score."""
        return np.full(len(vectors), np.nan)


def make_scorer(bundle: Bundle) -> Scorer:
    """The scorer of a bundle that was read from disk.

    Raises:
        BundleError: What the card says of it does not fit.
    """
    if bundle.members_text:
        return EnsembleScorer(bundle.card, bundle.model_text, bundle.members_text, golden_vectors(bundle))
    if not bundle.model_text:
        return ConstantScorer(bundle.card)
    try:
        blend = PurchaseBlend.of(bundle.card.inputs, bundle.card.extras)
    except (KeyError, ValueError, TypeError) as error:
        card = bundle.card
        raise BundleError(f"bundle {card.model} {card.version}: its purchase model cannot be read: {error}") from error
    if blend is not None:
        return BlendScorer(bundle.card, bundle.model_text, blend, golden_vectors(bundle))
    return TreeScorer(bundle.card, bundle.model_text, golden_vectors(bundle))


def golden_vectors(bundle: Bundle) -> FloatArray:
    """The inputs of a bundle's golden rows, shape (n, inputs)."""
    rows = [[np.nan if value is None else value for value in row] for row in bundle.golden.inputs]
    return np.array(rows, dtype=np.float64).reshape(len(rows), -1 if rows else len(bundle.card.inputs))
