"""Texts by key and language, read from gettext catalogues: ``locale/<language>/LC_MESSAGES/<domain>.po``.

A text's id is a key, not its English: both languages are translations of the same rule, and mending the one does not
orphan the other. Any gettext tool opens the files. Placeholders are named, ``{arm}``, and the same in every language.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files

LANGUAGES = ("en", "zh")
Phrase = Mapping[str, str]
"""One text by language."""


class Catalogue(Mapping[str, Phrase]):
    """All texts of one domain, by key and then by language; read at first use.

    Args:
        domain: Name of the files.
    """

    def __init__(self, domain: str) -> None:
        self.domain = domain

    def __getitem__(self, key: str) -> Phrase:
        return {language: _read(self.domain, language)[key] for language in LANGUAGES}

    def __iter__(self) -> Iterator[str]:
        return iter(_read(self.domain, LANGUAGES[0]))

    def __len__(self) -> int:
        return len(_read(self.domain, LANGUAGES[0]))

    def text(self, key: str, language: str, /, **values: object) -> str:
        """A text in one language.

        Args:
            key: Its id.
            language: ``en`` or ``zh``.
            values: Placeholders: the same for both languages, or a mapping from language to text.
        """
        chosen = {name: value[language] if isinstance(value, Mapping) else value for name, value in values.items()}
        return _read(self.domain, language)[key].format(**chosen)

    def both(self, key: str, /, **values: object) -> Phrase:
        """A text in every language."""
        return {language: self.text(key, language, **values) for language in LANGUAGES}


@cache
def _read(domain: str, language: str) -> Mapping[str, str]:
    from babel.messages.pofile import read_po  # noqa: PLC0415 - only where a text is asked for

    place = files("foretouch.experiments").joinpath("locale", language, "LC_MESSAGES", f"{domain}.po")
    with place.open("rb") as file:
        read = read_po(file, locale=language, domain=domain, abort_invalid=True)
    return {str(message.id): str(message.string) for message in read if message.id}
