"""Bootstrap members of a model: what it would have learnt from other draws of the same customers. Pure.

A bundle keeps its members as one LightGBM text with one output per member (``members.txt``). They are calibrated like
the champion itself, and their spread says how sure the model is of one candidate: Thompson sampling draws from them.
"""

from typing import Protocol, runtime_checkable

import numpy as np

from foretouch.core.bundle import ModelCard
from foretouch.core.errors import BundleError
from foretouch.serving.models.scoring import FloatArray


@runtime_checkable
class Ensemble(Protocol):
    """A scorer whose bundle has bootstrap members."""

    def members(self, vectors: FloatArray, /) -> FloatArray:
        """Raw scores of every member.

        Args:
            vectors: Encoded inputs in the card's order, shape (n, inputs); NaN is missing.

        Returns:
            Shape (K, n); K is 0 where the bundle has no members.
        """
        ...


class MemberTrees:
    """The members of one bundle: one LightGBM model with K outputs, on one thread.

    Args:
        card: Of the bundle, for messages and to check the number of inputs.
        text: The text of ``members.txt``.

    Raises:
        BundleError: The text does not fit the card.
    """

    def __init__(self, card: ModelCard, text: str) -> None:
        import lightgbm  # noqa: PLC0415 - the supervisor reads the routes too, and must not wait for it

        try:
            self._booster = lightgbm.Booster(model_str=text)
        except lightgbm.basic.LightGBMError as error:
            raise BundleError(
                f"bundle {card.model} {card.version}: the members' text cannot be read: {error}"
            ) from error
        if self._booster.num_feature() != len(card.inputs):
            raise BundleError(
                f"bundle {card.model} {card.version}: the members take {self._booster.num_feature()} inputs,"
                f" its card names {len(card.inputs)}"
            )
        self.count = int(self._booster.num_model_per_iteration())

    def predict(self, vectors: FloatArray, /) -> FloatArray:
        """Raw scores of every member, shape (K, n)."""
        raw = np.asarray(self._booster.predict(vectors, num_threads=1), dtype=np.float64)
        return np.ascontiguousarray(raw.reshape(len(vectors), self.count).T)


def calibrate_members(card: ModelCard, raw: FloatArray) -> FloatArray:
    """Calibrated scores of an array of raw ones, of the same shape: the card's calibration, all at once.

    A probability is kept inside [0, 1], a difference of two inside [-1, 1].

    Raises:
        ValueError: A raw score is not finite.
    """
    if not np.isfinite(raw).all():
        raise ValueError(f"model {card.model}: a member's output is not finite")
    calibration = card.calibration
    if calibration.method == "isotonic":
        values = np.interp(raw, calibration.x, calibration.y)
    elif calibration.method == "platt":
        clipped = np.clip(raw, 1e-12, 1.0 - 1e-12)
        margin = calibration.x[0] * np.log(clipped / (1.0 - clipped)) + calibration.y[0]
        values = 1.0 / (1.0 + np.exp(-margin))
    elif calibration.method == "scale":
        values = raw * calibration.y[0]
    else:
        values = raw
    if card.target == "probability":
        return np.asarray(np.clip(values, 0.0, 1.0), dtype=np.float64)
    if card.target == "difference":
        return np.asarray(np.clip(values, -1.0, 1.0), dtype=np.float64)
    return np.asarray(values, dtype=np.float64)
