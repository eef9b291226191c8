"""A model in the groups of chosen attributes: does it hold in each, and whom would it favour?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.config import Config
from foretouch.training.gate.calibrated import Spread
from foretouch.training.metrics import AUC
from foretouch.training.task import Dataset, FloatArray

MISSING = "(missing)"
TOP_SHARE = 0.2
"""The share of rows that a fairness report takes as selected."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """The rows of one value of a feature."""

    feature: str
    name: str
    rows: NDArray[np.bool_]

    def __len__(self) -> int:
        return int(self.rows.sum())


def segment_features(config: Config, frame: pd.DataFrame) -> tuple[str, ...]:
    """The features in whose groups a model must hold, of those that the rows have."""
    wanted = config.promotion.segments or tuple(f"attribute_{name}" for name in config.features.attributes)
    return tuple(name for name in wanted if name in frame.columns)


def groups_of(part: Dataset, feature: str, *, least: int) -> Iterator[Group]:
    """The groups of a feature with enough rows; numbers with more than ten values are cut into quarters."""
    column = part.frame[feature]
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > 10:
        column = pd.qcut(column, 4, duplicates="drop").astype(str).where(column.notna(), None)
    names = column.astype(object).where(column.notna(), MISSING).astype(str).to_numpy(dtype=object)
    for name in sorted(set(names)):
        group = Group(feature=feature, name=name, rows=np.asarray(names == name))
        if len(group) >= least:
            yield group


def fairness_report(
    part: Dataset, score: FloatArray, features: tuple[str, ...], spread: Spread, *, least: int
) -> list[dict[str, Any]]:
    """Per group: how many are among the top fifth, how right the scores are, and how many goals are found there.

    ``selection_ratio`` is the group's selected share over that of the group with the largest one (the "four fifths
    rule" asks for 0.8); ``true_positive_rate`` is the share of its goals that are among the selected.

    Args:
        part: The rows.
        score: Shape (n,).
        features: Whose groups.
        spread: How much labels vary about scores.
        least: Rows from which a group is shown.
    """
    order = np.argsort(-score, kind="stable")
    selected = np.zeros(len(score), dtype=bool)
    selected[order[: round(TOP_SHARE * len(score))]] = True
    binary = bool(np.isin(part.label, (0.0, 1.0)).all())
    report: list[dict[str, Any]] = []
    for feature in features:
        lines: list[dict[str, Any]] = []
        for group in groups_of(part, feature, least=least):
            label, own, chosen = part.label[group.rows], score[group.rows], selected[group.rows]
            ratio = spread.mean_ratio(label, own, part.customer_id[group.rows])
            lines.append(
                {
                    "feature": feature,
                    "group": group.name,
                    "rows": len(group),
                    "mean_label": float(label.mean()),
                    "mean_score": float(own.mean()),
                    "label_over_score": None if ratio is None else [ratio.value, ratio.low, ratio.high],
                    "selected_share": float(chosen.mean()),
                    "true_positive_rate": float(chosen[label > 0.0].mean()) if binary and (label > 0.0).any() else None,
                    "auc": AUC(label, own) if binary and label.min() < label.max() else None,
                }
            )
        largest = max((line["selected_share"] for line in lines), default=0.0)
        report += [
            {**line, "selection_ratio": line["selected_share"] / largest if largest > 0.0 else None} for line in lines
        ]
    return report
