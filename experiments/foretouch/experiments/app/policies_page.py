"""What policies would have earned on the log that others wrote: value, evidence, and what exploring has taught."""

import json
from typing import Any

from foretouch.core.canonical import content_hash
from foretouch.core.errors import ForetouchError
from foretouch.experiments.app.experiments_page import COME_BACK, REPORT_SECONDS
from foretouch.experiments.app.settings_files import policy_names
from foretouch.experiments.app.site import Site
from foretouch.experiments.app.stamp import log_stamp
from foretouch.experiments.app.tables import json_file
from foretouch.experiments.app.visit import Visit
from foretouch.experiments.app.words_notes import told_failure
from foretouch.serving.web.pages import PageAnswer

SAMPLES = (1000, 5000, 20_000)
REWARDS = ("", "goal", "revenue")
WAYS = ("offer", "channel")


def show(site: Site, visit: Visit) -> PageAnswer:
    """The form, every chosen policy beside what the log earned, and the arms that the policy tried."""
    query = visit.request.query
    names = policy_names(site.workspace)
    policy = query["policy"] if query.get("policy") in names else ""
    sample = int(query["sample"]) if query.get("sample") in {str(size) for size in SAMPLES} else SAMPLES[1]
    reward = query["reward"] if query.get("reward") in REWARDS else ""
    by = query["by"] if query.get("by") in WAYS else WAYS[0]
    stamp = log_stamp(site.plane.state.read())
    others = [name for name in names if name != "policy"]  # the one in force is beside them as what the log earned
    wanted = {"policies": [policy] if policy else others or list(names), "sample": sample, "reward": reward}
    shown = _asked(site, visit, wanted, stamp)
    arms = site.aside.ask("arms", {"by": by}, stamp=stamp, wait=0.0 if shown["pending"] else REPORT_SECONDS)
    if query.get("download") == "json" and shown["results"] is not None:
        return json_file(shown["results"], "policies")
    pending = shown["pending"] or arms is None
    return site.render(
        visit,
        "policies",
        policies=names,
        policy=policy,
        samples=SAMPLES,
        sample=sample,
        rewards=REWARDS,
        reward=reward,
        ways=WAYS,
        by=by,
        arms=arms,
        offers=site.plane.settings.current.offers_by_id,
        refresh=COME_BACK if pending else 0,
        html=shown["html"],
        pending=shown["pending"],
        stale=shown["stale"] or (arms.at if arms is not None and arms.stale else None),
        failure=told_failure(shown["failure"], visit.language),
    )


def _asked(site: Site, visit: Visit, wanted: dict[str, Any], stamp: str) -> dict[str, Any]:
    nothing = {"html": "", "failure": None, "pending": False, "results": None, "stale": None}
    try:
        versions = [content_hash(site.workspace.policy(name)) for name in wanted["policies"]]
    except ForetouchError as error:
        return {**nothing, "failure": {"message": site.short(error.message), "hint": error.hint}}
    found = site.aside.ask("policies", {**wanted, "versions": versions}, stamp=stamp, wait=REPORT_SECONDS)
    if found is None or found.failure is not None:
        return {**nothing, "failure": None if found is None else found.failure, "pending": found is None}
    drawn = {"results": found.value, "language": visit.language}
    page = site.aside.ask("policies_page", drawn, stamp=content_hash(json.dumps(drawn)), wait=REPORT_SECONDS)
    return {
        "html": "" if page is None or page.value is None else page.value,
        "failure": None if page is None else page.failure,
        "pending": page is None,
        "results": found.value,
        "stale": found.at if found.stale else None,
    }
