"""The funnel against counts made by hand."""

from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.core.errors import DataError
from foretouch.core.state.db import connect
from foretouch.core.stored_record import read_columns, read_record
from foretouch.experiments.insights.blocks import insight_blocks
from foretouch.experiments.insights.contract import Insights
from foretouch.experiments.insights.insights import insights
from foretouch.experiments.insights.page import render
from foretouch.experiments.insights.texts import called
from tests.experiments.insights.made_log import START, MadeLog

ENDED, WITHDRAWN, FULL = ("dates", "ends_at"), ("consent", "withdrawn"), ("caps", "weekly")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeLog:
    log = MadeLog(tmp_path_factory.mktemp("funnel"))
    everything = [("tea", "email", None), ("tea", "sms", WITHDRAWN), ("cake", "email", ENDED)]
    log.decide("a", 0, everything, chosen=("tea", "email"))
    log.decide("a", 7, [("tea", "email", FULL), ("tea", "sms", WITHDRAWN), ("cake", "email", FULL)])
    log.decide("b", 1, [("tea", "email", WITHDRAWN), ("tea", "sms", WITHDRAWN), ("cake", "email", ENDED)])
    log.decide("c", 2, [("tea", "email", None), ("tea", "sms", None), ("cake", "email", None)], status="decided")
    log.decide("d", 3, [])
    log.decide("e", 3, everything, chosen=("tea", "email"), logged=False)
    return log


def test_candidates_decisions_and_customers_are_counted(made: MadeLog) -> None:
    found = insights(made.workspace).funnel
    assert (found.decisions, found.customers, found.decisions_considered) == (5, 4, 4)
    assert (found.considered, found.left, found.chosen) == (12, 4, 1)
    assert found.by_status == {"decided": 2, "suppressed": 3}
    stages = {stage.stage: stage for stage in found.stages}
    assert list(stages) == ["dates", "consent", "caps"]
    assert [(stage.dropped, stage.left) for stage in found.stages] == [(2, 10), (4, 6), (2, 4)]
    assert [(stage.decisions_left, stage.customers_left) for stage in found.stages] == [(4, 3), (3, 2), (2, 2)]
    (rule,) = stages["consent"].rules
    assert (rule.rule, rule.candidates, rule.decisions, rule.customers) == ("withdrawn", 4, 3, 2)
    assert (found.customers_left, found.customers_contacted, found.decisions_contacted) == (2, 1, 1)


def test_what_goes_in_comes_out(made: MadeLog) -> None:
    """Laws: candidates are dropped, or left; a later stage never has more of anything."""
    found = insights(made.workspace).funnel
    assert found.considered == found.left + sum(stage.dropped for stage in found.stages)
    for stage in found.stages:
        assert stage.dropped == sum(rule.candidates for rule in stage.rules)
    for name in ("left", "decisions_left", "customers_left"):
        values = [getattr(stage, name) for stage in found.stages]
        assert values == sorted(values, reverse=True)


def test_a_period_holds_its_own_decisions_only(made: MadeLog) -> None:
    found = insights(made.workspace, since=START + timedelta(days=1), until=START + timedelta(days=3))
    assert (found.funnel.decisions, found.funnel.considered) == (2, 6)
    assert found.since == START + timedelta(days=1)
    halves = [
        insights(made.workspace, until=START + timedelta(days=2)).funnel.considered,
        insights(made.workspace, since=START + timedelta(days=2)).funnel.considered,
    ]
    assert sum(halves) == insights(made.workspace).funnel.considered
    with pytest.raises(DataError, match="must be before"):
        insights(made.workspace, since=START, until=START)
    with pytest.raises(DataError, match="must not be later than now"):
        insights(made.workspace, until=START + timedelta(days=1000))


def test_columns_of_both_record_versions_equal_the_whole_record(made: MadeLog) -> None:
    connection = connect(made.workspace.state_file)
    lines = [row[0] for row in connection.execute("SELECT record FROM decisions")]
    connection.close()
    names = ("offer_id", "channel", "selection_probability", "dropped_by")
    for line in lines:
        record = read_record(line)
        expected = {
            "offer_id": [item.offer_id for item in record.candidates],
            "channel": [item.channel for item in record.candidates],
            "selection_probability": [item.selection_probability for item in record.candidates],
            "dropped_by": [
                item.dropped_by and (item.dropped_by.stage, item.dropped_by.rule) for item in record.candidates
            ],
        }
        first = orjson.dumps({**record.model_dump(mode="json"), "schema_version": 1})
        for kept in (line, first):
            fields, columns = read_columns(kept, names)
            assert columns == expected
            assert fields["decision_id"] == record.decision_id


def test_rules_are_told_in_words(made: MadeLog) -> None:
    """What we named ourselves is in the reader's words; what the marketer named is as they named it."""
    found = insights(made.workspace)
    english, chinese = ({block.name: block for block in insight_blocks(found, code)}["rules"] for code in ("en", "zh"))
    assert {row[0] for row in english.rows} >= {
        "no consent: refused or withdrawn",
        "the offer does not run: already ended",
    }
    assert {row[0] for row in chinese.rows} >= {"未获同意: 已拒绝或撤回", "优惠不在有效期: 已结束"}
    assert any(row[0].endswith("weekly") for row in english.rows)
    named = found.replace(names={"tea": {"en": "Green tea", "zh": "绿茶"}})
    assert called(named, "tea", "zh") == "绿茶"
    assert called(named, "cake", "zh") == "cake"


def test_both_languages_show_the_same_numbers(made: MadeLog) -> None:
    found = insights(made.workspace)
    english, chinese = (insight_blocks(found, language) for language in ("en", "zh"))
    assert [block.name for block in english] == [block.name for block in chinese]
    for one, other in zip(english, chinese, strict=True):
        assert [row[1:] for row in one.rows] == [row[1:] for row in other.rows]
        assert one.title != other.title
    page = render(found, "zh", other="insights.en.html")
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "insights.en.html" in page


def test_the_command_writes_pages_and_numbers(made: MadeLog, tmp_path: Path) -> None:
    place = str(made.workspace.root)
    done = CliRunner().invoke(build_app(), ["insights", "-w", place, "--out", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    assert Insights.from_line(done.stdout) == Insights.from_line((tmp_path / "insights.json").read_bytes())
    assert {path.name for path in tmp_path.iterdir()} == {"insights.en.html", "insights.zh.html", "insights.json"}
    wrong = CliRunner().invoke(build_app(), ["insights", "-w", place, "--since", "2026-03-02"])
    assert wrong.exit_code == 2
    assert "names no zone" in wrong.output


def test_a_workspace_without_decisions_says_what_to_do(tmp_path: Path) -> None:
    empty = MadeLog(tmp_path / "w")
    found = insights(empty.workspace)
    assert found.funnel.decisions == 0
    assert "foretouch serve" in render(found, "en")
