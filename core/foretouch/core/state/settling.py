"""What follows the answers of a whole group follows them once, not once per answer.

A group's futures are settled one after the other by the log's writer. Whoever is told by a callback of such a future
and would wake another thread for it wakes that thread once, when all of them are settled: between two wake-ups the
threads would only take the interpreter from one another.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_here = threading.local()


@contextmanager
def settling() -> Iterator[None]:
    """Settles futures of one group on this thread; what was put off is done at the end, also after an error."""
    later: dict[Callable[[], object], None] = {}
    _here.later = later
    try:
        yield
    finally:
        _here.later = None
        for function in later:
            function()


def when_settled(function: Callable[[], object]) -> None:
    """Calls a function once this thread has settled its group of futures; at once where it settles none."""
    later: dict[Callable[[], object], None] | None = getattr(_here, "later", None)
    if later is None:
        function()
    else:
        later[function] = None
