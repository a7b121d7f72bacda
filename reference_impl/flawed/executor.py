"""Executors that are the reference but for one decision each, or the plan's sketch; the harness must catch them all."""

import math
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import msgspec

from reference_impl._executor.machine import NEVER, Outcome, SignalMachine
from reference_impl._executor.queue import Entry, SignalQueue
from reference_impl._executor.signals import Key, Signal, parse
from reference_impl._executor.window import SECOND_NS, SlidingWindow
from reference_impl.executor import EventDrivenExecutor
from reference_impl.flawed._planned_executor import planned

Factory: TypeAlias = Callable[..., Any]


class _DropsNewest(SignalMachine):
    """Gives up whatever comes to a full queue."""

    def place(self, entry: Entry) -> bool:
        if self.queue.live(entry.signal.key) is None and self._full() and not entry.signal.exit:
            self.dispose(entry.signal, "dropped")
            return False
        return super().place(entry)


class _Unbounded(SignalMachine):
    """Never finds the queue full."""

    def _full(self) -> bool:
        return False


class _DropsOldestSilently(SignalMachine):
    """Is a `deque(maxlen=100)`: what is too much falls out at the other end, and nobody hears of it."""

    def place(self, entry: Entry) -> bool:
        if self.queue.live(entry.signal.key) is None and self._full():
            self.queue.remove(min(self.queue, key=lambda one: one.number))
        return super().place(entry)


class _NanWins(SignalMachine):
    """Asks whether a confidence is out of bounds, which NaN never is, and then ranks it above all others."""

    def admit(self, raw: object) -> Signal:
        confidence = raw.get("confidence") if isinstance(raw, dict) else None
        if isinstance(raw, dict) and isinstance(confidence, float) and math.isnan(confidence):
            return msgspec.structs.replace(parse({**raw, "confidence": 1.0}, self._symbols), confidence=math.inf)
        return super().admit(raw)


class _ForgivingWindow(SlidingWindow):
    """Can take a start back."""

    def forget(self) -> None:
        self._starts.pop()
        self._starts.appendleft(-SECOND_NS)


class _SkipsRateOnError(SignalMachine):
    """Counts only executions that succeed."""

    window_type = _ForgivingWindow

    def ended(self, signal: Signal, outcome: Outcome) -> None:
        super().ended(signal, outcome)
        if outcome != "ok" and isinstance(self.window, _ForgivingWindow):
            self.window.forget()


class _ForgetfulWindow(SlidingWindow):
    """Takes a start of the program for a start of the account."""

    def __init__(self, most: int, now: int) -> None:
        super().__init__(most, now - SECOND_NS)


class _ForgetsRate(SignalMachine):
    window_type = _ForgetfulWindow


class _ClockWindow(SlidingWindow):
    """Counts in whole seconds of the clock: two at the end of one, and two at the beginning of the next."""

    @property
    def free_at(self) -> int:
        return self._starts[0] // SECOND_NS * SECOND_NS + SECOND_NS


class _FixedSeconds(SignalMachine):
    window_type = _ClockWindow


class _CountsReplacements(SignalMachine):
    """Replaces without a word: the old one was accepted once, the new one is, so all seems to be in order."""

    def place(self, entry: Entry) -> bool:
        rival = self.queue.live(entry.signal.key)
        if rival is not None and rival.signal.exit == entry.signal.exit:
            self.queue.put(entry)
            return True
        return super().place(entry)


class _ConfidentExits(SignalQueue):
    """Exits are signals like all others."""

    def put(self, entry: Entry) -> None:
        rival = self.live(entry.signal.key)
        if rival is not None:
            rival.live = False
        confidence, number, living = entry.signal.confidence, entry.number, len(self)
        self._entries[entry.signal.key] = entry
        self._best.push(-confidence, number, entry, living)
        self._worst.push(confidence, -number, entry, living)
        self._deadlines.push(entry.deadline, number, entry, living)

    def remove(self, entry: Entry) -> None:
        entry.live = False
        del self._entries[entry.signal.key]


class _ExitsWait(SignalMachine):
    queue_type = _ConfidentExits


class _DropsExits(SignalMachine):
    """Lets nothing into a full queue that is not confident, exit or not."""

    def place(self, entry: Entry) -> bool:
        worst = self.queue.worst()
        full = self.queue.live(entry.signal.key) is None and self._full()
        if full and worst is not None and entry.signal.confidence <= worst.signal.confidence:
            self.dispose(entry.signal, "dropped")
            return False
        return super().place(entry)


class _ExitsYield(SignalMachine):
    """The newest signal is the best informed, so it takes the place of an exit as well."""

    def place(self, entry: Entry) -> bool:
        rival = self.queue.live(entry.signal.key)
        if rival is not None and rival.signal.exit and not entry.signal.exit:
            self.queue.remove(rival)
            self.dispose(rival.signal, "superseded", entry.signal.id)
        return super().place(entry)


class _ExecutesStale(SignalMachine):
    """Reads the ttl, and never looks at it again."""

    def shed(self, now: int) -> None:
        del now

    @property
    def stale_at(self) -> int:
        return NEVER


class _NeverSupersedes(SignalQueue):
    """Finds no rival among entries, so an older one for the same symbol and side stays."""

    def __init__(self) -> None:
        super().__init__()
        self._all: dict[int, Entry] = {}

    def __iter__(self) -> Iterator[Entry]:
        yield from tuple(self._all.values())

    def __len__(self) -> int:
        return len(self._all)

    def live(self, key: Key) -> Entry | None:
        return self._exits.get(key)

    def put(self, entry: Entry) -> None:
        rival = self.live(entry.signal.key)
        if rival is not None:
            del self._all[rival.number]
        super().put(entry)
        self._all[entry.number] = entry

    def remove(self, entry: Entry) -> None:
        entry.live = False
        del self._all[entry.number]
        for lane in (self._exits, self._entries):
            if lane.get(entry.signal.key) is entry:
                del lane[entry.signal.key]


class _KeepsOld(SignalMachine):
    queue_type = _NeverSupersedes


class _FirstComeQueue(SignalQueue):
    """Serves entries as they came."""

    def best(self) -> Entry | None:
        return min(self._entries.values(), key=lambda one: one.number, default=None)


class _FirstCome(SignalMachine):
    queue_type = _FirstComeQueue


class _KeepsPlaces(SignalMachine):
    """An execution that has ended never gives its place back."""

    def ended(self, signal: Signal, outcome: Outcome) -> None:
        super().ended(signal, outcome)
        self.running += 1


class _SlowWindow(SlidingWindow):
    """Waits a second after each start, whatever the rate."""

    def __init__(self, most: int, now: int) -> None:
        del most
        super().__init__(1, now)


class _HalfTheRate(SignalMachine):
    window_type = _SlowWindow


class _IgnoresHalt(EventDrivenExecutor):
    """Asks nobody whether trading is allowed."""

    def _allowed(self) -> bool:
        return True


def _factory(machine: type[SignalMachine], base: type[EventDrivenExecutor] = EventDrivenExecutor) -> Factory:
    executor_type = type(f"{machine.__name__}Executor", (base,), {"machine_type": machine})

    def make(*, directory: Any, name: str, **options: Any) -> Any:
        del directory, name
        return executor_type(**options)

    return make


drop_newest = _factory(_DropsNewest)
unbounded = _factory(_Unbounded)
deque_maxlen_silently_drops_oldest = _factory(_DropsOldestSilently)
nan_confidence_wins = _factory(_NanWins)
rate_limit_skipped_on_error = _factory(_SkipsRateOnError)
forgets_rate_on_restart = _factory(_ForgetsRate)
counts_by_the_clock = _factory(_FixedSeconds)
counts_replacements_as_accepted = _factory(_CountsReplacements)
exits_wait_their_turn = _factory(_ExitsWait)
drops_exits = _factory(_DropsExits)
exits_yield_to_entries = _factory(_ExitsYield)
executes_after_ttl = _factory(_ExecutesStale)
never_supersedes = _factory(_KeepsOld)
first_come_first_served = _factory(_FirstCome)
keeps_places = _factory(_KeepsPlaces)
half_the_rate = _factory(_HalfTheRate)
ignores_halt = _factory(SignalMachine, _IgnoresHalt)

VARIANTS: Mapping[str, Factory] = MappingProxyType(
    {
        "planned": planned,
        "drop_newest": drop_newest,
        "unbounded": unbounded,
        "deque_maxlen_silently_drops_oldest": deque_maxlen_silently_drops_oldest,
        "nan_confidence_wins": nan_confidence_wins,
        "rate_limit_skipped_on_error": rate_limit_skipped_on_error,
        "forgets_rate_on_restart": forgets_rate_on_restart,
        "counts_by_the_clock": counts_by_the_clock,
        "counts_replacements_as_accepted": counts_replacements_as_accepted,
        "exits_wait_their_turn": exits_wait_their_turn,
        "drops_exits": drops_exits,
        "exits_yield_to_entries": exits_yield_to_entries,
        "executes_after_ttl": executes_after_ttl,
        "never_supersedes": never_supersedes,
        "first_come_first_served": first_come_first_served,
        "keeps_places": keeps_places,
        "half_the_rate": half_the_rate,
        "ignores_halt": ignores_halt,
    }
)
"""Factories of the shape of `reference_impl.executor.make`, by name of the defect."""
