"""The command line as a newcomer meets it: quick help, next steps that can be pasted, no tracebacks."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from foretouch.core import cli
from foretouch.core.errors import NotReadyError
from foretouch.core.hints import note_workspace, with_workspace

ROOT = Path(__file__).resolve().parents[2]
ROOTS = ("core", "features", "training", "serving", "experiments")
HEAVY = ("numpy", "pandas", "duckdb", "pyarrow", "rich", "feast", "mlflow", "lightgbm", "bentoml", "orjson")
PROBE = """
import contextlib, io, json, sys
from foretouch.core.cli import build_app
found, heavy = {}, sys.argv[1].split(",")
def look(words):
    with contextlib.redirect_stdout(io.StringIO()) as text:
        try:
            build_app()(list(words) + ["--help"], prog_name="foretouch")
        except SystemExit as end:
            assert end.code == 0, (words, end.code)
    return text.getvalue()
def walk(words):
    text = look(words)
    found[" ".join(words)] = [name for name in heavy if name in sys.modules]
    for line in text.partition("Commands:")[2].splitlines():
        if line.startswith("  ") and not line.startswith("   "):
            walk([*words, line.split()[0]])
walk([])
print(json.dumps(found))
"""


def commands() -> dict[str, list[str]]:
    """Heavy modules loaded after the help of each command, one process for all of them; the first is the root's."""
    names = ",".join([*HEAVY, "pydantic", "foretouch.core.schema"])
    done = subprocess.run([sys.executable, "-c", PROBE, names], capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_help_of_every_command_loads_no_library() -> None:
    found = commands()
    assert {"", "train", "promote", "ingest", "features show", "bench lead", "keys create", "experiment report"} <= set(
        found
    )
    assert found.pop("") == []  # the root's help is the one that a newcomer waits for: not even pydantic
    for words, loaded in found.items():
        assert set(loaded) <= {"pydantic"}, words  # typer's own, for the types of arguments


def hints() -> list[tuple[str, str]]:
    """Every literal hint and next step in the sources, with where it stands; inserted values read as ``X``."""
    found = []
    for path in (path for root in ROOTS for path in sorted((ROOT / root).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "hint":
                text = _text(node.value)
                if text:
                    found.append((f"{path.relative_to(ROOT)}:{node.value.lineno}", text))
    return found


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else "X" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def test_every_hint_names_a_command_that_there_is() -> None:
    names = {words.split(" ")[0] for words in commands()}
    listed = hints()
    assert len(listed) > 40
    for where, text in listed:
        for verb in re.findall(r"\bforetouch ([a-z][a-z-]*)", text):
            assert verb in names, f"{where}: foretouch {verb} is no command"


@pytest.mark.parametrize(
    ("hint", "whole"),
    [
        ("foretouch features build", "foretouch features build --workspace 'my shop'"),
        (
            "foretouch train lead && foretouch promote lead",
            "foretouch train lead --workspace 'my shop' && foretouch promote lead --workspace 'my shop'",
        ),
        (
            "foretouch train lead --trials 50, or foretouch promote lead --force (recorded)",
            (
                "foretouch train lead --trials 50 --workspace 'my shop', or"
                " foretouch promote lead --force --workspace 'my shop' (recorded)"
            ),
        ),
        ("foretouch init DIR", "foretouch init DIR"),
        ("foretouch ingest --help", "foretouch ingest --help"),
        ("foretouch serve --workspace there", "foretouch serve --workspace there"),
        ("edit [lead_alert] in foretouch.toml", "edit [lead_alert] in foretouch.toml"),
        ("name it in foretouch.toml, then: foretouch features build", None),
    ],
)
def test_a_hint_is_completed_with_the_workspace_of_the_call(hint: str, whole: str | None) -> None:
    note_workspace("my shop")
    try:
        assert with_workspace(hint) == (whole or f"{hint} --workspace 'my shop'")
    finally:
        note_workspace(None)
    assert with_workspace(hint) == hint


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["foretouch", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def test_an_error_is_one_line_and_the_next_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def app() -> typer.Typer:
        made = typer.Typer()

        @made.command()
        def build(workspace: cli.WorkspaceOption = None) -> None:
            raise NotReadyError("no features", hint="foretouch features build")

        @made.command()
        def other() -> None:
            """Makes the application one with named commands."""

        return made

    monkeypatch.setattr(cli, "build_app", app)
    monkeypatch.delenv("FORETOUCH_WORKSPACE", raising=False)
    assert run(monkeypatch, "build", "-w", "shop") == 1
    assert capsys.readouterr().err == "foretouch: no features\n  next: foretouch features build --workspace shop\n"
    assert run(monkeypatch, "build") == 1
    assert capsys.readouterr().err == "foretouch: no features\n  next: foretouch features build\n"
    monkeypatch.setenv("FORETOUCH_WORKSPACE", "from-the-environment")
    assert run(monkeypatch, "build") == 1
    assert capsys.readouterr().err == "foretouch: no features\n  next: foretouch features build\n"
    assert run(monkeypatch, "unknown") == 2
