"""How many customers of each lifecycle stage a model was fitted on: what the service needs to admit ignorance."""

from typing import Any

import pandas as pd

from foretouch.core.columns import CUSTOMER_ID
from foretouch.serving.models.support import FEATURE, MIN_CUSTOMERS, SUPPORT
from foretouch.training.task import Dataset


def support_of(*parts: Dataset) -> dict[str, Any]:
    """The card's extras about support: distinct customers by level; nothing where the rows do not hold the feature."""
    frames = [part.frame[[CUSTOMER_ID, FEATURE]] for part in parts if FEATURE in part.frame.columns]
    if not frames:
        return {}
    rows = pd.concat(frames, ignore_index=True).dropna(subset=[FEATURE])
    customers = rows[CUSTOMER_ID].astype(str).groupby(rows[FEATURE].astype(str)).nunique()
    counted = {str(name): int(count) for name, count in sorted(customers.items())}
    return {SUPPORT: {"feature": FEATURE, "min_customers": MIN_CUSTOMERS, "customers": counted}}
