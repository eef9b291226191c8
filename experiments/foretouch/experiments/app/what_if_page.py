"""What if: another policy over the decisions that were made; reach, spend, mix, and who loses."""

from typing import Any

from foretouch.core.canonical import content_hash
from foretouch.core.errors import ForetouchError
from foretouch.experiments.app.experiments_page import COME_BACK, REPORT_SECONDS
from foretouch.experiments.app.settings_files import policy_names
from foretouch.experiments.app.site import Site
from foretouch.experiments.app.stamp import log_stamp
from foretouch.experiments.app.visit import Visit
from foretouch.serving.web.pages import PageAnswer

SAMPLES = (200, 500, 1000, 2000)
WHYS = {
    "held out by an experiment": "why_held_out",
    "the rules left nothing": "why_rules",
    "the default action was taken": "why_default",
    "does not come out as it was logged": "why_not_alike",
    "what it was made from is gone": "why_gone",
}
"""Why a decision is left out of a what-if, and the sentence for it."""


def show(site: Site, visit: Visit) -> PageAnswer:
    """The form, and the answer for what it asks."""
    query = visit.request.query
    names = policy_names(site.workspace)
    policy = query.get("policy", "")
    sample = int(query["sample"]) if query.get("sample") in {str(size) for size in SAMPLES} else SAMPLES[1]
    segments = _segments(site)
    segment = query.get("segment", "") if query.get("segment") in segments else ""
    shown: dict[str, Any] = {"result": None, "value": None, "failure": None, "pending": False}
    if policy in names:
        shown = _asked(site, policy, sample, segment)
    return site.render(
        visit,
        "what_if",
        policies=names,
        policy=policy if policy in names else "",
        samples=SAMPLES,
        sample=sample,
        segments=segments,
        segment=segment,
        whys=WHYS,
        offers=site.plane.settings.current.offers_by_id,
        refresh=COME_BACK if shown["pending"] else 0,
        **shown,
    )


def _asked(site: Site, policy: str, sample: int, segment: str) -> dict[str, Any]:
    try:
        version = content_hash(site.workspace.policy(policy))
    except ForetouchError as error:
        return {"result": None, "value": None, "failure": {"message": error.message}, "pending": False}
    stamp = log_stamp(site.plane.state.read())
    arguments = {"policy": policy, "sample": sample, "segments": [segment] if segment else [], "version": version}
    found = site.aside.ask("what_if", arguments, stamp=stamp, wait=REPORT_SECONDS)
    if found is None or found.failure is not None:
        return {
            "result": None,
            "value": None,
            "failure": None if found is None else found.failure,
            "pending": found is None,
        }
    earned = {"policy": policy, "sample": sample, "version": version}
    value = site.aside.ask("valuation", earned, stamp=stamp)
    return {"result": found.value, "value": value, "failure": None, "pending": value is None}


def _segments(site: Site) -> tuple[str, ...]:
    """Attributes whose groups can be shown apart."""
    return site.plane.settings.current.config.features.attributes
