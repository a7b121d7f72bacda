"""Sinks of the sim world: an in-memory list, and the wrapper that ends with the run."""

from collections.abc import Callable, Sequence

from harness.history.events import Event, Observation
from harness.history.recorder import Sink


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

    It also remembers them, for `Host.past`, which is asked for only when a host starts.
    """

    __slots__ = ("_events", "_pass_on", "_remember")

    def __init__(self, sink: Sink) -> None:
        self._events: list[Event] = []
        self._pass_on: Callable[[Event], None] = sink.record
        self._remember: Callable[[Event], None] = self._events.append

    def record(self, event: Event) -> None:
        """Pass an event on."""
        self._pass_on(event)
        self._remember(event)

    def seal(self) -> None:
        """Take nothing in any more."""
        self._pass_on = self._remember = _forget

    def past(self, actor: str) -> Sequence[Event]:
        """Return what that actor recorded so far, without what the world observed in its name."""
        return tuple(event for event in self._events if event.actor == actor and not _is_of_world(event))


def _forget(_: Event) -> None:
    pass


def _is_of_world(event: Event) -> bool:
    return isinstance(event, Observation) and event.name in ("damage", "link", "toxic", "unhandled")
