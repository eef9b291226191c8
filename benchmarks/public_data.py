"""The bench commands on public data, each beside something simple, scored on rows that the command did not see.

Every job gets a folder with the data and a folder of its own, calls ``foretouch bench …`` there, and returns figures.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import log_loss, roc_auc_score  # type: ignore[import-untyped]

from foretouch.training.bench.churn_factor import fit_base

Json = Any
Floats = NDArray[np.float64]

FOLDS = 5
TOP = 0.2
SEED = 7
DRAWS = 500
AS_OF, HORIZON_DAYS = "1997-10-01", 273
PUBLISHED = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
"""Fader, Hardie and Lee (2005), table 2."""
CONTROL = "No E-Mail"


@dataclass
class Bench:
    """Calls the public command line in one folder.

    Attributes:
        data: Where the public tables are.
        folder: Where inputs and outputs of the calls are kept.
        calls: What was called, as anybody would type it.
    """

    data: Path
    folder: Path
    calls: list[str] = field(default_factory=list)

    def table(self, name: str) -> pd.DataFrame:
        """A public table."""
        return pd.read_parquet(self.data / f"{name}.parquet")

    def save(self, frame: pd.DataFrame, name: str) -> str:
        """A table for a call, by file name."""
        frame.to_parquet(self.folder / name, index=False)
        return name

    def call(self, *arguments: str) -> None:
        """Runs ``foretouch bench …``.

        Raises:
            RuntimeError: It failed; with what it said.
        """
        self.calls.append(" ".join(["foretouch bench", *(f'"{item}"' if " " in item else item for item in arguments)]))
        command = [str(Path(sys.executable).with_name("foretouch")), "bench", *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{self.calls[-1]} exited {done.returncode}: {done.stderr[-1500:]}")

    def json(self, name: str) -> Json:
        """A JSON file that a call wrote."""
        return json.loads((self.folder / name).read_text(encoding="utf-8"))


def captured(label: Floats, score: Floats) -> float:
    """Share of all positives among the top fifth by score (a stable sort)."""
    top = np.argsort(-score, kind="stable")[: round(TOP * len(score))]
    return float(label[top].sum() / label.sum())


def probability_figures(label: Floats, score: Floats) -> dict[str, float]:
    """AUC, log loss in nats, and the share captured in the top fifth."""
    return {
        "auc": area(label, score),
        "log_loss": float(log_loss(label, np.clip(score, 1e-6, 1 - 1e-6))),
        "captured_in_top_20_percent": captured(label, score),
    }


def difference(
    metric: Callable[[Floats, Floats], float], label: Floats, ours: Floats, other: Floats
) -> dict[str, float | list[float]]:
    """A metric's difference between two scores of the same rows, with its 95 % interval by paired bootstrap."""
    rng = np.random.default_rng(SEED)
    found = []
    for _ in range(DRAWS):
        rows = rng.integers(len(label), size=len(label))
        found.append(metric(label[rows], ours[rows]) - metric(label[rows], other[rows]))
    low, high = np.percentile(found, [2.5, 97.5])
    return {"difference": metric(label, ours) - metric(label, other), "ci": [float(low), float(high)]}


def area(label: Floats, score: Floats) -> float:
    """Area under the ROC curve."""
    return float(roc_auc_score(label, score))


def untuned(train: pd.DataFrame, test: pd.DataFrame, label: str, leave_out: tuple[str, ...]) -> Floats:
    """LightGBM with its defaults: probabilities of the test rows, shape (n,)."""
    columns = [name for name in train.columns if name not in {label, *leave_out}]
    texts = [name for name in columns if not pd.api.types.is_numeric_dtype(train[name])]
    both = pd.concat([train[columns], test[columns]], ignore_index=True)
    both = both.assign(**{name: both[name].astype("category") for name in texts})
    model = lightgbm.LGBMClassifier(random_state=SEED, n_jobs=2, verbosity=-1)
    model.fit(both.iloc[: len(train)], train[label])
    return np.asarray(model.predict_proba(both.iloc[len(train) :]))[:, 1].astype(np.float64)


WORD = ("slope", "ece_equal_mass_10", "ece_equal_width_10")
"""Figures of ``bench calibration`` that stand beside the order: whether probabilities can be taken at their word."""


def lead(bench: Bench) -> Json:
    """CoIL 2000: caravan policies among 5,822 insured, five folds, beside an untuned LightGBM on the same folds."""
    rows = bench.table("coil2000_train").sample(frac=1.0, random_state=SEED, ignore_index=True)
    label = rows["bought"].to_numpy(dtype=np.float64)
    fold = np.arange(len(rows)) % FOLDS
    ours, plain = np.empty(len(rows)), np.empty(len(rows))
    for index in range(FOLDS):
        held = fold == index
        train, test = rows[~held], rows[held]
        names = bench.save(train, "train.parquet"), bench.save(test.drop(columns="bought"), "test.parquet")
        options = ("--id", "customer_id", "--label", "bought", "--seed", str(SEED), "--out", "scores.parquet")
        bench.call("lead", "--train", names[0], "--test", names[1], *options)
        scores = pd.read_parquet(bench.folder / "scores.parquet").set_index("customer_id")["probability"]
        ours[held] = scores.loc[test["customer_id"]].to_numpy(dtype=np.float64)
        plain[held] = untuned(train, test, "bought", ("customer_id",))
    bench.save(pd.DataFrame({"label": label, "foretouch": ours, "untuned_lightgbm": plain}), "coil_scores.parquet")
    words = calibration(bench)
    return {
        "data": "CoIL Challenge 2000, training customers; five folds, each scored by a model that did not see it",
        "rows": len(rows),
        "positives": int(label.sum()),
        "foretouch": probability_figures(label, ours) | {key: words["foretouch"][key] for key in WORD},
        "untuned_lightgbm": probability_figures(label, plain) | {key: words["untuned_lightgbm"][key] for key in WORD},
        "beside_untuned_lightgbm": {
            "auc": difference(area, label, ours, plain),
            "captured_in_top_20_percent": difference(captured, label, ours, plain),
        },
        "buyers_of_238_at_this_rate": {
            name: 238 * captured(label, score) for name, score in (("foretouch", ours), ("untuned_lightgbm", plain))
        },
        "winner_of_the_challenge_on_its_own_test": "121 of 238",
    }


def calibration(bench: Bench) -> Json:
    """Whether the CoIL probabilities of ``lead`` can be taken at their word; needs its scores."""
    if not (bench.folder / "coil_scores.parquet").is_file():
        lead(bench)
        bench.calls.clear()
    figures = {}
    for name in ("foretouch", "untuned_lightgbm"):
        bench.call(
            "calibration", "--rows", "coil_scores.parquet", "--score", name, "--label", "label", "--out", "out.json"
        )
        made = bench.json("out.json")
        keep = ("brier", "log_loss", *WORD, "intercept", "calibration_in_the_large")
        figures[name] = {key: made[key] for key in keep}
    return {"data": "the CoIL scores of the benchmark lead", **figures}


def absolute_error(happened: Floats, predicted: Floats) -> float:
    """Mean absolute error."""
    return float(np.abs(predicted - happened).mean())


def rank_correlation(happened: Floats, predicted: Floats) -> float:
    """Spearman's."""
    return float(stats.spearmanr(happened, predicted).statistic)


def churn(bench: Bench) -> Json:
    """CDNOW: 39 weeks of purchases in, the 39 weeks after them out, beside BG/NBD with Gamma-Gamma and simple rules."""
    log = bench.table("cdnow_sample")
    days = pd.to_datetime(log["occurred_on"])
    start = pd.Timestamp(AS_OF)
    names = ("--id", "customer_id", "--time", "occurred_on", "--value", "value")
    bench.save(log, "purchases.parquet")
    bench.call(
        "churn", "--transactions", "purchases.parquet", *names, "--as-of", AS_OF, "--horizon-days", str(HORIZON_DAYS),
        "--out", "predictions.parquet",
    )  # fmt: skip
    made = pd.read_parquet(bench.folder / "predictions.parquet").set_index("customer_id")
    later = log[(days >= start) & (days < start + pd.Timedelta(days=HORIZON_DAYS))]
    # One purchase a day, as in the published fit: BG/NBD counts days with a purchase.
    actual = (
        later.drop_duplicates(["customer_id", "occurred_on"])
        .groupby("customer_id")
        .size()
        .reindex(made.index, fill_value=0)
    )
    before = log[days < start].assign(day=days)
    first = before.groupby("customer_id")["day"].min()
    times = before.drop_duplicates(["customer_id", "day"]).groupby("customer_id").size()
    rate = ((times - 1) / (start - first).dt.days * HORIZON_DAYS).reindex(made.index).to_numpy(dtype=np.float64)
    since = (start - before.groupby("customer_id")["day"].max()).dt.days.reindex(made.index).to_numpy(dtype=np.float64)
    bought = np.asarray(actual, dtype=np.float64)
    spent = later.groupby("customer_id")["value"].sum().reindex(made.index).fillna(0.0).to_numpy(dtype=np.float64)
    silent = made["p_churn"].to_numpy(dtype=np.float64)
    gone = (bought == 0).astype(np.float64)
    seen = pd.DataFrame(
        {
            "customer_id": before["customer_id"],
            "occurred_at": before["day"].dt.tz_localize("UTC"),
            "value": before["value"],
        }
    )
    base = fit_base(seen, start.tz_localize("UTC"), HORIZON_DAYS)
    at = base.customers.get_indexer(made.index)
    purchases = {
        "foretouch": made["expected_purchases"].to_numpy(dtype=np.float64),
        "bg_nbd": base.purchases[at],
        "own_rate_so_far": rate,
    }
    values = {
        "foretouch": made["expected_value"].to_numpy(dtype=np.float64),
        "bg_nbd_gamma_gamma": (base.purchases * base.spend)[at],
    }
    metrics = {"mean_absolute_error": absolute_error, "rank_correlation": rank_correlation}

    def beside(happened: Floats, scores: dict[str, Floats]) -> Json:
        ours = scores["foretouch"]
        return {
            "total": {"happened": float(happened.sum()), **{name: float(each.sum()) for name, each in scores.items()}},
            **{
                name: {
                    **{who: metric(happened, each) for who, each in scores.items()},
                    "foretouch_less": {
                        who: difference(metric, happened, ours, each)
                        for who, each in scores.items()
                        if who != "foretouch"
                    },
                }
                for name, metric in metrics.items()
            },
        }

    model = base.model
    return {
        "data": f"CDNOW sample, purchases before {AS_OF} in, days with a purchase in the {HORIZON_DAYS} days after out",
        "customers": len(made),
        "bg_nbd_fit": {
            **{name: getattr(model, name) for name in PUBLISHED},
            "published": PUBLISHED,
            "furthest_off_relative": max(abs(getattr(model, name) / known - 1.0) for name, known in PUBLISHED.items()),
            "log_likelihood": f"{model.log_likelihood(base.history):.3f}",
        },
        "chosen_on": "the last two fifths of those weeks, customers left out; nothing later was looked at",
        "purchases": beside(bought, purchases),
        "value": beside(spent, values),
        "p_churn": {
            "share_without_a_purchase": float(gone.mean()),
            "mean": float(silent.mean()),
            "auc": area(gone, silent),
            "auc_of_days_since_last_purchase": area(gone, since),
            "auc_beside_days_since_last_purchase": difference(area, gone, silent, since),
            "log_loss": float(log_loss(gone, np.clip(silent, 1e-6, 1 - 1e-6))),
            "log_loss_of_bg_nbd": float(log_loss(gone, base.silent[at])),
        },
    }


def uplift(bench: Bench) -> Json:
    """Hillstrom: half of the customers in, visits of the other half out, beside a response model and chance."""
    rows = bench.table("hillstrom_train").sample(frac=1.0, random_state=SEED, ignore_index=True)
    rows = rows.drop(columns=["conversion", "spend"])
    train, test = rows.iloc[::2].reset_index(drop=True), rows.iloc[1::2].reset_index(drop=True)
    inputs = test.drop(columns=["visit", "segment"])
    names = bench.save(train, "half.parquet"), bench.save(inputs, "other_half.parquet")
    options = ("--id", "customer_id", "--treatment", "segment", "--control", CONTROL, "--outcome", "visit")
    bench.call("uplift", "--train", names[0], "--test", names[1], *options, "--out", "uplift.parquet")
    made = pd.read_parquet(bench.folder / "uplift.parquet").set_index("customer_id").loc[test["customer_id"]]
    figures: dict[str, Json] = {}
    for arm in sorted(set(rows["segment"]) - {CONTROL}):
        treated = train[train["segment"] == arm]
        response = untuned(treated, test, "visit", ("customer_id", "segment"))
        mine = test["segment"].isin([arm, CONTROL]).to_numpy()
        scored = pd.DataFrame(
            {
                "foretouch": made[f"uplift_{arm}"].to_numpy(dtype=np.float64),
                "response_model": response,
                "treated": (test["segment"] == arm).astype(int),
                "visit": test["visit"],
            }
        )[mine]
        bench.save(scored, "scored.parquet")
        figures[arm] = {"customers": len(scored)}
        for name in ("foretouch", "response_model"):
            bench.call(
                "qini", "--rows", "scored.parquet", "--score", name, "--treatment", "treated", "--outcome", "visit",
                "--out", "out.json",
            )  # fmt: skip
            result = bench.json("out.json")
            figures[arm][name] = {key: result[key] for key in ("qini", "auuc", "better_than_random", "uplift_at")}
    return {
        "data": "Hillstrom's e-mail experiment; learned on half of the customers, Qini on the other half",
        "response_model": "untuned LightGBM on the treated: who visits, instead of who visits because of the e-mail",
        "arms": figures,
    }


def ope(bench: Bench) -> Json:
    """Open Bandit: each of two policies valued from the other's log, beside what it really earned."""
    logs = {name: bench.table(f"obd_{name}_all") for name in ("random", "bts")}
    actions = sorted(set(logs["random"]["item_id"]))
    positions = sorted(set(logs["random"]["position"]))
    chosen = logs["bts"].groupby("position")["item_id"].value_counts(normalize=True)
    shares = {
        "bts": {k: [float(chosen.get((k, action), 0.0)) for action in actions] for k in positions},
        "random": {k: [1.0 / len(actions)] * len(actions) for k in positions},
    }
    figures = {}
    for policy, log in (("bts", "random"), ("random", "bts")):
        rows = logs[log].rename(columns={"item_id": "action", "click": "reward", "propensity_score": "pscore"})
        bench.save(rows[["action", "reward", "pscore", "position"]], "log.parquet")
        table = pd.DataFrame({"action": actions, **{f"pi_pos{k}": shares[policy][k] for k in positions}})
        bench.save(table, "policy.parquet")
        bench.call("ope", "--log", "log.parquet", "--policy", "policy.parquet", "--out", "out.json")
        made = bench.json("out.json")
        clicks = logs[policy]["click"].to_numpy(dtype=np.float64)
        truth, error = float(clicks.mean()), float(clicks.std(ddof=1) / np.sqrt(len(clicks)))
        estimators = {}
        for name in ("ips", "snips", "dr", "sndr"):
            found = made["estimators"][name]
            known = found["value"] is not None
            apart = abs(found["value"] - truth) / np.hypot(found["se"], error) if known else float("nan")
            estimators[name] = {
                **{key: found[key] for key in ("value", "ci")},
                "standard_errors_from_the_truth": float(apart),
            }
        figures[f"{policy}_from_the_log_of_{log}"] = {
            "earned": {"click_rate": truth, "se": error, "clicks": int(clicks.sum())},
            "mean_of_the_other_log": made.get("mean_reward_of_log"),
            "ess": made["ess"],
            "verdict": made["verdict"],
            "reasons": [reason["code"] for reason in made["reasons"]],
            "estimators": estimators,
        }
    note = "38 and 42 clicks in 10,000 rows each: every interval is wide, and a refusal is an honest answer"
    return {"data": "Open Bandit Dataset, small version, campaign all", "note": note, "policies": figures}


def experiment(bench: Bench) -> Json:
    """Hillstrom's arms through ``bench experiment``, beside Welch's test as SciPy computes it."""
    rows = bench.table("hillstrom_train")
    arms = sorted(set(rows["segment"]))
    spec = {
        "key": "hillstrom",
        "arm": "segment",
        "control": CONTROL,
        "weights": dict.fromkeys(arms, 1.0 / len(arms)),
        "metrics": [
            {"name": "visit", "kind": "proportion", "column": "visit", "role": "primary"},
            {"name": "spend", "kind": "mean", "column": "spend", "covariates": ["history"]},
        ],
    }
    bench.save(rows, "rows.parquet")
    (bench.folder / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    bench.call("experiment", "--rows", "rows.parquet", "--spec", "spec.json", "--out", "out.json")
    made = bench.json("out.json")
    lines = []
    for item in made["metrics"]:
        line = {key: item[key] for key in ("name", "contrast", "difference", "ci", "p", "p_adjusted")}
        if item["name"] == "visit":
            arm = next(name for name in arms if name != CONTROL and name in str(item["contrast"]))
            test = stats.ttest_ind(
                rows.loc[rows["segment"] == arm, "visit"],
                rows.loc[rows["segment"] == CONTROL, "visit"],
                equal_var=False,
            )
            ends = test.confidence_interval(0.95)
            line["scipy_welch"] = {"ci": [float(ends.low), float(ends.high)], "p": float(test.pvalue)}
            line["largest_difference_of_ci_ends"] = float(np.abs(np.array(item["ci"]) - [ends.low, ends.high]).max())
        lines.append(line)
    return {
        "data": "Hillstrom's e-mail experiment, half of its customers",
        "rows": len(rows),
        "srm": {key: made["srm"][key] for key in ("p", "ok")},
        "verdict": made["verdict"]["code"],
        "metrics": lines,
    }


@dataclass(frozen=True, kw_only=True)
class Job:
    """One benchmark: what it needs and what it does."""

    needs: tuple[str, ...]
    run: Callable[[Bench], Json]


JOBS: dict[str, Job] = {
    "lead": Job(needs=("coil2000_train",), run=lead),
    "calibration": Job(needs=("coil2000_train",), run=calibration),
    "churn": Job(needs=("cdnow_sample",), run=churn),
    "uplift": Job(needs=("hillstrom_train",), run=uplift),
    "ope": Job(needs=("obd_random_all", "obd_bts_all"), run=ope),
    "experiment": Job(needs=("hillstrom_train",), run=experiment),
}
"""In the order in which they run; ``calibration`` uses the scores that ``lead`` made. Qini is part of ``uplift``."""
