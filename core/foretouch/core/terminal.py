"""What every command prints alike: JSON for programs on stdout, progress for people on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager

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
