"""Is every number of a document defined, and every column of numbers of its page explained?"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from foretouch.experiments.report.section import Block

BARE = {"schema_version"}
"""Numbers that measure nothing."""
DIGIT = re.compile(r"\d")


def numbers_in(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where the numbers of a JSON document are: the names on the way to each."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from numbers_in(item, (*path, str(name)))
    elif isinstance(value, list):
        for item in value:
            yield from numbers_in(item, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def definition_of(path: Sequence[str], definitions: Mapping[str, str]) -> str | None:
    """A number's definition: its own name's, the longest dotted one first, else that of what encloses it."""
    for end in range(len(path), 0, -1):
        for start in range(end):
            found = definitions.get(".".join(path[start:end]))
            if found is not None:
                return found
    return None


def undefined(document: Mapping[str, Any]) -> list[str]:
    """Numbers of a document that its own ``definitions`` do not define."""
    definitions = document["definitions"]
    return sorted(
        {
            ".".join(path)
            for path in numbers_in({name: item for name, item in document.items() if name != "definitions"})
            if path[-1] not in BARE and definition_of(path, definitions) is None
        }
    )


def unexplained(blocks: Sequence[Block]) -> list[str]:
    """Columns with numbers in them, after the first, that have no meaning beside them; sections without a place."""
    found = [f"{block.name}: no place" for block in blocks if block.terms() and not block.place]
    for block in blocks:
        meanings = [*block.meanings, *[""] * len(block.header)]
        for column, name in enumerate(block.header):
            words = column == 0 or column in block.texts
            if not words and any(DIGIT.search(str(row[column])) for row in block.rows) and not meanings[column]:
                found.append(f"{block.name}: {name!r}")
    return found
