"""A workspace: one folder with ``foretouch.toml``, the data, the models and the state of one business."""

import os
import secrets
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from foretouch.core.clock import Clock, ManualClock, OffsetClock, SystemClock
from foretouch.core.config import Config, load_toml
from foretouch.core.contact import ContactPolicy
from foretouch.core.engagement import EngagementPolicy
from foretouch.core.errors import ConfigError
from foretouch.core.experiment import ExperimentSpec
from foretouch.core.policy import PolicySpec

CONFIG_FILE = "foretouch.toml"
WORKSPACE_VARIABLE = "FORETOUCH_WORKSPACE"


@dataclass(frozen=True)
class Workspace:
    """Paths and settings of one workspace; reading a property reads the file once.

    Args:
        root: The folder that holds ``foretouch.toml``.
    """

    root: Path

    @classmethod
    def open(cls, root: str | Path | None = None) -> "Workspace":
        """Opens a workspace: the given folder, else ``$FORETOUCH_WORKSPACE``, else the current folder.

        Raises:
            ConfigError: The folder holds no ``foretouch.toml``, or it is wrong: then nothing runs on half of it.
        """
        path = Path(root or os.environ.get(WORKSPACE_VARIABLE) or ".").resolve()
        if not (path / CONFIG_FILE).is_file():
            raise ConfigError(f"{path} is no workspace: it has no {CONFIG_FILE}", hint=f"foretouch init {path}")
        workspace = cls(path)
        _ = workspace.config
        return workspace

    @cached_property
    def config(self) -> Config:
        """``foretouch.toml``, validated."""
        return load_toml(self.root / CONFIG_FILE, Config)

    @cached_property
    def clock(self) -> Clock:
        """The workspace's own clock."""
        section = self.config.clock
        if section.kind == "offset":
            return OffsetClock(timedelta(seconds=section.offset_seconds))
        if section.kind == "manual":
            return ManualClock(self.clock_file)
        return SystemClock()

    def policy(self, name: str = "policy") -> PolicySpec:
        """A policy file of the workspace: ``policy.toml``, or ``policies/<name>.toml``.

        Raises:
            ConfigError: There is none of that name, or it breaks its contract.
        """
        path = self.root / "policy.toml" if name in {"policy", "default"} else self.root / "policies" / f"{name}.toml"
        if path.parent != self.root and not (name.replace("-", "").replace("_", "").isalnum() and path.exists()):
            raise ConfigError(f"no policy {name!r}: policies/ has no file of that name")
        return load_toml(path, PolicySpec)

    def contact_policy(self) -> ContactPolicy:
        """``contact_policy.toml``."""
        return load_toml(self.root / "contact_policy.toml", ContactPolicy)

    def engagement_policy(self) -> EngagementPolicy:
        """``engagement_policy.toml``; without one there are no rules but the offers' own."""
        path = self.root / "engagement_policy.toml"
        return load_toml(path, EngagementPolicy) if path.exists() else EngagementPolicy()

    def experiments(self) -> tuple[ExperimentSpec, ...]:
        """Every ``experiments/*.toml``, by file name.

        Raises:
            ConfigError: A file breaks its contract, or two have the same key: nobody could tell their arms apart.
        """
        found: dict[str, tuple[Path, ExperimentSpec]] = {}
        for path in sorted(self.experiments_folder.glob("*.toml")):
            spec = load_toml(path, ExperimentSpec)
            if spec.key in found:
                raise ConfigError(f"{path}: key == {spec.key!r}, which {found[spec.key][0].name} has already")
            found[spec.key] = (path, spec)
        return tuple(spec for _, spec in found.values())

    def table(self, name: str) -> Path:
        """The Parquet file of a canonical table."""
        return self.data / f"{name}.parquet"

    @property
    def data(self) -> Path:
        """Canonical tables, the quarantine and the data-quality report."""
        return self.root / "data"

    @property
    def quarantine(self) -> Path:
        """Refused rows with their reasons, one JSON-lines file per table."""
        return self.data / "quarantine"

    @property
    def features_folder(self) -> Path:
        """Feast's offline files, registry and online store."""
        return self.root / "features"

    @property
    def segments_folder(self) -> Path:
        """Clusters of customers."""
        return self.root / "segments"

    @property
    def bundles(self) -> Path:
        """The bundle store that serving loads from."""
        return self.root / "bundles"

    @property
    def mlflow_folder(self) -> Path:
        """MLflow's database and artifacts, unless ``MLFLOW_TRACKING_URI`` says otherwise."""
        return self.root / "mlflow"

    @property
    def state_file(self) -> Path:
        """The one state database."""
        return self.root / "state.db"

    @property
    def reports(self) -> Path:
        """Reports and plots for people."""
        return self.root / "reports"

    @property
    def experiments_folder(self) -> Path:
        """Experiment specs."""
        return self.root / "experiments"

    @property
    def clock_file(self) -> Path:
        """The hand-moved clock of a simulated workspace."""
        return self.root / "clock.json"

    @property
    def assumptions_file(self) -> Path:
        """What the data lack and how it was filled; shown in every report."""
        return self.root / "assumptions.toml"

    @property
    def secrets(self) -> Path:
        """Keys, readable by the owner alone."""
        return self.root / "secrets"

    def secret(self, name: str) -> str:
        """A 256-bit secret of the workspace, made at first use (mode 0600)."""
        path = self.secrets / f"{name}.key"
        if not path.exists():
            self.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = path.with_name(f".{name}.{secrets.token_hex(4)}.tmp")
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(secrets.token_hex(32))
            try:
                os.link(draft, path)
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return path.read_text(encoding="utf-8").strip()
