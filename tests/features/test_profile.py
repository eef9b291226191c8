"""A customer's profile: tags in four groups and two languages that say what the values say."""

import json

import pytest
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.core.decisions import FeatureSnapshot
from foretouch.core.errors import NotFoundError
from foretouch.core.workspace import Workspace
from foretouch.features.catalogue import GROUPS, features_of
from foretouch.features.online import OnlineFeatures
from foretouch.features.profile import favourite_hour, profile_of, read_profile


def test_a_households_profile(sample: Workspace) -> None:
    OnlineFeatures(sample).refresh(["900"], sample.clock.now())
    result = CliRunner().invoke(build_app(), ["features", "show", "900", "--workspace", str(sample.root), "--json"])
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert list(shown["tags"]) == list(GROUPS)
    assert all(shown["tags"].values()), "every group says something of a household with demographics"
    assert all(tag["en"] and tag["zh"] for tags in shown["tags"].values() for tag in tags)
    assert set(shown["values"]) == set(features_of(sample.config))
    english = [tag["en"] for tag in shown["tags"]["behaviour"]]
    assert "loyal: buys most weeks" in english
    assert f"bought 1 day ago, {shown['values']['frequency_28d']:.0f} times in 28 days" in english
    assert shown["stale"] == []


def test_nobody_has_no_profile(sample: Workspace) -> None:
    with pytest.raises(NotFoundError, match="no features of customer 'nobody'"):
        read_profile(sample, "nobody")


def test_a_stranger_has_few_tags(sample: Workspace) -> None:
    profile = profile_of("x", FeatureSnapshot(known=True), sample.config)
    assert [tag.text_en for tag in profile.tags] == ["prospect: never bought", "no purchases"]


@pytest.mark.parametrize(
    ("counts", "hour"), [([0, 3, 1], 1), ([2, 0, 2], 0), ([1, 1, 0], None), ([], None), (None, None)]
)
def test_favourite_hour(counts: list[int] | None, hour: int | None) -> None:
    assert favourite_hour(counts) == hour
