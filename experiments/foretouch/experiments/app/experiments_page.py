"""Experiments: which there are, how they stand, and the report of one."""

from typing import Any

from foretouch.core.canonical import content_hash
from foretouch.core.errors import ConfigError
from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.app.analyses import Found
from foretouch.experiments.app.site import Site, redirect
from foretouch.experiments.app.stamp import log_stamp
from foretouch.experiments.app.tables import json_file
from foretouch.experiments.app.visit import Visit
from foretouch.experiments.app.words_notes import told_failure
from foretouch.experiments.specs import spec_of
from foretouch.serving.web.pages import PageAnswer

LIST_SECONDS, REPORT_SECONDS = 2.0, 5.0
"""How long a page waits for what it needs before it says that it is being worked out."""
COME_BACK = 4
"""Seconds until such a page loads itself again."""
LIFT = "0.05"


def home(_: Site, __: Visit) -> PageAnswer:
    """The first page."""
    return redirect("/app/experiments")


def listed(site: Site, visit: Visit) -> PageAnswer:
    """Every experiment with its verdict."""
    trouble = ""
    try:
        specs = site.workspace.experiments()
    except ConfigError as error:
        specs, trouble = (), site.short(error.message)
    stamp = log_stamp(site.plane.state.read())
    cards = []
    wait = LIST_SECONDS
    for spec in specs:
        found = _asked(site, spec, stamp, wait)
        wait = 0.0 if found is None else wait
        cards.append({**_facts(site, spec, visit.language), "found": found, **_told(found, visit.language)})
    pending = any(card["found"] is None for card in cards)
    return site.render(visit, "experiments", cards=cards, trouble=trouble, refresh=COME_BACK if pending else 0)


def report(site: Site, visit: Visit) -> PageAnswer:
    """The report of one experiment.

    Raises:
        NotFoundError: There is none of that key.
    """
    spec = spec_of(site.workspace, visit.path["key"])
    stamp = log_stamp(site.plane.state.read())
    facts = _facts(site, spec, visit.language)
    found = _asked(site, spec, stamp, REPORT_SECONDS)
    shown = None
    if found is not None and found.failure is None:
        arguments = {"results": found.value["results"], "language": visit.language}
        shown = site.aside.ask("report", arguments, stamp=content_hash(arguments), wait=REPORT_SECONDS)
    tried = None
    if visit.request.query.get("aa") == "1":
        arguments = {"key": spec.key, "spec": content_hash(spec)}
        tried = site.aside.ask("aa", arguments, stamp=stamp, wait=REPORT_SECONDS)
    waiting_for_trial = visit.request.query.get("aa") == "1" and tried is None
    failure = next((item.failure for item in (found, shown) if item is not None and item.failure), None)
    pending = failure is None and shown is None
    return site.render(
        visit,
        "report",
        title=facts["title"],
        facts=facts,
        html="" if shown is None else shown.value,
        parts=None if found is None or found.value is None else found.value["parts"],
        failure=failure,
        pending=pending,
        tried=tried,
        trial_failure=None if tried is None else told_failure(tried.failure, visit.language),
        waiting_for_trial=waiting_for_trial,
        refresh=COME_BACK if pending or waiting_for_trial else 0,
    )


def results_file(site: Site, visit: Visit) -> PageAnswer:
    """The numbers behind a report, as JSON.

    Raises:
        NotFoundError: There is none of that key.
    """
    spec = spec_of(site.workspace, visit.path["key"])
    found = _asked(site, spec, log_stamp(site.plane.state.read()), REPORT_SECONDS)
    if found is None or found.failure is not None:
        return redirect(f"/app/experiments/{visit.path['key']}")
    return json_file(found.value["results"], f"experiment-{spec.key}")


def _asked(site: Site, spec: ExperimentSpec, stamp: str, wait: float) -> Found | None:
    arguments = {"key": spec.key, "spec": content_hash(spec)}
    return site.aside.ask("experiment", arguments, stamp=stamp, wait=wait)


def _facts(site: Site, spec: ExperimentSpec, language: str) -> dict[str, Any]:
    now = site.plane.clock.now()
    planned = spec.starts_at is not None and spec.starts_at > now
    ended = spec.ends_at is not None and spec.ends_at <= now
    return {
        "key": spec.key,
        "title": spec.title.get(language) or spec.title.get("en") or spec.key,
        "state": "planned" if planned else "ended" if ended else "running",
        "starts_at": spec.starts_at,
        "ends_at": spec.ends_at,
    }


def _told(found: Found | None, language: str) -> dict[str, Any]:
    """Of an experiment's results, what a list shows."""
    if found is None or found.value is None:
        return {"verdict": None, "text": "", "entered": None, "counted": None, "left": None, "smallest": None}
    results, plan = found.value["results"], found.value["plan"]
    enrolment = results["enrolment"] or {}
    primary = next((item for item in results["metrics"] if item["role"] == "primary"), None)
    planned = _planned(plan, None if primary is None else primary["name"])
    return {
        "verdict": results["verdict"]["code"],
        "text": results["verdict"][f"text_{language}"],
        "entered": enrolment.get("entered"),
        "counted": enrolment.get("mature"),
        "left": _left(results["verdict"], primary, planned, enrolment.get("mature")),
        "smallest": None if planned is None else planned["detectable_lift"],
    }


def _left(
    verdict: dict[str, Any], primary: dict[str, Any] | None, planned: dict[str, Any] | None, counted: int | None
) -> dict[str, Any] | None:
    """Customers still needed: with the variance seen so far where there is one, else by the plan from past data."""
    if verdict["code"] in {"win", "harm", "equivalent"}:
        return {"kind": "decided"}
    if primary is not None and primary["sample_left"] is not None:
        seen = primary["sample_left"]
        return {"kind": "now", "n": _about(seen["units_left"]), "lift": seen["smallest_lift"], "days": None}
    if verdict["more_units"] is not None:
        return {"kind": "verdict", "n": verdict["more_units"], "days": verdict["more_days"]}
    needed = None if planned is None else planned["units"].get(LIFT)
    if needed is None or counted is None:
        return None
    return {"kind": "plan", "n": _about(max(needed - counted, 0))}


def _about(units: int) -> int:
    """Rounded up to two figures: nobody knows it better."""
    step = int(10 ** max(len(str(units)) - 2, 0))
    return -(-units // step) * step


def _planned(plan: list[dict[str, Any]], metric: str | None) -> dict[str, Any] | None:
    """The plan of the metric that decides; the first one's where none is known to."""
    return next((item for item in plan if item["name"] == metric), next(iter(plan), None))
