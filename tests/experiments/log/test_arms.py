"""Arms of a policy that drew: by hand, and a planted truth that plain means miss."""

from pathlib import Path

import numpy as np
import pytest

from foretouch.core.errors import NotReadyError
from foretouch.core.workspace import Workspace
from foretouch.experiments.log.arms import NO_CONTACT, ArmRow, Arms, arms
from tests.experiments.insights.made_log import NOW, START, MadeLog

BOTH = [("tea", "email", None), ("cake", "email", None)]


def by_name(found: Arms) -> dict[str, ArmRow]:
    return {row.arm: row for row in found.arms}


def test_rows_are_counted_by_the_stated_rules(tmp_path: Path) -> None:
    log = MadeLog(tmp_path / "w")
    chosen, shares = ("tea", "email"), [0.25, 0.5, 0.25]
    log.decide("a", 0, BOTH, chosen=chosen, probabilities=shares)
    log.decide("a", 6.9, BOTH, chosen=chosen, probabilities=shares)  # its window overlaps the first
    log.decide("a", 7, BOTH, chosen=None, probabilities=shares, status="decided")
    log.decide("b", 0, BOTH, chosen=chosen)  # nothing else could have been chosen
    log.decide("c", 0, BOTH, status="control", probabilities=shares)
    log.decide("d", 58, BOTH, chosen=chosen, probabilities=shares)
    log.decide("e", 0, BOTH, chosen=chosen, probabilities=shares, logged=False)
    found = arms(log.workspace, now=NOW)
    assert (found.rows, found.overlapping, found.without_choice, found.not_mature) == (2, 1, 1, 1)
    rows = by_name(found)
    assert {name: (row.allowed, row.chosen) for name, row in rows.items()} == {
        NO_CONTACT: (2, 1),
        "tea": (2, 1),
        "cake": (2, 0),
    }
    assert {row.withheld for row in found.arms} == {"too_few_allowed"}
    assert by_name(arms(log.workspace, by="channel", now=NOW))["email"].allowed == 2
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "foretouch.toml").write_text("")
    with pytest.raises(NotReadyError, match="no decision"):
        arms(Workspace.open(tmp_path / "x"), now=NOW)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> MadeLog:
    """Tea raises 10 % to 30 %, cake does nothing; the policy gives tea to those who would order anyway.

    Half of the customers order at 50 % without any contact, half never; keen ones get tea with 80 %, others with 20 %.
    """
    log = MadeLog(tmp_path_factory.mktemp("drawn"))
    rng = np.random.default_rng(4)
    for number in range(1500):
        keen = number % 2 == 0
        shares = [0.1, 0.8, 0.1] if keen else [0.4, 0.2, 0.4]
        draw = int(rng.choice(3, p=shares))
        chosen = [None, ("tea", "email"), ("cake", "email")][draw]
        log.decide(f"p{number}", 1, BOTH, chosen=chosen, probabilities=shares, status="decided")
        rate = (0.5 if keen else 0.0) + (0.2 if draw == 1 else 0.0)
        if rng.random() < rate:
            log.event(f"p{number}", 2)
    return log


def test_a_planted_truth_is_found_where_plain_means_miss_it(planted: MadeLog) -> None:
    rows = by_name(arms(planted.workspace, now=NOW))
    truth = {NO_CONTACT: 0.25, "tea": 0.45, "cake": 0.25}
    for name, rate in truth.items():
        row = rows[name]
        assert row.ci is not None
        assert row.ci[0] <= rate <= row.ci[1], name
        assert row.effective is not None
        assert 0 < row.effective < row.chosen
    tea, cake = rows["tea"], rows["cake"]
    assert tea.plain is not None
    assert tea.plain > 0.52  # of the keen mostly: far from .45
    assert tea.over_no_contact_ci is not None
    assert tea.over_no_contact_ci[0] <= 0.2 <= tea.over_no_contact_ci[1]
    assert tea.over_no_contact_ci[0] > 0.0
    assert cake.over_no_contact_ci is not None
    assert cake.over_no_contact_ci[0] <= 0.0 <= cake.over_no_contact_ci[1]
    assert tea.smallest_probability == pytest.approx(0.2)


def test_a_period_and_its_end(planted: MadeLog) -> None:
    assert arms(planted.workspace, now=NOW, until=START).rows == 0
    assert arms(planted.workspace, now=NOW, since=START).rows == 1500
