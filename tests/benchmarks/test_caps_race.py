"""The race for caps, small: on every store, and its checker finds a cap that was exceeded."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.benchmarks.test_scripts import FOLDER, load
from tests.suites.state_desk import NOW
from tests.suites.state_stores import TESTED

ROOT = FOLDER.parent


def test_no_cap_is_exceeded_by_writers_at_once(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "caps_race.py"), "--writers", "8", "--requests", "60", "--processes", "2"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    stores = json.loads((tmp_path / "caps-race.json").read_text("utf-8"))["stores"]
    assert set(stores) == set(TESTED.values())
    for found in stores.values():
        assert (found["decisions"], found["exceeded"]) == (480, [])
        assert any(cap["most"] == cap["limit"] for cap in found["caps"].values()), "else the race says nothing"


def test_the_checker_sees_what_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    race = load("caps_race")
    sent = [
        race.Sent(customer="a", household="h", offer="o3", channel="email", at=NOW + timedelta(hours=7 * number))
        for number in range(4)
    ]
    assert race.check(sent)["own"] == {"limit": 3, "most": 4}
    late = [*sent[:3], race.Sent(customer="a", household="h", offer="o3", channel="email", at=NOW + timedelta(days=1))]
    assert race.check(late)["own"]["most"] == 3
    twice = [race.Sent(customer=name, household="h", offer="o1", channel="sms", at=NOW) for name in "aabb"]
    found = race.check(twice)
    assert (found["sms"]["most"], found["offer_per_customer"]["most"], found["offer_total"]["most"]) == (2, 2, 4)
