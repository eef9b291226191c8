"""Where values stand in a TOML file: every kind of text, table and array, found again character by character."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretouch.core.config import Config, load_toml
from foretouch.core.errors import ConfigError
from foretouch.core.toml_places import find_places

SOURCE = """# a comment with [brackets] and "marks
title = "one"            # and another
"quoted key".'x' = 'literal \\ text'
[a.b]
numbers = [1, 2, # in between
  [3.5, 4e2], "five"]
when = \"\"\"
first line \\
   goes on "quoted"
  third\"\"\"
[[rules]]
rule = "r1"
when = 'a == "b"'
inline = { x = 1, y = { z = "deep" }, list = ["p", "q"] }
[[rules]]
rule = "tab\\there \\u00e9 end"
at = 2026-03-01T10:00:00Z
[[rules.parts]]
n = 1
[[rules.parts]]
n = 2
"""


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, dict):
        return [item for key, inner in value.items() for item in paths(inner, (*path, key))]
    if isinstance(value, list):
        return [item for index, inner in enumerate(value) for item in paths(inner, (*path, index))]
    return [(path, value)]


def test_every_value_is_found_where_it_is_written() -> None:
    places = find_places(SOURCE)
    lines = SOURCE.split("\n")
    for path, value in paths(tomllib.loads(SOURCE)):
        place = places.of(path)
        assert place is not None
        line, column = place
        rest = lines[line - 1][column - 1 :]
        if isinstance(value, str):
            assert rest[0] in "\"'"
        else:
            assert rest.startswith(str(value)[:1])
    assert places.of(("a", "b", "numbers", 2, 1)) == (6, 9)
    assert places.of(("rules", 1, "parts", 1, "n")) == (21, 5)
    assert places.of(("rules", 1, "not there")) == (15, 1)
    assert places.of(("nowhere",)) is None


@pytest.mark.parametrize(
    ("path", "within", "place"),
    [
        (("title",), (1, 1), (2, 10)),
        (("title",), (1, 4), (2, 13)),
        (("a", "b", "when"), (1, 12), (9, 4)),  # behind a line that goes on
        (("a", "b", "when"), (2, 3), (10, 3)),
        (("rules", 0, "when"), (1, 6), (13, 14)),
        (("rules", 0, "inline", "y", "z"), (1, 2), (14, 31)),
        (("rules", 1, "rule"), (1, 5), (16, 14)),  # behind an escape of two characters
        (("rules", 1, "rule"), (1, 10), (16, 19)),
        (("rules", 1, "rule"), (1, 11), (16, 25)),  # behind one of six
    ],
)
def test_a_place_inside_a_text_is_its_place_in_the_file(
    path: tuple[str | int, ...], within: tuple[int, int], place: tuple[int, int]
) -> None:
    value: Any = tomllib.loads(SOURCE)
    for part in path:
        value = value[part]
    assert find_places(SOURCE).inside(path, value, *within) == place


@given(st.text(max_size=40), st.sampled_from(('"', "'", '"""', "'''")))
def test_any_text_that_tomllib_reads_is_found_character_by_character(text: str, mark: str) -> None:
    source = f"before = [1, 2]\nx = {mark}{text}{mark}\nafter = 'end'\n"
    try:
        read = tomllib.loads(source)
    except tomllib.TOMLDecodeError:
        return
    if set(read) != {"before", "x", "after"}:
        return
    places = find_places(source)
    assert len(places.characters["x",]) == len(read["x"]) + 1
    assert places.of(("after",)) is not None
    for character, offset in zip(read["x"], places.characters["x",], strict=False):
        assert source[offset] in {character, "\\", "\r"}


def test_a_broken_contract_names_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "foretouch.toml"
    file.write_text('schema_version = 1\n[channels.email]\ncost = -1\n[workspace]\ntime_zone = "Mars/Base"\n')
    with pytest.raises(ConfigError) as caught:
        load_toml(file, Config)
    assert "line 3, column 8: channels.email.cost: " in caught.value.message
    assert "line 5, column 13: workspace.time_zone: " in caught.value.message
