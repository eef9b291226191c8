"""What a touchpoint's section of the config fills in where the request is silent. Pure."""

from typing import Any

from foretouch.core.config import Config
from foretouch.core.decisions import DecisionRequest

YIELDING = ("purpose", "n")
"""Fields whose own default yields to the touchpoint's: only what the caller wrote counts."""
ABSENT = ("channels", "collection", "placements")
"""Fields that are null where the caller said nothing. The touchpoint's default action is none of them: it is a step of
the ladder below the caller's own (``fallback.resorts``)."""


def effective_request(request: DecisionRequest, config: Config) -> DecisionRequest:
    """The request with its touchpoint's defaults; what it says itself wins.

    Applied before anything else of a decision, and again without effect: the record keeps the request as it was asked,
    and a replay under the same config finds the same effective request. A request that names ``candidates`` asks about
    these and no collection, and is given none. The touchpoint's ``default_action`` is not filled in: it is a step of
    the ladder of its own, after the caller's.

    Args:
        request: As asked.
        config: Has ``touchpoints``.

    Returns:
        The same object where there is nothing to fill in.
    """
    section = config.touchpoints.get(request.touchpoint)
    if section is None:
        return request
    said = request.model_fields_set
    filled: dict[str, Any] = {}
    for name in YIELDING:
        value = getattr(section, name)
        if value is not None and name not in said:
            filled[name] = value
    for name in ABSENT:
        value = getattr(section, name)
        if value is not None and getattr(request, name) is None:
            filled[name] = value
    if request.candidates is not None:
        filled.pop("collection", None)
    return request.model_copy(update=filled) if filled else request
