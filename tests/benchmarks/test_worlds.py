"""The learning worlds: real formulas and draws, nothing of the truth in the log, nothing known before it arrives."""

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from foretouch.core.config import Config
from foretouch.core.contact import ContactPolicy
from foretouch.core.counters import CounterSnapshot, PastContact
from foretouch.core.decisions import DecisionRequest
from foretouch.core.offers import Catalogue, Offer
from foretouch.core.policy import PolicySpec
from foretouch.serving.decision.candidates import Option
from foretouch.serving.decision.plans import Plans
from foretouch.serving.decision.policies import distribution, draw
from foretouch.serving.decision.priority import Appraiser
from foretouch.serving.decision.screening import Screened
from foretouch.serving.decision.send_time import NO_RHYTHM, TimetableBook
from foretouch.serving.rules.contact import Touch
from foretouch.training.booster import fit_booster
from foretouch.training.newest import Maturity

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import worlds_choice
import worlds_learner
import worlds_send_time
from worlds import drawn, with_stored
from worlds_choice import Belief, Drawn, check, drawn_of, shares_of
from worlds_leads import leads, shares
from worlds_log import Sent
from worlds_loop import CONTESTANTS, OURS, Race, priorities
from worlds_oracle import oracle
from worlds_trees import Forest
from worlds_truth import CHANNEL_COST, WORLDS, World, draw_population

SMALL = World(
    name="small", seed=5, offers=4, rate=-1.5, delay_days=2.0, window_days=4, customers=300, days=12, per_day=120
)
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
NAMED = {contestant.name: contestant for contestant in CONTESTANTS}


@pytest.mark.parametrize("fatigue_cost", [0.0, 0.05])
def test_priorities_are_those_of_the_service(fatigue_cost: float) -> None:
    rng = np.random.default_rng(1)
    value, chance, recent = rng.uniform(5, 20, 4), rng.uniform(0, 0.3, (3, 4)), np.array([0.0, 2.0, 5.0])
    spec = PolicySpec(fatigue_cost=fatigue_cost)
    config = Config.model_validate({"channels": {"email": {"cost": 0.05}, "sms": {"cost": 0.35}}})
    cost = np.array([config.channels[name].cost for name in ("email", "sms", "email", "sms")])
    table = priorities(chance, value, cost, recent, spec)
    assert (table[:, 0] == 0.0).all()
    offers = tuple(
        Offer(offer_id=f"o{index}", name="o", channels=("email", "sms"), value=float(value[index]))
        for index in range(4)
    )
    options = [
        Option(offer=offer, treatment_id=None, channel=channel)
        for offer, channel in zip(offers, ("email", "sms", "email", "sms"), strict=True)
    ]
    items = [Screened(option=option, slots=(NOW,)) for option in options]
    for row in range(3):
        past = tuple(PastContact(at=NOW, channel="email", offer_id="x") for _ in range(int(recent[row])))
        touch = Touch(
            request=DecisionRequest(customer_id="c"),
            policy=ContactPolicy(),
            counters=CounterSnapshot(contacts=past),
            config=config,
            now=NOW,
        )
        appraiser = Appraiser(
            spec=spec,
            config=config,
            context={},
            levels={},
            chances={option.key: float(chance[row, index]) for index, option in enumerate(options)},
            book=TimetableBook(ZoneInfo("UTC"), NO_RHYTHM, now=NOW),
            catalogue=Catalogue(offers=offers),
            plans=Plans(),
        )
        expected = [worth.priority for worth in appraiser.appraise(items, touch)]
        np.testing.assert_allclose(table[row, 1:], expected, rtol=1e-12)


def test_worlds_are_fixed_and_their_chances_are_chances() -> None:
    assert [(world.name, world.seed) for world in WORLDS] == [("interactions", 11), ("drift", 22), ("fatigue", 33)]
    assert all(world.days * world.per_day == 200_000 for world in WORLDS)
    for world in WORLDS:
        people, again = draw_population(world), draw_population(world)
        np.testing.assert_array_equal(people.fixed_logit(), again.fixed_logit())
        who = np.arange(200)
        fresh = people.chance(0, who, people.fixed_logit()[who], load=np.zeros(200), sated=np.zeros((200, 4)))
        tired = people.chance(0, who, people.fixed_logit()[who], load=np.full(200, 4.0), sated=np.ones((200, 4)))
        starts = people.start_day > 0
        assert ((fresh >= 0.0) & (fresh < world.cap)).all()
        assert (fresh[:, starts] == 0.0).all()
        assert (tired[:, ~starts] < fresh[:, ~starts]).all()


def test_other_seeds_draw_the_same_worlds_with_other_people() -> None:
    moved = drawn(400)
    assert [world.seed for world in moved] == [411, 422, 433]
    for world, other in zip(WORLDS, moved, strict=True):
        assert replace(other, seed=world.seed) == world
        assert not np.array_equal(draw_population(world).age, draw_population(other).age)


def test_runs_that_were_not_made_again_keep_their_figures_and_say_of_what_day(tmp_path: Path) -> None:
    def of(**values: float) -> dict[str, dict[str, float]]:
        return {name: {"value_per_decision": value} for name, value in values.items()}

    before: dict[str, Any] = {
        "date": "2026-03-01",
        "worlds": {
            "small": {"policies": of(foretouch=1.0, greedy=0.9, random=0.2)},
            "other": {"policies": of(random=0.1)},
        },
        "send_time": {"customers": 7},
    }
    path = tmp_path / "worlds.json"
    path.write_text(json.dumps(before), encoding="utf-8")
    found = with_stored({"small": {"policies": of(foretouch=1.1, greedy=1.2), "beats": {}}}, None, path)
    small = found["worlds"]["small"]
    assert small["policies"]["foretouch"] == {"value_per_decision": 1.1}
    assert small["policies"]["random"] == {"measured": "2026-03-01", "value_per_decision": 0.2}
    assert small["beats"] == {"greedy": False, "random": True}
    assert found["worlds"]["other"] == before["worlds"]["other"]
    assert found["send_time"] == {"customers": 7}
    assert with_stored({}, {"customers": 8}, tmp_path / "none.json") == {"worlds": {}, "send_time": {"customers": 8}}


def test_a_lead_is_paired_by_draw_and_its_interval_is_student_s_over_draws(tmp_path: Path) -> None:
    def run(folder: Path, **values: float) -> None:
        folder.mkdir(exist_ok=True)
        for name, value in values.items():
            (folder / f"small-{name}.json").write_text(json.dumps({"expected": [0.0] * 75 + [value] * 25}))

    run(tmp_path, oracle=2.0, foretouch=1.8, greedy=1.5, random=0.2)
    alone = leads(tmp_path, "small", ["greedy", "popularity"])
    assert list(alone) == ["greedy"]
    for line in alone["greedy"].values():
        assert line["draws"] == [0]
        assert line["mean"] == line["lead"][0] == pytest.approx(0.15)
        assert "low" not in line
    run(tmp_path / "plus-100", oracle=4.0, foretouch=3.0, greedy=2.8)
    run(tmp_path / "plus-200", oracle=1.0, foretouch=0.8, greedy=0.7)
    run(tmp_path / "plus-300", oracle=1.0, foretouch=0.8)
    found = leads(tmp_path, "small", ["greedy", "random"])
    line = found["greedy"]["whole"]
    assert line["draws"] == [0, 100, 200]
    np.testing.assert_allclose(line["lead"], [0.15, 0.05, 0.1])
    half = 4.302652729911275 * 0.05 / 3**0.5  # t of two degrees of freedom, by any table
    np.testing.assert_allclose([line["low"], line["mean"], line["high"]], [0.1 - half, 0.1, 0.1 + half])
    assert found["random"]["whole"]["draws"] == [0]
    run(tmp_path / "plus-400", foretouch=0.8)
    earned = shares(tmp_path, "small", ["greedy", "foretouch", "popularity"])
    assert list(earned) == ["greedy", "foretouch"]
    assert earned["greedy"]["whole"]["draws"] == [0, 100, 200]
    assert earned["foretouch"]["last_50000"]["draws"] == [0, 100, 200, 300], "without an oracle there is no share"
    for line in earned["greedy"].values():
        np.testing.assert_allclose(line["share"], [0.75, 0.7, 0.7])
        half = 4.302652729911275 * 0.05 / 3  # their standard deviation is 0.05 / sqrt(3)
        np.testing.assert_allclose([line["low"], line["high"]], [2.15 / 3 - half, 2.15 / 3 + half])


def test_the_trees_are_trained_again_when_the_log_has_grown_enough_or_is_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    race = Race(replace(SMALL, days=40), NAMED[OURS])
    monkeypatch.setattr(worlds_learner, "LATEST_DECISIONS", 10 * SMALL.per_day)
    trained: list[tuple[int, int]] = []
    train = race.learner._train

    def spy(day: int, maturity: Maturity) -> None:
        train(day, maturity)
        known = sum(len(block.who) * float(maturity.at(np.array([day - block.day]))[0]) for block in race.log.blocks)
        assert race.learner.contacts == int(known)
        trained.append((day, race.learner.contacts))

    monkeypatch.setattr(race.learner, "_train", spy)
    monkeypatch.setattr(worlds_learner, "RECIPES", (worlds_learner.Recipe(trees={"num_leaves": 4}, rounds=5),))
    race.run()
    assert trained[0][0] == 0
    for (day, rows), (later, more) in pairwise(trained):
        assert more >= worlds_learner.GROWTH * rows or later - day >= 10
        assert later - day <= 10
    assert race.contestant.spec.cools_after > 0


def test_a_forest_s_log_odds_are_lightgbm_s_to_the_last_bit() -> None:
    recipe, inputs, groups = worlds_learner.RECIPES[0], worlds_learner.INPUTS, np.array([0, 0, 1, 2, 1])
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(300, 5, len(inputs))).astype(np.float32)
    rows[:50] = np.round(rows[:50], 1)  # some on thresholds
    for index, column in enumerate(inputs):
        if column.kind == "category":
            rows[..., index] = rng.integers(0, min(len(column.levels), 9), rows.shape[:2])
    for at in (*worlds_learner.PERSON, *worlds_learner.OFFER):
        rows[..., at] = rows[:, :1, at] if at in worlds_learner.PERSON else rows[:1, :, at]
    for at in set(range(len(inputs))) - {*worlds_learner.PERSON, *worlds_learner.OFFER}:
        rows[:, :, at] = rows[:, [0, 0, 2, 3, 2], at]
    offer = [column.name for column in inputs].index("offer")
    rows[:, 1, offer] = 31.0  # an offer that was never sent
    flat = rows.reshape(-1, len(inputs))
    by_category = rng.normal(size=32)[flat[:, offer].astype(int)]
    label = (rng.random(len(flat)) < 1.0 / (1.0 + np.exp(-flat[:, 0] - by_category))).astype(np.float64)
    booster = fit_booster(
        flat.astype(np.float64),
        label,
        inputs=inputs,
        parameters={**worlds_learner.PARAMETERS, **recipe.trees},
        rounds=40,
        seed=1,
        threads=1,
        offset=np.full(len(label), -0.5),
    )
    asked = set(booster.trees_to_dataframe()["split_feature"].dropna())
    names = booster.feature_name()
    assert any(names[at] in asked for at in worlds_learner.PERSON)
    assert any(names[at] in asked for at in worlds_learner.OFFER)
    forest = Forest(booster)
    expected = booster.predict(flat, raw_score=True, num_threads=1)
    np.testing.assert_array_equal(forest.raw(flat), expected)
    assert forest.raw(flat[:0]).shape == (0,)
    table = forest.table(rows, groups=groups, of_row=worlds_learner.PERSON, of_candidate=worlds_learner.OFFER)
    np.testing.assert_array_equal(table.reshape(-1), expected)


def test_a_day_s_features_are_of_the_kinds_that_a_table_takes_them_for() -> None:
    race = Race(SMALL, NAMED["random"])
    race.run()
    features = race._features(SMALL.days, np.arange(100))
    category = race.people.category
    for at in range(features.shape[-1]):
        column = features[..., at]
        if at in worlds_learner.PERSON:
            assert (column == column[:, :1, :1]).all()
        elif at in worlds_learner.OFFER:
            assert (column == column[:1]).all()
        else:
            for group in np.unique(category):
                own = column[:, category == group]
                assert (own == own[:, :1, :1]).all()


@pytest.mark.parametrize("name", [contestant.name for contestant in CONTESTANTS])
def test_a_day_is_decided_as_the_service_decides_one_customer(name: str) -> None:
    rng, spec = np.random.default_rng(8), NAMED[name].spec
    priorities_of = np.concatenate([np.zeros((60, 1)), rng.normal(0.2, 0.5, (60, 9))], axis=1)
    priorities_of[:5, 3] = priorities_of[:5].max(axis=1)  # ties
    priorities_of[5:10, 1:] = -1.0  # nothing is worth a contact
    belief = None
    if spec.explores_by == "evidence":
        belief = Belief(
            chance=rng.uniform(0.0, 0.4, (60, 9)),
            gain=rng.uniform(5, 20, 9),
            contacts=np.arange(9.0) * 300,
            strength=100.0,
        )
    keys = [(name,) for name in "jihgfedcba"]
    position = rng.random(60)
    position[:3] = 1.0 - 2.0**-53
    shares = shares_of(priorities_of, spec, belief)
    index = drawn_of(shares, keys, position)
    for row in range(60):
        about = belief.of(row) if belief else None
        expected = distribution(priorities_of[row].tolist(), 0, spec, widths=about)
        np.testing.assert_allclose(shares[row], expected, rtol=0, atol=1e-12)
        assert index[row] == draw(expected, keys, float(position[row]))
    check(priorities_of, spec, belief, keys, Drawn(shares=shares, position=position, index=index))
    wrong = Drawn(shares=shares, position=position, index=(index + 1) % 10)
    with pytest.raises(RuntimeError, match="the service"):
        check(priorities_of, spec, belief, keys, wrong)


def test_the_model_alone_speaks_of_offers_of_categories_that_it_was_trained_on() -> None:
    world = replace(SMALL, offers=8)
    race = Race(world, NAMED["greedy"])
    race._history(np.random.default_rng(0))
    race.learner.morning(0)
    category = race.people.category
    assert category.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert race.learner.knows(np.arange(8), category).all()
    race.learner._known[:] = [False, True, False, False, False, False, False, False]
    assert race.learner.knows(np.arange(8), category).tolist() == [False, True, False, False, False, True, False, False]


def test_what_nobody_can_know_is_in_no_feature() -> None:
    race, other = Race(SMALL, NAMED["random"]), Race(SMALL, NAMED["random"])
    other.memory.load += 3.0
    other.memory.sated += 2.0
    other.people.unseen[:] = 9.0
    who = np.arange(50)
    np.testing.assert_array_equal(race._features(3, who), other._features(3, who))
    assert race._features(3, who).shape == (50, 4, 2, len(worlds_learner.INPUTS))


def test_an_outcome_is_known_and_learnt_from_when_it_arrives() -> None:
    race = Race(SMALL, NAMED["random"])
    one = np.array([7])
    sent = Sent(
        day=2,
        who=one,
        offer=np.array([1]),
        channel=np.array([0]),
        rows=race._features(2, one)[:, 1, 0],
        probability=np.array([0.5]),
        believed=np.array([0.1]),
        accepted=np.array([True]),
        delay=np.array([3]),
    )
    race._write(sent)
    for day in (3, 4):
        race._morning(day)
        assert race.memory.accepted[7].sum() == 0.0
    race._morning(5)
    assert race.memory.accepted[7, race.people.category[1]] == 1.0
    assert race.memory.sated[7].sum() > 0.0, "the world knows at once"
    for day, label in ((3, 0.0), (4, 0.0), (5, 1.0), (6, 1.0)):
        known = race.log.known(day, SMALL.window_days)
        assert known.label.tolist() == [label]
        assert known.age.tolist() == [day - 2.0]
        np.testing.assert_array_equal(known.rows, sent.rows)
    with pytest.raises(ValueError, match="concatenate"):
        race.log.known(2, SMALL.window_days)
    half = Maturity(waits=np.array([1.0, 3.0]), window_days=4.0)
    assert [race.log.known_rows(day, half) for day in (2, 3, 6)] == [0, 0, 1]


def test_a_race_logs_the_probability_of_every_draw_and_repeats_itself() -> None:
    first, second = Race(SMALL, NAMED[OURS]), Race(SMALL, NAMED[OURS])
    one, two = first.run(), second.run()
    assert one["expected"] == two["expected"]
    probability = np.concatenate([block.probability for block in first.log.blocks if block.day >= 0])
    assert ((probability > 0.0) & (probability <= 1.0)).all()
    best = oracle(SMALL, 0.0)
    assert np.mean(best["expected"]) > np.mean(one["expected"])
    assert np.mean(one["expected"]) > np.mean(Race(SMALL, NAMED["random"]).run()["expected"])


def test_every_day_of_a_race_has_the_service_decide_its_first_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[PolicySpec] = []

    def spy(rows: list[float], no_contact: int, spec: PolicySpec, **others: Any) -> tuple[float, ...]:
        seen.append(spec)
        assert no_contact == 0
        assert rows[0] == 0.0
        return distribution(rows, no_contact, spec, **others)

    monkeypatch.setattr(worlds_choice, "distribution", spy)
    race = Race(SMALL, NAMED["popularity"])
    race.run()
    assert len(seen) == SMALL.days * worlds_choice.CHECKED
    assert {spec.kind for spec in seen} == {"epsilon"}
    assert len(CHANNEL_COST) == 2


def test_the_send_time_world_beats_both_rules_and_falls_silent_without_variation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worlds_send_time, "CUSTOMERS", 1_200)
    monkeypatch.setattr(worlds_send_time, "SEEDS", (3,))
    found = worlds_send_time.run()
    gains = found["least_gain_over_a_rule_in_any_seed"]
    assert gains["everyone's best hour (known)"] > 0.0
    assert gains["own most frequent hour"] > 0.0
    assert found["share_of_oracle"]["foretouch"] < 1.0
    assert found["equals_the_prior_where_hours_were_never_varied"] is True
