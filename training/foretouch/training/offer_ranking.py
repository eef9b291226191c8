"""How well offers are ordered for each customer: NDCG, hit rate and coverage, beside popularity and association rules.

Only customers who were sent at least two offers in the rows, and accepted at least one and not all of them, say
anything about an order. Ties of scores are broken by expectation: gains are averaged over the tied places.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.columns import CUSTOMER_ID, OFFER_ID
from foretouch.training.evaluation import DRAWS, LEVEL
from foretouch.training.task import Comparison, FloatArray

NDCG, HIT_RATE = "ndcg", "hit_rate_1"
COVERAGE = "coverage"


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """An order's figures, customer by customer.

    Attributes:
        customers: Who says something about an order, shape (m,).
        ndcg: Normalised discounted cumulative gain of each (Järvelin and Kekäläinen 2002): 1 / log2(1 + place) per
            accepted offer, over that of the best order.
        hit: Probability that the first offer was accepted, shape (m,).
        coverage: Share of the offers in the rows that come first for some customer.
    """

    customers: NDArray[np.object_]
    ndcg: FloatArray
    hit: FloatArray
    coverage: float

    @property
    def figures(self) -> dict[str, float]:
        """Means over customers, and the coverage; nothing where nobody says anything."""
        if len(self.customers) == 0:
            return {}
        return {
            NDCG: float(self.ndcg.mean()),
            HIT_RATE: float(self.hit.mean()),
            COVERAGE: self.coverage,
            "ranked_customers": float(len(self.customers)),
        }


def rank(frame: pd.DataFrame, label: FloatArray, score: FloatArray) -> Ranking:
    """The figures of an order by score.

    Args:
        frame: ``customer_id`` and ``offer_id``, n rows.
        label: 1 accepted, 0 not, shape (n,).
        score: Higher comes first, shape (n,).
    """
    rows = pd.DataFrame(
        {
            CUSTOMER_ID: frame[CUSTOMER_ID].astype(str).to_numpy(),
            OFFER_ID: frame[OFFER_ID].astype(str).to_numpy(),
            "label": label,
            "score": score,
        }
    )
    by_customer = rows.groupby(CUSTOMER_ID, sort=True)
    at_top = rows["score"] == by_customer["score"].transform("max")
    alone = at_top & (at_top.groupby(rows[CUSTOMER_ID]).transform("sum") == 1)
    first = set(rows.loc[alone, OFFER_ID])
    accepted = by_customer["label"].transform("mean")
    telling = rows[(accepted > 0.0) & (accepted < 1.0)]
    customers, gains, hits = [], [], []
    for customer, own in telling.groupby(CUSTOMER_ID, sort=True):
        scores, labels = own["score"].to_numpy(dtype=np.float64), own["label"].to_numpy(dtype=np.float64)
        customers.append(str(customer))
        gains.append(_ndcg(labels, scores))
        hits.append(float(labels[scores == scores.max()].mean()))
    offers = rows[OFFER_ID].nunique()
    return Ranking(
        customers=np.array(customers, dtype=object),
        ndcg=np.array(gains, dtype=np.float64),
        hit=np.array(hits, dtype=np.float64),
        coverage=len(first) / offers if offers else 0.0,
    )


def _ndcg(label: FloatArray, score: FloatArray) -> float:
    discount = 1.0 / np.log2(np.arange(2, len(label) + 2))
    order = np.argsort(-score, kind="stable")
    _, group = np.unique(-score[order], return_inverse=True)
    shared = np.bincount(group, weights=discount) / np.bincount(group)
    best = discount[: int(label.sum())].sum()
    return float(label[order] @ shared[group] / best)


def compare_rankings(ours: Ranking, others: Mapping[str, Ranking], *, seed: int) -> list[Comparison]:
    """NDCG and hit rate beside other orders of the same rows, with intervals from a bootstrap of customers."""
    count = len(ours.customers)
    if count == 0:
        return []
    weight = np.random.default_rng(seed).multinomial(count, np.full(count, 1.0 / count), size=DRAWS) / count
    tail = 100.0 * (1.0 - LEVEL) / 2.0
    lines = []
    for name, other in others.items():
        for metric, mine, theirs in ((NDCG, ours.ndcg, other.ndcg), (HIT_RATE, ours.hit, other.hit)):
            low, high = np.percentile(weight @ (mine - theirs), [tail, 100.0 - tail])
            lines.append(
                Comparison(
                    baseline=name,
                    metric=metric,
                    better="up",
                    model=float(mine.mean()),
                    reference=float(theirs.mean()),
                    difference=float((mine - theirs).mean()),
                    low=float(low),
                    high=float(high),
                    cluster=CUSTOMER_ID,
                    decisive=False,
                )
            )
    return lines


def popularity(seen: pd.DataFrame, label: FloatArray, rows: pd.DataFrame, *, pseudo: float = 20.0) -> FloatArray:
    """Share accepted by offer in the rows seen, drawn towards its category's, and that towards everyone's, shape (n,).

    Args:
        seen: ``offer_id`` and ``offer_category`` of earlier sends.
        label: Of those, shape (m,).
        rows: The same columns of the rows to score; a new offer has its category's share, a new category everyone's.
        pseudo: Sends that the upper level counts as.
    """
    overall = float(label.mean())
    category = seen["offer_category"].astype(object).fillna("").astype(str).to_numpy()
    table = pd.DataFrame({"offer": seen[OFFER_ID].astype(str).to_numpy(), "category": category, "label": label})
    by_category = table.groupby("category")["label"].agg(["sum", "count"])
    upper = ((by_category["sum"] + pseudo * overall) / (by_category["count"] + pseudo)).to_dict()
    kinds = table.groupby("offer")["category"].first().to_dict()
    by_offer = table.groupby("offer")["label"].agg(["sum", "count"])
    prior = np.array([upper[kinds[name]] for name in by_offer.index])
    own = dict(zip(by_offer.index, (by_offer["sum"] + pseudo * prior) / (by_offer["count"] + pseudo), strict=True))
    wanted = rows["offer_category"].astype(object).fillna("").astype(str)
    return np.array(
        [own.get(str(offer), upper.get(kind, overall)) for offer, kind in zip(rows[OFFER_ID], wanted, strict=True)],
        dtype=np.float64,
    )
