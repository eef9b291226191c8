"""What this part's commands print: tables for people, JSON for programs, progress on stderr when it is a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from foretouch.core.canonical import canonical_json
from foretouch.features.initialise import Initialised


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


def show_initialised(made: Initialised, *, as_json: bool) -> None:
    """Prints what ``init`` made and what to run next."""
    root = made.workspace.root
    if as_json:
        print_json({"workspace": str(root), "key_file": str(made.key_file), "rows": made.rows})
        return
    console = Console()
    if made.rows:
        table = Table("table", "rows", title=made.workspace.config.workspace.name)
        for name, count in made.rows.items():
            table.add_row(name, f"{count:,}")
        console.print(table)
    console.print(f"workspace   {root}")
    console.print(f"API key     {made.key_file}")
    following = "features build" if made.rows else "ingest --customers F --events F --offers F"
    console.print(f"next        foretouch {following} --workspace {root}")
