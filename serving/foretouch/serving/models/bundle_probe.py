"""Parses a LightGBM text in a throw-away process: malformed text can crash C++, and a crash here costs nothing.

Run as ``python -m foretouch.serving.models.bundle_probe``: reads pairs of model text and input vectors as JSON,
calls LightGBM's C API without importing its Python package, and writes one verdict a line.
"""

import ctypes
import math
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import orjson

LIBRARIES = ("lib_lightgbm.so", "lib_lightgbm.dylib", "lib_lightgbm.dll")
ONE_THREAD = b"num_threads=1"
FLOAT64 = 1


def load_library() -> ctypes.CDLL:
    """LightGBM's shared library, found without importing the package.

    Raises:
        OSError: It is not installed.
    """
    spec = find_spec("lightgbm")
    for folder in spec.submodule_search_locations or () if spec else ():
        for name in LIBRARIES:
            path = Path(folder) / "lib" / name
            if path.is_file():
                library = ctypes.CDLL(str(path))
                library.LGBM_GetLastError.restype = ctypes.c_char_p
                return library
    raise OSError("LightGBM's library is not installed")


def probe(library: ctypes.CDLL, text: str, rows: list[list[float | None]]) -> str:
    """Empty if the text parses and scores the rows; else what was wrong with it."""
    handle, iterations = ctypes.c_void_p(), ctypes.c_int()
    if library.LGBM_BoosterLoadModelFromString(text.encode(), ctypes.byref(iterations), ctypes.byref(handle)):
        return str(library.LGBM_GetLastError().decode(errors="replace"))
    classes = ctypes.c_int()
    library.LGBM_BoosterGetNumClasses(handle, ctypes.byref(classes))
    for row in rows:
        vector = (ctypes.c_double * len(row))(*(math.nan if value is None else value for value in row))
        result = (ctypes.c_double * max(classes.value, 1))()
        length = ctypes.c_int64()
        if library.LGBM_BoosterPredictForMat(
            handle, vector, FLOAT64, 1, len(row), 1, 0, 0, -1, ONE_THREAD, ctypes.byref(length), result
        ):
            return str(library.LGBM_GetLastError().decode(errors="replace"))
    library.LGBM_BoosterFree(handle)
    return ""


def main() -> None:
    """Probes every model on stdin."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as verdicts:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # LightGBM writes its warnings to standard output
        library = load_library()
        for item in orjson.loads(sys.stdin.buffer.read()):
            verdicts.write(orjson.dumps(probe(library, item["text"], item["rows"])) + b"\n")
            verdicts.flush()


if __name__ == "__main__":
    main()
