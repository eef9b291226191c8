"""Sentences and labels of the insights, in English and Chinese: one table, no sentence elsewhere."""

from collections.abc import Mapping

from foretouch.experiments.insights.contract import Words
from foretouch.experiments.insights.texts_funnel import FUNNEL

Phrase = Mapping[str, str]
LANGUAGES = ("en", "zh")

PAGE: dict[str, dict[str, str]] = {
    "insights": {"en": "What happened and why", "zh": "发生了什么，为什么"},
    "period": {
        "en": "Decisions from {since} until {until}; what was known by {as_of}.",
        "zh": "统计 {since} 至 {until} 之前的决策；截至 {as_of} 已知的结果。",
    },
    "in_short": {"en": "In short", "zh": "要点"},
    "other_language": {"en": "中文版", "zh": "English"},
    "appendix": {"en": "How this was counted", "zh": "统计方法"},
    "reproduce": {"en": "Run it again", "zh": "重新运行"},
    "all_numbers": {"en": "All numbers", "zh": "全部数字"},
    "definition": {"en": "Definitions", "zh": "定义"},
    "none": {
        "en": "No decision was logged in this period. Start the service and let the engine ask it (foretouch serve), "
        "or choose another period (--since, --until).",
        "zh": "该时段没有任何决策记录。请启动服务并让营销系统发起请求（foretouch serve），"
        "或选择其他时段（--since、--until）。",
    },
}
TEXTS: dict[str, dict[str, str]] = {**PAGE, **FUNNEL}
"""By key, then by language."""


def text(key: str, language: str, **values: object) -> str:
    """A text in one language.

    Args:
        key: A key of ``TEXTS``.
        language: ``en`` or ``zh``.
        values: Placeholders: the same for both languages, or a mapping from language to text.
    """
    chosen = {name: value[language] if isinstance(value, Mapping) else value for name, value in values.items()}
    return TEXTS[key][language].format(**chosen)


def words(key: str, **values: object) -> Words:
    """A sentence in both languages."""
    return Words(code=key, text_en=text(key, "en", **values), text_zh=text(key, "zh", **values))


def named(prefix: str, name: str, language: str) -> str:
    """What readers call one of our own names; a name that the table does not have stays as it is."""
    known = TEXTS.get(f"{prefix}_{name}")
    return name.replace("_", " ") if known is None else known[language]
