"""The confirmed past that Redis may still forget. Pure.

An append-only file synced every second loses its last second or two in a crash, and a Redis without persistence loses
everything. What Redis confirmed in the last `seconds` before the newest confirmation is therefore kept here. Age is
counted back from the newest confirmation, not from now: while Redis is away nothing ages.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from reference_impl._event_bus.model import Event


@dataclass(slots=True)
class Tail:
    """Confirmed events in publish order, bounded in age (seconds) and in number."""

    seconds: float
    limit: int
    _kept: deque[tuple[float, Event]] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self._kept)

    def confirmed(self, events: Iterable[Event], now: float) -> None:
        """Remember events that Redis confirmed at `now` (seconds on any monotonic clock)."""
        kept = self._kept
        for event in events:
            kept.append((now, event))
        oldest = now - self.seconds
        while kept and (kept[0][0] < oldest or len(kept) > self.limit):
            kept.popleft()

    def confirmed_again(self, now: float) -> None:
        """Redis confirmed all of it anew: it is as young as `now`."""
        self._kept = deque((now, event) for _, event in self._kept)

    def events(self) -> Sequence[Event]:
        """Return what is kept, oldest first."""
        return [event for _, event in self._kept]
