"""Real experiments through the public command, to a verdict; and one comparison not drawn by lot, which must get none.

    python benchmarks/real_experiments.py --data SHARED/data     # docs/results/real-experiments.json

Hillstrom's e-mails (three arms, two e-mails against none): a verdict per arm for visit, conversion and spend.
Thornton's incentives to learn an HIV result (causaldata's thornton_hiv, by village). LaLonde's job training: the drawn
groups (nsw_mixtape), and the trained against a survey (cps_mixtape), once called observed and once claimed to be drawn.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
from result import Json, write
from scipy import stats

from foretouch.experiments.bench.environments import peer_python

ROOT = Path(__file__).resolve().parents[1]
CONTROL = "No E-Mail"
PACKAGES = ("causaldata==0.1.5", "pyarrow")
TABLES = ("thornton_hiv", "nsw_mixtape", "cps_mixtape")
EXPORT = """
import sys, causaldata
for name in sys.argv[2:]:
    getattr(causaldata, name).load_pandas().data.to_parquet(f"{sys.argv[1]}/{name}.parquet", index=False)
"""
PRAISE = ("roll out", "全量上线")


def command(folder: Path, *arguments: str) -> str:
    """Runs ``foretouch …`` in the folder and returns what it said.

    Raises:
        RuntimeError: It failed.
    """
    tool = str(Path(sys.executable).with_name("foretouch"))
    done = subprocess.run([tool, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"foretouch {' '.join(arguments)} exited {done.returncode}: {done.stderr[-1500:]}")
    return done.stdout + done.stderr


def analysed(folder: Path, key: str, rows: pd.DataFrame, spec: Json) -> Json:
    """Analyses one table by ``bench experiment`` and writes its report; gives the results and both pages."""
    rows.to_parquet(folder / f"{key}.parquet", index=False)
    (folder / f"{key}.json").write_text(json.dumps({"key": key, **spec}), encoding="utf-8")
    out = f"{key}-results.json"
    command(folder, "bench", "experiment", "--rows", f"{key}.parquet", "--spec", f"{key}.json", "--out", out)
    command(folder, "experiment", "report", "--results", out, "--out", "reports")
    pages = {page.name: page.read_text(encoding="utf-8") for page in sorted((folder / "reports").glob(f"{key}*.html"))}
    return {"results": json.loads((folder / out).read_text(encoding="utf-8")), "pages": pages}


def told(results: Json) -> Json:
    """Verdicts and effects, short."""
    return {
        "n": results["n"],
        "arms": results["arms"],
        "verdicts": [
            {name: item[name] for name in ("contrast", "metric", "code", "text_en", "text_zh")}
            for item in results["verdicts"]
        ],
        "effects": [
            {
                name: item[name]
                for name in (
                    "name",
                    "contrast",
                    "control_mean",
                    "treatment_mean",
                    "difference",
                    "ci",
                    "p",
                    "p_adjusted",
                    "lift_ci",
                )
            }
            for item in results["metrics"]
        ],
        "refusals": [item["code"] for item in results["refusals"]],
        "lights": {item["code"]: item["light"] for item in results["checks"]},
    }


def hillstrom(folder: Path, data: Path) -> Json:
    """A verdict per e-mail for each of three metrics, each judged alone and held against SciPy's Welch."""
    rows = pd.read_parquet(data / "hillstrom_train.parquet")
    arms = [CONTROL, *sorted(set(rows["segment"]) - {CONTROL})]
    found: Json = {}
    worst = 0.0
    for metric, kind in (("visit", "proportion"), ("conversion", "proportion"), ("spend", "mean")):
        spec = {
            "unit": "customer_id",
            "arm": "segment",
            "control": CONTROL,
            "weights": dict.fromkeys(arms, 1 / 3),
            "segments": ["channel", "zip_code"],
            "metrics": [
                {
                    "name": metric,
                    "kind": kind,
                    "column": metric,
                    "covariates": ["history", "recency"],
                    "role": "primary",
                },
                {"name": f"{metric}, raw", "kind": kind, "column": metric},
            ],
        }
        results = analysed(folder, f"hillstrom-{metric}", rows, spec)["results"]
        found[metric] = told(results)
        for item in results["metrics"]:
            if item["name"] == metric:
                continue
            treated, control = (rows.loc[rows["segment"] == arm, metric] for arm in (item["contrast"], CONTROL))
            welch = stats.ttest_ind(treated, control, equal_var=False)
            worst = max(worst, abs(math.log10(item["p"]) - math.log10(float(welch.pvalue))))
    return {**found, "worst_difference_of_log10_p_to_scipys_welch": worst}


def thornton(folder: Path, rows: pd.DataFrame) -> Json:
    """Did an incentive bring people to learn their result? By village; those without an outcome are counted."""
    known = rows.dropna(subset=["any", "got", "villnum"]).reset_index(names="person")
    shares = known["any"].astype(int).value_counts(normalize=True)
    spec = {
        "unit": "person",
        "arm": "any",
        "control": "0",
        "weights": {str(arm): float(share) for arm, share in shares.items()},
        "cluster": "villnum",
        "arms": {
            "0": {"title": {"en": "no incentive", "zh": "无激励"}},
            "1": {"title": {"en": "an incentive", "zh": "有激励"}},
        },
        "metrics": [
            {
                "name": "got",
                "title": {"en": "learnt the result", "zh": "得知结果"},
                "kind": "proportion",
                "column": "got",
                "covariates": ["distvct"],
                "role": "primary",
            }
        ],
    }
    results = analysed(folder, "thornton-hiv", known, spec)["results"]
    return {
        **told(results),
        "left_out_without_an_outcome": len(rows) - len(known),
        "note": "the table does not say by which shares the incentives were drawn: weights are those seen, so that the "
        "split is not tested",
    }


def lalonde(folder: Path, nsw: pd.DataFrame, cps: pd.DataFrame) -> Json:
    """The drawn groups; the trained against a survey; and the same again by somebody who claims that it was drawn."""

    def spec(rows: pd.DataFrame, assignment: str) -> Json:
        shares = rows["treat"].value_counts(normalize=True)
        return {
            "unit": "person",
            "arm": "treat",
            "control": "0",
            "assignment": assignment,
            "weights": {str(arm): float(share) for arm, share in shares.items()},
            "metrics": [
                {
                    "name": "earnings_1978",
                    "kind": "mean",
                    "column": "re78",
                    "covariates": ["re74", "re75", "age", "educ"],
                    "role": "primary",
                },
                {"name": "earnings_1978, raw", "kind": "mean", "column": "re78"},
            ],
        }

    survey = pd.concat([nsw[nsw["treat"] == 1], cps])
    cases = {
        "drawn": (nsw, "randomised"),
        "against-a-survey": (survey, "observational"),
        "against-a-survey-claimed-drawn": (survey, "randomised"),
    }
    found: Json = {}
    for name, (rows, assignment) in cases.items():
        table = rows.drop(columns="data_id").reset_index(drop=True).reset_index(names="person").astype({"treat": int})
        made = analysed(folder, f"lalonde-{name}", table, spec(table, assignment))
        found[name] = told(made["results"])
        found[name]["pages_that_praise"] = [
            page for page, text in made["pages"].items() if any(word in text for word in PRAISE)
        ]
    return found


def main() -> int:
    """Runs everything, writes the result; 1 where a comparison that was not drawn by lot is praised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of public tables")
    parser.add_argument("--environments", type=Path, help="where causaldata's environment is kept; else made anew")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results")
    asked = parser.parse_args()
    started = time.monotonic()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if (asked.data / "hillstrom_train.parquet").is_file():
            figures["hillstrom"] = hillstrom(folder, asked.data)
        else:
            print(f"hillstrom skipped: {asked.data} has no hillstrom_train.parquet", file=sys.stderr)
        python = peer_python("causaldata", asked.environments or folder / "environments", PACKAGES)
        subprocess.run([str(python), "-c", EXPORT, str(folder), *TABLES], check=True)
        hiv, nsw, cps = (pd.read_parquet(folder / f"{table}.parquet") for table in TABLES)
        figures["thornton_hiv"] = thornton(folder, hiv)
        figures["lalonde"] = lalonde(folder, nsw, cps)
    unpraised = [figures["lalonde"][name] for name in figures["lalonde"] if name != "drawn"]
    held = not any(case["pages_that_praise"] or any(v["code"] == "win" for v in case["verdicts"]) for case in unpraised)
    figures["what_was_not_drawn_is_not_praised"] = held
    path = write(
        asked.out,
        "real-experiments",
        command="python benchmarks/real_experiments.py --data SHARED/data",
        seconds=time.monotonic() - started,
        figures=figures,
    )
    print(path)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
