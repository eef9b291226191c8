"""What the service reads of a customer: one guarded snapshot, recomputed at once after a posted event."""

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa

from foretouch.core import columns as c
from foretouch.core.clusters import read_clusters
from foretouch.core.decisions import FeatureSnapshot, Reason
from foretouch.core.errors import StateError
from foretouch.core.state.db import from_micros, to_micros
from foretouch.core.workspace import Workspace
from foretouch.features.build import compute, month_cuts, set_spine, stored_column
from foretouch.features.catalogue import VIEWS, view_features
from foretouch.features.packed import FeatureRow, open_packed, read_packed, write_rows
from foretouch.features.tables import connect


class OnlineFeatures:
    """The online features of one workspace; safe to share between threads.

    Reading never raises: a store that cannot be read is an unknown customer with ``error`` said.

    Args:
        workspace: Whose features.
    """

    local = True
    """A file on this machine's disk: reading it is no waiting for a network."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._path = online_file(workspace)
        self._max_age = timedelta(hours=workspace.config.features.max_age_hours)
        self._names = {spec.name: spec for view in VIEWS for spec in view_features(workspace.config, view)}
        self._usual: tuple[str, ...] = ()
        self._local = threading.local()
        self._refreshing = threading.Lock()
        self._month_cuts: tuple[date, pa.Table] | None = None

    def read(self, customer_id: str, now: datetime | None = None) -> FeatureSnapshot:
        """One customer's features, with the views that are too old named in ``stale``.

        Args:
            customer_id: The customer.
            now: The time that ages are measured from; the workspace's now if absent.
        """
        at = now or self.workspace.clock.now()
        try:
            packed = read_packed(self._connection(), customer_id, VIEWS)
        except (sqlite3.Error, StateError, ValueError, TypeError, KeyError, OSError) as error:
            self._drop_connection()
            return FeatureSnapshot(error=f"the online features cannot be read: {error}")
        values, times = packed.values, packed.times  # noqa: PD011 - no frame
        if not times:
            return FeatureSnapshot()
        names = tuple(values)
        if names != self._usual:  # mostly everybody has the same features in the same order
            if not self._names.keys() >= values.keys():
                values = {name: value for name, value in values.items() if name in self._names}
            else:
                self._usual = names
        oldest = to_micros(at - self._max_age)
        moments = {micros: from_micros(micros) for micros in set(times.values())}
        return FeatureSnapshot.trusted(  # what we wrote ourselves needs no second validation
            known=True,
            values=values,
            as_of={view: moments[micros] for view, micros in times.items()},
            stale=tuple(sorted([view for view, micros in times.items() if micros < oldest])),
            error=None,
            reasons={
                name: tuple(Reason.model_construct(**reason) for reason in said)
                for name, said in packed.reasons.items()
            },
        )

    def read_many(self, customer_ids: Iterable[str], now: datetime | None = None) -> dict[str, FeatureSnapshot]:
        """The features of many customers by id."""
        at = now or self.workspace.clock.now()
        return {customer_id: self.read(customer_id, at) for customer_id in customer_ids}

    def count(self) -> int:
        """Number of customers with online features."""
        row = self._connection().execute("SELECT count(DISTINCT entity) FROM feature_rows").fetchone()
        return int(row[0])

    def refresh(self, customer_ids: Sequence[str], now: datetime) -> None:
        """Recomputes customers from all events known by ``now`` and pushes the result; newer values stay.

        Args:
            customer_ids: Whom.
            now: The as-of time of the new values.
        """
        if not customer_ids:
            return
        spine = pd.DataFrame({c.CUSTOMER_ID: list(customer_ids), c.AS_OF: pd.Timestamp(now)})
        with self._refreshing, closing(connect(self.workspace, customers=customer_ids)) as connection:
            set_spine(connection, spine)
            connection.register("known_cuts", self._cuts(now))
            clusters = read_clusters(self.workspace.segments_folder)
            compute(connection, self.workspace.config, cuts="known_cuts", clusters=clusters)
            rows: list[FeatureRow] = []
            for view in VIEWS:
                specs = view_features(self.workspace.config, view)
                names = ", ".join(stored_column(spec) for spec in specs)
                for customer_id, *values in connection.execute(
                    f"SELECT customer_id, {names} FROM spine JOIN f_{view} USING (row_id)"  # noqa: S608
                ).fetchall():
                    by_name = {spec.name: value for spec, value in zip(specs, values, strict=True)}
                    rows.append(
                        FeatureRow(entity=customer_id, view=view, event_at=now, created_at=now, features=by_name)
                    )
        write_rows(self._connection(), rows)

    def _cuts(self, now: datetime) -> pa.Table:
        """The RFM cuts of a month, over everyone's events received before it; looked up once a day."""
        day = now.astimezone(UTC).date()
        if self._month_cuts is None or self._month_cuts[0] != day:
            with closing(connect(self.workspace)) as connection:
                self._month_cuts = day, month_cuts(connection, self.workspace.config, now)
        return self._month_cuts[1]

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = open_packed(self._path)
        return connection

    def _drop_connection(self) -> None:
        connection = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            connection.close()


def online_file(workspace: Workspace) -> Path:
    """The online store's SQLite file."""
    return workspace.features_folder / "online.db"
