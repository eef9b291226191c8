"""Every sentence of checks and verdicts, in English and Chinese: ``locale/*/LC_MESSAGES/sentences.po``."""

from foretouch.experiments.report.catalogue import LANGUAGES, Catalogue, Phrase

__all__ = ["LANGUAGES", "SENTENCES", "Phrase", "phrase", "say", "sentence"]

SENTENCES = Catalogue("sentences")
"""By key, then by language."""


def say(key: str, **values: object) -> dict[str, str]:
    """A sentence in both languages, as the fields ``text_en`` and ``text_zh``.

    Args:
        key: A key of ``SENTENCES``.
        values: Placeholders: the same for both languages, or a mapping from language to text.
    """
    return {f"text_{language}": sentence(key, language, **values) for language in LANGUAGES}


def sentence(key: str, language: str, **values: object) -> str:
    """A sentence in one language."""
    return SENTENCES.text(key, language, **values)


def phrase(key: str) -> Phrase:
    """A text of the catalogue, to be used as a placeholder of another."""
    return SENTENCES[key]
