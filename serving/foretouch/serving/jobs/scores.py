"""Scores for everyone: the champion over the as-of features of now, in chunks, to one file for the CRM."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
import pyarrow as pa

from foretouch.core import columns as c
from foretouch.core.bundle import ModelCard, ModelInput, read_aliases
from foretouch.core.config import Config
from foretouch.core.errors import DataError, NotReadyError
from foretouch.core.workspace import Workspace
from foretouch.features.build import build_features
from foretouch.features.tables import connect
from foretouch.serving.jobs.leads import ScoredLead
from foretouch.serving.jobs.score_file import ScoreFile, read_audience
from foretouch.serving.models.bundles import load_scorer
from foretouch.serving.models.points import POINTS_RULE, feature_of, points, points_band, reasons, said
from foretouch.serving.models.scoring import Explainer, FloatArray, Scorer, band, calibrate, interval
from foretouch.serving.models.support import BackOff, back_off_of, too_little_of
from foretouch.serving.words.moves import moves

ScoredModel = Literal["lead", "churn", "value"]
CHUNK = 20_000
REASONS = 3
CUSTOMER, SEGMENT = "customer", "segment"
"""Whose rate a score is."""
_TEXT = pa.string()
_COLUMNS: dict[str, pa.DataType] = {
    "customer_id": _TEXT,
    "model": _TEXT,
    "model_version": _TEXT,
    "as_of": pa.timestamp("us", "UTC"),
    "score": pa.float64(),
    "score_low": pa.float64(),
    "score_high": pa.float64(),
    "points": pa.float64(),
    "band": _TEXT,
    "basis": _TEXT,
    **{f"reason_{rank}": _TEXT for rank in range(1, REASONS + 1)},
    "note": _TEXT,
}
SCHEMA = pa.schema(_COLUMNS)
"""Columns of the file. ``basis`` is ``customer``, or ``segment`` where the rate of the customer's segment stands in, or
``points_rule`` where there is no lead model yet (``points``, no score); ``note`` says why, or why a score is null."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class ScoreRun:
    """What one run did.

    Attributes:
        model: Which model.
        version: Which champion.
        rows: Rows written.
        scored: Rows with a score.
        bands: Rows per band.
        notes: Rows without a score, by reason.
        leads: Everybody scored, for the hand-off; empty for other models.
        out: The file.
    """

    model: str
    version: str
    rows: int
    scored: int
    bands: dict[str, int]
    notes: dict[str, int]
    leads: tuple[ScoredLead, ...]
    out: Path


def score_everyone(
    workspace: Workspace,
    model: str,
    out: Path,
    *,
    audience: Path | None = None,
    progress: Progress | None = None,
    chunk: int = CHUNK,
) -> ScoreRun:
    """Scores everyone, or an audience, with the champion, and writes the file whole or not at all.

    Leads without a champion get the points of the marketers' rule instead of a score.

    Args:
        workspace: Whose customers, features and bundles.
        model: ``lead``, ``churn`` or ``value``.
        out: A ``.parquet`` or ``.csv`` file.
        audience: A Parquet or CSV file with a column ``customer_id``.
        progress: Called with (customers done, customers in all).
        chunk: Customers whose features are built together.

    Raises:
        DataError: The model, the file's kind or the audience is none we know.
        NotReadyError: The model has no champion yet.
        BundleError: Its bundle was altered.
    """
    if model not in get_args(ScoredModel):
        raise DataError(f"model == {model!r}, must be one of {', '.join(get_args(ScoredModel))}")
    version = read_aliases(workspace.bundles, model).get("champion")
    cold = version is None and model == "lead" and bool(workspace.config.goals.lead.points)
    if version is None and not cold:
        raise NotReadyError(
            f"model {model} has no champion", hint=f"foretouch train {model} && foretouch promote {model}"
        )
    scorer = None if version is None else load_scorer(workspace.bundles, model, version)
    customers = _everyone(workspace) if audience is None else read_audience(audience)
    known = set(_everyone(workspace))
    bands: dict[str, int] = {}
    notes: dict[str, int] = {}
    leads: list[ScoredLead] = []
    rows = 0
    with ScoreFile(out, SCHEMA) as writer:
        for start in range(0, len(customers), chunk):
            some = customers[start : start + chunk]
            frame = (
                _cold_chunk(workspace, some, known) if scorer is None else score_chunk(workspace, scorer, some, known)
            )
            writer.add(frame)
            rows += len(frame)
            for name, count in frame["band"].value_counts().items():
                bands[str(name)] = bands.get(str(name), 0) + int(count)
            for name, count in frame.loc[frame["score"].isna(), "note"].value_counts().items():
                notes[str(name)] = notes.get(str(name), 0) + int(count)
            if model == "lead":
                leads += _leads(frame[frame["basis"] == CUSTOMER])
            if progress is not None:
                progress(min(start + chunk, len(customers)), len(customers))
    return ScoreRun(
        model=model,
        version=POINTS_RULE if version is None else version,
        rows=rows,
        scored=rows - sum(notes.values()),
        bands=bands,
        notes=notes,
        leads=tuple(leads),
        out=out,
    )


def score_chunk(workspace: Workspace, scorer: Scorer, customers: Sequence[str], known: set[str]) -> pd.DataFrame:
    """Scores of some customers as of now.

    Args:
        workspace: Features and clock.
        scorer: The champion.
        customers: Their ids, in the order of the result.
        known: Every id that we have features for.

    Returns:
        One row each, with the columns of ``SCHEMA``.
    """
    card, now = scorer.card, workspace.clock.now()
    features = _features_at(workspace, customers, known, now)
    outside = out_of_scope(workspace.config, card.model, features)
    outside = pd.concat([outside, too_little_of(card, features.drop(index=outside.index))])
    inside = features.drop(index=outside.index)
    vectors = encode_frame(card, inside)
    calibrated = [calibrate(card, float(value)) for value in np.asarray(scorer.predict(vectors))] if len(inside) else []
    spans = [interval(card, value) for value in calibrated]
    scored = pd.DataFrame(
        {
            "score": np.array(calibrated, dtype=np.float64),
            "score_low": np.array([span.low if span else np.nan for span in spans], dtype=np.float64),
            "score_high": np.array([span.high if span else np.nan for span in spans], dtype=np.float64),
            "band": np.array([band(card, value) for value in calibrated], dtype=object),
            "basis": np.full(len(inside), CUSTOMER, dtype=object),
        },
        index=inside.index,
    )
    if len(inside) and isinstance(scorer, Explainer):
        reasons = _reasons(workspace.config, card, inside, scorer.contributions(vectors))
        for rank in range(REASONS):
            scored[f"reason_{rank + 1}"] = [row[rank] for row in reasons]
    thin = _told_by_segment(scored, card, back_off_of(card, inside, vectors))
    named = (card.model, card.version, pd.Timestamp(now))
    return _as_rows(scored, pd.concat([outside, thin]), customers, known, named)


def _cold_chunk(workspace: Workspace, customers: Sequence[str], known: set[str]) -> pd.DataFrame:
    """Points of some customers as of now, by the rule that marketers wrote: the lead model's cold start."""
    config, now, goal = workspace.config, workspace.clock.now(), workspace.config.goals.lead
    features = _features_at(workspace, customers, known, now)
    outside = out_of_scope(config, "lead", features)
    inside = features.drop(index=outside.index)
    found = points(inside, goal)
    scored = pd.DataFrame({"points": found}, index=inside.index)
    scored["band"] = np.array([points_band(each, goal) for each in found], dtype=object)
    scored["basis"] = POINTS_RULE
    counted = inside[[feature_of(event) for event in goal.points]].to_dict("records")
    told = [reasons({str(name): value for name, value in row.items()}, goal, REASONS) for row in counted]
    for rank in range(REASONS):
        scored[f"reason_{rank + 1}"] = [texts[rank] if rank < len(texts) else None for texts in told]
    notes = pd.concat([outside, pd.Series(said(goal), index=inside.index, dtype=object)])
    return _as_rows(scored, notes, customers, known, ("lead", POINTS_RULE, pd.Timestamp(now)))


def _features_at(workspace: Workspace, customers: Sequence[str], known: set[str], now: datetime) -> pd.DataFrame:
    """Features of those of some customers whom we know, indexed by customer."""
    present = [name for name in customers if name in known]
    times = pd.Series([now] * len(present), dtype="datetime64[us, UTC]")
    features = build_features(workspace, pd.DataFrame({c.CUSTOMER_ID: present, c.AS_OF: times}))
    return features.drop_duplicates(c.CUSTOMER_ID).set_index(c.CUSTOMER_ID).reindex(present)


def _as_rows(
    scored: pd.DataFrame,
    notes: "pd.Series[str]",
    customers: Sequence[str],
    known: set[str],
    named: tuple[str, str, pd.Timestamp],
) -> pd.DataFrame:
    """One row per customer, in their order, with the columns of ``SCHEMA``; strangers are said to be strangers."""
    strangers = pd.Series("unknown customer", index=[name for name in customers if name not in known], dtype=object)
    result = scored.reindex(index=list(customers), columns=SCHEMA.names)
    result["customer_id"] = list(customers)
    result["model"], result["model_version"], result["as_of"] = named
    result["note"] = pd.concat([notes, strangers]).reindex(list(customers)).astype(object)
    return result.reset_index(drop=True)


def _told_by_segment(scored: pd.DataFrame, card: ModelCard, told: Mapping[int, BackOff]) -> "pd.Series[str]":
    """Puts the segment's rate where too little is known of a customer, and says why, by customer."""
    why: dict[str, str] = {}
    for row, item in told.items():
        customer = str(scored.index[row])
        why[customer] = item.why
        scored.loc[customer] = None
        if item.rate is not None:
            columns = ["score", "score_low", "score_high", "band", "basis"]
            scored.loc[customer, columns] = [item.rate, item.low, item.high, band(card, item.rate), SEGMENT]
    return pd.Series(why, dtype=object)


def out_of_scope(config: Config, model: str, features: pd.DataFrame) -> "pd.Series[str]":
    """Why some customers get no score: the model was never shown anybody like them.

    Args:
        config: The goals.
        model: Which model.
        features: Customer features, indexed by customer.

    Returns:
        The reason, by customer, for those left out.
    """
    if model == "lead":
        left = features["goal_total"].fillna(0) > 0
        reason = f"no lead any more: has done {config.goals.lead.goal_event}"
    elif model == "churn":
        goal = config.goals.churn
        left = ~(features["days_since_activity"] <= goal.active_days)
        reason = f"not active: no {goal.activity_event} in the last {goal.active_days:g} days"
    else:
        left = pd.Series(data=False, index=features.index)
        reason = ""
    return pd.Series(reason, index=features.index[left.to_numpy(dtype=bool)], dtype=object)


def encode_frame(card: ModelCard, features: pd.DataFrame) -> FloatArray:
    """The model's input vectors of many customers: ``ModelCard.encode`` of each row, by column.

    Args:
        card: Names, kinds and levels of the inputs.
        features: One row per customer.

    Returns:
        Shape (n, inputs); NaN is missing.
    """
    if not card.inputs:
        return np.empty((len(features), 0))
    return np.column_stack([_encode_column(item, features) for item in card.inputs])


def _encode_column(item: ModelInput, features: pd.DataFrame) -> FloatArray:
    if item.name not in features:
        return np.full(len(features), np.nan)
    column = features[item.name]
    if item.kind == "category":
        codes = {level: float(index) for index, level in enumerate(item.levels)}
        known = column.notna().to_numpy()
        texts = column.astype(str).to_numpy()
        return np.array([codes.get(text, np.nan) if seen else np.nan for text, seen in zip(texts, known, strict=True)])
    numbers = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _reasons(
    config: Config, card: ModelCard, features: pd.DataFrame, contributions: FloatArray
) -> list[list[str | None]]:
    """What moved each score most, in words, strongest first."""
    weights = contributions[:, : len(card.inputs)]
    values = {item.name: features[item.name].to_numpy(dtype=object) for item in card.inputs if item.name in features}
    result: list[list[str | None]] = []
    for row, added in enumerate(weights.tolist()):
        known = {name: None if pd.isna(column[row]) else column[row] for name, column in values.items()}
        said: list[str | None] = [
            f"{move.text} ({'raises' if move.direction == 'up' else 'lowers'} it)"
            for move in moves(card, known, added, config)[:REASONS]
        ]
        result.append(said + [None] * (REASONS - len(said)))
    return result


def _leads(frame: pd.DataFrame) -> list[ScoredLead]:
    """What sales is told of each lead."""
    result = []
    for row in frame.to_dict("records"):
        data = {
            "model_version": row["model_version"],
            "band": row["band"],
            "interval": None if pd.isna(row["score_low"]) else [row["score_low"], row["score_high"]],
            "reasons": [row[f"reason_{rank}"] for rank in range(1, REASONS + 1) if row[f"reason_{rank}"]],
        }
        result.append(ScoredLead(customer_id=row["customer_id"], score=float(row["score"]), data=data))
    return result


def _everyone(workspace: Workspace) -> list[str]:
    """Customers on record, and people who are known by posted events alone, as the service knows them."""
    query = "SELECT customer_id FROM customers UNION SELECT customer_id FROM events ORDER BY customer_id"
    with closing(connect(workspace)) as tables:
        rows = tables.execute(query).fetchall()
    return [str(name) for (name,) in rows]
