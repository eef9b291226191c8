"""What every command prints alike: JSON for programs on stdout, progress for people on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from foretouch.core.canonical import canonical_json


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A spinner on stderr while something runs; silent where stderr is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


def print_json(value: object) -> None:
    """Prints a value as one line of JSON on stdout."""
    print(canonical_json(value).decode())


def hand_over(
    found: dict[str, Any], *, out: Path | None, as_json: bool, show: Callable[[dict[str, Any]], None]
) -> None:
    """What a measurement ends with: a file where one is wanted, then JSON or tables on stdout.

    Args:
        found: The figures.
        out: JSON file to write; its folder is made.
        as_json: Print JSON instead of tables.
        show: Prints the tables.
    """
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    if as_json:
        print_json(found)
        return
    show(found)
    if out is not None:
        print(f"written to {out}")
