"""When the built feature history has its snapshots: labels must stand at the same times."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

from foretouch.core.errors import NotReadyError
from foretouch.core.workspace import Workspace
from foretouch.features.build import BUILT_AT, EVENT_TIMESTAMP, offline_file
from foretouch.features.catalogue import PURCHASES
from foretouch.features.tables import open_duckdb

BUILD = "foretouch features build"


def history_times(workspace: Workspace) -> list[datetime]:
    """Snapshot times of the feature history on disk, UTC, sorted.

    Snapshots lie ``features.snapshot_days`` apart, at midnight, back from when the history was built; times at which
    only touched customers have features (a send) are not among them.

    Raises:
        NotReadyError: No history was built.
    """
    path = offline_file(workspace, PURCHASES)
    if not path.is_file():
        raise NotReadyError("no feature history has been built", hint=BUILD)
    with closing(open_duckdb()) as connection:
        found = connection.execute(
            f"SELECT DISTINCT epoch_us({EVENT_TIMESTAMP}), epoch_us(max({BUILT_AT}) OVER ()) FROM read_parquet(?)",  # noqa: S608
            [str(path)],
        ).fetchall()
    if not found:
        raise NotReadyError("the feature history is empty", hint=BUILD)
    present = {int(row[0]) for row in found}
    at = _time(found[0][1]).replace(hour=0, minute=0, second=0, microsecond=0)
    step = timedelta(days=workspace.config.features.snapshot_days)
    earliest = _time(min(present))
    times = []
    while at >= earliest:
        if round(at.timestamp() * 1e6) in present:
            times.append(at)
        at -= step
    return sorted(times)


def _time(micros: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(micros))
