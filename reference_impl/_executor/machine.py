"""What becomes of each signal: the decisions of the executor. Pure: time passed in, decisions out.

Every signal that was offered ends in exactly one way, and each end is put on `disposals`, for the shell to announce. At
every moment `offered = executed + queued + dropped + expired + superseded + rejected + closed`.

*Newer supersedes*: of each symbol and side one signal is live. A newer one takes the place of the older, with two
exceptions: an entry never takes that of an exit (the entry is what is superseded, at once, by the exit), and an exit
that takes that of an exit keeps its turn.

*Exits and the limits*: an exit pushes the least confident entry out of a full queue. A queue full of exits takes no
other exit: that one is refused with `exits_full`, as a caller who is told can still act. Exits execute before entries,
and `reserved` of the `max_running` executions at once are theirs alone. So with `n` exits before it in the queue an
exit begins after at most `1 + n // max_per_second` seconds in which trading is allowed: 2 s with up to three before it
at two a second. More of them than that cannot be faster without breaking the limit.
"""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from reference_impl._executor.queue import Entry, SignalQueue
from reference_impl._executor.signals import ID_MAX, Malformation, MalformedSignalError, Signal, parse
from reference_impl._executor.window import SlidingWindow

Reason: TypeAlias = Literal["executed", "dropped", "expired", "superseded", "rejected", "closed"]
Outcome: TypeAlias = Literal["ok", "failed", "timed_out", "aborted"]

NEVER: Final = 1 << 62
"""Nanoseconds: 146 years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The limits. `reserved`: of the executions at once, those kept for exits; `remembered`: ids that are not new."""

    symbols: Collection[str]
    max_queue_size: int = 100
    max_per_second: int = 2
    max_running: int = 12
    reserved: int = 4
    remembered: int = 10_000

    def __post_init__(self) -> None:
        if min(self.max_queue_size, self.max_per_second, self.remembered) < 1:
            raise ValueError("limits of an executor are at least 1")
        if not 0 <= self.reserved < self.max_running:
            raise ValueError("of the executions at once some are for exits, and at least one for entries")
        if not self.symbols or isinstance(self.symbols, str):
            raise ValueError("an executor needs to know the symbols that are traded")


class Disposal(msgspec.Struct, frozen=True):
    """How one signal ended. A struct, as nearly each offer of a flood makes one.

    `detail`: of `executed` its outcome, of `superseded` the id of what took its place, of `rejected` why. `signal` is
    None, and `id` perhaps empty, for what was rejected.
    """

    id: str
    reason: Reason
    detail: str
    signal: Signal | None


class SignalMachine:
    """Decides what is queued, given up and executed. Every `now` is monotonic nanoseconds, and never goes back.

    `offered`, and how many `counts` ended in each way, are since the start; an execution counts from its beginning, and
    in `outcomes` from its end.
    """

    queue_type: type[SignalQueue] = SignalQueue
    window_type: type[SlidingWindow] = SlidingWindow

    def __init__(self, policy: Policy, now: int) -> None:
        self.policy = policy
        self.queue = self.queue_type()
        self.window = self.window_type(policy.max_per_second, now)
        self.offered = 0
        self.counts: dict[Reason, int] = dict.fromkeys(get_args(Reason), 0)
        self.outcomes: dict[Outcome, int] = dict.fromkeys(get_args(Outcome), 0)
        self.disposals: list[Disposal] = []
        self.running = 0
        self._number = 0
        self._symbols = frozenset(policy.symbols)
        self._recent: deque[str] = deque()
        self._known: set[str] = set()

    def offer(self, raw: object, now: int) -> bool:
        """Take a signal in; return whether it is queued. Raises `MalformedSignalError`."""
        self.offered += 1
        self.shed(now)
        try:
            signal = self.admit(raw)
        except MalformedSignalError as error:
            self.counts["rejected"] += 1
            self.disposals.append(Disposal(_name(raw), "rejected", error.reason, None))
            raise
        self._remember(signal.id)
        self._number += 1
        return self.place(Entry(signal, self._number, now + signal.ttl_ns))

    def admit(self, raw: object) -> Signal:
        """Return the signal that `raw` is. Raises `MalformedSignalError` if it is none that can be taken in."""
        signal = parse(raw, self._symbols)
        if signal.id in self._known:
            raise MalformedSignalError("duplicate", "a signal of that id was taken in before")
        if signal.exit and self.queue.live(signal.key) is None and self._full() and self.queue.worst() is None:
            raise MalformedSignalError("exits_full", f"{len(self.queue)} exits wait already")
        return signal

    def place(self, entry: Entry) -> bool:
        """Queue an entry, and dispose of what has to go for it: perhaps itself."""
        signal = entry.signal
        rival = self.queue.live(signal.key)
        if rival is not None and rival.signal.exit and not signal.exit:
            self.dispose(signal, "superseded", rival.signal.id)
            return False
        if rival is not None:
            self.queue.put(entry)
            self.dispose(rival.signal, "superseded", signal.id)
            return True
        if self._full():
            worst = self.queue.worst()
            if worst is None or not (signal.exit or signal.confidence > worst.signal.confidence):
                self.dispose(signal, "dropped")
                return False
            self.queue.remove(worst)
            self.dispose(worst.signal, "dropped")
        self.queue.put(entry)
        return True

    def shed(self, now: int) -> None:
        """Dispose of what has gone stale: the end of its ttl is the first moment at which it is."""
        while (soonest := self.queue.soonest()) is not None and soonest.deadline <= now:
            self.queue.remove(soonest)
            self.dispose(soonest.signal, "expired")

    def take(self, now: int) -> Signal | None:
        """Return the signal whose execution begins now, if any may; tell `ended` when it has ended."""
        self.shed(now)
        entry = self._next()
        if entry is None or now < self.window.free_at:
            return None
        self.queue.remove(entry)
        self.window.add(now)
        self.counts["executed"] += 1
        self.running += 1
        return entry.signal

    def ended(self, signal: Signal, outcome: Outcome) -> None:
        """An execution has ended; its place is free."""
        self.running -= 1
        self.outcomes[outcome] += 1
        self.disposals.append(Disposal(signal.id, "executed", outcome, signal))

    def close(self) -> None:
        """Dispose of all that is queued."""
        for entry in self.queue:
            self.queue.remove(entry)
            self.dispose(entry.signal, "closed")

    @property
    def ready_at(self) -> int:
        """When an execution may begin, as far as is known now; may have passed."""
        return NEVER if self._next() is None else self.window.free_at

    @property
    def stale_at(self) -> int:
        """When the next signal goes stale."""
        soonest = self.queue.soonest()
        return NEVER if soonest is None else soonest.deadline

    def dispose(self, signal: Signal, reason: Reason, detail: str = "") -> None:
        """Count an end other than an execution, and have it announced."""
        self.counts[reason] += 1
        self.disposals.append(Disposal(signal.id, reason, detail, signal))

    def _full(self) -> bool:
        return len(self.queue) >= self.policy.max_queue_size

    def _next(self) -> Entry | None:
        if self.running >= self.policy.max_running:
            return None
        leaving = self.queue.first_exit()
        if leaving is not None:
            return leaving
        if self.running >= self.policy.max_running - self.policy.reserved:
            return None
        return self.queue.best()

    def _remember(self, name: str) -> None:
        if len(self._recent) >= self.policy.remembered:
            self._known.discard(self._recent.popleft())
        self._recent.append(name)
        self._known.add(name)


def _name(raw: Any) -> str:
    """Return the id of something malformed if it has one that can be told."""
    name = raw.get("id") if isinstance(raw, dict) else None
    return name if isinstance(name, str) and len(name) <= ID_MAX else ""


__all__ = [
    "NEVER",
    "Disposal",
    "Malformation",
    "MalformedSignalError",
    "Outcome",
    "Policy",
    "Reason",
    "SignalMachine",
]
