"""Errors for people: each names what is wrong and the next thing to do.

Expected refusals ("not eligible", "no consent") are results with reasons, never exceptions.
"""


class ForetouchError(Exception):
    """Base of every error this project raises on purpose.

    Args:
        message: What is wrong, with the name, the value and the bound.
        hint: The next command or edit that mends it; shown on a line of its own.
    """

    code = "error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(ForetouchError):
    """A configuration file is missing, malformed or contradicts itself."""

    code = "config"


class DataError(ForetouchError):
    """A table cannot be read as its contract says."""

    code = "data"


class NotFoundError(ForetouchError):
    """A named thing (customer, decision, model, experiment) does not exist here."""

    code = "not_found"


class BundleError(ForetouchError):
    """A model bundle is missing, altered or does not reproduce its golden rows."""

    code = "bundle"


class StateError(ForetouchError):
    """The workspace's state database cannot be read or written."""

    code = "state"


class ConflictError(ForetouchError):
    """The same id or idempotency key came again with different content."""

    code = "conflict"


class NotReadyError(ForetouchError):
    """A step that must come first has not been run."""

    code = "not_ready"
