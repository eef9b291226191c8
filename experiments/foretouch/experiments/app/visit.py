"""One request of a browser: who asks, in which language, for which page."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import urlencode

from foretouch.core.state.sessions import Session
from foretouch.experiments.app.words import Language
from foretouch.serving.web.pages import PageRequest

LANGUAGE_COOKIE = "foretouch_lang"
EDIT_SCOPE, READ_SCOPE = "admin", "report:read"
_NEXT = re.compile(r"/app(/[A-Za-z0-9._~%:/-]*)?(\?[A-Za-z0-9._~%=&+:-]*)?")


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What a page is made for.

    Attributes:
        request: As it came.
        language: Of the page.
        session: Who signed in; None before.
        token: The session's, from the cookie; empty before.
        path: Values of the page's placeholders.
        page: The page's name.
        csrf: What every form must carry.
    """

    request: PageRequest
    language: Language
    session: Session | None = None
    token: str = ""
    path: Mapping[str, str] = field(default_factory=dict)
    page: str = ""
    csrf: str = ""

    @property
    def may_edit(self) -> bool:
        """Whether this visitor may change anything."""
        return self.session is not None and self.session.key.allows(EDIT_SCOPE)

    @property
    def key_id(self) -> str:
        """Id of the key that was exchanged for the session."""
        return "" if self.session is None else self.session.key.id

    def at(self, page: str, path: Mapping[str, str]) -> "Visit":
        """The same visit once the page is known."""
        return replace(self, page=page, path=path)

    def in_language(self, language: str) -> str:
        """The address of this page in another language."""
        return f"?{urlencode({**self.request.query, 'lang': language})}"

    def with_query(self, **values: str) -> str:
        """The address of this page with something more asked for."""
        return f"?{urlencode({**self.request.query, **values})}"

    @property
    def here(self) -> str:
        """The address of this page."""
        query = {name: value for name, value in self.request.query.items() if name != "lang"}
        return self.request.path + (f"?{urlencode(query)}" if query else "")


def language_of(request: PageRequest) -> Language:
    """The page's language: asked for in the address, else remembered, else the browser's own, else English."""
    for said in (request.query.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if said in {"en", "zh"}:
            return "zh" if said == "zh" else "en"
    return _preferred(request.languages)


def _preferred(header: str) -> Literal["en", "zh"]:
    """Of ``Accept-Language``: whichever of the two a browser likes better."""
    best: dict[str, float] = {}
    for part in header.split(","):
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality or "1")
        except ValueError:
            weight = 0.0
        name = tag.strip().lower().partition("-")[0]
        best[name] = max(best.get(name, 0.0), weight)
    return "zh" if best.get("zh", 0.0) > best.get("en", 0.0) else "en"


def safe_next(path: str) -> str:
    """Where to go after signing in: a page of ours, never another site."""
    return path if _NEXT.fullmatch(path) and "//" not in path else "/app"
