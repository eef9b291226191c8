"""What the numbers of a document mean: a definition by the name of its field, in English and Chinese.

The JSON of every document carries its definitions in English (``definitions{}``), its pages show them in their own
language beside the numbers. A number is defined by its own name, else by the name of what encloses it; a dotted key
(``costs.value``) is for a name that means two things in one document. The words are
``locale/*/LC_MESSAGES/definitions.po``, keyed ``<document>_<field>``, and ``analysis/definitions.py`` for the results
of an experiment, which are made without reading a catalogue.
"""

from collections.abc import Iterable

from foretouch.experiments.analysis.definitions import DEFINITIONS, definition
from foretouch.experiments.report.catalogue import Catalogue

WORDS = Catalogue("definitions")
"""By key, then by language."""
RESULTS = "results"
"""The document whose definitions ``analysis/definitions.py`` holds."""


def definitions_of(document: str, language: str = "en") -> dict[str, str]:
    """Every definition of a document, by field.

    Args:
        document: ``insights``, ``uplift``, ``policy``, ``arms``, ``parts``, ``design``, ``aa`` or ``pages``.
        language: ``en`` or ``zh``.
    """
    start = f"{document}_"
    fields = [key.removeprefix(start) for key in WORDS if key.startswith(start)]
    return {field.replace("__", "."): WORDS.text(f"{document}_{field}", language) for field in fields}


def meaning(document: str, fields: str, language: str) -> str:
    """What one number, or a pair such as an effect with its interval, means.

    Args:
        document: As in ``definitions_of``, or ``results``.
        fields: Names separated by spaces; nothing for a column that holds no number.
        language: ``en`` or ``zh``.
    """
    told = (
        definition(field, DEFINITIONS[field], language)
        if document == RESULTS
        else WORDS.text(f"{document}_{field}", language)
        for field in fields.split()
    )
    return ("；" if language == "zh" else "; ").join(told)


def meanings(document: str, columns: Iterable[str], language: str) -> tuple[str, ...]:
    """The same of every column of a table, in its order."""
    return tuple(meaning(document, fields, language) for fields in columns)
