"""Observations of what happens to connections towards dependencies: `link`, as harness/world/base.py documents it."""

from collections import Counter
from typing import Final

from harness.history.events import Fields, Observation
from harness.history.recorder import Sink
from harness.units import SECOND
from harness.world.sim.clockwork import ClockworkLoop
from harness.world.sim.incarnation import Incarnation

INDIVIDUALLY_MAX: Final = 1000
"""So many a run are recorded one by one; later ones are gathered for a second and recorded with a count."""
_GATHERING_NS: Final = SECOND


class LinkObserver:
    """Records connections' fates in their clients' names. `dependencies` are the machines that matter."""

    __slots__ = ("_gathered", "_left", "_loop", "_sink", "dependencies")

    def __init__(self, loop: ClockworkLoop, sink: Sink) -> None:
        self.dependencies: set[str] = set()
        self._loop = loop
        self._sink = sink
        self._left = INDIVIDUALLY_MAX
        self._gathered: Counter[tuple[str, int, str, str]] = Counter()

    def saw(self, client: Incarnation, to: str, outcome: str) -> None:
        """Take note of what became of a connection (attempt) of `client` to the machine `to`."""
        if to not in self.dependencies or client.machine == to:
            return
        if self._left:
            self._left -= 1
            self._record(client.machine, client.number, {"to": to, "outcome": outcome})
            return
        if not self._gathered:
            self._loop.after_kernel(self._loop.now + _GATHERING_NS, self.flush, None)
        self._gathered[client.machine, client.number, to, outcome] += 1

    def flush(self, _: object = None) -> None:
        """Record what was gathered since the last time."""
        gathered, self._gathered = self._gathered, Counter()
        for (actor, number, to, outcome), count in gathered.items():
            self._record(actor, number, {"to": to, "outcome": outcome, "count": count})

    def _record(self, actor: str, number: int, value: Fields) -> None:
        self._sink.record(Observation(self._loop.now, actor, number, "link", value))
