"""One value changes, and not one other character of what people wrote."""

import tomllib
from datetime import time

import pytest

from foretouch.core.errors import ConfigError
from foretouch.core.toml_edit import add_table, remove_table, set_value

FILE = """# ours
kind = "softmax"   # how
floor = 0.02       # at least

# the factors
[factors]
value = true

# more for spring
[[levers]]         # spring
category = "spring # no comment"
percent = 10       # since March
tags = [
  [1, 2],
  [3],
]

[[levers]]
offer_id = 'o"1'
percent = -5

# [[levers]]       # an example
# percent = 1
"""


def changed_lines(after: str) -> list[tuple[str, str]]:
    return [pair for pair in zip(FILE.splitlines(), after.splitlines(), strict=True) if pair[0] != pair[1]]


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (("floor",), 0.05, "floor = 0.05       # at least"),
        (("kind",), "greedy", 'kind = "greedy"   # how'),
        (("factors", "value"), False, "value = false"),
        (("levers", 0, "percent"), 12.5, "percent = 12.5       # since March"),
        (("levers", 0, "category"), 'a "b"', 'category = "a \\"b\\""'),
        (("levers", 1, "percent"), 7, "percent = 7"),
        (("levers", 1, "offer_id"), "o2", 'offer_id = "o2"'),
    ],
)
def test_one_value_changes_on_its_line(path: tuple[str | int, ...], value: str | float | bool, line: str) -> None:
    after = set_value(FILE, path, value)
    assert [pair[1] for pair in changed_lines(after)] == [line]
    found: object = tomllib.loads(after)
    for part in path:
        found = found[part]  # type: ignore[index]
    assert found == value


def test_a_local_time_is_written_without_quotes() -> None:
    assert set_value("start = 21:00:00  # late\n", ("start",), time(20, 30)) == "start = 20:30:00  # late\n"


def test_a_value_that_is_absent_is_added_where_it_belongs() -> None:
    after = set_value(FILE, ("epsilon",), 0.1)
    assert tomllib.loads(after) == {**tomllib.loads(FILE), "epsilon": 0.1}
    assert after.index("epsilon") < after.index("# the factors")
    within = tomllib.loads(set_value(FILE, ("levers", 1, "issue"), "loyalty"))
    assert within["levers"][1] == {"offer_id": 'o"1', "percent": -5, "issue": "loyalty"}
    assert within["levers"][0] == tomllib.loads(FILE)["levers"][0]


def test_tables_come_and_go_and_comments_stay() -> None:
    added = add_table(FILE, "levers", {"category": "夏", "percent": 20.0})
    assert added.startswith(FILE)
    assert tomllib.loads(added)["levers"][2] == {"category": "夏", "percent": 20.0}
    assert remove_table(added, "levers", 2).strip() == FILE.strip()
    first = remove_table(FILE, "levers", 0)
    assert tomllib.loads(first)["levers"] == tomllib.loads(FILE)["levers"][1:]
    last = remove_table(FILE, "levers", 1)
    assert tomllib.loads(last)["levers"] == tomllib.loads(FILE)["levers"][:1]
    assert last.endswith("# [[levers]]       # an example\n# percent = 1\n")


def test_an_empty_array_gives_way_to_a_table() -> None:
    after = add_table("name = 'a'\ncaps = []\n", "caps", {"rule": "week", "limit": 2})
    assert tomllib.loads(after) == {"name": "a", "caps": [{"rule": "week", "limit": 2}]}


def test_windows_line_ends_stay() -> None:
    after = add_table(set_value("a = 1\r\n[t]\r\nb = 2\r\n", ("t", "b"), 3), "l", {"c": 4})
    assert "\n" not in after.replace("\r\n", "")
    assert tomllib.loads(after) == {"a": 1, "t": {"b": 3}, "l": [{"c": 4}]}


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("a = [1, 2]\n", ("a",)),
        ("levers = [{ percent = 1 }]\n", ("levers", 0, "issue")),
        ('a = """\nlong\n"""\n', ("a",)),
    ],
)
def test_what_is_no_plain_value_is_left_to_people(source: str, path: tuple[str | int, ...]) -> None:
    with pytest.raises(ConfigError):
        set_value(source, path, 3)


def test_an_array_of_one_line_is_left_to_people() -> None:
    text = "levers = [{ percent = 1 }]\n"
    with pytest.raises(ConfigError, match="written as one value"):
        add_table(text, "levers", {"percent": 1})
    with pytest.raises(ConfigError, match="no table of its own"):
        remove_table(text, "levers", 0)
