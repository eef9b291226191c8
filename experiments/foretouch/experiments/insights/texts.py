"""Sentences and labels of the insights, in English and Chinese: ``locale/*/LC_MESSAGES/insights.po``."""

from foretouch.experiments.insights.contract import Insights, Words
from foretouch.experiments.report.catalogue import Catalogue

INSIGHTS = Catalogue("insights")
"""By key, then by language."""


def text(key: str, language: str, **values: object) -> str:
    """A text in one language; placeholders are the same for both languages, or a mapping from language to text."""
    return INSIGHTS.text(key, language, **values)


def words(key: str, **values: object) -> Words:
    """A sentence in both languages."""
    return Words(code=key, text_en=text(key, "en", **values), text_zh=text(key, "zh", **values))


def called(insights: Insights, name: str, language: str) -> str:
    """What readers call an offer or an arm; a name that has no other stays as it is."""
    return insights.names.get(name, {}).get(language, name)


def rule_called(insights: Insights, stage: str, rule: str, language: str) -> str:
    """A rule in words: its stage, and what it is called: our own words, an arm's title, or its name in the rules."""
    words_of = named("rule", rule, language) if f"rule_{rule}" in INSIGHTS else called(insights, rule, language)
    return f"{named('stage', stage, language)}: {words_of}"


def named(prefix: str, name: str, language: str) -> str:
    """What readers call one of our own names; a name that the table does not have stays as it is."""
    key = f"{prefix}_{name}"
    return text(key, language) if key in INSIGHTS else name.replace("_", " ")
