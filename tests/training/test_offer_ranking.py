"""The order of offers per customer: against scikit-learn's NDCG, by hand, and what a random order earns."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import ndcg_score  # type: ignore[import-untyped]

from foretouch.training.offer_ranking import compare_rankings, popularity, rank


def frame_of(customers: int, offers: int) -> pd.DataFrame:
    return pd.DataFrame(
        [(f"c{c:04d}", f"o{o}") for c in range(customers) for o in range(offers)], columns=["customer_id", "offer_id"]
    )


def test_ndcg_is_scikit_learns_also_with_ties() -> None:
    rng = np.random.default_rng(1)
    label = (rng.random((50, 6)) < 0.4).astype(float)
    score = rng.integers(0, 4, (50, 6)).astype(float)  # many ties
    found = rank(frame_of(50, 6), label.ravel(), score.ravel())
    says = (label.sum(axis=1) > 0) & (label.sum(axis=1) < 6)
    expected = [ndcg_score(label[[row]], score[[row]]) for row in np.flatnonzero(says)]
    assert found.ndcg == pytest.approx(expected)  # scikit-learn 1.x, ndcg_score, ignore_ties=False
    assert found.figures["ranked_customers"] == says.sum()


def test_hits_and_coverage_by_hand() -> None:
    found = rank(frame_of(2, 3), np.array([1.0, 0, 0, 0, 1, 0]), np.array([3.0, 2, 1, 3, 2, 1]))
    assert found.hit.tolist() == [1.0, 0.0]
    assert found.coverage == pytest.approx(1 / 3)
    tied = rank(frame_of(1, 2), np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    assert tied.hit.tolist() == [0.5]
    assert tied.coverage == 0.0


def test_who_accepts_all_or_nothing_says_nothing_about_an_order() -> None:
    found = rank(frame_of(2, 2), np.array([1.0, 1, 0, 0]), np.array([1.0, 2, 1, 2]))
    assert found.figures == {}
    assert compare_rankings(found, {"popularity": found}, seed=0) == []


def test_the_truth_beats_popularity_and_noise_does_not() -> None:
    rng = np.random.default_rng(2)
    frame = frame_of(600, 5)
    truth = np.clip(rng.beta(1, 4, 3000), 0.01, 0.9)
    label = (rng.random(3000) < truth).astype(float)
    baseline = rank(frame, label, np.tile([5.0, 4, 3, 2, 1], 600))
    lines = {line.metric: line for line in compare_rankings(rank(frame, label, truth), {"popular": baseline}, seed=3)}
    assert lines["ndcg"].low > 0.0
    assert lines["hit_rate_1"].low > 0.0
    noise = compare_rankings(rank(frame, label, rng.random(3000)), {"popular": baseline}, seed=3)
    assert all(line.low < 0.0 < line.high for line in noise)


def test_popularity_shrinks_a_small_offer_to_its_category() -> None:
    seen = pd.DataFrame({"offer_id": ["a"] * 1000 + ["b"] * 2, "offer_category": ["x"] * 1002})
    label = np.r_[np.tile([1.0, 0, 0, 0, 0], 200), 1.0, 1.0]
    rows = pd.DataFrame({"offer_id": ["a", "b", "new", "other"], "offer_category": ["x", "x", "x", "y"]})
    found = popularity(seen, label, rows)
    assert found[0] == pytest.approx(0.2, abs=0.005)
    assert 0.2 < found[1] < 0.3
    assert found[2] == pytest.approx(found[3], abs=0.002)
