"""Whether a service answers well: what is loaded, what is missing, and whether decisions can be logged."""

from datetime import datetime
from typing import Any

from foretouch.core.state.db import State
from foretouch.serving.models.bundles import Champions
from foretouch.serving.runtime.settings import SettingsReader


def readiness(state: State, champions: Champions, reader: SettingsReader, now: datetime) -> dict[str, Any]:
    """What answers and what is missing; ``ready`` is False only when decisions cannot be logged."""
    settings = reader.current
    trouble = log_trouble(state)
    wrong = [*champions.missing, *champions.refused, *([reader.error] if reader.error else [])]
    return {
        "ready": trouble is None,
        "status": "not_ready" if trouble else "degraded" if wrong else "ready",
        "workspace": settings.config.workspace.name,
        "now": now.isoformat(),
        "models": {
            name: {"version": scorer.card.version, "trained_through": scorer.card.trained_through.isoformat()}
            for name, scorer in champions.scorers.items()
        },
        "missing": list(champions.missing),
        "refused": dict(champions.refused),
        "settings_error": reader.error,
        "settings_warnings": list(settings.warnings),
        "log_error": trouble,
        "offers": len(settings.catalogue.offers),
        "versions": settings.versions.model_dump(),
    }


def log_trouble(state: State) -> str | None:
    """Why decisions cannot be logged; None if they can."""
    try:
        state.read().execute("SELECT 1 FROM decisions LIMIT 1").fetchone()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return f"the state database cannot be read: {error}"
    return None
