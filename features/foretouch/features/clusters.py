"""The cluster of each customer: the nearest centre, the same in history, online and after a posted event."""

from collections.abc import Mapping, Sequence

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from foretouch.core.clusters import ClusterFeature, ClusterModel
from foretouch.features.catalogue import CLUSTER
from foretouch.features.schemas import quoted


def standard_units(features: Sequence[ClusterFeature], columns: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
    """Customers as points: each feature filled where it is missing, on its scale, in standard units.

    Args:
        features: How each enters.
        columns: Values by feature, each of shape (n,); NaN is missing.

    Returns:
        Shape (n, features).
    """
    points = []
    for feature in features:
        values = np.asarray(columns[feature.name], dtype=np.float64)
        values = np.where(np.isfinite(values), values, feature.missing)
        values = np.log1p(np.maximum(values, 0.0)) if feature.logarithm else values
        points.append((values - feature.mean) / feature.scale)
    return np.column_stack(points)


def nearest(model: ClusterModel, points: NDArray[np.float64]) -> NDArray[np.object_]:
    """The name of the nearest cluster of each point, shape (n,); of equally near ones the first."""
    centres = np.array([cluster.centre for cluster in model.clusters], dtype=np.float64)
    distances = (points**2).sum(axis=1)[:, None] - 2.0 * points @ centres.T + (centres**2).sum(axis=1)[None, :]
    names = np.array([cluster.name for cluster in model.clusters], dtype=object)
    found: NDArray[np.object_] = names[distances.argmin(axis=1)]
    return found


def add_cluster(connection: duckdb.DuckDBPyConnection, model: ClusterModel | None, views: Mapping[str, str]) -> None:
    """Adds the column ``cluster`` to ``f_customer_profile``; missing for everyone where no clusters were made.

    Args:
        connection: With one table ``f_<view>`` per feature view and the column ``row_id`` in each.
        model: The workspace's clusters.
        views: The view of each feature that a cluster may be made of.
    """
    connection.execute(f"ALTER TABLE f_customer_profile ADD COLUMN {CLUSTER} VARCHAR")
    if model is None:
        return
    names = [feature.name for feature in model.features]
    joins = " ".join(f"JOIN f_{view} USING (row_id)" for view in sorted({views[name] for name in names}))
    wanted = ", ".join(f"f_{views[name]}.{quoted(name)}::DOUBLE AS {quoted(name)}" for name in names)
    found = connection.execute(f"SELECT row_id, {wanted} FROM spine {joins}").fetchnumpy()  # noqa: S608
    columns = {name: np.ma.filled(np.ma.asarray(found[name], dtype=np.float64), np.nan) for name in names}
    table = pa.table(
        {
            "row_id": pa.array(np.asarray(found["row_id"])),
            "name": pa.array(nearest(model, standard_units(model.features, columns)), type=pa.string()),
        }
    )
    connection.register("clustered", table)
    connection.execute(
        f"UPDATE f_customer_profile SET {CLUSTER} = clustered.name FROM clustered"  # noqa: S608
        " WHERE clustered.row_id = f_customer_profile.row_id"
    )
    connection.unregister("clustered")
