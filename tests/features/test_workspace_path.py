"""A newcomer's path with data of their own: a workspace that explains itself, files that are wrong, steps out of order.

Every error is one line that says what is wrong and one that says what to run next; exit 1, or 2 for a wrong call.
"""

import json
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from foretouch.core import cli
from foretouch.core.config import Config
from foretouch.features import templates
from foretouch.features.initialise import initialise

CUSTOMERS = "customer_id,created_at\nu1,2026-01-01 10:00:00\n"


@dataclass(frozen=True)
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str


class Shell:
    """Runs the command line in this process, as a terminal would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        monkeypatch.delenv("FORETOUCH_WORKSPACE", raising=False)

    def __call__(self, *words: str | Path) -> Ran:
        self._monkeypatch.setattr(sys, "argv", ["foretouch", *map(str, words)])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = self._capsys.readouterr()
        return Ran(int(end.value.code or 0), said.out, said.err)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    initialise(tmp_path / "own")
    return tmp_path / "own"


def test_the_written_configuration_shows_the_defaults() -> None:
    written = Config.model_validate(tomllib.loads(templates.own_config("shop")))
    assert written == Config(workspace=written.workspace)
    assert written.workspace.name == "shop"


def test_what_is_commented_out_can_be_switched_on() -> None:
    text = re.sub(r"^# (?=\[|[a-z_]+ = )", "", templates.own_config("shop"), flags=re.MULTILINE)
    switched = Config.model_validate(tomllib.loads(text))
    assert switched.sources["*"].time_zone == "Europe/Berlin"
    assert set(switched.channels) == {"email", "sms"}
    assert switched.lead_alert.url == "https://crm.example.org/hooks/leads"


@pytest.mark.parametrize(
    ("words", "says", "following"),
    [
        ("features build", "there are no events", "foretouch ingest --events FILE"),
        ("features apply", "the feature history is not built", "foretouch features build"),
        ("features materialize", "the feature history is not built", "foretouch features build"),
        ("features show u1", "no features of customer 'u1'", "foretouch features materialize"),
        ("train churn", "no 'purchase' event", "foretouch ingest --events F"),
        ("promote churn", "churn has no challenger", "foretouch train churn"),
        ("rollback churn", "churn has no previous champion", "foretouch models"),
        ("score churn --out x.csv", "model churn has no champion", "foretouch train churn"),
    ],
)
def test_a_step_that_comes_too_early_names_the_one_before(
    shell: Shell, own: Path, words: str, says: str, following: str
) -> None:
    ran = shell(*words.split(), "--workspace", own)
    assert (ran.code, ran.out) == (1, "")
    first, second = [line for line in ran.err.splitlines() if not line.endswith("rows and features")]
    assert first.startswith("foretouch: ")
    assert says in first
    assert second.startswith(f"  next: {following}")
    assert f"--workspace {own}" in second


def test_all_models_are_tried_and_what_they_lack_is_said_once(shell: Shell, own: Path) -> None:
    ran = shell("train", "all", "-w", own, "--json")
    assert ran.code == 1
    refused = json.loads(ran.out)
    assert [item["model"] for item in refused] == ["lead", "churn", "value", "offer", "send-time"]
    assert all(item["error"]["code"] == "data" for item in refused)
    assert all(f"--workspace {own}" in item["error"]["hint"] for item in refused)
    ran = shell("train", "all", "-w", own)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.count("no 'purchase' event") == 1
    assert "churn, value, send-time not trained" in ran.err
    assert ran.err.count("uplift left out: ") == 1


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", CUSTOMERS.replace(",", ";").encode(), "separates its columns by ';'"),
        ("a.csv", CUSTOMERS.encode("utf-16"), "is not UTF-8"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\x00\xff\xfe,\xd8", "is not UTF-8"),
        ("a.csv", b"customer_id,customer_id\n1,2\n", "customer_id twice"),
        ("a.csv", b"customer_id,\n1,2\n", "a column without a name"),
        ("a.csv", b"customer_id,since\n1,2\n", "lacks the column created_at"),
        ("a.xlsx", b"PK", "neither .csv nor .parquet"),
        ("a.parquet", CUSTOMERS.encode(), "cannot be read as Parquet"),
        ("a.csv", CUSTOMERS.encode(), "every row was refused of: customers (created_at: time without an offset)"),
        ("a.csv", b"customer_id,created_at\nu1,2026-01-01T00:00:00Z,\xe4\n", "every row was refused"),
        ("a.csv", b"customer_id,created_at,email\nu1,2026-01-01T00:00:00Z,a@b.org\n", "identifies people"),
    ],
)
def test_a_wrong_file_is_refused_in_two_lines(shell: Shell, own: Path, name: str, content: bytes, says: str) -> None:
    file = own.parent / name
    file.write_bytes(content)
    ran = shell("ingest", "--customers", file, "-w", own)
    assert ran.code == 1
    first, second = ran.err.splitlines()
    assert first.startswith("foretouch: ")
    assert says in first
    assert second.startswith("  next: ")
    assert not (own / "data" / "customers.parquet").exists() or "every row" in says


def test_files_and_folders_that_are_not_there(shell: Shell, own: Path, tmp_path: Path) -> None:
    assert "is not there" in shell("ingest", "--events", tmp_path / "no.csv", "-w", own).err
    (tmp_path / "empty").mkdir()
    assert "without a .parquet file" in shell("ingest", "--events", tmp_path / "empty", "-w", own).err
    nowhere = shell("models", "-w", tmp_path / "nowhere")
    assert nowhere.code == 1
    assert nowhere.err.splitlines()[1] == f"  next: foretouch init {tmp_path / 'nowhere'}"
    again = shell("init", own)
    assert again.code == 1
    assert "is a workspace already" in again.err
    (tmp_path / "file").write_text("x", encoding="utf-8")
    inside = shell("init", tmp_path / "file" / "w")
    assert inside.code == 1
    assert "Not a directory" in inside.err


@pytest.mark.parametrize(
    "words",
    ["ingest", "train nothing", "train lead --trials -1", "features show", "promote all --version 3", "bench nothing"],
)
def test_a_wrong_call_exits_2(shell: Shell, own: Path, words: str) -> None:
    ran = shell(*words.split(), "-w", own)
    assert (ran.code, ran.out) == (2, "")
    assert "Error:" in ran.err


def test_a_wrong_setting_is_named(shell: Shell, own: Path) -> None:
    path = own / "foretouch.toml"
    path.write_text(
        path.read_text(encoding="utf-8").replace('currency = "USD"', 'currency = "DOLLAR"'), encoding="utf-8"
    )
    ran = shell("features", "build", "-w", own)
    assert ran.code == 1
    assert "workspace.currency" in ran.err


def test_json_is_alone_on_stdout(shell: Shell, tmp_path: Path) -> None:
    root = tmp_path / "small"
    made = shell("init", root, "--json")
    assert json.loads(made.out)["workspace"] == str(root)
    rows = ["event_id,customer_id,event,occurred_at,value"]
    rows += [f"e{day},u{day % 3},purchase,2026-0{1 + day // 28}-{1 + day % 28:02d}T10:00:00Z,5" for day in range(60)]
    (tmp_path / "events.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    people = ["customer_id,created_at"] + [f"u{index},2026-01-01T00:00:00Z" for index in range(3)]
    (tmp_path / "customers.csv").write_text("\n".join(people) + "\n", encoding="utf-8")
    tables = ("--customers", tmp_path / "customers.csv", "--events", tmp_path / "events.csv")
    for words in [
        ("ingest", *tables),
        ("features", "build"),
        ("features", "apply"),
        ("features", "materialize"),
        ("features", "show", "u1"),
        ("models",),
        ("decide", "--customer", "u1"),
        ("keys", "list"),
    ]:
        ran = shell(*words, "-w", root, "--json")
        assert ran.code == 0, (words, ran.err)
        assert json.loads(ran.out) is not None, words
        assert ran.err == "", words
