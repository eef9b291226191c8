"""Every sentence in both languages, with the same values; every sentence of a template is there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from foretouch.core.policy import Factors
from foretouch.experiments.app import words
from foretouch.experiments.app.aside import without_inline
from foretouch.experiments.app.policies_page import REWARDS, WAYS
from foretouch.experiments.app.settings_fields import (
    CONTACT_NUMBERS,
    CREDITS,
    KINDS,
    POLICY_NUMBERS,
    SCOPES,
    TABLES,
)
from foretouch.experiments.app.settings_page import SAVED
from foretouch.experiments.app.site import SPOKEN
from foretouch.experiments.app.view import NAV
from foretouch.experiments.app.what_if_page import WHYS
from foretouch.experiments.app.words import WORDS, say
from foretouch.experiments.app.words_notes import SAID, told
from foretouch.experiments.policy import blocks
from foretouch.serving.history import what_if
from foretouch.training.off_policy import logged

ROOT = Path(__file__).resolve().parents[3]
APP = Path(words.__file__).parent
TEMPLATES = {path.name: path.read_text("utf-8") for path in (APP / "templates").glob("*.j2")}
SOURCES = {path.name: path.read_text("utf-8") for path in APP.glob("*.py") if not path.name.startswith("words")}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_say_the_same_values() -> None:
    assert {key for key, (en, zh) in WORDS.items() if placeholders(en) != placeholders(zh)} == set()
    assert {key for key, pair in WORDS.items() if not all(text.strip() for text in pair)} == set()
    same = {key for key, (en, zh) in WORDS.items() if en == zh}
    assert same == {"name", "baseline_bg_nbd"}


def used() -> set[str]:
    found = {key for text in TEMPLATES.values() for key in re.findall(r"\bt\('([a-z_0-9]+)'[,)]", text)}
    found |= {key for text in SOURCES.values() for key in re.findall(r'say\([a-z.]+, "([a-z_0-9]+)"', text)}
    families = {
        "nav_": NAV,
        "next_": (*SPOKEN, "other"),
        "field_": (*POLICY_NUMBERS, *CONTACT_NUMBERS, *(name for names in TABLES.values() for name in names)),
        "field_factor_": tuple(Factors.model_fields),
        "choice_": (*KINDS, *CREDITS),
        "cap_scope_": SCOPES,
        "done_": SAVED,
        "state_": ("planned", "running", "ended"),
        "verdict_": ("win", "harm", "unclear", "equivalent", "broken"),
        "status_": ("decided", "suppressed", "control", "degraded", "fallback"),
        "calendar_": ("day", "week", "month"),
        "price_": ("value", "cost"),
        "reward_": tuple(name or "own" for name in REWARDS),
        "arm_": ("too_few_allowed", "too_few_chosen", "too_unevenly_dealt"),
        "service_": ("ready", "degraded", "not_ready"),
        "drift_": ("ok", "watch", "alarm"),
        "": (*WAYS, *WHYS.values(), "caps", "cool_downs", "quiet_hours", "working_hours"),
    }
    return found | {f"{family}{name}" for family, names in families.items() for name in names}


def test_every_sentence_that_is_used_is_there() -> None:
    assert len(used()) > 300
    assert {key for key in used() if key not in WORDS} == set()


def test_a_name_that_nobody_foresaw_is_shown_as_it_is() -> None:
    assert say("zh", "metric_new_thing") == "new_thing"
    with pytest.raises(KeyError):
        say("en", "sign_inn")


def written() -> Iterator[str]:
    """Every string of the parts that write notes and errors."""
    for part in (
        "training/foretouch",
        "experiments/foretouch/experiments/uplift",
        "serving/foretouch/serving/models",
        "serving/foretouch/serving/history",
        "core/foretouch/core",
    ):
        for path in (ROOT / part).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def test_notes_of_cards_and_reasons_of_the_loader_are_told_in_chinese() -> None:
    assert told("bundle offer 3: model.txt was altered (SHA-256 differs)", "zh") == (
        "模型包 offer 3：model.txt 已被改动（SHA-256 不一致）",
        "zh-CN",
    )
    bands = "Bands: the thresholds are the scores that 20% (warm), 5% (hot) of the calibration rows reach."
    assert told(bands, "zh") == ("分档：阈值为校准数据中有 20% (warm), 5% (hot) 的行达到的评分。", "zh-CN")
    assert told(bands, "en") == (bands, "en")
    hours = (
        "The effect of sending at an hour is identified: 900 sends on email at effectively 5.1 hours per customer, 40"
        " sends on sms at effectively 4.0 hours per customer; no past sends on push."
    )
    assert told(hours, "zh")[0] == (
        "可以识别按小时发送的效果：email 有 900 次发送，每位客户有效 5.1 个小时，"
        "sms 有 40 次发送，每位客户有效 4.0 个小时；push 没有以往的发送。"
    )
    alone = "Trees alone: the purchase model (BG/NBD and Gamma-Gamma) has no part, since {}."
    reason = "on the calibration part it makes the trees no better"
    assert told(alone.format(reason), "zh")[0].endswith("原因：在校准数据上它未能改进树模型。")
    assert told(alone.format("the optimiser stopped"), "zh")[0].endswith("原因：the optimiser stopped。")
    leak = "Suspected leak: alone, late (0.999), odd (0.998) orders the labels almost without error; look at when it"
    assert "仅凭 late (0.999), odd (0.998) 就" in told(f"{leak} becomes known.", "zh")[0]
    assert told("what nobody foresaw", "zh") == ("what nobody foresaw", "en")
    text = "\n".join(written())
    for english, chinese in SAID.items():
        assert placeholders(chinese) <= placeholders(english)
        ends = [part[-20:] for part in re.split(r"{\w}", english.rstrip(".")) if len(part) > 8]
        assert any(end in text for end in ends), f"nobody writes this any more: {english}"


def test_a_chart_says_as_attributes_what_its_style_said() -> None:
    chart = (
        "<svg><defs><style type='text/css'>*{stroke-linejoin: round}</style></defs>"
        '<path d="M 0" style="fill: none; stroke: #e3e3e3; stroke-width: 0.8"/>'
        """<text style="font: 11px 'DejaVu Sans'; text-anchor: middle">a</text></svg><script>1</script>"""
    )
    assert without_inline(chart) == (
        '<svg><defs></defs><path d="M 0" fill="none" stroke="#e3e3e3" stroke-width="0.8"/>'
        """<text text-anchor="middle" font-size="11px" font-family="'DejaVu Sans'">a</text></svg>"""
    )


def test_why_a_decision_cannot_tell_is_said_in_both_languages() -> None:
    """On the page of policies, where none can, and in their report, one by one."""
    sources = "".join(Path(str(module.__file__)).read_text("utf-8") for module in (what_if, logged))
    reasons = {*re.findall(r'return "([a-z ]+)"\n', sources), logged.OPEN_WINDOW, logged.SEVERAL}
    assert len(reasons) == 7
    for reason in reasons:
        sentence, language = told(f"none of 14 decisions can tell: {reason} (14)", "zh")
        assert language == "zh-CN"
        assert not re.search("[a-z]", sentence), sentence
        report = blocks.WORDS["left_" + reason.replace(" ", "_")]
        assert report["en"] == reason
        assert report["zh"] != reason
