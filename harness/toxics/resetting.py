"""The toxics that reset a connection: `reset_peer`, and our extension `abort`."""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from harness.toxics.attributes import LONG_MS, check, whole
from harness.toxics.base import ASAP, Dice, Item, Signal, Stage, Toxic
from harness.units import MILLISECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPeer(Toxic):
    """Reset the connection `timeout` ms after its first data or its end; neither that nor what follows is passed on."""

    type: ClassVar[str] = "reset_peer"
    timeout: int = whole(most=LONG_MS)

    def __post_init__(self) -> None:
        check(self)

    def stage(self, dice: Dice, effects: Counter[str]) -> Stage:
        """Return its stage for one new connection."""
        del dice
        return _ResettingPeer(self, effects)


class _ResettingPeer(Stage):
    __slots__ = ("_timeout_ns", "_touched_ns")

    def __init__(self, toxic: ResetPeer, effects: Counter[str]) -> None:
        super().__init__(effects)
        self._timeout_ns = toxic.timeout * MILLISECOND
        self._touched_ns: int | None = None

    def feed(self, now_ns: int, data: bytes, out: list[Item]) -> None:
        self.effects["dropped"] += len(data)
        self._touch(now_ns, out)

    def pass_by(self, now_ns: int, data: bytes, out: list[Item]) -> None:
        """Once a message has been lost, none can follow it."""
        if self._touched_ns is None:
            out.append(data)
        else:
            self.feed(now_ns, data, out)

    def finish(self, now_ns: int, signal: Signal, out: list[Item]) -> None:
        del signal
        self.effects["ends"] += 1
        self._touch(now_ns, out)

    def wake(self, now_ns: int, out: list[Item]) -> None:
        if self._touched_ns is None:
            return
        self.due_ns = self._touched_ns + self._timeout_ns
        if self.due_ns <= now_ns:
            self.leave(now_ns, out)

    def change(self, now_ns: int, toxic: Toxic, out: list[Item]) -> None:
        assert isinstance(toxic, ResetPeer)
        self._timeout_ns = toxic.timeout * MILLISECOND
        self.wake(now_ns, out)

    def leave(self, now_ns: int, out: list[Item]) -> None:
        """A connection that has lost data is past saving: it is reset now instead of later."""
        del now_ns
        self.due_ns = None
        if self._touched_ns is not None:
            self.effects["reset"] += 1
            out.append(Signal.RESET)

    def _touch(self, now_ns: int, out: list[Item]) -> None:
        if self._touched_ns is None:
            self._touched_ns = now_ns
        self.wake(now_ns, out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort(Toxic):
    """Reset every connection there is, at once, and each new one as soon as it is accepted."""

    type: ClassVar[str] = "abort"

    def stage(self, dice: Dice, effects: Counter[str]) -> Stage:
        """Return its stage for one new connection."""
        del dice
        return _Aborting(effects)


class _Aborting(Stage):
    """Wants to be woken at once; whatever comes earlier does as well."""

    __slots__ = ()

    def __init__(self, effects: Counter[str]) -> None:
        super().__init__(effects)
        self.due_ns = ASAP

    def feed(self, now_ns: int, data: bytes, out: list[Item]) -> None:
        self.effects["dropped"] += len(data)
        self.wake(now_ns, out)

    def pass_by(self, now_ns: int, data: bytes, out: list[Item]) -> None:
        self.feed(now_ns, data, out)

    def finish(self, now_ns: int, signal: Signal, out: list[Item]) -> None:
        del signal
        self.wake(now_ns, out)

    def wake(self, now_ns: int, out: list[Item]) -> None:
        del now_ns
        self.due_ns = None
        self.effects["reset"] += 1
        out.append(Signal.RESET)

    def change(self, now_ns: int, toxic: Toxic, out: list[Item]) -> None:
        """It has no attributes."""
