"""Every sentence of the pages, in English and Chinese, by key: one table in three files."""

from collections.abc import Mapping
from typing import Literal

from foretouch.experiments.app.words_shell import SHELL
from foretouch.experiments.app.words_tables import TABLES
from foretouch.experiments.app.words_worth import WORTH

Language = Literal["en", "zh"]
LANGUAGES: Mapping[str, str] = {"en": "English", "zh": "中文"}
"""By code, in their own words."""
OPEN = ("metric_", "baseline_", "plot_", "table_", "action_", "alias_", "outcome_", "model_", "field_", "stage_")
"""Families whose members other parts add to: a name without a word of its own is shown as it is."""
WORDS: Mapping[str, tuple[str, str]] = {**SHELL, **TABLES, **WORTH}


def say(language: Language, key: str, /, **values: object) -> str:
    """A sentence in one language.

    Args:
        language: Of the reader.
        key: Of ``WORDS``; one of an open family may be missing.
        values: Its placeholders.

    Raises:
        KeyError: There is no such sentence.
    """
    pair = WORDS.get(key)
    if pair is None:
        for family in OPEN:
            if key.startswith(family):
                return key.removeprefix(family)
        raise KeyError(key)
    return pair[language == "zh"].format(**values)
