"""Answered requests, counted as plain numbers: what is counted for every request costs less than the metrics do.

A metric of several workers is a value in a file that each of them maps: eight writes for one request cost as much as
finding its route. Here they are added up, and moved into the metrics a few times a second and before they are shown.
"""

import asyncio
import threading
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence

MOVE_SECONDS = 0.25
"""How long a request may be missing in what other workers show; as much of the count is lost when one is killed."""

Counted = tuple[str, str, int]
"""Route template, method, status."""


class Tally:
    """Counts of one worker.

    Args:
        bounds: Upper ends of the buckets of seconds, ascending; the last bucket is above them all.
        move: Takes over what was counted: requests, then by route their sum of seconds and their numbers by bucket.
    """

    def __init__(
        self,
        bounds: Sequence[float],
        move: Callable[[Mapping[Counted, int], Mapping[str, tuple[float, Sequence[int]]]], None],
    ) -> None:
        self._bounds = bounds
        self._move = move
        self._lock = threading.Lock()
        self._requests: dict[Counted, int] = {}
        self._sums: dict[str, float] = {}
        self._buckets: dict[str, list[int]] = {}

    def add(self, request: Counted, seconds: float) -> None:
        """Counts one request.

        Args:
            request: Which.
            seconds: From its first byte to its answer.
        """
        route = request[0]
        with self._lock:
            first = not self._requests
            self._requests[request] = self._requests.get(request, 0) + 1
            buckets = self._buckets.get(route)
            if buckets is None:
                buckets = self._buckets[route] = [0] * (len(self._bounds) + 1)
                self._sums[route] = 0.0
            buckets[bisect_left(self._bounds, seconds)] += 1
            self._sums[route] += seconds
        if first:
            self._move_soon()

    def move(self) -> None:
        """Moves what was counted into the metrics."""
        with self._lock:
            requests, sums, buckets = self._requests, self._sums, self._buckets
            self._requests, self._sums, self._buckets = {}, {}, {}
        if requests:
            self._move(requests, {route: (sums[route], counts) for route, counts in buckets.items()})

    def _move_soon(self) -> None:
        """A little later where an event loop runs; at once elsewhere."""
        try:
            asyncio.get_running_loop().call_later(MOVE_SECONDS, self.move)
        except RuntimeError:
            self.move()
