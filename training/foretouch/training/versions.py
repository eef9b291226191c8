"""Which versions of which models a workspace holds, read from the bundle store: what serving would load."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from foretouch.core.bundle import read_aliases, read_bundle
from foretouch.core.errors import BundleError, NotFoundError
from foretouch.core.models import SERVED_NAMES
from foretouch.core.workspace import Workspace
from foretouch.training.card import comparisons_of


@dataclass(frozen=True, kw_only=True)
class VersionLine:
    """One version.

    Attributes:
        model: Which model.
        version: Which version.
        aliases: Names that point at it.
        primary: Name of the metric it is chosen by.
        metrics: Figures on later data.
        wins: Whether it beats every decisive baseline.
        trained_through: How far its data reach; None for a damaged bundle.
        problem: Why it cannot be loaded; empty if it can.
    """

    model: str
    version: str
    aliases: tuple[str, ...]
    primary: str
    metrics: Mapping[str, float]
    wins: bool
    trained_through: datetime | None
    problem: str = ""


def list_versions(workspace: Workspace) -> list[VersionLine]:
    """Every version of every model, newest first within a model."""
    lines = []
    for model in SERVED_NAMES:
        aliases = read_aliases(workspace.bundles, model)
        folder = workspace.bundles / model
        found = [path.name for path in folder.iterdir() if _is_version(path.name)] if folder.is_dir() else []
        for version in sorted(found, key=_order, reverse=True):
            names = tuple(sorted(name for name, of in aliases.items() if of == version))
            lines.append(_line(workspace, model, version, names))
    return lines


def _is_version(name: str) -> bool:
    return not name.startswith(".") and not name.endswith(".json")


def _order(version: str) -> tuple[int, str]:
    return (int(version) if version.isdigit() else -1, version)


def _line(workspace: Workspace, model: str, version: str, aliases: tuple[str, ...]) -> VersionLine:
    try:
        card = read_bundle(workspace.bundles, model, version).card
    except (BundleError, NotFoundError, ValueError) as error:
        return VersionLine(
            model=model,
            version=version,
            aliases=aliases,
            primary="",
            metrics={},
            wins=False,
            trained_through=None,
            problem=str(error),
        )
    decisive = [item for item in comparisons_of(card) if item.decisive]
    return VersionLine(
        model=model,
        version=version,
        aliases=aliases,
        primary=str(card.extras.get("primary_metric", "")),
        metrics=card.metrics,
        wins=bool(decisive) and all(item.wins for item in decisive),
        trained_through=card.trained_through,
    )
