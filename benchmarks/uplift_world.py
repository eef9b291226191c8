"""Uplift learned from the log of a service that decided for weeks, beside the truth that the simulated world knows.

    python benchmarks/uplift_world.py [--customers 3000] [--days 28] [--pull 3] [--out docs/results]

A simulated workspace is filled, the service decides in this process for everybody who is due, people answer as planted,
and `foretouch train uplift` does what it does on any log. On the later rows that it is judged by, its scores are held
against the true uplift of the same people, offers and channels. ``--pull`` is how many times as hard as usual the
offers pull: the usual world needs a longer log.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from result import write
from scipy import stats

from foretouch.core.bundle import read_bundle
from foretouch.core.workspace import Workspace
from foretouch.features.initialise import initialise
from foretouch.features.simulation import Simulation
from foretouch.features.simulation_replies import Replies
from foretouch.serving.models.bundles import load_scorer
from foretouch.serving.models.scoring import plan_of
from foretouch.training.gate.scoring import fitted_of, score_part
from foretouch.training.pipeline import train, training_run
from foretouch.training.task import Dataset
from foretouch.training.uplift.logged import COUNT
from foretouch.training.uplift.task import TASK

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.training.logged_world import Campaign, set_section

Floats = NDArray[np.float64]
WINDOW_DAYS, MIDDAY = 3, 12
STRENGTH = {"email": 1.0, "sms": 1.25}


def world(root: Path, customers: int, days: int, pull: float) -> tuple[Workspace, Campaign]:
    """A workspace whose service has decided for some days."""
    workspace = initialise(root, "simulated", simulation=Simulation(customers=customers, days=60)).workspace
    for section in ("goals.offer", "reward"):
        workspace = set_section(workspace, section, [f"window_days = {WINDOW_DAYS}"])
    path = workspace.root / "truth" / "offers.parquet"
    offers = pd.read_parquet(path)
    offers.assign(pull=offers["pull"] * pull).to_parquet(path, index=False)
    campaign = Campaign(workspace)
    campaign.run(days, WINDOW_DAYS + 1)
    return workspace, campaign


def true_uplift(workspace: Workspace, part: Dataset) -> Floats:
    """Of every row's customer with its offer and channel, for a contact at midday, shape (n,)."""
    replies = Replies(workspace.root / "truth")
    offers = pd.read_parquet(workspace.root / "truth" / "offers.parquet").set_index("offer_id")
    place = {str(name): row for row, name in enumerate(replies.people.customer_id)}
    people = replies.people.take(np.array([place[str(name)] for name in part.frame["customer_id"]]))
    days = np.array([replies.day_of(at.to_pydatetime()) for at in part.frame["as_of"]])
    planted = offers.loc[[str(name) for name in part.frame["offer_id"]]]
    treated = people.treated(
        days,
        pull=planted["pull"].to_numpy(dtype=np.float64),
        category=planted["category"].to_numpy(dtype=np.int64),
        strength=np.array([STRENGTH[str(name)] for name in part.frame["channel"]]),
        hour=np.full(len(part), MIDDAY),
    )
    return treated - people.untreated(days)


def figures(workspace: Workspace) -> dict[str, Any]:
    """Trains, and holds the later rows' scores against the truth."""
    trained = train(training_run(workspace, trials=0), "uplift")
    card, part = trained.card, TASK.load(training_run(workspace, trials=0)).test
    score = score_part("uplift", fitted_of(read_bundle(workspace.bundles, "uplift", card.version)), part)
    truth, weight = true_uplift(workspace, part), part.frame[COUNT].to_numpy(dtype=np.float64)
    order = np.argsort(-score, kind="stable")
    share = (np.cumsum(weight[order]) - weight[order] / 2.0) / weight.sum()
    tenths = []
    for index, tenth in enumerate(card.extras["uplift_by_tenth"]):
        rows = order[np.minimum((share * 10).astype(int), 9) == index]
        mean = float(np.average(truth[rows], weights=weight[rows]))
        tenths.append({**tenth, "true": mean, "holds_truth": tenth["low"] <= mean <= tenth["high"]})
    plan = plan_of(load_scorer(workspace.bundles, "uplift", card.version))
    spans = [plan.span(value) for value in score.tolist()]
    inside = [low <= value <= high for value, (low, high) in zip(truth, (span for span in spans if span), strict=True)]
    metrics = {
        name: card.metrics[name]
        for name in (
            *("qini", "qini_low", "qini_high", "better_than_random", "average_uplift", "average_uplift_low"),
            *("average_uplift_high", "calibration_slope", "net_gain_per_1000", "contacted_share"),
        )
    }
    return {
        "rows": {name: text for name, text in card.extras["split"].items() if name in {"fit", "calibrate", "test"}},
        "learner": card.extras["learner"],
        "identified": card.extras["identified"],
        "overlap": card.extras["identification"],
        "on_later_rows": metrics,
        "true_average": float(np.average(truth, weights=weight)),
        "rank_correlation_with_truth": float(stats.spearmanr(score, truth).statistic),
        "slope_of_truth_on_score": float(np.polyfit(score, truth, 1)[0]),
        "tenths_that_hold_the_truth": sum(item["holds_truth"] for item in tenths),
        "people_whose_interval_holds_their_own_uplift": float(np.mean(inside)),
        "tenths": tenths,
        "training_seconds": trained.seconds,
    }


def main() -> None:
    """Runs it and keeps the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=3_000)
    parser.add_argument("--days", type=int, default=28)
    parser.add_argument("--pull", type=float, default=3.0)
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    given = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        workspace, campaign = world(Path(folder) / "shop", given.customers, given.days, given.pull)
        counts = {"decisions": campaign.decisions, "contacts": campaign.contacts}
        print(counts, flush=True)
        found = {"customers": given.customers, "days": given.days, "pull": given.pull, **counts, **figures(workspace)}
    command = (
        f"python benchmarks/uplift_world.py --customers {given.customers} --days {given.days} --pull {given.pull:g}"
    )
    print(write(given.out, "uplift-world", command=command, seconds=time.monotonic() - started, figures=found))


if __name__ == "__main__":
    main()
