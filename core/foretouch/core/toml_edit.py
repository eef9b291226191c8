"""Changing one value of a TOML file and leaving every other character alone: comments, order and layout are people's.

Only plain values (numbers, truth values, texts) and whole tables of an array are changed; whoever wants more edits the
text. What comes out is text that must still be read and checked by its contract.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from datetime import time

from foretouch.core.errors import ConfigError
from foretouch.core.toml_places import Path, find_places

Plain = str | bool | int | float | time
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN = re.compile(r"[+-]?[0-9A-Za-z_.:+-]+")


def plain_text(value: Plain) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, time):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def set_value(source: str, path: Path, value: Plain) -> str:
    """The file with one plain value changed, or added where its table is written out and lacks it.

    Args:
        source: Of a file that ``tomllib`` reads.
        path: Of the value: keys, with the index in an array of tables.
        value: The new one.

    Raises:
        ConfigError: A longer value stands there, or its table is not written out with a header of its own.
    """
    starts = find_places(source).starts
    at = starts.get(path)
    if at is not None:
        return source[:at] + plain_text(value) + source[_end(source, at, path) :]
    return _added(source, starts, path, value)


def _end(source: str, at: int, path: Path) -> int:
    if source[at] == '"' and not source.startswith('"""', at):
        index = at + 1
        while source[index] != '"':
            index += 2 if source[index] == "\\" else 1
        return index + 1
    if source[at] == "'" and not source.startswith("'''", at):
        return source.index("'", at + 1) + 1
    found = _PLAIN.match(source, at)
    if found is None:
        name = ".".join(str(part) for part in path)
        raise ConfigError(f"{name} is no plain value", hint="edit the text of the file")
    return found.end()


def _added(source: str, starts: Mapping[Path, int], path: Path, value: Plain) -> str:
    table, name = path[:-1], str(path[-1])
    line = f"{name if _BARE.fullmatch(name) else json.dumps(name)} = {plain_text(value)}"
    newline = "\r\n" if "\r\n" in source else "\n"
    if not table:
        first = min((at for where, at in starts.items() if _is_header(source, starts, where)), default=None)
        if first is None:
            return f"{_ended(source, newline)}{line}{newline}"
        first = _above_comments(source, first)
        return f"{source[:first]}{line}{newline}{newline}{source[first:]}"
    at = starts.get(table)
    if at is None or not _is_header(source, starts, table):
        shown = ".".join(str(part) for part in table)
        raise ConfigError(f"{shown} has no table of its own", hint="edit the text of the file")
    end = source.find("\n", at)
    if end < 0:
        return f"{source}{newline}{line}{newline}"
    return f"{source[: end + 1]}{line}{newline}{source[end + 1 :]}"


def add_table(source: str, name: str, values: Mapping[str, Plain]) -> str:
    """The file with one more table of an array, at its end.

    Args:
        source: Of a file that ``tomllib`` reads.
        name: Of the array, a key of the root.
        values: Of the new table.

    Raises:
        ConfigError: The array is written in one line, so that nothing can be added to it.
    """
    newline = "\r\n" if "\r\n" in source else "\n"
    there = tomllib.loads(source.replace("\r\n", "\n")).get(name)
    starts = find_places(source).starts
    if there and not ((name, 0) in starts and _is_header(source, starts, (name, 0))):
        raise ConfigError(f"{name} is written as one value", hint="edit the text of the file")
    if there == [] and (name,) in starts:  # an empty array of one line gives way to the tables
        source = _without_lines(source, starts[name,])
    lines = [f"[[{name}]]", *(f"{key} = {plain_text(value)}" for key, value in values.items())]
    return f"{_ended(source, newline)}{newline}{newline.join(lines)}{newline}"


def remove_table(source: str, name: str, index: int) -> str:
    """The file without one table of an array; comments that stand below its last value stay.

    Raises:
        ConfigError: There is none of that index, with a header of its own.
    """
    starts = find_places(source).starts
    at = starts.get((name, index))
    if at is None or not _is_header(source, starts, (name, index)):
        raise ConfigError(f"{name}[{index}] is no table of its own", hint="edit the text of the file")
    last = max(place for path, place in starts.items() if path[:2] == (name, index))
    end = _line_after(source, last)
    while not _reads(source[at:end]):  # a value of several lines
        end = _line_after(source, end)
    if source[end : _line_after(source, end)].strip() == "":
        end = _line_after(source, end)
    return source[:at] + source[end:]


def _line_after(source: str, at: int) -> int:
    end = source.find("\n", at)
    return len(source) if end < 0 else end + 1


def _reads(text: str) -> bool:
    try:
        tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError:
        return False
    return True


def _is_header(source: str, starts: Mapping[Path, int], path: Path) -> bool:
    """Whether a path begins with a header, and is no array within an array."""
    at = starts[path]
    inner = isinstance(path[-1], int) and path[:-1] in starts
    return source[at] == "[" and _begins_line(source, at) and not inner


def _begins_line(source: str, at: int) -> bool:
    return source[source.rfind("\n", 0, at) + 1 : at].strip() == ""


def _above_comments(source: str, at: int) -> int:
    """The start of the comment lines right above a header, else of its own line."""
    start = source.rfind("\n", 0, at) + 1
    while start > 0:
        above = source.rfind("\n", 0, start - 1) + 1
        if not source[above:start].lstrip().startswith("#"):
            break
        start = above
    return start


def _without_lines(source: str, at: int) -> str:
    start, end = source.rfind("\n", 0, at) + 1, source.find("\n", at)
    return source[:start] + ("" if end < 0 else source[end + 1 :])


def _ended(source: str, newline: str) -> str:
    return source if not source or source.endswith("\n") else source + newline
