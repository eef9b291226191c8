"""The insights of a workspace's period: every figure from one reading of the log."""

from datetime import datetime

from foretouch.core.errors import DataError
from foretouch.core.workspace import Workspace
from foretouch.experiments.insights.anomalies import anomalies
from foretouch.experiments.insights.contract import Insights
from foretouch.experiments.insights.funnel import funnel
from foretouch.experiments.insights.outcomes import outcomes
from foretouch.experiments.insights.reading import Gathered, gather
from foretouch.experiments.insights.summary import summary
from foretouch.experiments.log.experiment import place_of
from foretouch.experiments.report.catalogue import LANGUAGES
from foretouch.experiments.report.meanings import definitions_of


def insights(
    workspace: Workspace,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    as_of: datetime | None = None,
) -> Insights:
    """What happened in a period, and why.

    Args:
        workspace: Whose log, events and experiments.
        since: Decisions from then on; the first one's time if absent.
        until: Decisions before it; ``as_of`` if absent.
        as_of: What was received by then is known; the workspace's now if absent, and never later.

    Raises:
        DataError: The period is empty or reaches into the future.
        StateError: The log cannot be read.
    """
    now = min(as_of or workspace.clock.now(), workspace.clock.now())
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
            names=_names(workspace, gathered),
            funnel=funnel(gathered),
            engagement=found and found.engagement,
            attribution=found and found.attribution,
            incremental=found.incremental if found else (),
            costs=found.costs if found else (),
            daily=anomalies(gathered, workspace.config.workspace.time_zone) if gathered.decisions else (),
            definitions=definitions_of("insights"),
            command=_command(workspace, since, until, now),
        )
    return read.replace(summary=summary(read))


def _names(workspace: Workspace, gathered: Gathered) -> dict[str, dict[str, str]]:
    """What readers call the offers of the period and the arms of the experiments."""
    found = {offer: dict.fromkeys(LANGUAGES, name) for offer, name in gathered.names.items() if name != offer}
    for spec in workspace.experiments():
        for arm in spec.weights:
            titles = spec.arms[arm].title if arm in spec.arms else {}
            found[f"{spec.key}/{arm}"] = {
                code: f"{spec.title.get(code, spec.key)} · {titles.get(code, arm.replace('_', ' '))}"
                for code in LANGUAGES
            }
    return found


def _command(workspace: Workspace, since: datetime | None, until: datetime | None, as_of: datetime) -> str:
    given = (("since", since), ("until", until), ("as-of", as_of))
    ends = [f" --{name} {at.isoformat()}" for name, at in given if at is not None]
    return f"foretouch insights{''.join(ends)} {place_of(workspace)} --json"
