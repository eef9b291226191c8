"""Tables at the edge of what has an answer, through ``analyze``: a number by the definitions or a named refusal."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.analysis.analyze import analyze
from foretouch.experiments.files import analyze_files
from foretouch.experiments.results import Results

UNITS = 2000


def analyzed(y: Any, **metric: Any) -> Results:
    rows = pd.DataFrame({"customer_id": np.arange(UNITS), "arm": np.tile(["a", "b"], UNITS // 2), "y": y})
    spec = {
        "key": "edge",
        "control": "a",
        "weights": {"a": 0.5, "b": 0.5},
        "metrics": [{"name": "y", "kind": "mean", "column": "y", "role": "primary", **metric}],
    }
    return analyze(rows, ExperimentSpec.model_validate(spec))


@pytest.mark.parametrize("arm", [0, 1])
@pytest.mark.parametrize("kind", ["mean", "proportion"])
def test_one_conversion_in_all(kind: str, arm: int) -> None:
    y = np.zeros(UNITS)
    y[arm] = 1.0
    (row,) = analyzed(y, kind=kind).metrics
    n = UNITS // 2
    rate = 1.0 / n
    assert row.difference == pytest.approx((2 * arm - 1) * rate)
    assert row.se == pytest.approx(np.sqrt(rate * (1.0 - rate) / (n - 1)), rel=1e-9)
    assert row.df == pytest.approx(n - 1)
    assert row.lift_ci is None
    assert [view.on for view in row.bayesian] == ["difference"]  # a lift of -100 % would be without any spread


def test_an_interval_of_the_lift_keeps_its_digits_beside_large_means() -> None:
    """Theory: with a control mean this large Fieller's interval is that of the difference over the mean."""
    rng = np.random.default_rng(4)
    (row,) = analyzed(1e9 + 1e-3 * rng.normal(size=UNITS)).metrics
    assert row.lift_ci is not None
    assert row.lift_ci == pytest.approx(tuple(end / row.control_mean for end in row.ci), rel=1e-5)
    assert (row.lift_ci[0] <= 0.0 <= row.lift_ci[1]) == (row.p >= 0.05)


def of_file(folder: Path, rows: pd.DataFrame, **more: Any) -> Results:
    metric = {"name": "y", "kind": "mean", "column": "y", "role": "primary"}
    spec = {"key": "edge", "control": "a", "weights": {"a": 0.5, "b": 0.5}, "metrics": [metric], **more}
    (folder / "spec.json").write_text(json.dumps(spec))
    rows.to_parquet(folder / "rows.parquet", index=False)
    return analyze_files(folder / "rows.parquet", folder / "spec.json", folder / "out.json")


def test_columns_of_text_in_a_file_are_named_or_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    rows = pd.DataFrame({"customer_id": np.arange(400), "arm": np.tile(["a", "b"], 200), "y": rng.normal(size=400)})
    words = of_file(tmp_path, rows.assign(y="many"))
    assert [(item.code, item.metric) for item in words.refusals] == [("not_numeric", "y")]
    times = rows.assign(at=np.where(rows.index < 200, "2026-01-02T03:00:00+08:00", "2026-01-02T23:00:00Z"))
    found = of_file(tmp_path, times, time="at")
    assert [look.through for look in found.cumulative] == ["2026-01-01", "2026-01-02"]  # days are UTC's
    for unusable in (rows, rows.assign(at="soon")):
        refused = of_file(tmp_path, unusable, time="at")
        assert [item.code for item in refused.refusals] == ["no_days"]
        assert len(refused.metrics) == 1
