"""The Complete Journey, October to December: lead, churn, value, offers and hours beside baselines and a plain model.

    python benchmarks/complete_journey.py [--data DIR] [--only JOB ...] [--out docs/results]

``DIR`` is the ``data`` folder of a workspace that ``foretouch init DIR --sample complete-journey`` made; without it one
is made in a folder that is thrown away. The plain model is LightGBM with its defaults on recency and window counts
(days since the last purchase and redemption; purchases, spend and redemptions of the last 7, 14, 28, 56 and 90 days),
learned from the same rows as ours and calibrated by nobody. Every row that is learned from has its label closed before
the first row that is judged.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from result import write

from foretouch.core.models import ModelName
from foretouch.core.workspace import Workspace
from foretouch.features.build import build_features
from foretouch.features.offers import load_catalogue
from foretouch.features.tables import connect
from foretouch.training.associations import accepted_before, associate
from foretouch.training.bench.send_time import choose, read_activity, shares_of
from foretouch.training.evaluation import cluster_weights, compare
from foretouch.training.lead import BANDS as LEAD_BANDS
from foretouch.training.metrics import AUC, AVERAGE_PRECISION, GINI, LOG_LOSS, MAE, SPEARMAN, Metric
from foretouch.training.offer_ranking import compare_rankings, popularity, rank
from foretouch.training.probability import fit_probability, score_rows
from foretouch.training.purchases import expected_spend, no_purchase
from foretouch.training.sends import pair_rows, read_sends, split_sends
from foretouch.training.tabular import customer_folds
from foretouch.training.task import Comparison, Dataset, Evaluation, Fitted, Split, TrainingRun
from foretouch.training.value import TASK as VALUE

Json = Any
Floats = NDArray[np.float64]

ZONE = "America/New_York"
SEED, DRAWS = 7, 500
WINDOWS = (7, 14, 28, 56, 90)
EVENTS = ("purchase", "coupon_redemption")
FIRST, EVERY_DAYS = "2017-03-05", 14
SNAPSHOTS = ("2017-10-15", "2017-11-15")
VALUE_AT, VALUE_DAYS = "2017-10-01", 90
TOP_HOURS = 3


def local(day: str) -> pd.Timestamp:
    """Midnight in the shops' zone, as UTC."""
    return pd.Timestamp(day, tz=ZONE).tz_convert("UTC")


class Journey:
    """The sample's tables and the features of any customer at any time.

    Attributes:
        workspace: A copy: nothing is written to the given one.
        events: Purchases and redemptions by people: ``customer_id``, ``event``, ``occurred_at``, ``value``.
        customers: Every id.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        events = pd.read_parquet(workspace.root / "data" / "events.parquet")
        self.events = events[~events["is_bot"] & events["event"].isin(EVENTS)].reset_index(drop=True)
        self.customers = np.sort(pd.read_parquet(workspace.root / "data" / "customers.parquet")["customer_id"].unique())
        self.run = TrainingRun(workspace=workspace, seed=SEED, trials=0, threads=1)

    def rows(self, days: Sequence[pd.Timestamp]) -> pd.DataFrame:
        """Every customer at every time."""
        return pd.DataFrame(
            [(customer, day) for day in days for customer in self.customers], columns=["customer_id", "as_of"]
        )

    def within(self, rows: pd.DataFrame, event: str, start: float, end: float) -> tuple[Floats, Floats]:
        """Number and value of an event from ``start`` to ``end`` days after each row's time, shape (n,) each."""
        own = self.events[self.events["event"] == event]
        count, value = np.zeros(len(rows)), np.zeros(len(rows))
        for moment, here in _by_time(rows):
            low, high = moment + pd.Timedelta(days=start), moment + pd.Timedelta(days=end)
            seen = own[(own["occurred_at"] >= low) & (own["occurred_at"] < high)].groupby("customer_id")["value"]
            ids = rows.loc[here, "customer_id"]
            count[here] = seen.size().reindex(ids).fillna(0.0)
            value[here] = seen.sum().reindex(ids).fillna(0.0)
        return count, value

    def plain(self, rows: pd.DataFrame) -> Floats:
        """Recency and window counts, shape (n, 17)."""
        columns = []
        for event in EVENTS:
            own = self.events[self.events["event"] == event]
            since = np.full(len(rows), np.nan)
            for moment, here in _by_time(rows):
                last = own[own["occurred_at"] < moment].groupby("customer_id")["occurred_at"].max()
                since[here] = (moment - last.reindex(rows.loc[here, "customer_id"])).dt.total_seconds() / 86_400.0
            columns.append(since)
            for days in WINDOWS:
                count, value = self.within(rows, event, -days, 0.0)
                columns += [count, value] if event == "purchase" else [count]
        return np.column_stack(columns)


def _by_time(rows: pd.DataFrame) -> list[tuple[pd.Timestamp, NDArray[np.intp]]]:
    """Each time of the rows, and where it stands."""
    return [(time, np.flatnonzero((rows["as_of"] == time).to_numpy())) for time in rows["as_of"].unique()]


def times(last_closed: pd.Timestamp, window: float) -> list[pd.Timestamp]:
    """Every second week from ``FIRST``, as long as the window closes by ``last_closed``."""
    made, day = [], local(FIRST)
    while day + pd.Timedelta(days=window) <= last_closed:
        made.append(day)
        day = day + pd.Timedelta(days=EVERY_DAYS)
    return made


def split(journey: Journey, seen: pd.DataFrame, unseen: pd.DataFrame, label: str) -> Split:
    """Customers of four folds to fit, of the fifth to calibrate, later snapshots of all to judge."""
    fold = customer_folds(seen["customer_id"].to_numpy(dtype=object), folds=5)
    parts = []
    for rows in (seen[fold > 0], seen[fold == 0], unseen):
        plain = rows.reset_index(drop=True)
        frame = build_features(journey.workspace, plain[["customer_id", "as_of"]])
        frame["as_of"] = pd.to_datetime(frame["as_of"], utc=True)
        parts.append(Dataset(frame=frame, label=plain[label].to_numpy(dtype=np.float64)))
    fit, calibrate, test = parts
    return Split(
        fit=fit,
        calibrate=calibrate,
        test=test,
        trained_through=seen["as_of"].max().to_pydatetime(),
        newest_through=unseen["as_of"].max().to_pydatetime(),
        description={"history_days_of_fit": float((seen["as_of"].max() - local("2017-01-01")).days)},
    )


def beside(
    label: Floats, ours: Floats, others: dict[str, Floats], rows: pd.DataFrame, metrics: Sequence[Metric]
) -> Json:
    """Figures of every score, and ours less each other one with its interval (whole customers drawn)."""
    figures: Json = {
        name: {metric.name: metric(label, score) for metric in metrics}
        for name, score in {"foretouch": ours, **others}.items()
    }
    cluster = rows["customer_id"].to_numpy(dtype=object)
    figures["foretouch_less"] = {
        name: {
            metric.name: _line(
                compare(
                    metric,
                    label=label,
                    model=ours,
                    reference=score,
                    cluster=cluster,
                    baseline=name,
                    seed=SEED,
                    draws=DRAWS,
                )
            )
            for metric in metrics
        }
        for name, score in others.items()
    }
    return figures


def _line(item: Comparison) -> Json:
    return {"difference": item.difference, "ci": [item.low, item.high], "wins": item.wins}


def probability(
    journey: Journey, model: ModelName, window: float, make: Callable[[pd.DataFrame], tuple[Floats, NDArray[np.bool_]]]
) -> tuple[Json, pd.DataFrame, Floats, Floats]:
    """Fits ours and the plain model before the first snapshot, and scores both snapshots."""
    days = [local(day) for day in SNAPSHOTS]
    seen, unseen = journey.rows(times(days[0], window)), journey.rows(days)
    for rows in (seen, unseen):
        rows["label"], rows["kept"] = make(rows)
    seen, unseen = (rows[rows["kept"]].reset_index(drop=True) for rows in (seen, unseen))
    parts = split(journey, seen, unseen, "label")
    fitted = fit_probability(journey.run, parts, model, band_shares=LEAD_BANDS)
    naive = lightgbm.LGBMClassifier(random_state=SEED, n_jobs=1, verbosity=-1)
    naive.fit(journey.plain(seen), seen["label"])
    plain = np.asarray(naive.predict_proba(journey.plain(unseen)))[:, 1].astype(np.float64)
    about = {
        "learned_from": f"{len(seen)} rows of {seen['as_of'].nunique()} snapshots up to {seen['as_of'].max().date()}",
        "judged_on": f"{len(unseen)} rows on {' and '.join(SNAPSHOTS)}, {int(unseen['label'].sum())} of them 1",
        "inputs": len(fitted.inputs),
        "calibration": fitted.calibration.method,
    }
    return about, unseen, score_rows(fitted, parts.test), plain


def lead(journey: Journey) -> Json:
    """A coupon redemption within 28 days, of every household."""

    def make(rows: pd.DataFrame) -> tuple[Floats, NDArray[np.bool_]]:
        return (journey.within(rows, "coupon_redemption", 0, 28)[0] > 0).astype(float), np.ones(len(rows), dtype=bool)

    about, rows, ours, plain = probability(journey, "lead", 28, make)
    label = rows["label"].to_numpy(dtype=np.float64)
    before = journey.within(rows, "coupon_redemption", -90, 0)[0]
    others = {"plain_lightgbm": plain}
    metrics = (AUC, AVERAGE_PRECISION, LOG_LOSS)
    figures = beside(label, ours, others, rows, metrics)
    figures["foretouch_less"]["redemptions_of_90_days"] = beside(
        label, ours, {"r": before}, rows, (AUC, AVERAGE_PRECISION)
    )["foretouch_less"]["r"]
    return {"label": "a coupon redemption within 28 days", **about, **figures}


def churn(journey: Journey) -> Json:
    """No purchase within 28 days, of households that bought in the last 56."""

    def make(rows: pd.DataFrame) -> tuple[Floats, NDArray[np.bool_]]:
        later = journey.within(rows, "purchase", 0, 28)[0]
        return (later == 0).astype(float), journey.within(rows, "purchase", -56, 0)[0] > 0

    about, rows, ours, plain = probability(journey, "churn", 28, make)
    label = rows["label"].to_numpy(dtype=np.float64)
    silent = no_purchase(journey.workspace, "purchase", rows, window_days=28)
    others = {"plain_lightgbm": plain, "bg_nbd": silent}
    figures = beside(label, ours, others, rows, (AUC, AVERAGE_PRECISION, LOG_LOSS))
    return {"label": "no purchase within 28 days, of those who bought in the last 56", **about, **figures}


def value(journey: Journey) -> Json:
    """Spend from October to December, of every household."""
    day = local(VALUE_AT)
    seen, unseen = journey.rows(times(day, VALUE_DAYS)), journey.rows([day])
    for rows in (seen, unseen):
        rows["label"] = np.maximum(journey.within(rows, "purchase", 0, VALUE_DAYS)[1], 0.0)
    parts = split(journey, seen, unseen, "label")
    fitted = VALUE.fit(journey.run, parts)
    ours = score_rows(fitted, parts.test)
    naive = lightgbm.LGBMRegressor(random_state=SEED, n_jobs=1, verbosity=-1)
    naive.fit(journey.plain(seen), seen["label"])
    plain = np.maximum(np.asarray(naive.predict(journey.plain(unseen)), dtype=np.float64), 0.0)
    expected = expected_spend(journey.workspace, "purchase", unseen, window_days=VALUE_DAYS)
    label = unseen["label"].to_numpy(dtype=np.float64)
    others = {"plain_lightgbm": plain, "bg_nbd_gamma_gamma": expected}
    return {
        "label": f"spend within {VALUE_DAYS} days of {VALUE_AT}",
        "learned_from": f"{len(seen)} rows of {seen['as_of'].nunique()} snapshots up to {seen['as_of'].max().date()}",
        "mean": {
            "label": float(label.mean()),
            "foretouch": float(ours.mean()),
            **{k: float(v.mean()) for k, v in others.items()},
        },
        **beside(label, ours, others, unseen, (MAE, SPEARMAN, GINI)),
    }


def offer(journey: Journey) -> Json:
    """Redemption within a campaign, of those it was sent to: the last campaigns of the year."""
    from foretouch.training.offer import TASK  # noqa: PLC0415 - only this job needs it

    catalogue = load_catalogue(journey.workspace)
    with closing(connect(journey.workspace)) as connection:
        sends = read_sends(connection, catalogue, journey.workspace.config.goals.offer)
    cut = split_sends(sends)
    spine = sends[["customer_id", "as_of"]].drop_duplicates(ignore_index=True)
    frame = pair_rows(sends, build_features(journey.workspace, spine), catalogue)
    frame["randomised"] = sends["randomised"].to_numpy()
    label = sends["label"].to_numpy(dtype=np.float64)
    known, test = cut.fit | cut.calibrate, cut.test
    parts = Split(
        **{
            name: Dataset(frame=frame[mask].reset_index(drop=True), label=label[mask])
            for name, mask in (("fit", cut.fit), ("calibrate", cut.calibrate), ("test", test))
        },
        trained_through=sends.loc[known, "closes_at"].max().to_pydatetime(),
        newest_through=sends.loc[test, "closes_at"].max().to_pydatetime(),
        description={},
    )
    fitted: Fitted = TASK.fit(journey.run, parts)
    ours = score_rows(fitted, parts.test)
    seen, unseen = sends[known].reset_index(drop=True), sends[test].reset_index(drop=True)
    naive = lightgbm.LGBMClassifier(random_state=SEED, n_jobs=1, verbosity=-1)
    naive.fit(journey.plain(seen), seen["label"])
    plain = np.asarray(naive.predict_proba(journey.plain(unseen)))[:, 1].astype(np.float64)
    popular = popularity(frame[known], label[known], frame[test])
    rules = associate(seen)
    associated = np.log(popular) + rules.score(accepted_before(seen, unseen), unseen["offer_id"].tolist())
    judged: Evaluation = TASK.evaluate(journey.run, parts, fitted)
    rankings = {"plain_lightgbm": plain, "popularity": popular, "association_rules": associated}
    orders = {name: rank(unseen, label[test], score) for name, score in {"foretouch": ours, **rankings}.items()}
    campaigns, later = seen["offer_id"].nunique(), unseen["offer_id"].nunique()
    return {
        "label": "a redemption of the campaign's coupons by its end, when sent",
        "learned_from": f"{len(seen)} sends of {campaigns} campaigns, closed before the first one judged",
        "judged_on": f"{len(unseen)} sends of {later} campaigns from {unseen['as_of'].min().date()}",
        "category_base_rate": dict(judged.baselines["category_base_rate"]),
        **beside(
            label[test],
            ours,
            {"plain_lightgbm": plain, "popularity": popular},
            unseen,
            (AUC, AVERAGE_PRECISION, LOG_LOSS),
        ),
        "order_per_customer": {
            **{name: order.figures for name, order in orders.items()},
            "foretouch_less": {
                f"{item.baseline}.{item.metric}": _line(item)
                for item in compare_rankings(orders.pop("foretouch"), orders, seed=SEED)
            },
        },
        "association_rules": len(rules.rules),
    }


def send_time(journey: Journey) -> Json:
    """Hours of the baskets of October to December, from those before."""
    frame = journey.events[journey.events["event"] == "purchase"]
    activity = read_activity(frame, id_column="customer_id", time="occurred_at", time_zone=ZONE, as_of=VALUE_AT)
    chosen, _ = choose(activity)
    shares, everyone = shares_of(activity, chosen)
    at = frame["occurred_at"].dt.tz_convert(ZONE)
    later = frame[(at >= local(VALUE_AT)).to_numpy()]
    code = activity.customers.get_indexer(later["customer_id"])
    when = at[later.index]
    hour = (when.dt.dayofweek * 24 + when.dt.hour).to_numpy()[code >= 0]
    code = code[code >= 0]
    own = activity.counts()
    scores = {
        "foretouch": shares,
        "own_hours": own / np.maximum(own.sum(axis=1, keepdims=True), 1.0),
        "everyone": np.tile(everyone, (len(shares), 1)),
    }
    hits, likelihood = {}, {}
    for name, share in scores.items():
        of_day = share.reshape(-1, 7, 24).sum(axis=1)
        best = np.argsort(-of_day, axis=1, kind="stable")[:, :TOP_HOURS]
        hits[name] = (best[code] == (hour % 24)[:, None]).any(axis=1).astype(np.float64)
        if name != "own_hours":
            likelihood[name] = np.log(share[code, hour])
    names = activity.customers.to_numpy(dtype=object)[code]
    weights = list(cluster_weights(names, draws=DRAWS, seed=SEED))

    def line(ours: Floats, other: Floats) -> Json:
        drawn = [float(weight @ (ours - other) / weight.sum()) for weight in weights]
        low, high = np.percentile(drawn, [2.5, 97.5])
        return {"difference": float((ours - other).mean()), "ci": [float(low), float(high)], "wins": bool(low > 0.0)}

    return {
        "label": f"the local hour of each basket after {VALUE_AT}",
        "baskets": len(code),
        f"share_in_the_best_{TOP_HOURS}_hours_of_the_day": {name: float(hit.mean()) for name, hit in hits.items()},
        "log_likelihood_over_168_hours": {name: float(each.mean()) for name, each in likelihood.items()},
        "foretouch_less": {
            "everyone.best_hours": line(hits["foretouch"], hits["everyone"]),
            "own_hours.best_hours": line(hits["foretouch"], hits["own_hours"]),
            "everyone.log_likelihood": line(likelihood["foretouch"], likelihood["everyone"]),
        },
    }


JOBS: dict[str, Callable[[Journey], Json]] = {
    "lead": lead, "churn": churn, "value": value, "offer": offer, "send_time": send_time
}  # fmt: skip


def copy_of(data: Path | None, folder: Path) -> Workspace:
    """A workspace of our own: made anew, or with the tables of the given one."""
    root = folder / "workspace"
    if data is None:
        tool = str(Path(sys.executable).with_name("foretouch"))
        subprocess.run([tool, "init", str(root), "--sample", "complete-journey"], check=True, stdout=subprocess.DEVNULL)
    else:
        root.mkdir()
        shutil.copytree(data, root / "data")
        for path in data.parent.glob("*.toml"):
            shutil.copy(path, root / path.name)
    return Workspace(root)


def main() -> None:
    """Runs the jobs and writes ``complete-journey.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, help="data folder of a workspace with the sample")
    parser.add_argument("--only", nargs="+", choices=sorted(JOBS), default=list(JOBS))
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        journey = Journey(copy_of(options.data, Path(folder)))
        figures = {}
        for name in options.only:
            figures[name] = JOBS[name](journey)
            print(name, figures[name], flush=True)
    write(
        options.out,
        "complete-journey",
        command="python benchmarks/complete_journey.py",
        seconds=time.monotonic() - started,
        figures={
            "data": "The Complete Journey, published by 84.51°, 2017; intervals are 95 %, whole households drawn",
            **figures,
        },
    )


if __name__ == "__main__":
    main()
