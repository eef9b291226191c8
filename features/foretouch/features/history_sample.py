# ruff: noqa: S608 - every name and literal in these statements is quoted or comes from this package
"""Whose past the feature history holds, where there are more customers than any model learns from.

A model learns from a few hundred thousand rows at most, thinned by a hash of the customer's id. So a history of more
than ``features.history_rows`` rows is built for as many customers as that allows, by the same hash: whoever is learned
from is in it. The newest snapshot is everybody's, as are the cuts of RFM scores.
"""

import json
from dataclasses import dataclass
from typing import Final

import duckdb
import pyarrow as pa

from foretouch.core.rng import bucket
from foretouch.core.workspace import Workspace

SALT: Final = "training-rows"
"""The same as for thinning in training, so that both keep the same customers."""
SENDS_PART: Final = 4
"""Moments of sends get a row each, one for every so many of ``history_rows``."""


@dataclass(frozen=True, kw_only=True)
class HistorySample:
    """Shares of customers, 0 to 1, whose past is in the history.

    Attributes:
        snapshots: With a row at every snapshot.
        sends: With a row at the moment of each send.
    """

    snapshots: float = 1.0
    sends: float = 1.0


def plan_sample(*, snapshots: int, sends: int, most: int) -> HistorySample:
    """The shares that keep a history within its bound.

    Args:
        snapshots: Rows of every customer at every snapshot.
        sends: Sends of every customer.
        most: ``features.history_rows``.
    """
    return HistorySample(
        snapshots=min(most / max(snapshots, 1), 1.0), sends=min(most / SENDS_PART / max(sends, 1), 1.0)
    )


def keep_sample(workspace: Workspace, sample: HistorySample) -> None:
    """Writes down whose past the history holds."""
    path = workspace.features_folder / "offline" / "sample.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(json.dumps({"snapshots": sample.snapshots, "sends": sample.sends}) + "\n", encoding="utf-8")
    draft.replace(path)


def read_sample(workspace: Workspace) -> HistorySample:
    """Whose past the history on disk holds; everybody's where nothing else is written down."""
    path = workspace.features_folder / "offline" / "sample.json"
    if not path.is_file():
        return HistorySample()
    return HistorySample(**json.loads(path.read_text(encoding="utf-8")))


def sampled(connection: duckdb.DuckDBPyConnection, name: str, share: float) -> str:
    """Makes a temporary table of the customers below a share, and gives its name.

    Args:
        connection: With the view ``customers``.
        name: Of the table, with the one column ``customer_id``.
        share: Of the customers, 0 to 1.
    """
    if share >= 1.0:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT DISTINCT customer_id FROM customers")
        return name
    known = [row[0] for row in connection.execute("SELECT DISTINCT customer_id FROM customers").fetchall()]
    kept = pa.table({"customer_id": pa.array([who for who in known if bucket(SALT, who) < share], pa.string())})
    connection.register("kept_customers", kept)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM kept_customers")
    connection.unregister("kept_customers")
    return name
