"""Plots of a trained model: what drives it, whether its probabilities hold, what its order is worth."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

if "MPLBACKEND" not in os.environ:  # Jupyter names one; without any, no window is wanted
    mpl.use("Agg")

import lightgbm as lgb
import matplotlib.pyplot as plt
import numpy as np

from foretouch.core.bundle import ModelInput
from foretouch.training.metrics import gain_curve
from foretouch.training.task import FloatArray

SHAP_ROWS = 2000
BINS = 10


def save_plot(path: Path, draw: Callable[[Any], None], *, size: tuple[float, float] = (7.0, 5.0)) -> Path:
    """Draws on a figure of its own and writes it as PNG.

    Args:
        path: Where to.
        draw: Receives the figure.
        size: Inches.
    """
    figure = plt.figure(figsize=size, layout="constrained")
    try:
        draw(figure)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110, metadata={"Software": "foretouch"})
    finally:
        plt.close(figure)
    return path


def shap_summary(path: Path, text: str, matrix: FloatArray, inputs: Sequence[ModelInput]) -> Path:
    """SHAP values (LightGBM's own ``pred_contrib``, which are exactly SHAP's) of up to 2,000 rows.

    Args:
        path: Where to.
        text: LightGBM's model text.
        matrix: Encoded rows, shape (n, inputs).
        inputs: Names of the columns.
    """
    rows = matrix[np.unique(np.linspace(0, len(matrix) - 1, num=min(SHAP_ROWS, len(matrix))).astype(int))]
    contributions = np.asarray(lgb.Booster(model_str=text).predict(rows, pred_contrib=True))[:, :-1]
    plt.close("all")
    with warnings.catch_warnings():  # shap uses what the next matplotlib and NumPy will not have
        warnings.simplefilter("ignore")
        import shap  # type: ignore[import-untyped] # noqa: PLC0415

        shap.summary_plot(
            contributions,
            rows,
            feature_names=[column.name for column in inputs],
            max_display=20,
            show=False,
            rng=np.random.default_rng(0),
        )
    figure = plt.gcf()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": "foretouch"})
    finally:
        plt.close(figure)
    return path


def draw_calibration(figure: Any, label: FloatArray, score: FloatArray, *, amount: bool) -> None:
    """Mean label against mean score in ten bins of equal mass, with 95 % intervals, and the diagonal."""
    axes = figure.subplots()
    parts = [part for part in np.array_split(np.argsort(score, kind="stable"), BINS) if len(part)]
    mean_score = np.array([score[part].mean() for part in parts])
    mean_label = np.array([label[part].mean() for part in parts])
    error = 1.96 * np.array([label[part].std() / np.sqrt(len(part)) for part in parts])
    top = float(max(mean_score.max(), (mean_label + error).max(), 1e-9))
    axes.plot([0, top], [0, top], color="0.6", linestyle="--", label="as predicted")
    axes.errorbar(mean_score, mean_label, yerr=error, marker="o", capsize=3, label="model, ten groups, 95 %")
    axes.set_xlabel("predicted amount" if amount else "predicted probability")
    axes.set_ylabel("mean amount that came" if amount else "share that did")
    axes.set_title("Calibration on later data")
    axes.legend()


def draw_gain(figure: Any, label: FloatArray, scores: Mapping[str, FloatArray]) -> None:
    """Share of everything found in the top share of customers, for the model and its baselines."""
    axes = figure.subplots()
    for name, score in scores.items():
        share, gain = gain_curve(label, score)
        axes.plot(share, gain, label=name.replace("_", " "), linewidth=2.2 if name == "model" else 1.2)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="at random")
    axes.set_xlabel("share of customers, best first")
    axes.set_ylabel("share of the goal found among them")
    axes.set_title("Gain on later data")
    axes.legend()
