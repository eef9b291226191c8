"""Ids: opaque, non-empty, bounded strings, normalised once at the edge."""

import os
import unicodedata
import uuid
from collections import deque
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

MAX_ID_LENGTH = 256


def normalise_id(value: str) -> str:
    """NFC-normalises an id and refuses control characters and surrogates.

    Two spellings of one text that differ only in Unicode composition are one id.

    Raises:
        ValueError: The id holds a control character or a lone surrogate.
    """
    text = unicodedata.normalize("NFC", value)
    for character in text:
        if unicodedata.category(character) in {"Cc", "Cs"}:
            raise ValueError(f"id holds a control character or a surrogate (U+{ord(character):04X})")
    return text


Id = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_ID_LENGTH),
    AfterValidator(normalise_id),
]
"""A non-empty id of at most 256 characters without control characters."""


BLOCK, SIZE = 4096, 16
_BYTES: deque[bytes] = deque()
"""Random bytes for the next ids: asking the system for each id lets another thread take the interpreter each time."""
os.register_at_fork(after_in_child=_BYTES.clear)  # a child must not give its parent's ids again


def new_id(prefix: str) -> str:
    """A fresh random id such as ``dec_6f1c…``; 122 random bits from the operating system."""
    try:
        drawn = _BYTES.popleft()
    except IndexError:
        block = os.urandom(BLOCK)
        _BYTES.extend(block[start : start + SIZE] for start in range(SIZE, BLOCK, SIZE))
        drawn = block[:SIZE]
    return f"{prefix}_{uuid.UUID(bytes=drawn, version=4).hex}"
