"""The history of A/A trials: what past customers, split by lot, have said of a metric's analysis, run by run.

A line of ``experiments/aa-trials.jsonl`` per trial and metric, appended and never changed. A line that cannot be read
is left out: a history with a hole is better than no report.
"""

import logging
import os
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from foretouch.core.schema import Contract, Share, Time
from foretouch.core.workspace import Workspace

if TYPE_CHECKING:
    from foretouch.experiments.analysis.aa import Trial

log = logging.getLogger("foretouch.experiments")
FILE = "experiments/aa-trials.jsonl"
MOST_SHOWN = 50


class PastTrial(Contract):
    """One metric in one A/A trial."""

    schema_version: Literal[1] = 1
    key: str
    """The experiment's."""
    name: str
    """The metric; ``any decision`` for the whole family after Holm's correction."""
    as_of: Time
    """The workspace's time: units whose window was over by then."""
    units: int
    """That were split by lot."""
    splits: int
    """That could be analysed."""
    seed: int
    false_alarms: Share
    """Share of the splits in which an effect was seen."""
    false_alarms_ci: tuple[Share, Share]
    """95 % interval of the true share (Clopper and Pearson)."""
    allowed: tuple[Share, Share]
    """What chance allows a correct analysis in 999 of 1,000 trials."""
    code: Literal["ok", "too_many", "too_few"]


def keep_trial(workspace: Workspace, key: str, found: "Trial", *, as_of: datetime, seed: int) -> None:
    """Appends a trial to the history; one that cannot be written there is told all the same, with a warning.

    Args:
        workspace: Whose.
        key: The experiment's.
        found: What the trial said.
        as_of: The workspace's time that it was made for.
        seed: Of its draws.
    """
    lines = "".join(
        PastTrial(
            key=key,
            name=item.name,
            as_of=as_of,
            units=found.units,
            splits=item.splits,
            seed=seed,
            false_alarms=item.share,
            false_alarms_ci=item.ci,
            allowed=item.band,
            code=item.code,
        ).to_line()
        + "\n"
        for item in found.metrics
    )
    path = workspace.root / FILE
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        log.warning("the trial is not kept for the report: %s cannot be written (%s)", path, error.strerror)


def past_trials(workspace: Workspace, key: str, *, until: datetime) -> tuple[PastTrial, ...]:
    """An experiment's A/A trials up to a time, oldest first; the same trial made again counts once.

    Args:
        workspace: Whose.
        key: The experiment's.
        until: The workspace's time.
    """
    try:
        lines = (workspace.root / FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    found: dict[tuple[object, ...], PastTrial] = {}
    for line in lines:
        try:
            item = PastTrial.from_line(line)
        except ValidationError:
            continue
        if item.key == key and item.as_of <= until:
            found[item.as_of, item.name, item.units, item.splits, item.seed] = item
    return tuple(sorted(found.values(), key=lambda item: item.as_of))[-MOST_SHOWN:]
