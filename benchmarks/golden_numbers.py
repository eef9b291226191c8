"""Reference answers for the analysis by independent libraries, each in an environment of its own.

    python benchmarks/golden_numbers.py                         # tests/golden/experiments/libraries.json
    python benchmarks/golden_numbers.py --environments DIR      # keeps the environments there

The tables are drawn here and stored beside the answers, so that tests need none of the libraries.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from foretouch.experiments.bench.environments import peer_python

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "tests" / "golden" / "experiments" / "libraries.json"
PEER = ROOT / "benchmarks" / "peers" / "golden.py"
PACKAGES = {
    "gbstats": ("gbstats==0.8.0",),
    "tea-tasting": ("tea-tasting==1.14.0", "polars==2.1.0", "pyarrow"),
    "spotify-confidence": ("spotify-confidence==4.1.0",),
    "statsmodels": ("statsmodels==0.15.0", "pandas"),
    "econml": ("econml==0.17.0",),
}
N = 240


def table(arms: str, seed: int) -> dict[str, list[Any]]:
    """Units with spend (many zeros, a long tail), a ratio, a conversion, covariates, clusters, segments and days."""
    rng = np.random.default_rng(seed)
    arm = rng.choice(list(arms), N)
    treated = arm != "A"
    x, z = rng.gamma(2.0, 3.0, N), rng.normal(0.0, 1.0, N)
    y = np.where(rng.random(N) < 0.4, 0.0, rng.lognormal(1.5, 0.8, N) + 0.4 * x + 0.6 * z + 0.9 * treated)
    den = 1 + rng.poisson(2.0, N)
    columns: dict[str, Any] = {
        "unit": np.arange(N),
        "arm": arm,
        "x": x.round(6),
        "z": z.round(6),
        "y": np.maximum(y, 0.0).round(6),
        "den": den,
        "num": rng.binomial(den, np.where(treated, 0.35, 0.3)),
        "conv": (rng.random(N) < 0.2 + 0.1 * treated).astype(int),
        "cluster": rng.integers(0, 30, N),
        "segment": rng.choice(["north", "south", "west"], N),
        "day": rng.integers(0, 4, N),
    }
    spend = columns["y"]
    columns["capped"] = np.minimum(spend, np.quantile(spend, 0.95))
    columns["capped_positive"] = np.minimum(spend, np.quantile(spend[spend > 0.0], 0.95))
    return {name: values.tolist() for name, values in columns.items()}


def logged(seed: int) -> dict[str, list[Any]]:
    """Rows in order of time: treatment drawn with a known probability, expected outcomes that are not quite right."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0.0, 1.0, N)
    e = (0.1 + 0.8 / (1.0 + np.exp(-x))).round(6)
    t = (rng.random(N) < e).astype(int)
    m0 = (1.0 + 0.5 * x).round(6)
    columns: dict[str, Any] = {
        "t": t,
        "e": e,
        "y": (1.2 + 0.8 * x + t * (0.4 + 0.3 * x) + rng.normal(0.0, 1.0, N)).round(6),
        "m0": m0,
        "m1": (m0 + 0.3 + 0.2 * x).round(6),
        "score": rng.normal(x, 1.0).round(6),
    }
    return {name: values.tolist() for name, values in columns.items()}


def main() -> None:
    """Makes the environments, asks every library, writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", type=Path, help="where they are kept; made anew each time without it")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    tables = {"two": table("AB", 11), "three": table("ABC", 12), "logged": logged(13)}
    answers: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "data.json"
        data.write_text(json.dumps(tables), encoding="utf-8")
        for library, packages in PACKAGES.items():
            print(f"{library} …", file=sys.stderr)
            python = peer_python(f"golden-{library}", asked.environments or folder, packages)
            out = folder / "answers.json"
            subprocess.run([str(python), str(PEER), library, str(data), str(out)], check=True)
            answers |= json.loads(out.read_text(encoding="utf-8"))
    made = {"made_by": "python benchmarks/golden_numbers.py", "tables": tables, "golden": answers}
    asked.out.write_text(json.dumps(made, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{len(answers)} answers in {asked.out}")


if __name__ == "__main__":
    main()
