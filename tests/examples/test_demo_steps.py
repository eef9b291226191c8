"""The demo's markers: done once, done anew when something before it was, and nobody's work is deleted."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

STEPS = Path(__file__).resolve().parents[2] / "examples" / "demo_steps.py"


@pytest.fixture
def demo_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, looking at a small repository of its own."""
    spec = importlib.util.spec_from_file_location("demo_steps", STEPS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["demo_steps"] = module
    spec.loader.exec_module(module)
    repository = tmp_path / "repository"
    (repository / "core").mkdir(parents=True)
    (repository / "core" / "a.py").write_text("1", encoding="utf-8")
    monkeypatch.setattr(module, "REPOSITORY", repository)
    return module


def run_both(module: ModuleType, folder: Path, done: list[str]) -> int:
    steps = module.Steps(folder=folder, total=2)

    def work(name: str) -> str:
        done.append(name)
        return f"result of {name}"

    first = steps.step("first", "First", after=None, code=("core",), work=lambda: work("first"))
    second = steps.step("second", "Second", after="first", code=(), work=lambda: work("second"))
    assert (first, second) == ("result of first", "result of second")
    skipped: int = steps.skipped
    return skipped


def test_a_step_is_done_once_until_its_code_changes(demo_steps: ModuleType, tmp_path: Path) -> None:
    done: list[str] = []
    folder = tmp_path / "steps"
    assert run_both(demo_steps, folder, done) == 0
    assert run_both(demo_steps, folder, done) == 2
    assert done == ["first", "second"]
    (tmp_path / "repository" / "core" / "a.py").write_text("2", encoding="utf-8")
    assert run_both(demo_steps, folder, done) == 0
    assert done == ["first", "second", "first", "second"]
    (folder / "second.json").unlink()
    assert run_both(demo_steps, folder, done) == 1
    assert done[-1] == "second"


def test_a_step_that_fails_leaves_no_marker(demo_steps: ModuleType, tmp_path: Path) -> None:
    steps = demo_steps.Steps(folder=tmp_path / "steps", total=1)

    def fail() -> None:
        raise SystemExit("no")

    with pytest.raises(SystemExit, match="no"):
        steps.step("x", "X", after=None, code=(), work=fail)
    assert not (tmp_path / "steps" / "x.json").exists()


def test_a_command_that_fails_is_named(demo_steps: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"`python.* failed with exit code 3"):
        demo_steps.run(sys.executable, "-c", "raise SystemExit(3)")


def test_only_what_the_demo_made_is_removed(demo_steps: ModuleType, tmp_path: Path) -> None:
    steps = demo_steps.Steps(folder=tmp_path / "steps", total=1)
    workspace = tmp_path / "w"
    workspace.mkdir()
    (workspace / "mine.txt").write_text("mine", encoding="utf-8")
    steps.fresh(workspace)
    assert not workspace.exists()
    assert [path.read_text("utf-8") for path in tmp_path.glob("w.kept-*/mine.txt")] == ["mine"]
    workspace.mkdir()
    steps.fresh(workspace)
    assert not workspace.exists()
    assert len(list(tmp_path.glob("w.kept-*"))) == 1


def test_what_builds_on_a_lost_product_is_done_anew_even_after_an_interruption(
    demo_steps: ModuleType, tmp_path: Path
) -> None:
    product = tmp_path / "product"
    done: list[str] = []

    def make() -> None:
        done.append("first")
        product.touch()

    def go(*, stop: bool = False) -> None:
        steps = demo_steps.Steps(folder=tmp_path / "steps", total=3)
        steps.step("first", "First", after=None, code=(), work=make, makes=product)
        if stop:
            raise KeyboardInterrupt
        steps.step("second", "Second", after="first", code=(), work=lambda: done.append("second"))
        steps.step("third", "Third", after="second", code=(), work=lambda: done.append("third"))

    go()
    go()
    assert done == ["first", "second", "third"]
    product.unlink()
    with pytest.raises(KeyboardInterrupt):
        go(stop=True)
    go()
    assert done == ["first", "second", "third", "first", "second", "third"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": 1}', "\x00"])
def test_a_damaged_marker_counts_as_none(demo_steps: ModuleType, tmp_path: Path, text: str) -> None:
    done: list[str] = []
    folder = tmp_path / "steps"
    run_both(demo_steps, folder, done)
    (folder / "first.json").write_text(text, encoding="utf-8")
    run_both(demo_steps, folder, done)
    assert done == ["first", "second", "first", "second"]


def test_two_demos_in_one_folder_are_refused(demo_steps: ModuleType, tmp_path: Path) -> None:
    with demo_steps.alone(tmp_path):
        with pytest.raises(SystemExit, match="another demo is at work"), demo_steps.alone(tmp_path):
            pass
        with pytest.raises(SystemExit, match="another demo"), demo_steps.alone(tmp_path):
            pass
    with demo_steps.alone(tmp_path):
        pass
