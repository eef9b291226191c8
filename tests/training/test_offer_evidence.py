"""Evidence by offer: small offers are drawn to their category, and nearer to the planted truth than either extreme."""

import numpy as np
import pytest

from foretouch.training.offer_evidence import STRENGTHS, by_offer, shrink


def planted(seed: int, *, spread: float) -> tuple[dict[str, float], list[dict[str, object]]]:
    """Two categories of forty offers each, from 20 to 2,000 sends, whose true ratios vary round 0.7 and 1.4."""
    rng = np.random.default_rng(seed)
    truth, label, score, offer, category = {}, [], [], [], []
    for index in range(80):
        kind = index % 2
        name = f"o{index:02d}"
        truth[name] = float((0.7, 1.4)[kind] * (rng.gamma(1 / spread**2, spread**2) if spread else 1.0))
        sends = int(20 * 100 ** (index / 79))
        own = rng.uniform(0.05, 0.15, sends)
        label += (rng.random(sends) < np.minimum(own * truth[name], 1.0)).astype(float).tolist()
        score += own.tolist()
        offer += [name] * sends
        category += ["ab"[kind]] * sends
    return truth, by_offer(np.array(label), np.array(score), offer=offer, category=category)


def test_shrunk_ratios_are_nearer_to_the_truth_than_raw_ones_and_than_none() -> None:
    raw, shrunk, model, inside = [], [], [], []
    for seed in range(6):
        truth, table = planted(seed, spread=0.3)
        for item in table[40:]:  # the smaller half
            true = truth[str(item["offer_id"])]
            raw.append((float(str(item["ratio"])) - true) ** 2)
            shrunk.append((float(str(item["ratio_shrunk"])) - true) ** 2)
            model.append((1.0 - true) ** 2)
            inside.append(float(str(item["low"])) <= true <= float(str(item["high"])))
    assert np.mean(shrunk) < 0.6 * np.mean(raw)
    assert np.mean(shrunk) < 0.8 * np.mean(model)
    assert 0.88 <= np.mean(inside) <= 0.995


def test_offers_that_do_not_differ_are_drawn_together() -> None:
    _, table = planted(9, spread=0.0)
    by_kind: dict[object, list[float]] = {}
    for item in table:
        by_kind.setdefault(item["category"], []).append(float(str(item["ratio_shrunk"])))
    assert np.ptp(by_kind["a"]) < 0.2
    assert np.mean(by_kind["a"]) == pytest.approx(0.7, abs=0.05)
    assert np.mean(by_kind["b"]) == pytest.approx(1.4, abs=0.08)


def test_the_table_counts_what_there_was() -> None:
    table = by_offer(np.array([1.0, 0, 0]), np.array([0.5, 0.25, 0.25]), offer=["x", "x", "y"], category=["k"] * 3)
    assert [(item["offer_id"], item["sends"], item["accepted"], item["expected"]) for item in table] == [
        ("x", 2, 1, 0.75),
        ("y", 1, 0, 0.25),
    ]
    none = by_offer(np.zeros(3), np.full(3, 0.1), offer=["x"] * 3, category=["k"] * 3)
    assert none[0]["ratio"] == 0.0
    assert none[0]["high"] > 0.0


def test_a_strong_prior_wins_where_counts_agree_with_it() -> None:
    expected = np.full(50, 30.0)
    ratio, strength = shrink(np.full(50, 30.0), expected, np.ones(50))
    assert strength == STRENGTHS[-1]
    assert ratio == pytest.approx(1.0)
