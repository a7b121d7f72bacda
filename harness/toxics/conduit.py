"""All that is toxic about one connection: a pipe in each direction, changed while the connection lives."""

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from harness.toxics.base import Active, Dice, Direction, Item
from harness.toxics.pipe import Pipe

Output: TypeAlias = list[tuple[Direction, Item]]
"""What leaves a conduit: bytes (or `END`) for the receiver of that direction, or `CLOSE` / `RESET` for both ends."""

HELD_MAX: Final = 256 * 1024
"""A shell stops reading from a sender whose direction holds so many bytes. So the memory of 100 stalled connections
stays under 32 MiB (50 MiB if both directions stall); the price is that latency l caps a connection at 256 KiB per l."""


class Conduit:
    """One connection's way through its toxics. A shell feeds it, sends what it puts out, and wakes it at `due_ns`."""

    __slots__ = ("_pipes",)

    def __init__(self, actives: Iterable[Active], dice: Callable[[str], Dice]) -> None:
        """`actives` are the toxics there are now, in order of creation; `dice` gives each its own dice, by name."""
        self._pipes: dict[Direction, Pipe] = {"upstream": Pipe(dice), "downstream": Pipe(dice)}
        for active in actives:
            self.add(active)

    @property
    def due_ns(self) -> int | None:
        """When `wake` wants to be called."""
        first, second = self._pipes["upstream"].due_ns, self._pipes["downstream"].due_ns
        if first is None or second is None:
            return first if second is None else second
        return min(first, second)

    def is_bare(self, direction: Direction) -> bool:
        """Say whether bytes in that direction go straight through, so that a shell may skip `feed`."""
        return self._pipes[direction].is_bare

    def is_full(self, direction: Direction) -> bool:
        """Say whether the sender of that direction has to wait."""
        return self._pipes[direction].held >= HELD_MAX

    def feed(self, direction: Direction, now_ns: int, data: bytes) -> Output:
        """Bytes have arrived from the sender of that direction."""
        return [(direction, item) for item in self._pipes[direction].feed(now_ns, data)]

    def finish(self, direction: Direction, now_ns: int) -> Output:
        """The sender of that direction has closed its side."""
        return [(direction, item) for item in self._pipes[direction].finish(now_ns)]

    def wake(self, now_ns: int) -> Output:
        """`due_ns` has come."""
        return [(direction, item) for direction, pipe in self._pipes.items() for item in pipe.wake(now_ns)]

    def add(self, active: Active) -> None:
        """A toxic was created while this connection lives: it takes its place behind those there are."""
        self._pipes[active.stream].add(active)

    def change(self, active: Active, now_ns: int) -> Output:
        """A toxic was given other attributes (`active.toxic` is the new declaration)."""
        return [(active.stream, item) for item in self._pipes[active.stream].change(active, now_ns)]

    def remove(self, active: Active, now_ns: int) -> Output:
        """A toxic was removed."""
        return [(active.stream, item) for item in self._pipes[active.stream].remove(active, now_ns)]
