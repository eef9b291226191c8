"""Promotion and rollback: aliases move in the bundle store and in MLflow together, and the audit trail says why.

A challenger is asked everything in ``gate/open.py``. Without a decision log to try it on, the gate rests on later data
and is called ``no_log``. Its table is printed, kept in the audit trail and logged to the model's MLflow run.
"""

from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from foretouch.core.bundle import ModelCard, read_aliases, read_bundle, write_aliases
from foretouch.core.errors import ForetouchError, NotReadyError
from foretouch.core.models import ModelName
from foretouch.core.state.access import append_audit
from foretouch.core.state.opening import open_state
from foretouch.core.workspace import Workspace
from foretouch.training import registry
from foretouch.training.card import comparisons_of
from foretouch.training.gate.open import open_gate
from foretouch.training.gate.table import NO_LOG, Gate
from foretouch.training.pipeline import check_bundle
from foretouch.training.task import Comparison

GATE = NO_LOG
"""What a gate is called that rests on later data alone."""


class PromotionRefusedError(ForetouchError):
    """Something in the gate's table stands against the challenger."""

    code = "promotion_refused"

    def __init__(self, gate: Gate) -> None:
        table = "\n".join(
            f"  {row.check}: {row.what}: {row.figure}; must be: {row.bound}" + (f" ({row.why})" if row.why else "")
            for row in gate.failed
        )
        counted = f"{len(gate.failed)} of {len(gate.rows)} checks failed"
        super().__init__(
            f"{gate.model} {gate.version} is not promoted, {counted}:\n{table}",
            hint=f"foretouch train {gate.model} --trials 50, or foretouch promote {gate.model} --force"
            " (recorded in the audit)",
        )
        self.gate = gate


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What a promotion or rollback did.

    Attributes:
        model: Which model.
        version: Now under the alias.
        replaced: Under it before; None if nothing was.
        alias: Which alias moved.
        gate: What it rested on: ``no_log``, ``log`` or ``rollback``.
        forced: Whether the gate was overruled.
        comparisons: The model beside its baselines.
        table: The gate's table; None for a rollback.
    """

    model: str
    version: str
    replaced: str | None
    alias: str
    gate: str
    forced: bool
    comparisons: tuple[Comparison, ...] = ()
    table: Gate | None = None


def promote(
    workspace: Workspace, model: ModelName, *, force: bool = False, actor: str = "cli", version: str | None = None
) -> Moved:
    """Makes the challenger (or a named version) the champion; the service notices by itself.

    Raises:
        NotReadyError: There is no challenger.
        PromotionRefusedError: A check of the gate failed and ``force`` is off.
        BundleError: Its bundle is damaged.
    """
    aliases = read_aliases(workspace.bundles, model)
    wanted = version or aliases.get("challenger")
    if wanted is None:
        raise NotReadyError(f"{model} has no challenger to promote", hint=f"foretouch train {model}")
    card = read_bundle(workspace.bundles, model, wanted).card
    check_bundle(workspace.bundles, model, wanted)
    champion = aliases.get("champion")
    gate = open_gate(workspace, model, card, champion=champion)
    forced = force and not gate.passed
    detail: dict[str, Any] = {
        "model": model,
        "version": wanted,
        "replaced": champion,
        "gate": gate.basis,
        "forced": forced,
        "lost": [f"{row.check}: {row.what}" for row in gate.failed],
        "checks": [asdict(row) for row in gate.rows],
    }
    _log_gate(workspace, card, gate, forced=forced)
    if not gate.passed and not force:
        _audit(workspace, actor, "model.promote_refused", detail)
        raise PromotionRefusedError(gate)
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
        gate=gate.basis,
        forced=forced,
        comparisons=tuple(comparisons_of(card)),
        table=gate,
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


def _log_gate(workspace: Workspace, card: ModelCard, gate: Gate, *, forced: bool) -> None:
    """The table as artifacts of the run that made the model, and the verdict as tags of its version."""
    tags = {"gate": gate.basis, "gate_verdict": gate.verdict, "gate_overruled": str(forced).lower()}
    registry.log_gate(registry.connect(workspace), card, document=gate.document(), page=gate.page(), tags=tags)


def _audit(workspace: Workspace, actor: str, action: str, detail: dict[str, Any]) -> None:
    now = workspace.clock.now()
    with closing(open_state(workspace)) as state:
        state.write(lambda connection: append_audit(connection, actor=actor, action=action, detail=detail, now=now))
