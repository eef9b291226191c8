"""Send time: in which local hours of the week a customer is active.

Shares are activity, never an effect of sending. The method is ``serving.rhythm``: a customer's own hours, drawn towards
look-alikes and everyone as far as the tuning says, then trees over single hours if they win on the calibrate part.

Beside it, and kept apart from it, the card says what sending at an hour does to the response, where past sends were
spread over hours enough to tell (``send_effect.py``), or that it is not identified.
"""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.bundle import Calibration, GoldenRows
from foretouch.core.columns import CUSTOMER_ID
from foretouch.core.config import Config
from foretouch.core.errors import ConfigError, DataError
from foretouch.core.models import ModelName
from foretouch.core.rng import bucket
from foretouch.core.workspace import Workspace
from foretouch.features.history_sample import read_sample
from foretouch.features.store import training_frame
from foretouch.features.tables import connect
from foretouch.serving.models.rhythm import HOURS, Rhythm, back_off, cell_inputs, cells, read_counts, refined_shares
from foretouch.training.activity import hits, later_hours, log_likelihoods, per_event, plan_times
from foretouch.training.booster import fit_booster, golden_rows, predict_text
from foretouch.training.data import dataset_hash
from foretouch.training.evaluation import compare
from foretouch.training.history import history_times
from foretouch.training.send_effect_report import judge_effect, learn_effect
from foretouch.training.splits import assign_parts
from foretouch.training.tabular import WARM_UP, describe
from foretouch.training.targets import data_span, spine
from foretouch.training.task import Dataset, Evaluation, Fitted, FloatArray, Split, TrainingRun
from foretouch.training.tuning import Attempt, read_space, tune

EVERYONE = "everyone_best_hours"
LATER = "later_hours"
TOP_HOURS = (3, 6, 12, 24)
NO_SEGMENT = "none"
MAX_ROWS = 30_000
"""Rows (customer, as-of time) are thinned by customer above this."""
MAX_TREE_ROWS = 3_000
"""Rows whose 168 cells the trees see."""
STEPS = (20, 40, 80, 120, 160)
"""Numbers of trees that are tried on the calibrate part."""
MIN_EVENTS = 300
NO_EFFECT = "Shares measure when customers are active; they say nothing about the effect of sending at an hour."
SHRINKAGE = ("concentration", "bandwidth", "other_days", "segment", "segment_concentration")


@dataclass(frozen=True, kw_only=True)
class Hours:
    """One part as arrays.

    Attributes:
        own: The customer's events before the as-of time by local hour of week, shape (n, 168).
        later: Events in the window after it, shape (n, 168).
        frame: The part's frame, for segments and times.
    """

    own: FloatArray
    later: FloatArray
    frame: pd.DataFrame

    @classmethod
    def of(cls, part: Dataset, counts_feature: str) -> "Hours":
        """Reads the arrays of a part."""
        own = np.stack([read_counts(value) for value in part.frame[counts_feature]])
        return cls(own=own, later=np.stack(list(part.frame[LATER])), frame=part.frame)

    def segments(self, feature: str) -> "NDArray[np.object_]":
        """Value of the segment feature of each row, shape (n,); None without one."""
        if feature not in self.frame.columns:
            return np.full(len(self.own), None, dtype=object)
        values = self.frame[feature].astype(object)
        return np.asarray(values.where(values.notna(), None).to_numpy(), dtype=object)

    def take(self, rows: "NDArray[np.bool_]") -> "Hours":
        """Some rows."""
        return Hours(own=self.own[rows], later=self.later[rows], frame=self.frame[rows])


class SendTimeTask:
    """Rows are (customer, as-of time); the label is the number of later events, their hours are ``later_hours``."""

    name: ModelName = "send-time"

    def goal(self, workspace: Workspace) -> Mapping[str, Any]:
        """Which event shows that a customer is active."""
        return {
            "engagement_event": workspace.config.goals.send_time.engagement_event,
            "predicts": "local hours of the week in which the customer is active",
            "beside_it": "the effect of sending at an hour, where hours of sending were varied (extras)",
        }

    def load(self, run: TrainingRun) -> Split:
        """Customers with later activity, at as-of times whose windows follow each other.

        Raises:
            DataError: The history is too short, or holds too few events.
        """
        workspace = run.workspace
        event = workspace.config.goals.send_time.engagement_event
        feature = counts_feature(workspace.config)
        with closing(connect(workspace)) as connection:
            span = data_span(connection, event, workspace.clock.now())
            plan = plan_times(history_times(workspace), start=span.start + WARM_UP, end=span.end)
            rows = spine(connection, [*plan.fit, *plan.calibrate, *plan.test], kept=read_sample(workspace).snapshots)
            share = MAX_ROWS / max(len(rows), 1)
            if share < 1.0:
                kept = [bucket("training-rows", str(customer)) < share for customer in rows[CUSTOMER_ID]]
                rows = rows[kept].reset_index(drop=True)
            zone = workspace.config.workspace.time_zone
            later = later_hours(connection, rows, event=event, window=plan.window, time_zone=zone)
        rows["part"] = assign_parts(rows, plan)
        rows[LATER] = list(later)
        rows["events"] = later.sum(axis=1)
        rows = rows[(rows["events"] > 0) & (rows["part"] != "")].reset_index(drop=True)
        for name in ("fit", "calibrate", "test"):
            events = int(rows.loc[rows["part"] == name, "events"].sum())
            if events < MIN_EVENTS:
                raise DataError(
                    f"the {name} part has {events} {event!r} events, need {MIN_EVENTS} to learn hours from",
                    hint="ingest a longer history, or choose a more frequent goals.send_time.engagement_event",
                )
        features = training_frame(workspace, self.name, rows[["customer_id", "as_of"]])
        wanted = ["customer_id", "as_of", feature, *(name for name in _segment_features() if name in features.columns)]
        frame = rows.merge(features[wanted], on=["customer_id", "as_of"], how="left", validate="one_to_one")
        parts = {name: _part(frame, name) for name in ("fit", "calibrate", "test")}
        return Split(
            fit=parts["fit"],
            calibrate=parts["calibrate"],
            test=parts["test"],
            trained_through=plan.trained_through,
            description=describe(plan, parts),
        )

    def fit(self, run: TrainingRun, split: Split) -> Fitted:
        """Tunes the back-off on the fit part, tries trees on the calibrate part, and renews everyone's pattern."""
        feature = counts_feature(run.workspace.config)
        fit, calibrate = Hours.of(split.fit, feature), Hours.of(split.calibrate, feature)
        digest = hashlib.sha256(dataset_hash(split.fit, split.calibrate, inputs=()).encode())
        for part in (fit, calibrate):
            digest.update(part.own.tobytes() + part.later.tobytes())
        make = partial(make_rhythm, counts_feature=feature)

        def objective(attempt: Attempt) -> float:
            rhythm = make(attempt.parameters, last_time(fit), with_later=False)
            shares = back_off(rhythm, fit.own, fit.segments(rhythm.segment_feature))
            return float(-log_likelihoods(fit.later, shares).sum() / fit.later.sum())

        tuned = tune(objective, run=run, model=self.name, space=read_space(self.name), data_sha256=digest.hexdigest())
        chosen = {name: tuned.parameters[name] for name in SHRINKAGE}
        trees = {name: value for name, value in tuned.parameters.items() if name not in SHRINKAGE}
        text, count, gain = _refine(run, make(chosen, last_time(fit), with_later=True), trees, fit, calibrate)
        rhythm = replace(make(chosen, last_time(calibrate), with_later=True), refined=bool(text))
        effect = learn_effect(run, rhythm, until=split.trained_through)
        run.say(effect.notes[0])
        digest.update(effect.digest.encode())
        golden = GoldenRows(inputs=(), raw=(), calibrated=())
        if text:
            segments = calibrate.segments(rhythm.segment_feature)[:20]
            shares = back_off(rhythm, calibrate.own[:20], segments)
            golden = golden_rows(text, cells(rhythm, calibrate.own[:20], segments, shares), Calibration())
        return Fitted(
            target="distribution",
            inputs=cell_inputs() if text else (),
            model_text=text,
            golden=golden,
            data_sha256=digest.hexdigest(),
            parameters={**chosen, **trees, "rounds": count, "trials": tuned.trials, "gain_of_trees": gain},
            extras={**rhythm.to_extras(), "hours": HOURS, "measures": NO_EFFECT, **effect.extras},
            notes=(
                NO_EFFECT,
                f"Trees {'are' if text else 'are not'} used: {gain:+.5f} nats per event on the calibrate part.",
                *effect.notes,
            ),
        )

    def evaluate(self, run: TrainingRun, split: Split, fitted: Fitted) -> Evaluation:
        """Later activity beside everyone's best hours: log-likelihood per event and hits in the best k hours."""
        rhythm = Rhythm.from_extras(fitted.extras)
        test = Hours.of(split.test, rhythm.counts_feature)
        events = split.test.label
        shares = predict_shares(fitted, test)
        everyone = np.tile(rhythm.everyone, (len(events), 1))
        figures: dict[str, Callable[[FloatArray], FloatArray]] = {
            "activity_log_likelihood": partial(log_likelihoods, test.later),
            **{f"activity_hit_rate_{k}h": partial(hits, test.later, k=k) for k in TOP_HOURS},
        }
        comparisons = [
            compare(
                per_event(name),
                label=events,
                model=of(shares),
                reference=of(everyone),
                cluster=split.test.customer_id,
                baseline=EVERYONE,
                seed=run.seed,
            )
            for name, of in figures.items()
        ]
        effect = judge_effect(run, rhythm, fitted.extras, since=split.trained_through)
        return Evaluation(
            primary="activity_log_likelihood",
            metrics={**{item.metric: item.model for item in comparisons}, **effect.metrics},
            baselines={EVERYONE: {item.metric: item.reference for item in comparisons}, **effect.baselines},
            comparisons=(*comparisons, *effect.comparisons),
            plots={
                "week": partial(_draw_week, rhythm.everyone),
                "hits": partial(_draw_hits, test.later, {"model": shares, "everyone's best hours": everyone}),
            },
        )


def counts_feature(config: Config) -> str:
    """The feature with 168 counts of the event that shows a customer is active.

    Raises:
        ConfigError: No feature counts that event by hour.
    """
    event = config.goals.send_time.engagement_event
    if event == config.features.purchase_event:
        return "purchase_hours"
    if event in config.features.engagement_events:
        return "engagement_hours"
    raise ConfigError(
        f"goals.send_time.engagement_event == {event!r} is neither features.purchase_event nor one of"
        " features.engagement_events",
        hint="name it in features.engagement_events of foretouch.toml, then: foretouch features build",
    )


def make_rhythm(parameters: Mapping[str, Any], known: Hours, *, counts_feature: str, with_later: bool) -> Rhythm:
    """Patterns of everyone and of each segment from the events of one as-of time.

    Args:
        parameters: The shrinkage, by name.
        known: Rows of that time.
        counts_feature: Feature with the counts.
        with_later: Whether the window after it is known too.
    """
    counts = known.own + known.later if with_later else known.own
    total = counts.sum(axis=0) + 1.0
    everyone = total / total.sum()
    feature = "" if parameters["segment"] == NO_SEGMENT else str(parameters["segment"])
    segments: dict[str, FloatArray] = {}
    names = known.segments(feature)
    weight = float(parameters["segment_concentration"])
    for name in sorted({str(value) for value in names if value is not None}):
        own = counts[names.astype(str) == name].sum(axis=0)
        segments[name] = (own + weight * everyone) / (own.sum() + weight)
    return Rhythm(
        counts_feature=counts_feature,
        segment_feature=feature,
        everyone=everyone,
        segments=segments,
        concentration=float(parameters["concentration"]),
        bandwidth=float(parameters["bandwidth"]),
        other_days=float(parameters["other_days"]),
        refined=False,
    )


def predict_shares(fitted: Fitted, part: Hours) -> FloatArray:
    """Shares of a part's customers, shape (n, 168): what the service would say."""
    rhythm = Rhythm.from_extras(fitted.extras)
    segments = part.segments(rhythm.segment_feature)
    if not rhythm.refined:
        return back_off(rhythm, part.own, segments)
    blocks = [
        refined_shares(
            rhythm,
            part.own[first : first + 2000],
            segments[first : first + 2000],
            partial(predict_text, fitted.model_text),
        )
        for first in range(0, len(part.own), 2000)
    ]
    return np.concatenate(blocks)


def last_time(part: Hours) -> Hours:
    """The rows of the part's last as-of time."""
    return part.take((part.frame["as_of"] == part.frame["as_of"].max()).to_numpy())


def _refine(
    run: TrainingRun, rhythm: Rhythm, parameters: Mapping[str, Any], fit: Hours, calibrate: Hours
) -> tuple[str, int, float]:
    """Trees over (customer, hour): text, number of trees and gain in nats per event; no text where they do not win.

    A Poisson model of an hour's count with exposure events x share: its response is the factor by which the hour is
    busier than the share says. With exposure e, counts y and a log link, the likelihood is that of y / e with weight e.
    """
    seen, judge = _sample(fit), _sample(calibrate)
    segments = seen.segments(rhythm.segment_feature)
    shares = back_off(rhythm, seen.own, segments)
    exposure = (seen.later.sum(axis=1, keepdims=True) * shares).reshape(-1)
    booster = fit_booster(
        cells(rhythm, seen.own, segments, shares),
        seen.later.reshape(-1) / exposure,
        weight=exposure,
        inputs=cell_inputs(),
        parameters=parameters,
        rounds=max(STEPS),
        seed=run.seed,
        threads=run.threads,
    )
    names = judge.segments(rhythm.segment_feature)
    shares = back_off(rhythm, judge.own, names)
    before = log_likelihoods(judge.later, shares)
    grid = cells(rhythm, judge.own, names, shares)
    margin = np.zeros(len(grid))
    best = _Refinement(steps=0, gain=0.0, wins=False)
    for earlier, step in pairwise((0, *STEPS)):
        margin += np.asarray(
            booster.predict(
                grid, raw_score=True, start_iteration=earlier, num_iteration=step - earlier, num_threads=run.threads
            )
        )
        after = log_likelihoods(judge.later, refined_shares(rhythm, judge.own, names, partial(_exponential, margin)))
        change = after - before
        gain = float(change.sum() / judge.later.sum())
        spread = float(change.std() * np.sqrt(len(change)) / judge.later.sum())
        if gain > best.gain:
            best = _Refinement(steps=step, gain=gain, wins=gain > 2.0 * spread)
    text: str = booster.model_to_string(num_iteration=best.steps) if best.wins else ""
    return text, best.steps if best.wins else 0, best.gain


@dataclass(frozen=True, kw_only=True)
class _Refinement:
    """A number of trees, what they gain in nats per event, and whether that is more than two standard errors."""

    steps: int
    gain: float
    wins: bool


def _exponential(margin: FloatArray, _: FloatArray) -> FloatArray:
    return np.asarray(np.exp(margin))


def _sample(part: Hours) -> Hours:
    """At most ``MAX_TREE_ROWS`` rows, the same ones for the same customers."""
    share = MAX_TREE_ROWS / len(part.own)
    if share >= 1.0:
        return part
    return part.take(np.array([bucket("send-time-trees", str(name)) < share for name in part.frame[CUSTOMER_ID]]))


def _segment_features() -> tuple[str, ...]:
    choices = read_space("send-time").ranges["segment"]["choices"]
    return tuple(str(name) for name in choices if name != NO_SEGMENT)


def _part(frame: pd.DataFrame, name: str) -> Dataset:
    rows = frame[frame["part"] == name].reset_index(drop=True)
    return Dataset(frame=rows.drop(columns=["part", "events"]), label=rows["events"].to_numpy(dtype=np.float64))


def _draw_week(everyone: FloatArray, figure: Any) -> None:
    axes = figure.subplots()
    axes.imshow(everyone.reshape(7, 24), aspect="auto", cmap="Blues")
    axes.set_yticks(range(7), ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
    axes.set_xlabel("local hour")
    axes.set_title("Everyone's activity by hour of week")


def _draw_hits(later: FloatArray, shares: Mapping[str, FloatArray], figure: Any) -> None:
    axes = figure.subplots()
    steps = (1, 2, *TOP_HOURS, 48, 84, HOURS)
    for name, pattern in shares.items():
        axes.plot(steps, [hits(later, pattern, k).sum() / later.sum() for k in steps], marker="o", label=name)
    axes.set_xscale("log")
    axes.set_xlabel("best hours of the week")
    axes.set_ylabel("share of later activity in them")
    axes.legend()


TASK = SendTimeTask()
