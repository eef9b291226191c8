"""The Complete Journey: do item-to-item associations, as features, help the offer model on later campaigns?

    python benchmarks/offer_associations.py [--data DIR] [--out docs/results]

Items are product categories; a basket holds what was bought in it. For each send, rules come from all baskets before
it, so that no later basket is known: confidence of A to B, and lift with five pseudo-baskets (Agrawal, Imielinski and
Swami 1993). Three features: ``offer_related``, the strongest log lift from what the customer buys to the offer's
products, weighted by the offer's shares; ``offer_expected``, what the customer's shares would have them buy of the
offer's products by confidence, over everyone's; ``offer_new_related``, the first over products that the customer does
not buy yet. The same trees are fitted with and without them on the same rows and judged on the same later campaigns.
"""

import argparse
import json
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from complete_journey import SEED, Floats, Journey, copy_of
from result import write

from foretouch.core.offers import Catalogue
from foretouch.features.build import build_features
from foretouch.features.crosses import CROSS_FEATURES, OFFER_SHARE
from foretouch.features.offers import load_catalogue
from foretouch.features.schemas import slug
from foretouch.features.tables import connect
from foretouch.training import offer as offer_model
from foretouch.training.evaluation import compare
from foretouch.training.metrics import AUC, AVERAGE_PRECISION, LOG_LOSS
from foretouch.training.offer_ranking import compare_rankings, rank
from foretouch.training.probability import score_rows
from foretouch.training.sends import pair_rows, read_sends, split_sends
from foretouch.training.task import Dataset, Split

NEW = ("offer_related", "offer_expected", "offer_new_related")
PSEUDO = 5.0
LEAST_BASKETS = 100


def baskets(journey: Journey) -> tuple[pd.Series, Floats, list[str]]:
    """When each basket was bought, whether it holds each category (n, k), and the categories' names."""
    names = list(journey.workspace.config.features.categories)
    bought = journey.events[journey.events["event"] == "purchase"]
    parts = [json.loads(text or "{}").get("categories") or {} for text in bought["properties"]]
    holds = np.array([[part.get(name, 0.0) > 0.0 for name in names] for part in parts], dtype=np.float64)
    return bought["occurred_at"].reset_index(drop=True), holds, [slug(name) for name in names]


def associated(journey: Journey, frame: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """``NEW`` of every send, from the baskets before it; missing before there are enough."""
    at, holds, names = baskets(journey)
    offers = {offer.offer_id: offer for offer in catalogue.offers}
    own = frame[[f"category_share_{name}" for name in names]].astype(float).fillna(0.0).to_numpy()
    offered = np.array(
        [[float(offers[key].attributes.get(OFFER_SHARE + name) or 0.0) for name in names] for key in frame["offer_id"]]
    )
    found = np.full((len(frame), len(NEW)), np.nan)
    times = pd.to_datetime(frame["as_of"], utc=True)
    for moment in times.unique():
        rows = np.flatnonzero((times == moment).to_numpy())
        before = holds[(at < moment).to_numpy()]
        if len(before) < LEAST_BASKETS:
            continue
        count, base = before.sum(axis=0), before.mean(axis=0)
        together = before.T @ before
        log_lift = np.log((together + PSEUDO) / (np.outer(count, base) + PSEUDO))
        np.fill_diagonal(log_lift, 0.0)
        confidence = (together + PSEUDO * base) / (count[:, None] + PSEUDO)
        bought, share = own[rows] > 0.0, offered[rows]
        best = np.where(bought[:, :, None], log_lift[None], -np.inf).max(axis=1)
        best = np.where(np.isfinite(best), best, 0.0)
        unseen = share * ~bought
        found[rows, 0] = (best * share).sum(axis=1) / np.maximum(share.sum(axis=1), 1e-9)
        found[rows, 1] = (own[rows] @ confidence * share).sum(axis=1) / np.maximum(share @ base, 1e-9)
        found[rows, 2] = (best * unseen).sum(axis=1) / np.maximum(unseen.sum(axis=1), 1e-9)
    return pd.DataFrame(found, columns=list(NEW))


def sends_of(journey: Journey) -> Split:
    """Closed sends with every feature, cut as `foretouch train offer` cuts them."""
    catalogue = load_catalogue(journey.workspace)
    with closing(connect(journey.workspace)) as connection:
        sends = read_sends(connection, catalogue, journey.workspace.config.goals.offer)
    spine = sends[["customer_id", "as_of"]].drop_duplicates(ignore_index=True)
    frame = pair_rows(sends, build_features(journey.workspace, spine), catalogue)
    frame["randomised"] = sends["randomised"].to_numpy()
    frame = pd.concat([frame, associated(journey, frame, catalogue)], axis=1)
    cut, label = split_sends(sends), sends["label"].to_numpy(dtype=np.float64)
    return Split(
        **{
            name: Dataset(frame=frame[mask].reset_index(drop=True), label=label[mask])
            for name, mask in (("fit", cut.fit), ("calibrate", cut.calibrate), ("test", cut.test))
        },
        trained_through=sends.loc[cut.fit | cut.calibrate, "closes_at"].max().to_pydatetime(),
        newest_through=sends.loc[cut.test, "closes_at"].max().to_pydatetime(),
        description={},
    )


def measure(journey: Journey) -> dict[str, Any]:
    """Both models on the same later sends, and the paired differences."""
    split = sends_of(journey)
    label, frame = split.test.label, split.test.frame
    scores = {}
    for name, more in (("without", ()), ("with", NEW)):
        with patch.object(offer_model, "CROSS_FEATURES", (*CROSS_FEATURES, *more)):
            fitted = offer_model.TASK.fit(replace(journey.run, trials=0), split)
        scores[name] = score_rows(fitted, split.test)
    orders = {name: rank(frame, label, score) for name, score in scores.items()}
    metrics = (LOG_LOSS, AUC, AVERAGE_PRECISION)
    lines = [
        compare(
            metric,
            label=label,
            model=scores["with"],
            reference=scores["without"],
            cluster=split.test.customer_id,
            baseline="without",
            seed=SEED,
        )
        for metric in metrics
    ]
    lines += compare_rankings(orders["with"], {"without": orders["without"]}, seed=SEED)
    return {
        "learned_from": len(split.fit) + len(split.calibrate),
        "judged_on": len(split.test),
        **{
            name: {**{metric.name: metric(label, score) for metric in metrics}, **orders[name].figures}
            for name, score in scores.items()
        },
        "with_less_without": {
            line.metric: {"difference": line.difference, "ci": [line.low, line.high], "wins": line.wins}
            for line in lines
        },
    }


def main() -> None:
    """Measures and writes ``offer-associations.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, help="data folder of a workspace with the sample")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Journey(copy_of(options.data, Path(folder))))
    write(
        options.out,
        "offer-associations",
        command="python benchmarks/offer_associations.py",
        seconds=time.monotonic() - started,
        figures={"data": "The Complete Journey, published by 84.51°, 2017; whole households drawn", **figures},
    )
    print(json.dumps(figures["with_less_without"], indent=1))


if __name__ == "__main__":
    main()
