"""Why did this customer get this? One decision in plain words, and whether it can be made again."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from foretouch.core.decisions import Action, Candidate, DecisionRecord, Suppression
from foretouch.core.errors import NotFoundError
from foretouch.core.offers import Offer
from foretouch.core.state.log import latest_decisions
from foretouch.experiments.app.site import Site, redirect
from foretouch.experiments.app.visit import Visit
from foretouch.serving.web.pages import PageAnswer

MOST_LISTED, MOST_CANDIDATES, MOST_NAMED, MOST_DIFFERENCES = 50, 15, 4, 30
_DECISION = "dec_"


def search(site: Site, visit: Visit) -> PageAnswer:
    """The form, and the latest decisions of a customer or of everyone."""
    asked = visit.request.query.get("q", "").strip()[:256]
    connection = site.plane.state.read()
    if asked.startswith(_DECISION):
        return redirect(f"/app/decisions/{quote(asked, safe='')}")
    lines = latest_decisions(connection, asked or None, most=MOST_LISTED)
    return site.render(visit, "decisions", asked=asked, lines=lines, most=MOST_LISTED)


def show(site: Site, visit: Visit) -> PageAnswer:
    """One decision.

    Raises:
        NotFoundError: There is none of that id.
    """
    return _show(site, visit, None)


def replay(site: Site, visit: Visit) -> PageAnswer:
    """The same, made again."""
    found = site.plane.replay(visit.path["decision_id"])
    return _show(
        site,
        visit,
        {
            "identical": found.identical,
            "differences": found.differences[:MOST_DIFFERENCES],
            "more": max(0, len(found.differences) - MOST_DIFFERENCES),
        },
    )


def _show(site: Site, visit: Visit, again: dict[str, Any] | None) -> PageAnswer:
    record = site.plane.get_decision(visit.path["decision_id"])
    retold = True
    try:
        record = site.plane.explain(record, language=visit.language)
    except NotFoundError:  # a model or a configuration that it names is gone: the words are those of then
        retold = False
    offers = site.plane.settings.current.offers_by_id
    left = sorted(
        (item for item in record.candidates if item.dropped_by is None),
        key=lambda item: (-(item.selection_probability or 0.0), item.offer_id or "", item.channel or ""),
    )
    return site.render(
        visit,
        "decision",
        title=record.decision_id,
        record=record,
        retold=retold,
        zone=_zone(record),
        names={offer_id: offer.name for offer_id, offer in offers.items()},
        actions=[_action(action, offers) for action in record.action],
        candidates=[_candidate(item, record, offers) for item in left[:MOST_CANDIDATES]],
        more_candidates=max(0, len(left) - MOST_CANDIDATES),
        left=len(left),
        dropped=_dropped(record, offers),
        n_dropped=sum(item.dropped_by is not None for item in record.candidates),
        known=sorted(record.features.values.items()),
        arms=_arms(site, record, visit.language),
        again=again,
    )


def _arms(site: Site, record: DecisionRecord, language: str) -> list[dict[str, Any]]:
    """The customer's arm in every experiment, by the titles that people gave."""
    specs = {spec.key: spec for spec in site.plane.settings.current.experiments.experiments}
    found = []
    for item in record.experiments:
        spec = specs.get(item.key)
        arm = None if spec is None else spec.arms.get(item.arm)
        title = {} if spec is None else spec.title
        found.append(
            {
                "experiment": title.get(language) or item.key,
                "arm": (arm.title.get(language) if arm is not None else None) or item.arm,
                "holdout": item.holdout,
            }
        )
    return found


def _zone(record: DecisionRecord) -> str:
    """The customer's own zone, in which sending is told."""
    name = record.request.send_window.time_zone or record.counters.time_zone or "UTC"
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return "UTC"
    return name


def _name(offer_id: str | None, offers: Mapping[str, Offer]) -> str:
    return "" if offer_id is None else offers[offer_id].name if offer_id in offers else offer_id


def _action(action: Action, offers: Mapping[str, Offer]) -> dict[str, Any]:
    return {"action": action, "name": _name(action.offer_id, offers)}


def _candidate(item: Candidate, record: DecisionRecord, offers: Mapping[str, Offer]) -> dict[str, Any]:
    chosen = any(
        (action.offer_id, action.treatment_id, action.channel) == (item.offer_id, item.treatment_id, item.channel)
        for action in record.action
    )
    nothing = item.offer_id is None and not record.action
    return {"item": item, "name": _name(item.offer_id, offers), "chosen": chosen or nothing}


def _dropped(record: DecisionRecord, offers: Mapping[str, Offer]) -> list[dict[str, Any]]:
    """What rules dropped, by rule and channel."""

    def place(item: Suppression) -> tuple[str, str, str]:
        return item.stage, item.rule, item.channel or ""

    groups = []
    for (stage, rule, channel), found in groupby(sorted(record.suppressed, key=place), key=place):
        items = list(found)
        names = [_name(item.offer_id, offers) if item.offer_id != "*" else "*" for item in items]
        groups.append(
            {
                "stage": stage,
                "rule": rule,
                "channel": channel,
                "names": names[:MOST_NAMED],
                "more": max(0, len(names) - MOST_NAMED),
                "count": len(names),
                "text": items[0].text,
                "until": items[0].until,
            }
        )
    return groups
