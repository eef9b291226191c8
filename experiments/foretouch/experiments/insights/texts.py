"""Sentences and labels of the insights, in English and Chinese: ``locale/*/LC_MESSAGES/insights.po``."""

from foretouch.experiments.insights.contract import Words
from foretouch.experiments.report.catalogue import Catalogue

INSIGHTS = Catalogue("insights")
"""By key, then by language."""


def text(key: str, language: str, **values: object) -> str:
    """A text in one language; placeholders are the same for both languages, or a mapping from language to text."""
    return INSIGHTS.text(key, language, **values)


def words(key: str, **values: object) -> Words:
    """A sentence in both languages."""
    return Words(code=key, text_en=text(key, "en", **values), text_zh=text(key, "zh", **values))


def named(prefix: str, name: str, language: str) -> str:
    """What readers call one of our own names; a name that the table does not have stays as it is."""
    key = f"{prefix}_{name}"
    return text(key, language) if key in INSIGHTS else name.replace("_", " ")
