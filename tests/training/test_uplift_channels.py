"""Channels: told apart where chance drew them, whoever they reached; not told where the customer decided."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from foretouch.training.uplift.channels import by_channel, chance_of_channel

EFFECT = 0.10


def drawn(seed: int, n: int = 3_000) -> dict[str, Any]:
    """Contacts of customers who differ: the eager ones get texts more often, and buy more whatever the channel."""
    rng = np.random.default_rng(seed)
    eager = rng.random(n) < 0.5
    texted = np.where(eager, 0.8, 0.2)
    sms = rng.random(n) < texted
    truth = 0.2 + 0.3 * eager + np.where(sms, EFFECT / 2, -EFFECT / 2)
    return {
        "residual": (rng.random(n) < truth).astype(float) - 0.35,
        "weight": np.ones(n),
        "channel": np.where(sms, "sms", "email").astype(object),
        "chance": np.where(sms, texted, 1.0 - texted),
        "cluster": np.array([f"c{index // 2}" for index in range(n)], dtype=object),
    }


def test_intervals_hold_the_planted_difference_though_the_channels_reached_other_people() -> None:
    """60 draws; 95 % intervals that hold as they say miss 9 or more with a chance of 0.5 %."""
    inside = naive = 0
    for seed in range(60):
        given = drawn(seed)
        found = by_channel(**given)
        value, low, high = found.beside["sms"]
        inside += low <= EFFECT / 2 <= high
        rate = {name: given["residual"][given["channel"] == name].mean() for name in ("sms", "email")}
        naive += (rate["sms"] - rate["email"]) / 2 > high
        assert value == pytest.approx(-found.beside["email"][0])
    assert inside >= 52
    assert naive >= 55  # the plain difference of rates is that of the people


def test_a_channel_that_was_no_draw_is_not_told() -> None:
    given = drawn(1)
    settled = by_channel(**{**given, "chance": np.ones(len(given["chance"]))})
    assert (settled.beside, settled.extras()["identified"]) == ({}, False)
    assert "not identified: no contact's channel was drawn by chance" in settled.note
    unknown = by_channel(**{**given, "chance": np.full(len(given["chance"]), np.nan)})
    assert unknown.why == settled.why
    few = by_channel(**{name: values[:60] for name, values in given.items()})
    assert "fewer than two channels" in few.why
    assert set(few.effective) == {"email", "sms"}


def test_the_chance_of_a_channel_is_that_of_the_choice_within_its_offer() -> None:
    frame = pd.DataFrame({"selection_probability": [0.1, 0.5, None], "offer_probability": [0.4, 0.5, 0.3]})
    np.testing.assert_allclose(chance_of_channel(frame), [0.25, 1.0, np.nan])
