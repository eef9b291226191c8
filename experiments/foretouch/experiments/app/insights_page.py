"""What happened and why: the funnel, replies, conversions and their cost, from the log."""

import re

from foretouch.experiments.app.experiments_page import COME_BACK, REPORT_SECONDS
from foretouch.experiments.app.site import Site
from foretouch.experiments.app.stamp import log_stamp
from foretouch.experiments.app.visit import Visit
from foretouch.serving.web.pages import PageAnswer

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def show(site: Site, visit: Visit) -> PageAnswer:
    """The sections for a range of days."""
    since, until = (_day(visit.request.query.get(name, "")) for name in ("since", "until"))
    arguments = {"since": since, "until": until, "language": visit.language}
    stamp = log_stamp(site.plane.state.read())
    found = site.aside.ask("insights", arguments, stamp=stamp, wait=REPORT_SECONDS)
    return site.render(
        visit,
        "insights",
        html="" if found is None or found.value is None else found.value,
        failure=None if found is None else found.failure,
        since=since or "",
        until=until or "",
        pending=found is None,
        stale=found.at if found is not None and found.stale else None,
        refresh=COME_BACK if found is None else 0,
    )


def _day(text: str) -> str | None:
    return text if _DAY.fullmatch(text) else None
