"""The gate's two questions, and its sentences in two languages."""

import re
from string import Formatter

import pytest

from foretouch.core.bundle import ModelCard, ModelInput
from foretouch.training.gate import Check, Gate
from foretouch.training.gate.routine import changes
from foretouch.training.gate.words import SENTENCES, chinese, say


def card(**changed: object) -> ModelCard:
    made = ModelCard(
        model="offer",
        version="1",
        target="probability",
        feature_service="offer_v1",
        inputs=(
            ModelInput(name="recency_days", view="customer_purchases"),
            ModelInput(name="offer_category", view="offer", kind="category", levels=("food",)),
        ),
        trained_through="2026-01-01T00:00:00Z",
        created_at="2026-01-01T00:00:00Z",
        goal={"window_days": 7},
        data_sha256="a",
        parameters={"objective": "binary", "num_leaves": 7, "rounds": 100},
    )
    return made.replace(**changed)


def test_newer_rows_searched_numbers_and_new_levels_are_a_routine_retrain() -> None:
    before = card()
    levels = ModelInput(name="offer_category", view="offer", kind="category", levels=("food", "toys"))
    again = card(
        version="2",
        data_sha256="b",
        inputs=(before.inputs[0], levels),
        parameters={"objective": "binary", "num_leaves": 31, "rounds": 7},
    )
    assert changes(again, before) == ()
    uplift = {"learner": "dr", "folds": 5, "rounds_effect": 9, "effect.num_leaves": 3}
    other = {"learner": "dr", "folds": 5, "rounds_outcome": 9}
    assert changes(card(parameters=uplift), card(parameters=other)) == ()


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"inputs": (ModelInput(name="recency_days", view="customer_purchases"),)}, ("inputs",)),
        ({"feature_service": "offer_v2"}, ("inputs",)),
        ({"goal": {"window_days": 14}}, ("goal",)),
        ({"target": "difference"}, ("goal",)),
        ({"parameters": {"objective": "poisson", "num_leaves": 7, "rounds": 100}}, ("learner",)),
        ({"parameters": {"objective": "binary", "num_leaves": 7, "rounds": 100, "monotone": 1}}, ("learner",)),
        ({"extras": {"identified": True}}, ("learner",)),
    ],
)
def test_other_inputs_goal_or_learner_are_not(changed: dict[str, object], named: tuple[str, ...]) -> None:
    assert changes(card(**changed), card()) == named


def test_every_sentence_is_found_again_in_chinese() -> None:
    """Written with figures in every place, each is recognised as itself and keeps all its figures."""
    for key, (english, translated) in SENTENCES.items():
        places = [name for _, name, _, _ in Formatter().parse(english) if name]
        assert sorted(places) == sorted(name for _, name, _, _ in Formatter().parse(translated) if name), key
        values = {name: f"<{index}.5>" for index, name in enumerate(places)}
        found = chinese(say(key, **values))
        assert found == translated.format(**values), key
        assert re.search(r"[一-鿿]", found), key
    assert chinese("a sentence of somebody else") == "a sentence of somebody else"
    assert chinese(say("gain_bound_of", changed="inputs, goal", margin="+0%", needed="+0.0")).startswith(
        "输入特征、目标 有变"
    )


def test_the_page_has_both_languages_and_the_fairness_report() -> None:
    row = Check(check="latency", what=say("latency"), passed=False, figure="9 ms", bound=say("latency_bound", most="5"))
    line = {"feature": "attribute_city", "group": "north", "rows": 100, "selection_ratio": 0.5}
    page = Gate(model="offer", version="2", champion="1", basis="log", rows=(row,), fairness=(line,)).page()
    assert "| latency | median time of one score | NO | 9 ms | 5 ms at most |" in page
    assert "| 耗时 | 单次评分耗时（中位数） | 否 | 9 ms | 至多 5 毫秒 |" in page
    assert "| 特征 | 群体 | 行数 | 与最高入选比例之比 |" in page
