"""The toxics that act on how a connection ends: `slow_close`, `timeout`, `limit_data`."""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from harness.toxics.attributes import DAY_MS, LONG_MS, SIZE_MAX, check, whole
from harness.toxics.base import ASAP, Dice, Item, Signal, Stage, Toxic
from harness.units import MILLISECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowClose(Toxic):
    """Pass on the close, and only that, `delay` ms after it arrived."""

    type: ClassVar[str] = "slow_close"
    delay: int = whole(most=DAY_MS)

    def __post_init__(self) -> None:
        check(self)

    def stage(self, dice: Dice, effects: Counter[str]) -> Stage:
        """Return its stage for one new connection."""
        del dice
        return _SlowlyClosing(self, effects)


class _SlowlyClosing(Stage):
    __slots__ = ("_arrived_ns", "_delay_ns", "_end")

    def __init__(self, toxic: SlowClose, effects: Counter[str]) -> None:
        super().__init__(effects)
        self._delay_ns = toxic.delay * MILLISECOND
        self._arrived_ns = 0
        self._end: Signal | None = None

    def finish(self, now_ns: int, signal: Signal, out: list[Item]) -> None:
        self._arrived_ns, self._end = now_ns, signal
        if self._delay_ns:
            self.effects["ends"] += 1
        self.wake(now_ns, out)

    def wake(self, now_ns: int, out: list[Item]) -> None:
        if self._end is None:
            return
        self.due_ns = self._arrived_ns + self._delay_ns
        if self.due_ns <= now_ns:
            self.leave(now_ns, out)

    def change(self, now_ns: int, toxic: Toxic, out: list[Item]) -> None:
        assert isinstance(toxic, SlowClose)
        self._delay_ns = toxic.delay * MILLISECOND
        self.wake(now_ns, out)

    def leave(self, now_ns: int, out: list[Item]) -> None:
        del now_ns
        if self._end is not None:
            out.append(self._end)
        self._end = self.due_ns = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeout(Toxic):
    """Drop all data; close `timeout` ms after the connection began (or the toxic, on a live one), with 0 never.

    Removing it closes the connections it has taken: there is a hole in what they carried.
    """

    type: ClassVar[str] = "timeout"
    timeout: int = whole(most=LONG_MS)

    def __post_init__(self) -> None:
        check(self)

    def stage(self, dice: Dice, effects: Counter[str]) -> Stage:
        """Return its stage for one new connection."""
        del dice
        return _TimingOut(self, effects)


class _TimingOut(Stage):
    __slots__ = ("_began_ns", "_timeout_ns")

    def __init__(self, toxic: Timeout, effects: Counter[str]) -> None:
        super().__init__(effects)
        self._timeout_ns = toxic.timeout * MILLISECOND
        self._began_ns: int | None = None
        self.due_ns = ASAP

    def feed(self, now_ns: int, data: bytes, out: list[Item]) -> None:
        self.effects["dropped"] += len(data)
        self.wake(now_ns, out)

    def finish(self, now_ns: int, signal: Signal, out: list[Item]) -> None:
        """A close is as silent as data."""
        del signal
        self.effects["ends"] += 1
        self.wake(now_ns, out)

    def wake(self, now_ns: int, out: list[Item]) -> None:
        if self._began_ns is None:
            self._began_ns = now_ns
        self.due_ns = self._began_ns + self._timeout_ns if self._timeout_ns else None
        if self.due_ns is not None and self.due_ns <= now_ns:
            self.leave(now_ns, out)

    def change(self, now_ns: int, toxic: Toxic, out: list[Item]) -> None:
        assert isinstance(toxic, Timeout)
        self._timeout_ns = toxic.timeout * MILLISECOND
        self.wake(now_ns, out)

    def leave(self, now_ns: int, out: list[Item]) -> None:
        del now_ns
        self.due_ns = None
        self.effects["closed"] += 1
        out.append(Signal.CLOSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitData(Toxic):
    """Close after exactly `bytes` bytes have passed. With 0, or less than has passed already, on the next data."""

    type: ClassVar[str] = "limit_data"
    bytes: int = whole(most=SIZE_MAX)

    def __post_init__(self) -> None:
        check(self)

    def stage(self, dice: Dice, effects: Counter[str]) -> Stage:
        """Return its stage for one new connection."""
        del dice
        return _Limiting(self, effects)


class _Limiting(Stage):
    __slots__ = ("_limit", "_passed")

    def __init__(self, toxic: LimitData, effects: Counter[str]) -> None:
        super().__init__(effects)
        self._limit = toxic.bytes
        self._passed = 0

    def feed(self, now_ns: int, data: bytes, out: list[Item]) -> None:
        del now_ns
        rest = max(0, self._limit - self._passed)
        if rest:
            out.append(data[:rest])
        self._passed += min(rest, len(data))
        if len(data) >= rest:
            self.effects["dropped"] += len(data) - rest
            self.effects["closed"] += 1
            out.append(Signal.CLOSE)

    def change(self, now_ns: int, toxic: Toxic, out: list[Item]) -> None:
        del now_ns, out
        assert isinstance(toxic, LimitData)
        self._limit = toxic.bytes
