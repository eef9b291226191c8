"""Training on a schedule: only where enough new rows have matured, one run at a time, safe from cron."""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from foretouch.core.bundle import read_bundle
from foretouch.core.errors import BundleError, ConfigError, DataError, ForetouchError
from foretouch.core.models import ModelName
from foretouch.core.workspace import Workspace
from foretouch.features.history_sample import read_sample
from foretouch.features.offers import load_catalogue
from foretouch.features.tables import connect
from foretouch.training import registry
from foretouch.training.each import Refused
from foretouch.training.history import history_times
from foretouch.training.log.rows import logged_rows
from foretouch.training.sends import CLOSES_AT, read_sends
from foretouch.training.targets import data_span

LAST: Final = "last"
BUSY: Final = 75
"""Exit code of a call that found another one at work: ``EX_TEMPFAIL`` of sysexits, try again later."""
_UNITS: Final = {"d": "days", "h": "hours", "w": "weeks"}


class BusyError(ForetouchError):
    """Another training is under way in the same workspace."""

    code = "busy"


@dataclass(frozen=True, kw_only=True)
class Due:
    """Whether a model has enough to learn anew.

    Attributes:
        model: Which.
        since: From when rows are new; None is from the beginning.
        new_rows: How many have matured since.
        needed: ``training.new_rows``.
    """

    model: ModelName
    since: datetime | None
    new_rows: int
    needed: int

    @property
    def due(self) -> bool:
        """Whether to train."""
        return self.new_rows >= self.needed


def parse_since(text: str, now: datetime) -> datetime | None:
    """The time that ``--since`` means; None for ``last``.

    Args:
        text: ``last``, a length of time (``7d``, ``12h``, ``2w``), a date, or a time with a zone (a date and a time
            without one are UTC).
        now: The workspace's.

    Raises:
        ConfigError: It is none of these, or lies in the future.
    """
    if text == LAST:
        return None
    number, unit = text[:-1], text[-1:]
    if unit in _UNITS and number.isdigit():
        return now - timedelta(**{_UNITS[unit]: int(number)})
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"--since == {text!r}, must be 'last', a length like 7d or 12h, or a date like 2026-03-01"
        ) from error
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if at > now:
        raise ConfigError(f"--since == {text!r}, must not be later than now ({now.isoformat()})")
    return at


@contextmanager
def training_lock(workspace: Workspace) -> Iterator[None]:
    """One training at a time in a workspace; the lock goes with the process, however that ends.

    Raises:
        BusyError: Another one is at work.
    """
    path = workspace.root / "mlflow" / "train.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(
                f"another training is at work in {workspace.root}", hint="wait for it, or call again later"
            ) from error
        yield


def whether_due(workspace: Workspace, model: ModelName, since: datetime | None) -> Due:
    """Counts the rows of a model whose label has closed since a time.

    Args:
        workspace: Whose data.
        model: Which.
        since: None is since the newest version was trained, or the beginning where there is none.

    Raises:
        NotReadyError: The model learns from the feature history, and none is built.
    """
    start = since or last_trained(workspace, model)
    return Due(
        model=model,
        since=start,
        new_rows=_matured(workspace, model, start),
        needed=workspace.config.training.new_rows,
    )


def due_models(
    workspace: Workspace, models: Sequence[ModelName], since: datetime | None
) -> tuple[tuple[ModelName, ...], list[Due], list[Refused]]:
    """Which of some models have enough to learn anew, which have not, and of which it cannot be said."""
    counted: list[Due] = []
    refused: list[Refused] = []
    for model in models:
        try:
            counted.append(whether_due(workspace, model, since))
        except ForetouchError as error:
            refused.append(Refused(model=model, error=error))
    return tuple(item.model for item in counted if item.due), [item for item in counted if not item.due], refused


def last_trained(workspace: Workspace, model: ModelName) -> datetime | None:
    """Through when the newest version was trained; None where there is no version that can be read."""
    for version in registry.versions(registry.connect(workspace), model):
        try:
            return read_bundle(workspace.bundles, model, str(version.version)).card.trained_through
        except BundleError:
            continue
    return None


def _matured(workspace: Workspace, model: ModelName, since: datetime | None) -> int:
    if model in {"offer", "uplift"}:
        return _contacts(workspace, model, since)
    goals = workspace.config.goals
    event, days = {
        "lead": (goals.lead.goal_event, goals.lead.window_days),
        "churn": (goals.churn.activity_event, goals.churn.window_days),
        "value": (goals.value.value_event, goals.value.window_days),
        "send-time": (goals.send_time.engagement_event, workspace.config.features.snapshot_days),
    }[model]
    return _snapshots(workspace, event, timedelta(days=days), since)


def _contacts(workspace: Workspace, model: ModelName, since: datetime | None) -> int:
    """Past touches (offer) and rows of the log whose label closed after ``since``."""
    section, total = workspace.config.training, 0
    if model == "uplift" or section.source != "history":
        frame = logged_rows(workspace, model).frame
        total += len(frame) if since is None else int((frame[CLOSES_AT] > since).sum())
    if model == "offer" and section.source != "log":
        with closing(connect(workspace)) as tables:
            try:
                kept = read_sample(workspace).sends
                sends = read_sends(tables, load_catalogue(workspace), workspace.config.goals.offer, kept=kept)
            except DataError:
                return total
        total += len(sends) if since is None else int((sends[CLOSES_AT] > since).sum())
    return total


def _snapshots(workspace: Workspace, event: str, window: timedelta, since: datetime | None) -> int:
    """Customers at snapshots of the history whose window closed after ``since``, before scope is asked."""
    try:
        with closing(connect(workspace)) as tables:
            end = data_span(tables, event, workspace.clock.now()).end
    except DataError:
        return 0
    closed = [at for at in history_times(workspace) if at + window <= end and (since is None or at + window > since)]
    if not closed:
        return 0
    with closing(connect(workspace)) as tables:
        known = tables.execute("SELECT customer_id, min(created_at) AS since FROM customers GROUP BY customer_id").df()
    created = known["since"]
    return sum(int((created.isna() | (created < at)).sum()) for at in closed)
