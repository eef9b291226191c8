"""Where a value stands in a TOML file: line and column, for errors that people can go to.

``tomllib`` reads values and forgets their places. This scan walks a file that ``tomllib`` has already accepted, and
notes where each value begins and, inside a text, where each of its characters is written.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Keys from the root, with the index in an array: ``("rules", 2, "when")``."""

_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\", "e": "\x1b"}
_BARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@dataclass(frozen=True, kw_only=True)
class Places:
    """The places of the values of one file; lines and columns count from 1.

    Attributes:
        starts: Offset in the file at which each value begins, by path.
        characters: For texts: offset at which each of their characters is written, and at last where they end.
        lines: Offset at which each line begins.
    """

    starts: dict[Path, int]
    characters: dict[Path, list[int]]
    lines: list[int]

    def of(self, path: Path) -> tuple[int, int] | None:
        """Line and column of a value; of its nearest table where the value itself is absent, None without one."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.starts:
                return self._place(self.starts[path[:length]])
        return None

    def inside(self, path: Path, text: str, line: int, column: int) -> tuple[int, int] | None:
        """Line and column in the file of a line and column inside a text value.

        Args:
            path: Of the value.
            text: The value as read.
            line: In the value, from 1.
            column: In that line, from 1.
        """
        offsets = self.characters.get(path)
        if offsets is None:
            return self.of(path)
        index = 0
        for _ in range(line - 1):
            index = text.find("\n", index) + 1
        return self._place(offsets[min(index + column - 1, len(offsets) - 1)])

    def _place(self, offset: int) -> tuple[int, int]:
        row = bisect_right(self.lines, offset) - 1
        return row + 1, offset - self.lines[row] + 1


def find_places(source: str) -> Places:
    """The places of every value of a TOML file.

    Args:
        source: The file's text; ``tomllib`` must have read it without an error.
    """
    return _Scan(source).run()


class _Scan:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.starts: dict[Path, int] = {}
        self.characters: dict[Path, list[int]] = {}
        self.lengths: dict[Path, int] = {}

    def run(self) -> Places:
        table: Path = ()
        while self._skip(newlines=True):
            if self.source[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
        lines = [0, *(index + 1 for index, character in enumerate(self.source) if character == "\n")]
        return Places(starts=self.starts, characters=self.characters, lines=lines)

    def _skip(self, *, newlines: bool) -> bool:
        """Passes blanks and comments; False at the end of the file."""
        blanks = " \t\r\n" if newlines else " \t"
        while self.at < len(self.source):
            character = self.source[self.at]
            if character == "#":
                end = self.source.find("\n", self.at)
                self.at = len(self.source) if end < 0 else end
            elif character in blanks:
                self.at += 1
            else:
                return True
        return False

    def _header(self) -> Path:
        start = self.at
        many = self.source.startswith("[[", self.at)
        self.at += 2 if many else 1
        keys = list(self._keys())
        self.at += 2 if many else 1
        path: Path = ()
        for position, key in enumerate(keys):
            path = (*path, key)
            if many and position == len(keys) - 1:
                self.lengths[path] = self.lengths.get(path, 0) + 1
            if path in self.lengths:
                path = (*path, self.lengths[path] - 1)
        self.starts[path] = start
        return path

    def _keys(self) -> Iterator[str]:
        while True:
            self._skip(newlines=False)
            if self.source[self.at] in "\"'":
                yield self._text()[0]
            else:
                start = self.at
                while self.at < len(self.source) and self.source[self.at] in _BARE:
                    self.at += 1
                yield self.source[start : self.at]
            self._skip(newlines=False)
            if self.source[self.at] != ".":
                return
            self.at += 1

    def _pair(self, table: Path) -> None:
        path = (*table, *self._keys())
        self.at += 1  # the "="
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip(newlines=False)
        self.starts[path] = self.at
        character = self.source[self.at]
        if character in "\"'":
            _, self.characters[path] = self._text()
        elif character == "[":
            self.at += 1
            index = 0
            while self._skip(newlines=True) and self.source[self.at] != "]":
                if self.source[self.at] == ",":
                    self.at += 1
                    continue
                self._value((*path, index))
                index += 1
            self.at += 1
        elif character == "{":
            self.at += 1
            while self._skip(newlines=True) and self.source[self.at] != "}":
                if self.source[self.at] == ",":
                    self.at += 1
                    continue
                self._pair(path)
            self.at += 1
        else:
            while self.at < len(self.source) and self.source[self.at] not in ",]}\n#":
                self.at += 1

    def _text(self) -> tuple[str, list[int]]:
        """A string of any of TOML's four kinds: its value, and the offset of each character and of its end."""
        mark = self.source[self.at]
        long = self.source.startswith(mark * 3, self.at)
        closing = mark * 3 if long else mark
        self.at += len(closing)
        if long and self.source.startswith("\r\n", self.at):
            self.at += 2
        elif long and self.source.startswith("\n", self.at):
            self.at += 1
        value: list[str] = []
        offsets: list[int] = []
        while not self._closes(closing):
            start = self.at
            if mark == '"' and self.source[self.at] == "\\":
                character = self._escape()
            elif self.source.startswith("\r\n", self.at):
                character, self.at = "\n", self.at + 2  # as tomllib reads it
            else:
                character, self.at = self.source[self.at], self.at + 1
            if character:
                value.append(character)
                offsets.append(start)
        offsets.append(self.at)
        self.at += len(closing)
        return "".join(value), offsets

    def _closes(self, closing: str) -> bool:
        """Whether the string ends here; a long one may end with one or two marks of its own before the closing."""
        if not self.source.startswith(closing, self.at):
            return False
        return len(closing) == 1 or not self.source.startswith(closing, self.at + 1)

    def _escape(self) -> str:
        kind = self.source[self.at + 1]
        self.at += 2
        if kind in _ESCAPES:
            return _ESCAPES[kind]
        width = {"x": 2, "u": 4, "U": 8}.get(kind)
        if width is not None:
            code = self.source[self.at : self.at + width]
            self.at += width
            return chr(int(code, 16))
        while self.at < len(self.source) and self.source[self.at] in " \t\r\n":  # a line that goes on
            self.at += 1
        return ""
