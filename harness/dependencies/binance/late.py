"""Requests that take effect only after they were answered: the exchange's queue behind an answer that says nothing.

Such an answer (503 "Unknown error", -1006, -1007) comes from the front of the exchange; what lies behind it may still
hold the order. So a query right after finds nothing, and a later one a fill. Reality bounds the delay by the order's
own `recvWindow`: an order whose window is over is not accepted any more, however long it lay there. So it is here.
"""

import heapq
from typing import Final

from harness.dependencies.binance.gate.armed import Live
from harness.dependencies.binance.gate.routes import Route
from harness.dependencies.binance.gate.visit import Visit

_WINDOW_MS: Final = 5_000
"""The documented default of `recvWindow`."""


class Late:
    """What is still to take effect, by the exchange's clock."""

    __slots__ = ("_heap",)

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Visit, Route, Live]] = []

    def put(self, visit: Visit, route: Route, live: Live) -> None:
        """Let a request, authenticated as it is, take effect `after_ms` later, or when its window ends."""
        values = visit.params.values
        window_ends_ms = int(values.get("timestamp", visit.wall_ms)) + int(float(values.get("recvWindow", _WINDOW_MS)))
        due_ms = min(visit.wall_ms + live.options["after_ms"], max(visit.wall_ms, window_ends_ms))
        heapq.heappush(self._heap, (due_ms, visit.n, visit, route, live))

    def due_ms(self) -> int | None:
        """Return when the next one does; None if there is none."""
        return self._heap[0][0] if self._heap else None

    def take(self, wall_ms: int) -> tuple[Visit, Route, Live] | None:
        """Return the next one that is due, and forget it; None if there is none."""
        if not self._heap or self._heap[0][0] > wall_ms:
            return None
        return heapq.heappop(self._heap)[2:]
