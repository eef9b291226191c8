"""Pages as files: one per language, each with a link to the other, and the numbers beside them as JSON."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel

OTHER: Final = {"en": "zh", "zh": "en"}
"""The language that a page links to."""

Render = Callable[[str, str | None], str]
"""The page in a language as text; the second is the file of the other language, where there is one."""


def page_name(stem: str, language: str) -> str:
    """A page's file name: ``<stem>.<language>.html``."""
    return f"{stem}.{language}.html"


def write_pages(stem: str, folder: Path, languages: Sequence[str], render: Render) -> dict[str, Path]:
    """Writes one page per language.

    Args:
        stem: Of the files' names.
        folder: Made if absent.
        languages: ``en``, ``zh`` or both; with both, each page links to the other.
        render: Makes a page.

    Returns:
        Paths by language.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for language in languages:
        other = page_name(stem, OTHER[language]) if len(languages) > 1 else None
        written[language] = folder / page_name(stem, language)
        written[language].write_text(render(language, other), encoding="utf-8")
    return written


def write_numbers(found: BaseModel, path: Path) -> Path:
    """Writes the numbers of a page as JSON, and gives their path back."""
    path.write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return path
