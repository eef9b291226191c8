"""Whom to contact: a score on the people of an experiment, at prices that the reader tries by a form."""

import json
import math
from typing import Any

from foretouch.core.canonical import content_hash
from foretouch.core.errors import ConfigError
from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.app.experiments_page import COME_BACK, REPORT_SECONDS
from foretouch.experiments.app.site import Site
from foretouch.experiments.app.stamp import log_stamp
from foretouch.experiments.app.tables import json_file
from foretouch.experiments.app.visit import Visit
from foretouch.experiments.app.words_notes import told_failure
from foretouch.serving.web.pages import PageAnswer

SERVED = "uplift_model"
MOST_FEATURES, LATEST = 60, 100
USUAL = frozenset({"recency_days", "frequency_90d", "monetary_90d"})
"""What people choose by where there is no model; these stand first."""


def show(site: Site, visit: Visit) -> PageAnswer:
    """The form, and what it asks for: Qini with its band, money by share of people, tenths, kinds of people."""
    query = visit.request.query
    try:
        specs = [spec for spec in site.workspace.experiments() if spec.assignment == "randomised"]
        trouble = ""
    except ConfigError as error:
        specs, trouble = [], site.short(error.message)
    spec = next((item for item in specs if item.key == query.get("experiment")), None) or _first(specs)
    scores = _scores(site, spec)
    score = query["score"] if query.get("score") in scores else (scores[0] if scores else "")
    prices = {name: _price(query.get(name, "")) for name in ("value", "cost")}
    wrong = [name for name, price in prices.items() if price is None and query.get(name, "").strip()]
    shown: dict[str, Any] = {"html": "", "failure": None, "pending": False, "results": None}
    if spec is not None and score and not wrong:
        shown = _asked(site, visit, spec, score, prices)
    if query.get("download") == "json" and shown["results"] is not None:
        return json_file(shown["results"], f"uplift-{spec.key if spec else ''}")
    return site.render(
        visit,
        "uplift",
        experiments=[(item.key, item.title.get(visit.language) or item.key) for item in specs],
        experiment="" if spec is None else spec.key,
        scores=scores,
        score=score,
        served=SERVED,
        value=query.get("value", ""),
        cost=query.get("cost", ""),
        prices=None if shown["results"] is None else shown["results"]["money"],
        wrong=wrong,
        trouble=trouble,
        refresh=COME_BACK if shown["pending"] else 0,
        html=shown["html"],
        pending=shown["pending"],
        failure=told_failure(shown["failure"], visit.language),
    )


def _first(specs: list[ExperimentSpec]) -> ExperimentSpec | None:
    """The experiment to begin with: one whose control is not contacted, else any."""
    held = (spec for spec in specs if spec.control in spec.arms and spec.arms[spec.control].kind == "no_contact")
    return next(held, specs[0] if specs else None)


def _scores(site: Site, spec: ExperimentSpec | None) -> list[str]:
    """What can be judged: the spec's own score, the model in force, and numbers that the last decision knew."""
    if spec is None:
        return []
    own = [spec.score] if spec.score else []
    champion = (site.workspace.bundles / "uplift").is_dir()
    return list(dict.fromkeys([*own, *([SERVED] if champion else []), *_known(site)]))


def _known(site: Site) -> list[str]:
    """Numbers that were known at the last decision about somebody of whom anything was known."""
    from foretouch.core.stored_record import read_fields  # noqa: PLC0415 - only this page reads a record so

    query = "SELECT record FROM decisions ORDER BY sequence DESC LIMIT ?"
    for (body,) in site.plane.state.read().execute(query, (LATEST,)):
        values = read_fields(body, candidates=False)["features"].get("values", {})
        found = [name for name, value in values.items() if isinstance(value, int | float)]
        if found:
            return sorted(found, key=lambda name: (name not in USUAL, name))[:MOST_FEATURES]
    return []


def _price(text: str) -> float | None:
    """A price as typed; None where it is none."""
    try:
        found = float(text.strip().replace(",", "."))
    except ValueError:
        return None
    return found if math.isfinite(found) and found >= 0.0 else None


def _asked(
    site: Site, visit: Visit, spec: ExperimentSpec, score: str, prices: dict[str, float | None]
) -> dict[str, Any]:
    arguments = {"key": spec.key, "score": score, **prices, "spec": content_hash(spec)}
    found = site.aside.ask("uplift", arguments, stamp=log_stamp(site.plane.state.read()), wait=REPORT_SECONDS)
    if found is None or found.failure is not None:
        failure = None if found is None else found.failure
        return {"html": "", "failure": failure, "pending": found is None, "results": None}
    metric = next((item for item in spec.metrics if item.name == found.value["outcome"]), None)
    title, language = spec.title.get(visit.language), visit.language
    outcome = None if metric is None else metric.title.get(language)
    names = {"title": title or found.value["title"], "outcome": outcome or found.value["outcome"]}
    drawn = {"results": {**found.value, **names}, "language": language}
    page = site.aside.ask("uplift_page", drawn, stamp=content_hash(json.dumps(drawn)), wait=REPORT_SECONDS)
    return {
        "html": "" if page is None or page.value is None else page.value,
        "failure": None if page is None else page.failure,
        "pending": page is None,
        "results": found.value,
    }
