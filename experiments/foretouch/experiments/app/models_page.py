"""Model health: which versions decide, how good they are, what their gate found, and whether they have drifted."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from foretouch.core.bundle import CARD_FILE, ModelCard, read_aliases
from foretouch.core.errors import NotFoundError
from foretouch.core.state.access import read_audit
from foretouch.experiments.app.site import Site
from foretouch.experiments.app.visit import Visit
from foretouch.experiments.app.words_notes import told
from foretouch.serving.web.pages import PageAnswer
from foretouch.training.gate.words import chinese

_NAME = re.compile(r"[a-z][a-z-]{0,30}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}")
_PLOT = re.compile(r"[a-z][a-z_-]{0,40}\.png")
PROMOTE = "model.promote"
MOST_PROMOTIONS = 200
MAIN_METRICS = (
    "auc",
    "average_precision",
    "log_loss",
    "brier",
    "ece_equal_mass_10",
    "found_among_hot",
    "ndcg",
    "hit_rate_1",
    "mae",
    "spearman",
    "gini",
    "qini",
    "auuc",
    "activity_hit_rate_3h",
    "activity_log_likelihood",
)


def show(site: Site, visit: Visit) -> PageAnswer:
    """Every model with its versions."""
    gates = _gates(site)
    drift = _drift(site.workspace.reports / "drift.json")
    folders = sorted(path for path in site.workspace.bundles.glob("*") if path.is_dir())
    models = [_model(site, folder, gates, drift, visit.language) for folder in folders if _NAME.fullmatch(folder.name)]
    readiness = site.plane.readiness()
    return site.render(
        visit,
        "models",
        models=[item for item in models if item is not None],
        readiness=readiness,
        refused={name: told(why, visit.language)[0] for name, why in readiness["refused"].items()},
        drift=drift,
        now=site.plane.clock.now(),
    )


def plot(site: Site, visit: Visit) -> PageAnswer:
    """A picture that was made when a model was trained.

    Raises:
        NotFoundError: There is none.
    """
    model, version, name = (visit.path[part] for part in ("model", "version", "plot"))
    path = site.workspace.reports / "models" / model / version / name
    if not (_NAME.fullmatch(model) and _VERSION.fullmatch(version) and _PLOT.fullmatch(name) and path.is_file()):
        raise NotFoundError("there is no such picture")
    return PageAnswer(body=path.read_bytes(), content_type="image/png")


def _model(
    site: Site, folder: Path, gates: dict[tuple[str, str], dict[str, Any]], drift: dict[str, Any] | None, language: str
) -> dict[str, Any] | None:
    aliases = read_aliases(site.workspace.bundles, folder.name)
    versions: list[dict[str, Any]] = [
        {"version": card.version, "card": card, "aliases": [name for name, at in aliases.items() if at == card.version]}
        for card in _cards(folder)
    ]
    if not versions:
        return None
    champion = next((item for item in versions if "champion" in item["aliases"]), versions[0])
    card: ModelCard = champion["card"]
    gate = gates.get((folder.name, card.version))
    plots = site.workspace.reports / "models" / folder.name / card.version
    return {
        "name": folder.name,
        "champion": champion if "champion" in champion["aliases"] else None,
        "card": card,
        "notes": [told(note, language) for note in card.notes],
        "versions": versions,
        "comparisons": _comparisons(card),
        "metrics": [(name, card.metrics[name]) for name in MAIN_METRICS if name in card.metrics],
        "gate": gate if gate is None else {**gate, "checks": _told(gate["checks"], language)},
        "failed": [] if gate is None else [item for item in gate["checks"] if item["passed"] is False],
        "plots": sorted(path.name for path in plots.glob("*.png")) if plots.is_dir() else [],
        "drift": _drift_of(drift, folder.name, card.version, language),
    }


def _told(checks: list[dict[str, Any]], language: str) -> list[dict[str, Any]]:
    """The gate's rows in the language of the reader; a row that only informs has passed nothing and failed nothing."""
    if language != "zh":
        return checks
    return [
        {**row, **{part: chinese(row.get(part, "")) for part in ("what", "figure", "bound", "why")}} for row in checks
    ]


def _cards(folder: Path) -> list[ModelCard]:
    found = [
        ModelCard.from_line((version / CARD_FILE).read_bytes())
        for version in folder.iterdir()
        if version.is_dir() and not version.name.startswith(".") and (version / CARD_FILE).is_file()
    ]
    return sorted(found, key=lambda card: card.created_at, reverse=True)


def _comparisons(card: ModelCard) -> list[dict[str, Any]]:
    """The decisive comparisons with baselines, each metric once per baseline."""
    seen: dict[tuple[str, str], dict[str, Any]] = {}
    for baseline in card.baselines.values():
        for item in baseline.get("comparisons", ()):
            seen.setdefault((item["baseline"], item["metric"]), item)
    return sorted(seen.values(), key=lambda item: (not item.get("decisive", False), item["baseline"], item["metric"]))


def _gates(site: Site) -> dict[tuple[str, str], dict[str, Any]]:
    """The gate's table of every promotion, by model and version: the latest one."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for line in read_audit(site.plane.state.read(), (PROMOTE,), most=MOST_PROMOTIONS):
        detail = line.detail
        key = (str(detail.get("model", "")), str(detail.get("version", "")))
        if "checks" in detail:
            found.setdefault(key, {"at": line.at, "actor": line.actor, "checks": detail["checks"]})
    return found


def _drift(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = orjson.loads(path.read_bytes())
    except json.JSONDecodeError:
        return None
    return found


def _drift_of(drift: dict[str, Any] | None, model: str, version: str, language: str) -> dict[str, Any] | None:
    item = next((item for item in (drift or {}).get("models", ()) if item["model"] == model), None)
    if item is None:
        return None
    return {
        "level": item["level"],
        "as_of": datetime.fromisoformat(item["as_of"]),
        "alarms": [alarm[f"text_{language}"] for alarm in item["alarms"]],
        "notes": [note[f"text_{language}"] for note in item["notes"]],
        "other_version": item["version"] if item["version"] != version else None,
    }
