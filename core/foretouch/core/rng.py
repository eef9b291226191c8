"""Derived randomness: a draw is a function of (key, parts), never of arrival order.

The same key, customer and decision give the same draw in the service, in batch and in a replay.
"""

import hashlib

_UNIT = 2.0**-53


def derive_seed(key: str, *parts: str) -> int:
    """A 64-bit seed from a key and any number of parts.

    Parts are length-prefixed, so that ``("ab", "c")`` and ``("a", "bc")`` differ.

    Args:
        key: The workspace's secret seed key, or an experiment's salt.
        parts: What the draw is for, e.g. the customer id and the decision id.
    """
    prefixed: list[bytes] = []
    for part in (key, *parts):
        raw = part.encode("utf-8", "surrogatepass")
        prefixed += (len(raw).to_bytes(8, "big"), raw)
    return int.from_bytes(hashlib.sha256(b"".join(prefixed)).digest()[:8], "big")


def uniform(seed: int, stream: str = "") -> float:
    """A number in [0, 1) from a seed; each named ``stream`` is independent of the others."""
    return (derive_seed(str(seed), stream) >> 11) * _UNIT


def bucket(salt: str, unit: str) -> float:
    """The position of a unit in [0, 1) under a salt: the basis of sticky assignment."""
    return uniform(derive_seed(salt, unit))
