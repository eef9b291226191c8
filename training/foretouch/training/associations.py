"""Which offers go together: association rules between the offers that customers accepted.

A rule A → B speaks of the customers who were sent both (Agrawal, Imielinski and Swami 1993, on that base). Without it a
rule would tell who was sent what: campaigns choose their customers, and who was never sent B could not accept it.

- support: share of them that accepted both,
- confidence: share of those who accepted A that accepted B,
- lift: confidence over the share of all of them that accepted B; 1 is no association.

Small counts make wild lifts, so each rule also has a shrunk lift, (both + k) / (expected + k) with k pseudo-acceptances
(expected = accepted A × share that accepted B), and a 95 % interval of the lift: on the log scale, by the delta method
for counts of one multinomial table (Agresti 2013, section 16.1), whose variance of log lift is
1/both - 1/A - 1/B + (2 lift - 1)/customers.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from foretouch.core.columns import CUSTOMER_ID, OFFER_ID
from foretouch.core.errors import DataError
from foretouch.training.task import FloatArray

LABEL: Final = "label"
MIN_BOTH_SENT: Final = 20
"""Customers who were sent both offers, below whom there is no rule."""
PSEUDO: Final = 5.0
MOST_OFFERS: Final = 2_000
"""The offers with most acceptances are paired; pairs grow with the square."""
COLUMNS: Final = (
    "offer_id", "then_offer_id", "sent_both", "accepted", "accepted_then", "accepted_both", "support", "confidence",
    "lift", "lift_low", "lift_high", "lift_shrunk",
)  # fmt: skip
_Z = 1.959963984540054


@dataclass(frozen=True, kw_only=True)
class Associations:
    """Rules between offers.

    Attributes:
        rules: ``COLUMNS``, one row per ordered pair with enough customers; strongest shrunk lift first.
        customers: How many customers there were.
        offers: How many offers.
    """

    rules: pd.DataFrame
    customers: int
    offers: int

    def score(self, accepted: Sequence[Collection[str]], offer: Sequence[str]) -> FloatArray:
        """Log of the strongest shrunk lift from what a customer accepted before to an offer, shape (n,).

        Args:
            accepted: Collections of offers accepted earlier, one per row.
            offer: The offer in question, one per row.

        Returns:
            0 where nothing was accepted, or no rule is known.
        """
        lift: Mapping[tuple[str, str], float] = {
            (str(a), str(b)): float(np.log(value))
            for a, b, value in self.rules[["offer_id", "then_offer_id", "lift_shrunk"]].itertuples(index=False)
        }
        best = []
        for before, wanted in zip(accepted, offer, strict=True):
            known = [lift[key] for name in sorted(before) if (key := (name, wanted)) in lift]
            best.append(max(known, key=abs) if known else 0.0)
        return np.array(best, dtype=np.float64)


def associate(sends: pd.DataFrame, *, min_both_sent: int = MIN_BOTH_SENT, pseudo: float = PSEUDO) -> Associations:
    """Rules from labelled sends.

    Args:
        sends: ``customer_id``, ``offer_id`` and ``label`` (1 accepted, 0 not), as ``sends.read_sends`` gives them.
        min_both_sent: Customers who must have been sent both.
        pseudo: Pseudo-acceptances of the shrunk lift.

    Raises:
        DataError: A column is missing, or a bound is out of its range.
    """
    missing = [name for name in (CUSTOMER_ID, OFFER_ID, LABEL) if name not in sends.columns]
    if missing:
        raise DataError(f"sends lack {', '.join(missing)}; they have {', '.join(map(str, sends.columns))}")
    if min_both_sent < 1 or not pseudo > 0.0:
        raise DataError(f"min_both_sent == {min_both_sent}, pseudo == {pseudo:g}; need at least 1 and above 0")
    each = sends.groupby([sends[CUSTOMER_ID].astype(str), sends[OFFER_ID].astype(str)])[LABEL].max()
    accepted_of = each.groupby(level=1).sum().sort_values(ascending=False, kind="stable")
    kept = pd.Index(sorted(accepted_of.index[:MOST_OFFERS]))
    customer, people = pd.factorize(each.index.get_level_values(0))
    offer = kept.get_indexer(each.index.get_level_values(1))
    used = offer >= 0
    shape, at = (len(people), len(kept)), (customer[used], offer[used])
    sent = csr_array((np.ones(int(used.sum())), at), shape=shape)
    took = csr_array((each.to_numpy(dtype=np.float64)[used], at), shape=shape)
    both_sent, both_took, first_took = (
        np.asarray(product.toarray()) for product in (sent.T @ sent, took.T @ took, took.T @ sent)
    )
    known = (both_sent >= min_both_sent) & (first_took > 0.0) & (first_took.T > 0.0)
    np.fill_diagonal(known, val=False)
    a, b = np.nonzero(known)
    counts = (both_sent[a, b], first_took[a, b], first_took[b, a], both_took[a, b])
    rules = pd.DataFrame({"offer_id": kept[a], "then_offer_id": kept[b], **_figures(*counts, pseudo)})
    rules = rules.sort_values(
        ["lift_shrunk", "sent_both", "offer_id", "then_offer_id"], ascending=[False, False, True, True]
    ).reset_index(drop=True)
    return Associations(rules=rules[list(COLUMNS)], customers=len(people), offers=len(kept))


def _figures(
    base: FloatArray, first: FloatArray, then: FloatArray, both: FloatArray, pseudo: float
) -> dict[str, NDArray[np.generic]]:
    """What ``COLUMNS`` hold after the two names: counts, shares, lift with its interval, shrunk lift."""
    rate, confidence = then / base, both / first
    lift = confidence / rate
    some = np.maximum(both, 1.0)
    error = np.sqrt(np.maximum(1.0 / some - 1.0 / first - 1.0 / then + (2.0 * lift - 1.0) / base, 0.0))
    return {
        "sent_both": base.astype(np.int64),
        "accepted": first.astype(np.int64),
        "accepted_then": then.astype(np.int64),
        "accepted_both": both.astype(np.int64),
        "support": both / base,
        "confidence": confidence,
        "lift": lift,
        "lift_low": np.where(both > 0.0, lift * np.exp(-_Z * error), 0.0),
        "lift_high": np.where(both > 0.0, lift * np.exp(_Z * error), np.nan),
        "lift_shrunk": (both + pseudo) / (first * rate + pseudo),
    }


def accepted_before(sends: pd.DataFrame, rows: pd.DataFrame) -> list[frozenset[str]]:
    """Offers that a customer had accepted, with a label closed, before each row's time.

    Args:
        sends: As for ``associate``, with ``closes_at``.
        rows: ``customer_id`` and ``as_of``.
    """
    took = sends[sends[LABEL] == 1.0]
    by_customer = {
        str(customer): list(zip(own["closes_at"], own[OFFER_ID].astype(str), strict=True))
        for customer, own in took.groupby(CUSTOMER_ID)
    }
    return [
        frozenset(offer for closed, offer in by_customer.get(str(customer), ()) if closed <= as_of)
        for customer, as_of in zip(rows[CUSTOMER_ID], rows["as_of"], strict=True)
    ]
