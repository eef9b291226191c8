"""The Bento names the wheel that the project builds, and what goes into it is there."""

import tomllib
from pathlib import Path

import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]


def test_the_bento_takes_the_wheel_of_this_version() -> None:
    build = yaml.safe_load((ROOT / "serving" / "bentofile.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert build["python"]["wheels"] == [f"./dist/{project['name']}-{project['version']}-py3-none-any.whl"]
    assert build["python"]["lock_packages"] is False, "BentoML's locking asks an index; ours is requirements.lock"
    assert (ROOT / build["python"]["requirements_txt"]).is_file()
    assert "--hash=sha256:" in (ROOT / build["python"]["requirements_txt"]).read_text(encoding="utf-8")
