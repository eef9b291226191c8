"""Kept answers: shown at once after a restart, marked while a newer one is made, never trusted blindly."""

from pathlib import Path

import pytest

from foretouch.core.clock import utc_now
from foretouch.experiments.app import analyses
from foretouch.experiments.app.analyses import Aside
from foretouch.experiments.app.kept import FOLDER, MOST_FILES, Kept
from tests.experiments.insights.made_log import MadeLog

BOTH = [("tea", "email", None), ("cake", "email", None)]
ASKED = {"by": "offer"}


@pytest.fixture
def log(tmp_path: Path) -> MadeLog:
    made = MadeLog(tmp_path / "w")
    for number in range(5):
        made.decide(f"k{number}", number, BOTH, chosen=("tea", "email"), probabilities=[0.25, 0.5, 0.25])
    return made


def test_an_answer_outlives_the_service_and_is_marked_while_a_newer_one_is_made(
    log: MadeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Aside(log.workspace.root).ask("arms", ASKED, stamp="5", wait=120.0)
    assert first is not None
    assert (first.value["rows"], first.stale) == (5, False)
    again = Aside(log.workspace.root)
    kept = again.ask("arms", ASKED, stamp="5")
    assert kept is not None, "without waiting for anything"
    assert (kept.value, kept.stale) == (first.value, False)
    assert again.ask("arms", {"by": "channel"}, stamp="5") is None, "another question has no answer yet"
    log.decide("late", 6, BOTH, chosen=("cake", "email"), probabilities=[0.25, 0.5, 0.25])
    assert log.workspace.root == log.root, "what was decided is in the log"
    monkeypatch.setattr(analyses, "FRESH_SECONDS", 0.0)
    earlier = again.ask("arms", ASKED, stamp="6")
    assert earlier is not None
    assert (earlier.value["rows"], earlier.stale) == (5, True)
    monkeypatch.undo()
    newer = again.ask("arms", ASKED, stamp="6", wait=120.0)
    while newer is not None and newer.stamp == "5":
        newer = again.ask("arms", ASKED, stamp="7", wait=5.0)
    assert newer is not None
    assert (newer.value["rows"], newer.stale) == (6, False)


def test_what_was_not_written_by_us_or_names_customers_is_not_shown(tmp_path: Path) -> None:
    kept, now = Kept(tmp_path), utc_now()
    kept.write("what_if", "{}", value={"losers": ["c1"]}, stamp="1", at=now)
    assert not (tmp_path / FOLDER).exists()
    kept.write("arms", "{}", value={"rows": 1}, stamp="1", at=now)
    assert kept.read("arms", "{}") == {
        "format": 1,
        "job": "arms",
        "arguments": "{}",
        "stamp": "1",
        "at": now,
        "value": {"rows": 1},
    }
    (path,) = (tmp_path / FOLDER).iterdir()
    path.write_text(path.read_text(encoding="utf-8").replace('"rows": 1', '"rows": 9'), encoding="utf-8")
    assert kept.read("arms", "{}") is None
    path.write_text("[]", encoding="utf-8")
    assert kept.read("arms", "{}") is None
    for number in range(MOST_FILES + 5):
        kept.write("arms", f'{{"n": {number}}}', value=number, stamp="1", at=now)
    assert len(list((tmp_path / FOLDER).iterdir())) == MOST_FILES
