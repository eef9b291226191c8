"""Times as people type them on a command line."""

from datetime import UTC, datetime

from foretouch.core.errors import ConfigError


def moment_of(name: str, text: str | None) -> datetime | None:
    """A day (midnight UTC) or a time with an offset; None where nothing was given.

    Args:
        name: Of the option, for the message.
        text: As typed.

    Raises:
        ConfigError: It is neither.
    """
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{name} == {text!r}, must be a day like 2026-03-01 or a time with an offset") from error
    if at.tzinfo is not None:
        return at
    if len(text) > len("2026-03-01"):
        raise ConfigError(f"{name} == {text!r}, must have an offset, e.g. {text}+00:00")
    return at.replace(tzinfo=UTC)
