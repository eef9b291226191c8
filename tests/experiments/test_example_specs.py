"""The specs that people copy are valid."""

from pathlib import Path

import pytest

from foretouch.core.config import load_toml
from foretouch.core.experiment import ExperimentSpec

SPECS = sorted((Path(__file__).resolve().parents[2] / "experiments/specs").glob("*.toml"))


def test_there_are_examples() -> None:
    assert SPECS


@pytest.mark.parametrize("path", SPECS, ids=lambda path: str(path.stem))
def test_an_example_spec_is_valid_and_named_after_its_file(path: Path) -> None:
    spec = load_toml(path, ExperimentSpec)
    assert spec.key == path.stem
    assert set(spec.title) == {"en", "zh"}
