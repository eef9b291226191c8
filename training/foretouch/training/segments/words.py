"""Clusters in words: what sets each one apart from everyone, in English and Chinese."""

import numpy as np
import pandas as pd

from foretouch.core.clusters import Cluster, ClusterModel
from foretouch.core.config import Config
from foretouch.serving.words.features import feature_text

MOST = 3
APART = 0.4
"""Standard units from everyone's mean below which a feature is not worth a word."""
DIRECTIONS = {True: ("high", "高"), False: ("low", "低")}


def describe(model: ClusterModel, frame: pd.DataFrame, config: Config) -> ClusterModel:
    """The clusters with their shares and what sets each apart.

    Args:
        model: Clusters without words.
        frame: Features of every customer, with the column ``cluster``.
        config: For the features' texts.
    """
    clusters = []
    for cluster in model.clusters:
        mine = frame[frame["cluster"] == cluster.name]
        told = [
            _told(model.features[index].name, cluster.centre[index] > 0.0, mine, frame, config)
            for index in _apart(cluster)
        ]
        text_en = "; ".join(english for english, _ in told) or "close to everyone's average"
        text_zh = "；".join(chinese for _, chinese in told) or "接近总体平均水平"
        clusters.append(cluster.replace(share=len(mine) / max(len(frame), 1), text_en=text_en, text_zh=text_zh))
    return model.replace(clusters=tuple(clusters))


def _apart(cluster: Cluster) -> list[int]:
    """The features in which a centre lies farthest from everyone's mean, the farthest first."""
    centre = np.asarray(cluster.centre)
    order = np.argsort(-np.abs(centre), kind="stable")
    return [int(index) for index in order[:MOST] if abs(centre[index]) >= APART]


def _told(name: str, above: bool, mine: pd.DataFrame, everyone: pd.DataFrame, config: Config) -> tuple[str, str]:
    english, chinese = DIRECTIONS[above]
    own, all_ = (_number(rows[name].median()) for rows in (mine, everyone))
    return (
        f"{english} {feature_text(name, config, 'en')} ({own}, everyone {all_})",
        f"{feature_text(name, config, 'zh')}{chinese}（{own}，总体 {all_}）",
    )


def _number(value: float) -> str:
    if not np.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"
