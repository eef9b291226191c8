"""Weights of rows count for the models of customers, too: trees follow them, and the log gives them if asked."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretouch.core.bundle import ModelInput
from foretouch.core.workspace import Workspace
from foretouch.training.booster import predict_text
from foretouch.training.data import encode
from foretouch.training.log.kinds import DRAWN, KINDS, TABLE, treatments
from foretouch.training.log.weights import inverse_propensity
from foretouch.training.tabular import fit_trees
from foretouch.training.task import Dataset, FloatArray, Split, TrainingRun

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
X = (ModelInput(name="x", view="v"),)


def test_what_is_drawn_is_weighed_where_it_is_asked_for_and_nothing_else_changes() -> None:
    for learner in ("lead", "churn", "value"):
        plain, weighted = treatments(learner), treatments(learner, weighted=True)
        assert plain == {kind: TABLE[kind][learner] for kind in KINDS}
        assert {kind for kind in KINDS if weighted[kind].use == "weight"} == DRAWN
        assert all(weighted[kind] == plain[kind] for kind in KINDS if kind not in DRAWN)
        assert "training.weighted" in weighted["explored"].why


def split_of(x: FloatArray, label: FloatArray, weight: FloatArray | None) -> Split:
    n = len(x)
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{index % 500}" for index in range(n)],
            "as_of": pd.to_datetime([BEGIN + timedelta(days=7 * (index // 500)) for index in range(n)]),
            "x": x,
        }
    )
    part = Dataset(frame=frame, label=label, weight=weight)
    return Split(fit=part, calibrate=part, test=part, trained_through=BEGIN, description={})


@pytest.mark.parametrize("model", ["lead", "value"])
def test_trees_undo_a_policy_that_asked_about_some_people_more(model: str, tmp_path: Path) -> None:
    """Outcomes depend on x and on a trait that no feature shows; the log holds people with it nine times as often.

    Unweighted, trees learn the rate of those who were asked about; weighted, that of everybody.
    """
    rng = np.random.default_rng(11)
    n = 6_000
    x, trait = rng.integers(0, 2, n).astype(float), rng.random(n) < 0.5
    chance = np.where(trait, 0.9, 0.1)
    kept = rng.random(n) < chance
    rate = 0.1 + 0.3 * x + 0.4 * trait
    label = (rng.random(n) < rate).astype(float)
    everybody = [0.3, 0.6]  # mean of the rate over the trait, by x
    x, label, chance = x[kept], label[kept], chance[kept]
    weight = inverse_propensity(chance, np.full(len(x), "asked", dtype=object), np.ones(len(x), dtype=bool))
    run = TrainingRun(workspace=Workspace(tmp_path), seed=1, trials=0, threads=1)
    found = {}
    for name, own in (("plain", None), ("weighted", weight)):
        split = split_of(x, label, own)
        trees = fit_trees(run, split, model, inputs=X)  # type: ignore[arg-type]
        found[name] = predict_text(trees.text, encode(pd.DataFrame({"x": [0.0, 1.0]}), X))
    assert np.abs(found["plain"] - everybody).min() > 0.1
    assert np.abs(found["weighted"] - everybody).max() < 0.06
