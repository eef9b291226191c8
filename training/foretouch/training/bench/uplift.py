"""``foretouch bench uplift``: how much more each arm brings for each row of a second table, learned from a first."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foretouch.core.errors import DataError
from foretouch.training.bench.design import Design
from foretouch.training.bench.tables import (
    listed,
    need_columns,
    need_unique,
    need_writable,
    numbers,
    read_table,
    text_column,
    write_table,
)
from foretouch.training.task import FloatArray
from foretouch.training.uplift.curve import evaluate_uplift
from foretouch.training.uplift.learners import ArmUplift, Settings, Trial, fit_uplift

EVALUATION_DRAWS = 100


def fit_predict(
    train: pd.DataFrame,
    test: pd.DataFrame,
    *,
    treatment: str,
    control: str,
    outcome: str,
    without: tuple[str, ...] = (),
    seed: int = 0,
) -> tuple[dict[str, FloatArray], dict[str, Any]]:
    """Uplift of each treated arm for every test row, and how it was found.

    Only columns of the training table that the test table has too are inputs: what is known before the treatment, and
    neither the arm nor any outcome.

    Args:
        train: Randomised rows.
        test: Rows to score.
        treatment: Column with the arm.
        control: Its value for the control.
        outcome: Column with the outcome, 0/1 or an amount.
        without: More columns that are no inputs, such as ids.
        seed: Of every draw.

    Raises:
        DataError: No such control, too few rows in an arm, or no usable column.
    """
    names = text_column(train, treatment)
    treated = sorted(set(names) - {control})
    if control not in set(names):
        raise DataError(
            f"--control {control!r} is no value of {treatment!r}; it holds {listed(sorted(set(names)))}",
            hint="give the value of the arm that got nothing",
        )
    if "" in treated:
        raise DataError(f"column {treatment!r}: the arm is missing in {int((names == '').sum())} rows")
    dropped = {treatment, outcome, *without} | {str(name) for name in train.columns if name not in test.columns}
    design = Design.learn(train, without=tuple(dropped))
    matrix = design.encode(train)
    codes = {control: 0} | {name: index + 1 for index, name in enumerate(treated)}
    trial = Trial(
        matrix=matrix,
        inputs=design.inputs,
        arm=np.array([codes[name] for name in names], dtype=np.int64),
        outcome=numbers(train, outcome),
    )
    fitted = fit_uplift(trial, Settings.of(len(train), seed=seed))
    encoded = design.encode(test)
    uplift = {name: arm.predict(encoded) for name, arm in zip(treated, fitted, strict=True)}
    summary = {
        "rows": len(train),
        "columns": len(design.columns),
        "columns_dropped": list(design.dropped),
        "arms": {
            name: _about(trial, index + 1, arm, seed)
            for index, (name, arm) in enumerate(zip(treated, fitted, strict=True))
        },
    }
    return uplift, summary


def _about(trial: Trial, index: int, arm: ArmUplift, seed: int) -> dict[str, Any]:
    rows = (trial.arm == index) | (trial.arm == 0)
    found = evaluate_uplift(
        arm.out_of_fold[rows],
        (trial.arm[rows] == index).astype(np.float64),
        trial.outcome[rows],
        seed=seed,
        draws=EVALUATION_DRAWS,
    )
    return {
        "learner": arm.learner,
        "average_effect": arm.average,
        "average_effect_se": arm.average_se,
        "slope_left_out": arm.slope,
        "dr_loss_less_constant": dict(arm.losses),
        "qini_left_out": found.qini.value,
        "qini_left_out_ci": [found.qini.low, found.qini.high],
        "better_than_random": found.better_than_random,
    }


def run(  # noqa: PLR0917 - the options of the command
    train: Path, test: Path, id_column: str, treatment: str, control: str, outcome: str, out: Path, seed: int
) -> dict[str, Any]:
    """Reads both tables, fits, writes id and ``uplift_<arm>`` per test row, and returns what was done.

    Raises:
        DataError: A column is missing, ids repeat, or the arms cannot be compared.
    """
    need_writable(out)
    seen = read_table(train, texts=[id_column, treatment])
    unseen = read_table(test, texts=[id_column])
    need_columns(seen, train, id=id_column, treatment=treatment, outcome=outcome)
    need_columns(unseen, test, id=id_column)
    need_unique(unseen, id_column)
    uplift, summary = fit_predict(
        seen, unseen, treatment=treatment, control=control, outcome=outcome, without=(id_column,), seed=seed
    )
    columns = {f"uplift_{name}": values for name, values in uplift.items()}
    write_table(pd.DataFrame({id_column: unseen[id_column], **columns}), out)
    return {**summary, "test_rows": len(unseen)}
