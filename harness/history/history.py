"""A history: everything one run recorded, in the order of time, ready to be judged.

Events reach the recorder from several processes, slightly out of order. They are sorted by their time;
events of the same instant keep the order in which they were recorded, which in the sim world (many events
share an instant) is the order in which they happened. The *position* of an event in `events` is therefore
the finest order there is, and the one that order invariants use.

A history never changes, so what is computed from it is computed once: queries keep their results in it
(`once`), and seven invariants share one pass over 100,000 events.
"""

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TypeVar, cast

from harness.errors import HistoryError
from harness.history.events import Event, RunEnded, RunStarted

T = TypeVar("T")

_time = attrgetter("time_ns")


@dataclass(frozen=True, slots=True)
class History:
    """One run. `truncated` means that the recording was cut short: what is missing may still have happened."""

    header: RunStarted
    events: tuple[Event, ...]
    truncated: bool
    _once: dict[Hashable, object] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, events: Iterable[Event], *, torn: bool = False) -> "History":
        """Build a history from recorded events; without a `RunEnded`, or if `torn`, it is truncated.

        Raises `HistoryError` unless there is exactly one `RunStarted`.
        """
        ordered = tuple(sorted(events, key=_time))
        headers = [event for event in ordered if type(event) is RunStarted]
        if len(headers) != 1:
            raise HistoryError(f"a history has one run_started event, not {len(headers)}")
        ended = any(type(event) is RunEnded for event in reversed(ordered))
        return cls(headers[0], ordered, truncated=torn or not ended)

    @property
    def end_ns(self) -> int:
        """The time of the last event: until then it is known what happened."""
        return self.events[-1].time_ns

    def between(self, start_ns: int, end_ns: int | None) -> tuple[Event, ...]:
        """Return the events from `start_ns` up to, but not including, `end_ns`; None = to the end."""
        first = bisect_left(self.events, start_ns, key=_time)
        last = None if end_ns is None else bisect_left(self.events, end_ns, key=_time)
        return self.events[first:last]

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return what `compute` returned the first time that it was asked for under `key`."""
        try:
            return cast("T", self._once[key])
        except KeyError:
            value = compute()
            self._once[key] = value
            return value
