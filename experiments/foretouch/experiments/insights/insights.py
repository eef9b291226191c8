"""The insights of a workspace's period: every figure from one reading of the log."""

from datetime import datetime

from foretouch.core.errors import DataError
from foretouch.core.workspace import Workspace
from foretouch.experiments.insights.anomalies import anomalies
from foretouch.experiments.insights.contract import Insights
from foretouch.experiments.insights.funnel import funnel
from foretouch.experiments.insights.outcomes import outcomes
from foretouch.experiments.insights.reading import gather
from foretouch.experiments.insights.summary import summary
from foretouch.experiments.log.experiment import place_of


def insights(workspace: Workspace, since: datetime | None = None, until: datetime | None = None) -> Insights:
    """What happened in a period, and why.

    Args:
        workspace: Whose log, events and experiments.
        since: Decisions from then on; the first one's time if absent.
        until: Decisions before it; now if absent.

    Raises:
        DataError: The period is empty or reaches into the future.
        StateError: The log cannot be read.
    """
    now = workspace.clock.now()
    if until is not None and until > now:
        raise DataError(f"until == {until.isoformat()}, must not be later than now ({now.isoformat()})")
    if since is not None and since >= (until or now):
        raise DataError(f"since == {since.isoformat()}, must be before {(until or now).isoformat()}")
    with gather(workspace, since=since, until=until, as_of=now) as gathered:
        found = outcomes(gathered, workspace.experiments()) if gathered.decisions else None
        read = Insights(
            name=workspace.config.workspace.name,
            currency=workspace.config.workspace.currency,
            origin=workspace.config.workspace.origin,
            since=gathered.since,
            until=gathered.until,
            as_of=gathered.as_of,
            funnel=funnel(gathered),
            engagement=found and found.engagement,
            attribution=found and found.attribution,
            incremental=found.incremental if found else (),
            costs=found.costs if found else (),
            daily=anomalies(gathered, workspace.config.workspace.time_zone) if gathered.decisions else (),
            command=_command(workspace, since, until),
        )
    return read.replace(summary=summary(read))


def _command(workspace: Workspace, since: datetime | None, until: datetime | None) -> str:
    ends = [f" --{name} {at.isoformat()}" for name, at in (("since", since), ("until", until)) if at is not None]
    return f"foretouch insights{''.join(ends)} {place_of(workspace)} --json"
