"""Plans: what follows from the configuration alone, worked out once and kept with it.

A plan is a pure function of objects that do not change. Whoever holds a configuration holds its ``Plans`` beside it
and hands both to every decision; a decision that is given none works everything out for itself, with the same result.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

T = TypeVar("T")

MOST = 64
"""Plans kept before all are let go: a configuration has a handful."""


class Plans:
    """Values kept by the identity of what they were made from.

    The objects they were made from are kept too, so that no other object can come to have their identity.
    """

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[tuple[str, tuple[int, ...]], tuple[tuple[object, ...], Any]] = {}

    def get(self, name: str, parts: tuple[object, ...], make: Callable[[], T]) -> T:
        """The plan of a name for these objects, made at its first use.

        Args:
            name: What is planned.
            parts: Everything that it follows from; immutable.
            make: Works it out.
        """
        key = (name, tuple(map(id, parts)))
        kept = self._kept.get(key)
        if kept is None:
            if len(self._kept) >= MOST:
                self._kept = {}
            kept = (parts, make())
            self._kept[key] = kept
        return cast("T", kept[1])
