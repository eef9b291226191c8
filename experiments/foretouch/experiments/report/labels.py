"""Headings and labels of pages, in English and Chinese: ``locale/*/LC_MESSAGES/labels.po``."""

from foretouch.experiments.report.catalogue import Catalogue

LABELS = Catalogue("labels")
"""By key, then by language."""


def label(key: str, language: str, **values: object) -> str:
    """A label in one language."""
    return LABELS.text(key, language, **values)
