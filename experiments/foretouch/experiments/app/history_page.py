"""Who changed what: the audit, the newest first, and whether its chain holds."""

from typing import Any

from foretouch.core.state.access import AuditLine, read_audit, verify_audit
from foretouch.core.state.file_history import ACTION
from foretouch.experiments.app.site import Site
from foretouch.experiments.app.visit import Visit
from foretouch.serving.web.pages import PageAnswer

MOST = 200


def show(site: Site, visit: Visit) -> PageAnswer:
    """The latest lines."""
    connection = site.plane.state.read()
    lines = [{"line": line, "about": _about(line)} for line in read_audit(connection, _actions(site), most=MOST)]
    return site.render(visit, "history", lines=lines, broken=verify_audit(connection), action_edit=ACTION)


def _actions(site: Site) -> tuple[str, ...]:
    rows = site.plane.state.read().execute("SELECT DISTINCT action FROM audit").fetchall()
    return tuple(str(action) for (action,) in rows) or (ACTION,)


def _about(line: AuditLine) -> str:
    """What a line is about, in a few words."""
    detail: dict[str, Any] = line.detail if isinstance(line.detail, dict) else {}
    if line.action == ACTION:
        return str(detail.get("file", ""))
    named = ("model", "version", "offer_id", "customer_id", "id", "key", "experiment", "file")
    return " ".join(str(detail[name]) for name in named if detail.get(name) not in {None, ""})
