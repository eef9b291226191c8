"""A small randomised table with everything that a spec may name, planted."""

from typing import Any

import numpy as np
import pandas as pd

from foretouch.core.experiment import ExperimentSpec

START = pd.Timestamp("2026-03-02", tz="UTC")


def table(seed: int = 1, n: int = 3000, effect: float = 0.3) -> pd.DataFrame:
    """Units of arms A and B: outcome ``y`` with covariate ``x`` and stratum ``g``, clusters, days, bots, deliveries."""
    rng = np.random.default_rng(seed)
    arm = np.where(rng.random(n) < 0.5, "A", "B")
    x, g = rng.gamma(2.0, 2.0, n), rng.choice(["p", "q", "r"], n)
    entered = START + pd.to_timedelta(rng.uniform(0, 14 * 24, n), unit="h")
    return pd.DataFrame(
        {
            "customer_id": np.arange(n),
            "arm": arm,
            "x": x,
            "g": g,
            "y": x + 3.0 * (g == "p") + rng.gamma(2.0, 2.0, n) + effect * (arm == "B"),
            "d": 1 + rng.poisson(2.0, n),
            "cluster": rng.integers(0, n // 20, n),
            "bot": rng.random(n) < 0.02,
            "entered": entered,
            "delivered": entered + pd.to_timedelta(rng.uniform(0.5, 1.5, n), unit="h"),
        }
    )


def spec(*metrics: dict[str, Any], **more: Any) -> ExperimentSpec:
    """A spec over ``table()``; one primary mean of ``y`` where no metric is given."""
    made = metrics or ({},)
    return ExperimentSpec.model_validate(
        {
            "key": "planted",
            "control": "A",
            "weights": {"A": 0.5, "B": 0.5},
            "metrics": [
                {"name": f"m{i}", "kind": "mean", "column": "y", "role": "primary", **item}
                for i, item in enumerate(made)
            ],
            **more,
        }
    )
