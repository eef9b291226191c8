"""Canonical JSON and content hashes: the same value has the same bytes, whoever wrote it."""

import hashlib
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel


def _default(value: object) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no canonical JSON")


def canonical_json(value: object) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces."""
    return orjson.dumps(value, default=_default, option=orjson.OPT_SORT_KEYS)


def content_hash(value: object) -> str:
    """SHA-256 (hex) of the canonical JSON of a value."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
