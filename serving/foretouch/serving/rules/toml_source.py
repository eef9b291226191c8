"""A configuration file that rules come from: errors and warnings name its line and column."""

from pathlib import Path

from foretouch.core.errors import ConfigError
from foretouch.core.expressions import ExpressionError
from foretouch.core.toml_places import Places, find_places

MEND = "mend the file; docs/rules.md shows every rule"
Where = tuple[str | int, ...]
"""Keys from the file's root, with the index in an array."""


class TomlSource:
    """A TOML file, read again only to say where something stands.

    Args:
        file: None where what is checked comes from no file.
        shown: What it is called in messages; by default its path.
    """

    def __init__(self, file: Path | None, shown: str | None = None) -> None:
        self._file = file
        self._shown = shown if shown is not None or file is None else str(file)

    def error(self, where: Where, problem: str, *, hint: str | None = None) -> ConfigError:
        """An error about a value.

        Args:
            where: The value.
            problem: What is wrong with it.
            hint: What to do next.
        """
        return ConfigError(self.told(where, problem), hint=hint or MEND)

    def error_inside(self, where: Where, text: str, error: ExpressionError, problem: str) -> ConfigError:
        """An error about a place inside a text value.

        Args:
            where: The value.
            text: As read.
            error: Has line and column inside the text.
            problem: What is wrong there.
        """
        places = self._places()
        place = (error.line, error.column) if places is None else places.inside(where, text, error.line, error.column)
        return ConfigError(self._line(place, problem), hint=MEND)

    def told(self, where: Where, problem: str) -> str:
        """A sentence about a value, with file, line and column where they are known."""
        places = self._places()
        return self._line(None if places is None else places.of(where), problem)

    def _line(self, place: tuple[int, int] | None, problem: str) -> str:
        parts = [] if self._shown is None else [self._shown]
        parts += [] if place is None else [f"line {place[0]}, column {place[1]}"]
        return ": ".join([*parts, problem])

    def _places(self) -> Places | None:
        if self._file is None:
            return None
        try:
            return find_places(self._file.read_text(encoding="utf-8"))
        except OSError:
            return None
