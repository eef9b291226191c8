"""Promotion and rollback: aliases move in the bundle store and in MLflow together, and the audit trail says why.

Without a decision log to test a challenger on, promotion rests on later data: a model that does not beat every
baseline with an interval that excludes zero is refused. That gate is called ``no_log``.
"""

from contextlib import closing
from dataclasses import dataclass
from typing import Any

from foretouch.core.bundle import read_aliases, read_bundle, write_aliases
from foretouch.core.errors import ForetouchError, NotReadyError
from foretouch.core.models import ModelName
from foretouch.core.state.access import append_audit
from foretouch.core.state.opening import open_state
from foretouch.core.workspace import Workspace
from foretouch.training import registry
from foretouch.training.card import comparisons_of
from foretouch.training.pipeline import check_bundle
from foretouch.training.task import Comparison

GATE = "no_log"


class PromotionRefusedError(ForetouchError):
    """The challenger does not beat its baselines on later data."""

    code = "promotion_refused"

    def __init__(self, model: str, version: str, lost: tuple[Comparison, ...]) -> None:
        table = "\n".join(
            f"  {item.metric} beside {item.baseline}: {item.model:.4f} against {item.reference:.4f},"
            f" difference {item.difference:+.4f} [{item.low:+.4f}, {item.high:+.4f}]"
            for item in lost
        )
        what = (
            f"it does not beat these baselines on later data:\n{table}" if lost else "it was compared with no baseline"
        )
        super().__init__(
            f"{model} {version} is not promoted: {what}",
            hint=f"foretouch train {model} --trials 50, or foretouch promote {model} --force (recorded in the audit)",
        )
        self.lost = lost


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What a promotion or rollback did.

    Attributes:
        model: Which model.
        version: Now under the alias.
        replaced: Under it before; None if nothing was.
        alias: Which alias moved.
        gate: What it rested on.
        forced: Whether the gate was overruled.
        comparisons: What the gate looked at.
    """

    model: str
    version: str
    replaced: str | None
    alias: str
    gate: str
    forced: bool
    comparisons: tuple[Comparison, ...] = ()


def promote(
    workspace: Workspace, model: ModelName, *, force: bool = False, actor: str = "cli", version: str | None = None
) -> Moved:
    """Makes the challenger (or a named version) the champion; the service notices by itself.

    Raises:
        NotReadyError: There is no challenger.
        PromotionRefusedError: It does not beat its baselines and ``force`` is off.
        BundleError: Its bundle is damaged.
    """
    aliases = read_aliases(workspace.bundles, model)
    wanted = version or aliases.get("challenger")
    if wanted is None:
        raise NotReadyError(f"{model} has no challenger to promote", hint=f"foretouch train {model}")
    bundle = read_bundle(workspace.bundles, model, wanted)
    check_bundle(workspace.bundles, model, wanted)
    comparisons = tuple(comparisons_of(bundle.card))
    decisive = [item for item in comparisons if item.decisive]
    lost = tuple(item for item in decisive if not item.wins)
    refused = bool(lost) or not decisive
    detail: dict[str, Any] = {
        "model": model,
        "version": wanted,
        "replaced": aliases.get("champion"),
        "gate": GATE,
        "forced": force and refused,
        "lost": [f"{item.metric} beside {item.baseline}" for item in lost],
    }
    if refused and not force:
        _audit(workspace, actor, "model.promote_refused", detail)
        raise PromotionRefusedError(model, wanted, lost)
    champion = aliases.get("champion")
    moved = {"champion": wanted}
    if champion is not None and champion != wanted:
        moved["previous"] = champion
    elif "previous" in aliases:
        moved["previous"] = aliases["previous"]
    if aliases.get("challenger") not in (None, wanted):
        moved["challenger"] = aliases["challenger"]
    _move(workspace, model, moved)
    _audit(workspace, actor, "model.promote", detail)
    return Moved(
        model=model,
        version=wanted,
        replaced=champion,
        alias="champion",
        gate=GATE,
        forced=force and refused,
        comparisons=comparisons,
    )


def rollback(workspace: Workspace, model: ModelName, *, actor: str = "cli") -> Moved:
    """Puts the previous champion back; a second rollback returns to where it was.

    Raises:
        NotReadyError: There is no previous champion.
        BundleError: Its bundle is damaged.
    """
    aliases = read_aliases(workspace.bundles, model)
    previous, champion = aliases.get("previous"), aliases.get("champion")
    if previous is None or champion is None:
        raise NotReadyError(f"{model} has no previous champion to go back to", hint="foretouch models")
    check_bundle(workspace.bundles, model, previous)
    _move(workspace, model, {**aliases, "champion": previous, "previous": champion})
    detail = {"model": model, "version": previous, "replaced": champion, "gate": "rollback"}
    _audit(workspace, actor, "model.rollback", detail)
    return Moved(model=model, version=previous, replaced=champion, alias="champion", gate="rollback", forced=False)


def _move(workspace: Workspace, model: str, aliases: dict[str, str]) -> None:
    registry.set_aliases(registry.connect(workspace), model, aliases)
    write_aliases(workspace.bundles, model, aliases)


def _audit(workspace: Workspace, actor: str, action: str, detail: dict[str, Any]) -> None:
    now = workspace.clock.now()
    with closing(open_state(workspace)) as state:
        state.write(lambda connection: append_audit(connection, actor=actor, action=action, detail=detail, now=now))
