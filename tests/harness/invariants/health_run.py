"""A run with a monitor in it, written down by hand: interval 2 s, timeout 1 s, in the sim world. Times are seconds.

Services are `store`, `bot` (which depends on it) and `feed`, alive from 0; the monitor watches from 1 on.
"""

from typing import Any, Self

from harness.history.events import (
    SCHEMA,
    Event,
    FaultBegan,
    FaultHealed,
    HostChanged,
    Invoke,
    Observation,
    Ok,
    RunEnded,
    RunStarted,
)
from harness.history.history import History
from harness.units import seconds

SERVICES = ("store", "bot", "feed")
DEPENDS_ON = {"store": [], "bot": ["store"], "feed": []}


class HealthRun:
    """Collects events. Every method adds some and returns the run."""

    def __init__(self, world: str = "sim") -> None:
        self.events: list[Event] = [RunStarted(0, "harness", 1, SCHEMA, "0", "s", "full", world, 7, {}, [])]
        self._op = 0
        self._fault = 0
        for name in SERVICES:
            self.host(name, "started", 0)
        self.watch(0.5, 1)

    def _call(self, actor: str, name: str, start: float, end: float, value: Any, result: Any, life: int = 1) -> Self:
        self._op += 1
        self.events.append(Invoke(seconds(start), actor, life, self._op, name, value))
        self.events.append(Ok(seconds(end), actor, life, self._op, result))
        return self

    def watch(self, started: float, ready: float, life: int = 1) -> Self:
        """A life of the monitor begins."""
        self.host("monitor", "started", started, life)
        value = {"interval_ns": seconds(2), "timeout_ns": seconds(1), "depends_on": DEPENDS_ON}
        return self._call("monitor", "watch", started, ready, value, {}, life)

    def host(self, name: str, change: str, time: float, life: int = 1) -> Self:
        """Something in the life of a host."""
        self.events.append(HostChanged(seconds(time), name, life, change))
        return self

    def leaves(self, name: str, time: float, life: int = 1) -> Self:
        """A host was asked to stop."""
        self.events.append(Observation(seconds(time), name, life, "leaves", {}))
        return self

    def fault(self, start: float, end: float, on: str, name: str = "network.refuse", *, bites: bool = True) -> Self:
        """A fault of a link, of which that has an effect on record; or of a host, which dies or stands still."""
        self._fault += 1
        host, _, to = on.partition("->")
        if to and bites:
            seen = {"to": to, "toxic": "t", "type": "partition", "held": 7}
            self.events.append(Observation(seconds(end), host, 1, "toxic", seen))
        elif bites and name == "process.kill":
            self.host(on, "killed", start).host(on, "started", end, 2)
        elif bites and name == "process.freeze":
            self.host(on, "frozen", start).host(on, "thawed", end)
        self.events.append(FaultBegan(seconds(start), "harness", 1, self._fault, name, "m", on))
        self.events.append(FaultHealed(seconds(end), "harness", 1, self._fault))
        return self

    def link(self, time: float, to: str, outcome: str) -> Self:
        """What a connection of the monitor met."""
        self.events.append(Observation(seconds(time), "monitor", 1, "link", {"to": to, "outcome": outcome}))
        return self

    def look(self, *times: float, **states: str) -> Self:
        """Somebody asks the monitor, and sees these states; the others are HEALTHY."""
        for time in times:
            shown = {name: states.get(name, "HEALTHY") for name in SERVICES}
            self._call("onlooker", "look", time, time + 0.01, {}, {"states": shown})
        return self

    def checks(self, name: str, *times: float, status: str = "healthy") -> Self:
        """A service is checked, and says that."""
        for time in times:
            self._call(name, "health", time, time + 0.01, {}, {"status": status})
        return self

    def alert(self, time: float, service: str, kind: str = "down", life: int = 1) -> Self:
        """The monitor tells something."""
        value = {"service": service, "kind": kind, "affected": []}
        self.events.append(Observation(seconds(time), "monitor", life, "alert", value))
        return self

    def end(self, time: float) -> History:
        """The whole history of a run that lasted until then."""
        return History.of([*self.events, RunEnded(seconds(time), "harness", 1, None, len(self.events))])
