"""LightGBM's C API without the Python layers above it: one row, or a few, on this thread and bit-equal to ``predict``.

``Booster.predict`` spends as long on NumPy, ctypes and configuration as on 300 trees. ``SingleRowFast`` reads its
configuration once; its handle holds a buffer and so belongs to one thread. ctypes lets go of the interpreter's lock
while the trees run.
"""

import ctypes
import threading
from collections.abc import Sequence

import lightgbm
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_FLOAT64, _ROW_MAJOR, _NORMAL, _FIRST, _ALL = 1, 1, 0, 0, -1
_ONE_THREAD = b"num_threads=1"
_PROBES = 64


class NativeError(RuntimeError):
    """The C API refused a call, or is not what we know."""


class _Handle:
    """What one thread needs: LightGBM's configured predictor, and a row to fill."""

    __slots__ = ("config", "length", "library", "result", "row", "row_type")

    def __init__(self, library: ctypes.CDLL, booster: ctypes.c_void_p, inputs: int, outputs: int) -> None:
        self.library = library
        self.row_type = ctypes.c_double * inputs
        self.row = self.row_type()
        self.result = (ctypes.c_double * outputs)()
        self.length = ctypes.c_int64()
        self.config = ctypes.c_void_p()
        failed = library.LGBM_BoosterPredictForMatSingleRowFastInit(
            booster,
            ctypes.c_int(_NORMAL),
            ctypes.c_int(_FIRST),
            ctypes.c_int(_ALL),
            ctypes.c_int(_FLOAT64),
            ctypes.c_int32(inputs),
            _ONE_THREAD,
            ctypes.byref(self.config),
        )
        if failed:
            raise NativeError("LightGBM has no predictor of single rows for this model")

    def __del__(self) -> None:
        if self.config:
            self.library.LGBM_FastConfigFree(self.config)


class NativeBooster:
    """A loaded Booster, called directly.

    Args:
        booster: Kept alive as long as this is.
        inputs: Length of a vector.

    Raises:
        NativeError: This LightGBM gives no such access; its own ``predict`` does.
    """

    def __init__(self, booster: lightgbm.Booster, inputs: int) -> None:
        library, handle = getattr(lightgbm.basic, "_LIB", None), getattr(booster, "_handle", None)
        if library is None or not isinstance(handle, ctypes.c_void_p) or inputs == 0:
            raise NativeError("this LightGBM's library handle is not where it used to be")
        self._booster = booster
        self._library, self._pointer, self._inputs = library, handle, inputs
        self._outputs = int(booster.num_model_per_iteration())
        self._local = threading.local()
        self._one = library.LGBM_BoosterPredictForMatSingleRowFast
        self._many = library.LGBM_BoosterPredictForMat
        self._thread()

    def _thread(self) -> _Handle:
        handle: _Handle | None = getattr(self._local, "handle", None)
        if handle is None:
            handle = self._local.handle = _Handle(self._library, self._pointer, self._inputs, self._outputs)
        return handle

    def one(self, vector: Sequence[float]) -> float:
        """The raw score of one vector; for a model of several outputs the first.

        Args:
            vector: Encoded inputs; NaN is missing.

        Raises:
            NativeError: The call failed.
            ValueError: The vector's length is not the model's.
        """
        handle = self._thread()
        handle.row[:] = vector  # type: ignore[call-overload]
        if self._one(handle.config, handle.row, ctypes.byref(handle.length), handle.result):
            raise NativeError("LightGBM could not score a row")
        return handle.result[0]

    def many(self, vectors: FloatArray) -> FloatArray:
        """Raw scores of some vectors, shape (n,), or (n, outputs) for a model of several outputs.

        Args:
            vectors: Shape (n, inputs).

        Raises:
            NativeError: The call failed.
            ValueError: The shape is not the model's.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self._inputs:
            raise ValueError(f"vectors have shape {vectors.shape}, must be (n, {self._inputs})")
        rows = np.ascontiguousarray(vectors, dtype=np.float64)
        result = np.empty((len(rows), self._outputs))
        length = ctypes.c_int64()
        if len(rows) and self._many(
            self._pointer,
            ctypes.c_void_p(rows.ctypes.data),
            _FLOAT64,
            ctypes.c_int32(len(rows)),
            ctypes.c_int32(self._inputs),
            _ROW_MAJOR,
            _NORMAL,
            _FIRST,
            _ALL,
            _ONE_THREAD,
            ctypes.byref(length),
            ctypes.c_void_p(result.ctypes.data),
        ):
            raise NativeError("LightGBM could not score rows")
        return result[:, 0] if self._outputs == 1 else result


def native_or_none(booster: lightgbm.Booster, examples: FloatArray) -> tuple[NativeBooster | None, str]:
    """Direct access to a Booster, if it gives the very bits that ``Booster.predict`` gives.

    Args:
        booster: The model.
        examples: Vectors to try, shape (n, inputs); drawn ones and missing values are tried as well.

    Returns:
        The access and an empty text, or None and why.
    """
    inputs = booster.num_feature()
    rng = np.random.default_rng(0)
    drawn = rng.normal(0.0, 1.0, size=(_PROBES, inputs)) * rng.choice([0.1, 10.0, 1000.0], size=(_PROBES, 1))
    drawn[rng.random(drawn.shape) < 0.2] = np.nan
    vectors = np.vstack([examples.reshape(-1, inputs), np.zeros((1, inputs)), np.full((1, inputs), np.nan), drawn])
    try:
        native = NativeBooster(booster, inputs)
        expected = np.asarray(booster.predict(vectors, num_threads=1), dtype=np.float64)
        found = native.many(vectors)
        first = np.array([native.one(list(row)) for row in vectors])
    except (NativeError, ValueError, AttributeError, OSError) as error:
        return None, str(error)
    same = found.shape == expected.shape and found.tobytes() == expected.tobytes()
    if not same or first.tobytes() != np.ascontiguousarray(expected.reshape(len(vectors), -1)[:, 0]).tobytes():
        return None, "its scores differ from those of Booster.predict"
    return native, ""
