"""SciPy's special functions, loaded at first use: they are a third of what the import of the statistics core costs."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scipy.special import (
        bdtr,
        betainc,
        betaincinv,
        chdtrc,
        gammaln,
        logsumexp,
        ndtr,
        ndtri,
        stdtr,
        stdtrit,
    )

__all__ = [
    "bdtr",
    "betainc",
    "betaincinv",
    "chdtrc",
    "gammaln",
    "logsumexp",
    "ndtr",
    "ndtri",
    "stdtr",
    "stdtrit",
]


def __getattr__(name: str) -> Any:
    """Looks a function up where it is asked for the first time, and keeps it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from scipy import special  # noqa: PLC0415 - at first use

    found = globals()[name] = getattr(special, name)
    return found
