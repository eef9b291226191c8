"""Uplift's rows of the log: weights that undo a policy's choices, stand-ins of controls, and what cannot be told."""

import json

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from foretouch.core.bundle import ModelInput
from foretouch.training.task import FloatArray
from foretouch.training.uplift.balance import MIN_PER_WEEK, balance
from foretouch.training.uplift.identification import NotIdentifiedError, effective_rows, identify
from foretouch.training.uplift.pairing import offer_chances, stand_ins
from foretouch.training.uplift.trial import Trial

INPUTS = (ModelInput(name="x", view="v"), ModelInput(name="y", view="v"))
START = pd.Timestamp("2026-01-05", tz="UTC")


def log(seed: int, n: int, *, hidden: float = 0.0) -> tuple[pd.DataFrame, FloatArray, FloatArray]:
    """Two arms of half the customers each; the policy prefers offer ``b`` where x is large, or for a hidden reason.

    Returns the rows, the label, and the true uplift of every row's contact (offer ``a`` 0.1, offer ``b`` 0.2).
    """
    rng = np.random.default_rng(seed)
    x, secret = rng.normal(size=n), rng.normal(size=n)
    held = rng.random(n) < 0.5
    prefer = 1.0 / (1.0 + np.exp(-(2.0 * x + hidden * secret)))
    second = rng.random(n) < prefer
    silent = ~held & (rng.random(n) < 0.1)
    contact = ~held & ~silent
    offer = [("b" if other else "a") if sent else None for sent, other in zip(contact, second, strict=True)]
    chance = np.where(second, prefer, 1.0 - prefer) * 0.9
    effect = np.where(second, 0.2, 0.1)
    base = 0.2 + 0.1 * np.tanh(x) + 0.1 * np.tanh(secret)
    label = (rng.random(n) < base + contact * effect).astype(float)
    arm = np.where(held, "no_contact", "policy")
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{index}" for index in range(n)],
            "as_of": START + pd.to_timedelta(rng.integers(0, 28, n), unit="D"),
            "offer_id": pd.Series(offer, dtype=object),
            "channel": pd.Series(["email" if sent else None for sent in contact], dtype=object),
            "arm": arm,
            "arms": [json.dumps([{"key": "test", "kind": kind}]) for kind in arm],
            "arm_probability": 0.5,
            "offer_probability": np.where(held, np.nan, np.where(contact, chance, 0.1)),
            "contact_probability": np.where(held, np.nan, 0.9),
            "x": x,
            "y": rng.normal(size=n),
        }
    )
    return frame, label, effect


def contrast(label: FloatArray, weight: FloatArray, treated: NDArray[np.bool_]) -> float:
    return float(
        np.average(label[treated], weights=weight[treated]) - np.average(label[~treated], weights=weight[~treated])
    )


def test_weights_undo_what_a_policy_chose_for_reasons_that_the_model_does_not_see() -> None:
    """Offer ``b`` goes to people who convert anyway: its plain contrast is too high, the weighted is not."""
    frame, label, _ = log(1, 40_000, hidden=2.0)
    chances = offer_chances(frame, inputs=INPUTS, seed=0)
    found = balance(frame, chances.own)
    assert found.used.all()
    weight = found.weight / found.weight.mean()
    second, controls = (frame["offer_id"] == "b").to_numpy(), frame["offer_id"].isna().to_numpy()
    assert chances.table is not None
    like = weight * np.where(controls, chances.table[:, 1], 1.0)  # controls as b's contacts would be
    both = second | controls
    plain = label[second].mean() - np.average(label[controls], weights=like[controls])
    assert plain > 0.22
    assert contrast(label[both], like[both], second[both]) == pytest.approx(0.2, abs=0.015)


def test_sides_weigh_the_same_in_every_week_and_weights_are_near_one_where_nothing_is_to_undo() -> None:
    frame, _, _ = log(2, 12_000)
    found = balance(frame, offer_chances(frame, inputs=INPUTS, seed=0).own)
    treated = frame["offer_id"].notna().to_numpy()
    for week in range(4):
        here = found.week == week
        assert found.weight[here & treated].sum() == pytest.approx(found.weight[here & ~treated].sum())
    assert found.weight.sum() == pytest.approx(len(frame))
    assert effective_rows(found.weight[treated]) > 0.8 * treated.sum()
    assert found.randomised.all()
    assert found.unknown == found.alone == 0


def test_an_arm_of_few_customers_weighs_by_its_rows_not_by_the_inverse_of_its_share() -> None:
    frame, _, _ = log(3, 8_000)
    small = (np.arange(8_000) % 50 == 0) & frame["offer_id"].notna().to_numpy()
    frame.loc[small, "arms"] = json.dumps([{"key": "test", "kind": "rules_only"}])
    frame.loc[small, "arm_probability"] = 0.01
    found = balance(frame, offer_chances(frame, inputs=INPUTS, seed=0).own)
    treated = frame["offer_id"].notna().to_numpy()
    assert found.weight[small].sum() / found.weight[treated].sum() == pytest.approx(
        small.sum() / treated.sum(), rel=0.2
    )


def test_rows_without_a_probability_and_weeks_without_both_sides_are_left_out_and_counted() -> None:
    frame, _, _ = log(4, 4_000)
    odd = frame["offer_id"].notna().to_numpy() & (np.arange(4_000) < 100)
    frame.loc[odd, "offer_probability"] = np.nan
    alone = (frame["as_of"] < START + pd.Timedelta(days=7)) & frame["offer_id"].isna()
    kept = frame[~alone].reset_index(drop=True)
    found = balance(kept)
    assert found.unknown == odd.sum() - (odd & alone.to_numpy()).sum()
    assert found.alone > 100
    assert not found.used[(kept["as_of"] < START + pd.Timedelta(days=7)).to_numpy()].any()
    greedy = frame.assign(arm="policy", arms="[]", arm_probability=1.0, offer_probability=1.0, contact_probability=1.0)
    assert not balance(greedy).randomised.any()
    assert MIN_PER_WEEK > 1


def test_controls_stand_beside_the_offers_that_contacts_like_them_had() -> None:
    frame, _, _ = log(5, 20_000)
    chances = offer_chances(frame, inputs=INPUTS, seed=0)
    found = balance(frame, chances.own)
    pairs = stand_ins(frame, found.weight, found.week, chances=chances, seed=0)
    controls = frame["offer_id"].isna().to_numpy()
    assert pairs["offer_id"].notna().all()
    assert (pairs.loc[~controls, "offer_id"] == frame.loc[~controls, "offer_id"]).all()
    for rows in ((frame["x"] > 0.5).to_numpy(), (frame["x"] < -0.5).to_numpy()):
        shares = [(pairs.loc[rows & side, "offer_id"] == "b").mean() for side in (controls, ~controls)]
        assert shares[0] == pytest.approx(shares[1], abs=0.03)
    again = stand_ins(frame, found.weight, found.week, chances=chances, seed=0)
    assert again.equals(pairs)


def trial(seed: int, n: int, tilt: float) -> Trial:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, 2))
    arm = (rng.random(n) < 1.0 / (1.0 + np.exp(-tilt * matrix[:, 0]))).astype(np.int64)
    return Trial(matrix=matrix, inputs=INPUTS, arm=arm, outcome=(rng.random(n) < 0.3).astype(float))


def test_randomised_rows_are_identified_and_others_get_a_reason() -> None:
    coin = trial(1, 3_000, 0.0)
    found = identify(coin, randomised=np.ones(3_000, dtype=bool), seed=0)
    assert found.identified
    assert not found.reason
    assert 0.45 < found.figures["overlap_auc"] < 0.56
    chosen = identify(coin, randomised=np.arange(3_000) > 300, seed=0)
    assert not chosen.identified
    assert "without a logged probability" in chosen.reason
    assert chosen.notes[0].startswith("Warning, observational data")
    targeted = identify(trial(2, 3_000, 1.5), randomised=np.ones(3_000, dtype=bool), seed=0)
    assert not targeted.identified
    assert "differ in what was known beforehand" in targeted.reason
    assert "x" in targeted.notes[1]


def test_without_overlap_or_with_few_effective_rows_there_is_no_model() -> None:
    with pytest.raises(NotIdentifiedError, match="no overlap"):
        identify(trial(3, 3_000, 50.0), randomised=np.ones(3_000, dtype=bool), seed=0)
    few = trial(4, 3_000, 0.0)
    weight = np.where(np.arange(3_000) < 60, 1_000.0, 0.001)
    heavy = Trial(matrix=few.matrix, inputs=INPUTS, arm=few.arm, outcome=few.outcome, weight=weight)
    with pytest.raises(NotIdentifiedError, match="weigh as much as"):
        identify(heavy, randomised=np.ones(3_000, dtype=bool), seed=0)
