"""The effect of sending at an hour: planted effects are found although sends were confounded, and nothing else is."""

import numpy as np
import pytest

from foretouch.serving.models.send_effect import DAY_HOURS, EXTRA, SendEffect
from foretouch.training.send_effect import choose, fit_effect, informative, likelihoods
from foretouch.training.send_effect_evidence import MIN_EFFECTIVE_HOURS, MIN_RESPONSES, weigh
from foretouch.training.send_effect_report import EVERYONE, LIFT, OWN, judge, learn
from foretouch.training.send_effect_rows import MAX_WEIGHT, slot_weights
from tests.training.planted_sends import HOURS_USED, FloatArray, bump, favoured_hours, make_sends

UNIFORM = np.full(168, 1 / 168)


def relative(log_effect: FloatArray) -> FloatArray:
    """Multipliers over the hours that are used, mean 1."""
    of = np.exp(log_effect[HOURS_USED])
    return np.asarray(of / of.mean())


def found(effect: SendEffect, own: FloatArray = UNIFORM, channel: str = "email") -> FloatArray:
    """What the service would multiply with, by hour of day, over the hours that are used, mean 1."""
    of = effect.of(own)[channel].reshape(7, DAY_HOURS).mean(axis=0)[HOURS_USED]
    return np.asarray(of / of.mean())


def test_a_planted_effect_is_found_although_good_customers_were_sent_at_another_hour() -> None:
    rng = np.random.default_rng(1)
    level = rng.gamma(1.0, 0.12, 2_000)
    hour = favoured_hours(rng, level, 12, best=10)
    planted = bump(18.0, 0.8)
    sends = make_sends(hour, level, planted[hour % 24], rng)
    naive = np.array([sends.response[sends.of_day == at].mean() for at in HOURS_USED])
    assert HOURS_USED[naive.argmax()] == 10, "without correction the favoured hour looks best"
    effect = SendEffect.from_extras(learn(sends).extras)
    assert effect.identified
    got, truth = found(effect), relative(planted)
    assert HOURS_USED[got.argmax()] in {17, 18, 19}
    assert np.abs(got - truth).max() < 0.25
    assert np.corrcoef(got, truth)[0, 1] > 0.95


@pytest.mark.parametrize("seed", range(3))
def test_where_hours_do_nothing_nothing_is_found(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    level = rng.gamma(1.0, 0.12, 1_000)
    hour = favoured_hours(rng, level, 10, best=20)
    sends = make_sends(hour, level, np.zeros(hour.shape), rng)
    part = learn(sends)
    effect = SendEffect.from_extras(part.extras)
    assert effect.identified
    assert np.abs(found(effect) - 1.0).max() < 0.1


def test_sends_that_were_all_at_ten_say_nothing() -> None:
    rng = np.random.default_rng(2)
    level = rng.gamma(2.0, 0.1, 800)
    hour = rng.integers(0, 7, (800, 10)) * DAY_HOURS + 10
    sends = make_sends(hour, level, np.zeros(hour.shape), rng)
    part = learn(sends)
    assert part.extras[EXTRA]["identified"] is False
    assert "hours were not varied on email" in part.extras[EXTRA]["why"]
    assert "not identified" in part.notes[0]
    assert SendEffect.from_extras(part.extras).of(UNIFORM) == {}


def test_everybody_at_an_own_hour_says_nothing_either() -> None:
    rng = np.random.default_rng(3)
    level = rng.gamma(2.0, 0.1, 800)
    hour = np.tile(rng.choice(HOURS_USED, 800)[:, None], (1, 10))
    sends = make_sends(hour, level * np.exp(bump(18.0, 1.0)[hour[:, 0]]), np.zeros(hour.shape), rng)
    (evidence,) = weigh(sends)
    assert evidence.varied_share == 0.0
    assert not evidence.identified


def test_a_change_of_clocks_or_two_hours_in_turn_are_too_few() -> None:
    rng = np.random.default_rng(4)
    level = np.full(600, 0.3)
    summer = np.arange(12) >= 6
    clocks = np.tile(np.where(summer, 11, 10), (600, 1))
    (evidence,) = weigh(make_sends(clocks, level, np.zeros(clocks.shape), rng))
    assert evidence.varied_share > 0.4
    assert evidence.effective_hours <= 2.0
    assert "hardly varied" in evidence.missing
    turns = rng.choice([10, 18], (600, 12))
    (evidence,) = weigh(make_sends(turns, level, np.zeros(turns.shape), rng))
    assert evidence.effective_hours == pytest.approx(3.0, abs=0.2)
    assert not evidence.identified
    spread = rng.choice(HOURS_USED, (600, 12))
    (evidence,) = weigh(make_sends(spread, level, np.zeros(spread.shape), rng))
    assert evidence.effective_hours > MIN_EFFECTIVE_HOURS
    assert evidence.identified


def test_too_few_answers_are_said_with_the_bound() -> None:
    rng = np.random.default_rng(5)
    hour = rng.choice(HOURS_USED, (100, 4))
    (evidence,) = weigh(make_sends(hour, np.full(100, 0.05), np.zeros(hour.shape), rng))
    assert evidence.responses < MIN_RESPONSES
    assert f"need {MIN_RESPONSES}" in evidence.missing


def test_a_channel_that_was_never_varied_gets_no_effect_of_another() -> None:
    rng = np.random.default_rng(6)
    level = rng.gamma(2.0, 0.1, 600)
    channel = rng.integers(0, 2, (600, 12))
    hour = np.where(channel == 0, rng.choice(HOURS_USED, channel.shape), 10)
    sends = make_sends(hour, level, bump(18.0, 0.8)[hour], rng, channel=channel)
    effect = SendEffect.from_extras(learn(sends).extras)
    assert set(effect.of(UNIFORM)) == {"email"}
    assert "hours were not varied on sms" in effect.why


def test_hours_that_suit_each_customer_are_found_where_they_lie_after_the_own_peak() -> None:
    rng = np.random.default_rng(7)
    customers, each = 1_500, 14
    peak = rng.integers(9, 19, customers)
    own = np.stack([np.exp(bump(at, 3.0, 1.5)) for at in peak])
    own /= own.sum(axis=1, keepdims=True)
    level = rng.gamma(2.0, 0.08, customers)
    hour = rng.choice(HOURS_USED, (customers, each))
    after = np.stack([bump(at + 2.0, 1.0, 1.5) for at in peak])
    sends = make_sends(hour, level, np.take_along_axis(after, hour, axis=1), rng, own=own)
    learnt, later = sends.take(sends.micros < 8), sends.take(sends.micros >= 8)
    effect = SendEffect.from_extras(learn(learnt).extras)
    assert effect.lag is not None
    for at in (10, 13, 16):
        shares = np.exp(bump(at, 3.0, 1.5))
        multipliers = found(effect, np.tile(shares / shares.sum() / 7, 7))
        assert abs(HOURS_USED[multipliers.argmax()] - (at + 2)) <= 1
    figures = judge(later, effect, seed=1)
    by = {item.baseline: item for item in figures.comparisons}
    assert by[OWN].wins, "the own most frequent hour is two hours too early"
    assert by[EVERYONE].wins
    assert figures.metrics[LIFT] > 1.2
    assert not any(item.decisive for item in figures.comparisons)


def test_logged_slot_probabilities_undo_a_choice_of_hours_that_follows_the_occasion() -> None:
    rng = np.random.default_rng(8)
    customers, each = 4_000, 12
    good = rng.random((customers, each)) < 0.4  # something about the occasion, unknown to the model, not the customer
    explored = rng.random((customers, each)) < 0.3
    drawn = rng.choice(HOURS_USED, (customers, each))
    wanted = np.where(good, 10, 15)
    hour = np.where(explored, drawn, wanted)
    chance = 0.3 / len(HOURS_USED) + 0.7 * (hour == wanted)
    log_effect = np.where(good, 0.9, 0.0)
    sends = make_sends(hour, np.full(customers, 0.06), log_effect, rng, slot_probability=chance)
    plain = make_sends(hour, np.full(customers, 0.06), log_effect, np.random.default_rng(8))
    strengths = {"hour": 12.0}
    wrong = fit_effect(plain, strengths).blocks["hour"]
    right = fit_effect(sends, strengths).blocks["hour"]
    assert wrong[10] - wrong[15] > 0.4
    assert abs(right[10] - right[15]) < 0.5 * (wrong[10] - wrong[15])


def test_weights_are_inverse_probabilities_within_their_bound() -> None:
    chance = np.array([0.95, 0.95, 0.05 / 12, np.nan, 0.5])
    weight = slot_weights(chance)
    assert weight[3] == 1.0
    assert weight[np.isfinite(chance)].mean() == pytest.approx(1.0)
    assert weight[4] / weight[0] == pytest.approx(0.95 / 0.5)
    assert weight[2] / weight[0] == pytest.approx(MAX_WEIGHT)


def test_the_likelihood_is_that_of_the_multinomial_within_a_customer() -> None:
    rng = np.random.default_rng(9)
    hour = rng.choice(HOURS_USED, (40, 5))
    sends = make_sends(hour, np.full(40, 0.4), np.zeros(hour.shape), rng)
    eta = rng.normal(0.0, 0.5, len(sends))
    value, total, strata = likelihoods(sends, eta)
    for index, stratum in enumerate(strata):
        rows = sends.stratum == stratum
        share = np.exp(eta[rows]) / np.exp(eta[rows]).sum()
        expected = (sends.response[rows] * np.log(share * rows.sum())).sum()
        assert value[index] == pytest.approx(expected)
        assert total[index] == sends.response[rows].sum()
    assert set(sends.stratum[informative(sends)]) == set(strata)


def test_the_fit_is_where_the_slope_vanishes() -> None:
    rng = np.random.default_rng(10)
    hour = rng.integers(0, 7, (500, 8)) * 24 + rng.choice(HOURS_USED, (500, 8))
    segment = rng.integers(0, 2, 500)
    sends = make_sends(hour, np.full(500, 0.2), bump(18, 0.7)[hour % 24], rng, segment=segment)
    strengths = {"hour": 10.0, "day": 10.0, "segment": 20.0, "lag": 10.0}
    learnt = fit_effect(sends, strengths)

    def objective(blocks: dict[str, FloatArray]) -> float:
        moved = type(learnt)(strengths=strengths, blocks=blocks, levels=learnt.levels)
        value = likelihoods(sends, moved.eta(sends))[0].sum()
        for name, block in blocks.items():
            smooth = 0.0 if name == "day" else 4.0 * np.square(np.roll(block, -1, axis=-1) - block).sum()
            value -= 0.5 * strengths[name] * (np.square(block).sum() + smooth)
        return float(value)

    blocks = dict(learnt.blocks)
    best = objective(blocks)
    for name, block in blocks.items():
        for _ in range(5):
            nudge = rng.normal(0.0, 1e-3, block.shape)
            assert objective({**blocks, name: block + nudge}) <= best + 1e-6


def test_segments_that_differ_are_told_apart() -> None:
    rng = np.random.default_rng(11)
    customers, each = 1_000, 12
    segment = rng.integers(0, 2, customers)
    hour = rng.choice(HOURS_USED, (customers, each))
    peaks = np.stack([bump(10.0, 0.8), bump(19.0, 0.8)])
    sends = make_sends(
        hour, np.full(customers, 0.15), peaks[segment][np.arange(customers)[:, None], hour], rng, segment=segment
    )
    assert "segment" in choose(sends)
    effect = SendEffect.from_extras(learn(sends).extras)
    best = {
        name: int(HOURS_USED[effect.of(UNIFORM, name)["email"].reshape(7, 24)[0][HOURS_USED].argmax()])
        for name in ("gold", "tin")
    }
    assert abs(best["gold"] - 10) <= 1
    assert abs(best["tin"] - 19) <= 1
