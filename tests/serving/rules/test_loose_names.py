"""Weights that no offer has and touchpoints without offers are told, by file and line; broken policy files stop."""

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.core.config import Config, load_toml
from foretouch.core.errors import ConfigError
from foretouch.core.offers import Catalogue
from foretouch.core.policy import PolicySpec
from foretouch.core.workspace import Workspace
from foretouch.features.ingest import ingest_tables
from foretouch.features.initialise import initialise
from foretouch.serving.rules.loose_names import loose_names
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.runtime.settings import read_settings
from tests.serving.decision.world import OFFERS

CATALOGUE = Catalogue(offers=(OFFERS[0].replace(issue="thirst", category="tea"), OFFERS[1].replace(category="jam")))
POLICY = """name = "bold"
[[levers]]
category = "jam"
percent = 10.0
[[levers]]
{about}
percent = 10.0
"""


def told(tmp_path: Path, about: str) -> tuple[str, ...]:
    (tmp_path / "policies").mkdir()
    file = tmp_path / "policies" / "bold.toml"
    file.write_text(POLICY.format(about=about), encoding="utf-8")
    return loose_names(Config(), {"policies/bold.toml": load_toml(file, PolicySpec)}, CATALOGUE, tmp_path)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ('category = "jamm"', "category 'jamm' is not in the catalogue; did you mean 'jam'?"),
        ('offer_id = "coffee"', "offer_id 'coffee' is not in the catalogue"),
        ('issue = "thrist"', "issue 'thrist' is not in the catalogue; did you mean 'thirst'?"),
        ('issue = "thirst"\ncategory = "jam"', "no offer is of issue 'thirst' and category 'jam'"),
    ],
)
def test_a_lever_that_no_offer_has_is_told(tmp_path: Path, about: str, said: str) -> None:
    (found,) = told(tmp_path, about)
    assert found.startswith("policies/bold.toml: line ")
    assert f"levers[1] changes nothing: {said}" in found


def test_the_line_is_that_of_the_name(tmp_path: Path) -> None:
    assert told(tmp_path, 'issue = "*"\ncategory = "jamm"')[0].startswith("policies/bold.toml: line 7, column 12: ")


@pytest.mark.parametrize("about", ['category = "tea"', 'issue = "thirst"\ncategory = "tea"', 'category = "*"'])
def test_a_lever_that_some_offer_has_is_not(tmp_path: Path, about: str) -> None:
    assert told(tmp_path, about) == ()


def test_every_kind_of_weight_is_looked_at_and_nothing_is_said_before_there_are_offers() -> None:
    spec = PolicySpec.model_validate(
        {
            "context_weights": [{"key": "k", "equals": 1, "category": "x", "percent": 5.0}],
            "score_weights": [{"model": "churn", "category": "y", "percent": 5.0}],
        }
    )
    config = Config.model_validate(
        {
            "touchpoints": {"weekly": {"collection": "te"}, "web": {"collection": "tea"}},
            "goals": {"offer": {"acceptance": {"*": "buy", "z": "buy"}}},
        }
    )
    found = loose_names(config, {"policy.toml": spec}, CATALOGUE)
    assert [text.split(":")[1].split("changes")[0].strip() for text in found[:2]] == [
        "context_weights[0]",
        "score_weights[0]",
    ]
    assert "touchpoint 'weekly' has no offer to make: no offer is of category 'te'; did you mean 'tea'?" in found[2]
    assert "no offer is of category 'z'" in found[3]
    assert len(found) == 4
    assert loose_names(config, {"policy.toml": spec}, Catalogue(offers=())) == ()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    initialise(tmp_path / "shop")
    made = Workspace.open(tmp_path / "shop")
    ingest_tables(made, {"offers": pd.DataFrame([{"offer_id": "a", "name": "A", "channels": "email"}])})
    (made.root / "policies").mkdir(exist_ok=True)
    return made


def test_the_service_and_the_command_say_it(workspace: Workspace) -> None:
    (workspace.root / "policies" / "bold.toml").write_text(POLICY.format(about='issue = "x"'), encoding="utf-8")
    with Dataplane(workspace) as plane:
        warnings = plane.readiness()["settings_warnings"]
    assert [text.split(",")[0] for text in warnings] == ["policies/bold.toml: line 3", "policies/bold.toml: line 6"]
    result = CliRunner().invoke(build_app(), ["decide", "--customer", "ann", "-w", str(workspace.root)])
    assert result.exit_code == 0
    assert f"foretouch: warning: {warnings[0]}" in result.stderr
    assert warnings[0] not in result.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('kind = "greedi"', r"policies/new\.toml: line 1, column 8: kind: "),
        ("floor = 0.1\nfloors = 3", r"policies/new\.toml: line 2, column 10: floors: "),
        ("kind = ?\n", r"policies/new\.toml is not valid TOML: .*line 1"),
    ],
)
def test_a_broken_policy_file_stops_the_start_though_nothing_names_it(
    workspace: Workspace, text: str, said: str
) -> None:
    versions = read_settings(workspace).versions
    file = workspace.root / "policies" / "new.toml"
    file.write_text('kind = "greedy"\n', encoding="utf-8")
    assert read_settings(workspace).versions == versions, "a policy that nothing names changes no decision"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        read_settings(workspace)
