"""Sinks of the sim world: an in-memory list, and the wrapper that ends with the run."""

from collections.abc import Sequence
from typing import Final

from harness.history.events import Event, Observation
from harness.history.recorder import Sink

_NO_EVENTS: Final[tuple[Event, ...]] = ()


class MemorySink:
    """Keeps events in a list."""

    __slots__ = ("events",)

    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, event: Event) -> None:
        """Append one event."""
        self.events.append(event)


class RunSink:
    """Passes events on until the run is sealed: what finally blocks do during teardown never happened.

    It also remembers what each actor recorded, for `Host.past`.
    """

    __slots__ = ("_by_actor", "_sink", "sealed")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._by_actor: dict[str, list[Event]] = {}
        self.sealed = False

    def record(self, event: Event) -> None:
        """Pass an event on."""
        if self.sealed:
            return
        self._sink.record(event)
        actor = event.actor
        try:
            self._by_actor[actor].append(event)
        except KeyError:
            self._by_actor[actor] = [event]

    def past(self, actor: str) -> Sequence[Event]:
        """Return what that actor recorded so far, without what the world observed in its name."""
        return tuple(event for event in self._by_actor.get(actor, _NO_EVENTS) if not _is_of_world(event))


def _is_of_world(event: Event) -> bool:
    return isinstance(event, Observation) and event.name in ("link", "toxic", "unhandled")
