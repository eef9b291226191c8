"""Splits in time: fit before calibrate before test, and no label that was still open when a later part began.

The test part is the latest. A row before it is used only if its label window had closed by the first test as-of time
(a gap of one window). Between fit and calibrate the same gap is kept where the data are long enough; where the window
is long compared with the data, the two parts hold different customers instead, so that no customer's label days are
seen twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.errors import DataError
from foretouch.core.rng import bucket

TEST_SHARE = 0.2
CALIBRATE_SHARE = 0.25
CALIBRATE_CUSTOMERS = 0.25
"""Share of the time before the test part, and of customers where the parts are kept apart by customer."""
MIN_TIMES = 6


@dataclass(frozen=True, kw_only=True)
class SplitPlan:
    """As-of times of each part.

    Attributes:
        fit: Sorted.
        calibrate: Sorted, all later than ``fit``.
        test: Sorted, all at least one window later than ``calibrate``.
        window: Of the label.
        apart_by: What keeps fit and calibrate apart: a gap in time, or different customers.
    """

    fit: tuple[datetime, ...]
    calibrate: tuple[datetime, ...]
    test: tuple[datetime, ...]
    window: timedelta
    apart_by: Literal["gap", "customers"]

    @property
    def trained_through(self) -> datetime:
        """The end of the last label window of fit and calibrate."""
        return self.calibrate[-1] + self.window


def plan_split(times: Sequence[datetime], window: timedelta) -> SplitPlan:
    """Cuts mature as-of times into three parts.

    Args:
        times: Mature as-of times, sorted, distinct.
        window: Of the label.

    Raises:
        DataError: The history is too short for a test part that is later by a window.
    """
    if len(times) < MIN_TIMES:
        raise DataError(
            f"{len(times)} mature snapshots, need {MIN_TIMES} (a snapshot is mature when its {window.days}-day label"
            " window lies inside the data)",
            hint="ingest a longer history, or shorten the goal's window in foretouch.toml",
        )
    test = times[-max(round(TEST_SHARE * len(times)), 1) :]
    earlier = [time for time in times if time + window <= test[0]]
    if len(earlier) < MIN_TIMES - 2:
        need = window + (times[-1] - times[0]) * TEST_SHARE
        raise DataError(
            f"{len(earlier)} snapshots have a label that closed before the test part begins on {test[0].date()},"
            f" need {MIN_TIMES - 2}: the history must be longer by about {need.days} days",
            hint="ingest a longer history, or shorten the goal's window in foretouch.toml",
        )
    calibrate = earlier[-max(round(CALIBRATE_SHARE * len(earlier)), 1) :]
    before = [time for time in earlier if time < calibrate[0]]
    closed = [time for time in before if time + window <= calibrate[0]]
    apart_by: Literal["gap", "customers"] = "gap" if 2 * len(closed) >= len(before) else "customers"
    return SplitPlan(
        fit=tuple(closed if apart_by == "gap" else before),
        calibrate=tuple(calibrate),
        test=tuple(test),
        window=window,
        apart_by=apart_by,
    )


def assign_parts(rows: pd.DataFrame, plan: SplitPlan) -> NDArray[np.object_]:
    """The part of each row, ``fit``, ``calibrate`` or ``test``, or an empty string for one in a gap; shape (n,)."""
    part = np.full(len(rows), "", dtype=object)
    as_of = pd.to_datetime(rows["as_of"], utc=True)
    for name, times in (("fit", plan.fit), ("calibrate", plan.calibrate), ("test", plan.test)):
        part[as_of.isin(pd.to_datetime(list(times), utc=True)).to_numpy()] = name
    if plan.apart_by == "customers":
        calibrating = {
            customer: bucket("calibration-customers", str(customer)) < CALIBRATE_CUSTOMERS
            for customer in pd.unique(rows["customer_id"])
        }
        mine = rows["customer_id"].map(calibrating).to_numpy(dtype=bool)
        part[(part == "fit") & mine] = ""
        part[(part == "calibrate") & ~mine] = ""
    return part
