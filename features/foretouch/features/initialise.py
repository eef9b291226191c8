# ruff: noqa: S608 - every name and literal in these statements is quoted or comes from this package
"""``foretouch init``: a folder that is ready to run."""

import os
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from foretouch.core import columns as c
from foretouch.core.clock import utc_now
from foretouch.core.errors import ConfigError
from foretouch.core.state.access import create_key
from foretouch.core.state.opening import open_state
from foretouch.core.workspace import CONFIG_FILE, Workspace
from foretouch.features import template_experiments, template_rules, templates
from foretouch.features.ingest import Say, ingest_tables
from foretouch.features.sample import NOW, ZONE, complete_journey
from foretouch.features.schemas import literal
from foretouch.features.simulation import Progress, Simulation, load_simulated, simulation_files
from foretouch.features.tables import first_row, open_duckdb

Sample = Literal["complete-journey", "simulated"]
FIRST_KEY_SCOPES = ("decide", "events", "report:read", "admin")


@dataclass(frozen=True, kw_only=True)
class Initialised:
    """What ``init`` made.

    Args:
        workspace: The new workspace.
        key_file: Where the first API key is kept (mode 0600).
        rows: Rows per table, when a sample was loaded.
    """

    workspace: Workspace
    key_file: Path
    rows: dict[str, int]


def initialise(
    folder: Path,
    sample: Sample | None = None,
    *,
    simulation: Simulation | None = None,
    progress: Progress | None = None,
    say: Say = lambda _: None,
) -> Initialised:
    """Makes a workspace: configuration, folders, secrets, the state database, the first API key, and sample data.

    Args:
        folder: Where; it must not hold a ``foretouch.toml`` yet.
        sample: Load these data; ``None`` leaves the tables empty.
        simulation: Which world, for the sample ``simulated``.
        progress: Told how far the simulation is.
        say: Receives one line per step of loading the other sample.

    Raises:
        ConfigError: There is a workspace already.
    """
    root = folder.resolve()
    if (root / CONFIG_FILE).exists():
        raise ConfigError(
            f"{root} is a workspace already", hint=f"foretouch features build --workspace {root}, or another folder"
        )
    (root / "experiments").mkdir(parents=True, exist_ok=True)
    for name in ("data", "features", "bundles", "reports"):
        (root / name).mkdir(exist_ok=True)
    world = simulation or Simulation()
    if sample == "complete-journey":
        files = _sample_files()
    elif sample == "simulated":
        files = simulation_files(world)
    else:
        files = _own_files(root.name)
    for name, text in files.items():
        path = root / name
        if not path.exists():
            path.write_text(text, encoding="utf-8")
    workspace = Workspace.open(root)
    for secret in ("seed", "pseudonym", "webhook"):
        workspace.secret(secret)
    rows: dict[str, int] = {}
    if sample == "complete-journey":
        rows = _load_sample(workspace, say)
    elif sample == "simulated":
        rows = load_simulated(workspace, world, progress=progress)
    return Initialised(workspace=workspace, key_file=_first_key(workspace), rows=rows)


def _own_files(name: str) -> dict[str, str]:
    return {
        "policy.toml": template_rules.POLICY,
        "contact_policy.toml": template_rules.contact_policy("UTC"),
        "engagement_policy.toml": template_rules.ENGAGEMENT_POLICY,
        "experiments/portfolio-holdout.toml": template_experiments.holdout("purchase"),
        "experiments/portfolio.toml.example": template_experiments.portfolio("purchase"),
        CONFIG_FILE: templates.own_config(name),
    }


def _sample_files() -> dict[str, str]:
    return {
        "policy.toml": template_rules.POLICY,
        "contact_policy.toml": template_rules.contact_policy(ZONE),
        "engagement_policy.toml": template_rules.ENGAGEMENT_POLICY,
        "experiments/portfolio-holdout.toml": template_experiments.holdout("purchase"),
        "experiments/portfolio.toml": template_experiments.portfolio("purchase"),
        CONFIG_FILE: templates.complete_journey_config((NOW - utc_now()).total_seconds()),
    }


def _load_sample(workspace: Workspace, say: Say) -> dict[str, int]:
    """Maps the sample to canonical tables and takes them in like anybody's data."""
    with tempfile.TemporaryDirectory(dir=workspace.data) as staging:
        say("reading The Complete Journey")
        written = complete_journey(Path(staging))
        with closing(open_duckdb()) as connection:
            offer = literal(str(written[c.OFFERS]))
            value, cost = first_row(connection, f"SELECT max(value), max(cost) FROM {offer}")
        workspace.assumptions_file.write_text(templates.sample_assumptions(value, cost), encoding="utf-8")
        report = ingest_tables(workspace, written, say=say)
    return {table.table: table.stored for table in report.tables}


def _first_key(workspace: Workspace) -> Path:
    """Makes the first API key and keeps it in a file that only its owner can read."""
    path = workspace.secrets / "api.key"
    with open_state(workspace) as state:
        made = state.write(
            lambda connection: create_key(connection, FIRST_KEY_SCOPES, workspace.clock.now(), note="made by init")
        )
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(made["key"] + "\n")
    return path
