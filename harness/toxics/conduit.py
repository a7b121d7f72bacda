"""All that is toxic about one connection: a pipe in each direction, changed while the connection lives.

If the connection's conversation is followed, an exchange stands in front of both pipes.
"""

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from harness.toxics.base import Active, Dice, Direction, Item, Signal
from harness.toxics.exchange.exchange import Exchange
from harness.toxics.exchange.match import Follow
from harness.toxics.exchange.outlet import Outlet
from harness.toxics.exchange.protocols import exchange_for, match_of
from harness.toxics.pipe import Pipe

Output: TypeAlias = list[tuple[Direction, Item]]
"""What leaves a conduit: bytes (or `END`) for the receiver of that direction, or `CLOSE` / `RESET` for both ends."""

HELD_MAX: Final = 256 * 1024
"""A shell stops reading from a sender whose direction holds so many bytes. So the memory of 100 stalled connections
stays under 32 MiB (50 MiB if both directions stall); the price is that latency l caps a connection at 256 KiB per l."""


class Conduit:
    """One connection's way through its toxics. A shell feeds it, sends what it puts out, and wakes it at `due_ns`.

    What is fed in one direction may put something out in the other, or make room there. After `CLOSE` or `RESET` the
    connection is over, both ways: nothing comes out any more, nothing is held, nothing wants to be woken.
    """

    __slots__ = ("_dice", "_exchange", "_follow", "_over", "_pipes")
    _exchange: Exchange | None

    def __init__(self, actives: Iterable[Active], dice: Callable[[str], Dice], *, follow: Follow | None = None) -> None:
        """`actives` are the toxics there are now, in order of creation; `dice` gives each its own dice, by name.

        With `follow` the conversation is followed from its first byte, so that a matching toxic which is added later
        takes this connection too. A matching toxic among `actives` has it followed anyway.
        """
        actives = tuple(actives)
        if follow is None:
            matches = (match_of(active.toxic) for active in actives)
            follow = next((match.follows for match in matches if match is not None), None)
        self._dice = dice
        self._follow = follow
        self._over = False
        self._exchange = None if follow is None else exchange_for(follow)
        self._pipes: dict[Direction, Pipe] = {"upstream": Pipe(dice), "downstream": Pipe(dice)}
        for active in actives:
            self.add(active)

    @property
    def due_ns(self) -> int | None:
        """When `wake` wants to be called."""
        first, second = self._pipes["upstream"].due_ns, self._pipes["downstream"].due_ns
        due_ns = (first if second is None else second) if first is None or second is None else min(first, second)
        if self._exchange is None or self._exchange.due_ns is None:
            return due_ns
        return self._exchange.due_ns if due_ns is None else min(due_ns, self._exchange.due_ns)

    def is_bare(self, direction: Direction) -> bool:
        """Say whether bytes in that direction go straight through, so that a shell may skip `feed`."""
        return self._exchange is None and not self._over and self._pipes[direction].is_bare

    def held(self, direction: Direction) -> int:
        """Return how many bytes of that direction have been taken in and neither passed on nor dropped."""
        held = self._pipes[direction].held
        return held if self._exchange is None else held + self._exchange.held(direction)

    def is_full(self, direction: Direction) -> bool:
        """Say whether the sender of that direction has to wait."""
        held = self.held(direction)
        if self._exchange is not None and direction == "upstream":
            held += self._exchange.backlog
        return held >= HELD_MAX

    def feed(self, direction: Direction, now_ns: int, data: bytes) -> Output:
        """Bytes have arrived from the sender of that direction."""
        if self._exchange is None:
            return self._put_out([(direction, item) for item in self._pipes[direction].feed(now_ns, data)])
        outlet = Outlet()
        self._exchange.feed(direction, now_ns, data, outlet)
        return self._put_out(self._pass_through(outlet, now_ns))

    def finish(self, direction: Direction, now_ns: int) -> Output:
        """The sender of that direction has closed its side."""
        if self._exchange is None:
            return self._put_out([(direction, item) for item in self._pipes[direction].finish(now_ns)])
        outlet = Outlet()
        self._exchange.finish(direction, now_ns, outlet)
        return self._put_out(self._pass_through(outlet, now_ns))

    def wake(self, now_ns: int) -> Output:
        """`due_ns` has come."""
        output: Output = [(direction, item) for direction, pipe in self._pipes.items() for item in pipe.wake(now_ns)]
        if self._exchange is not None:
            outlet = Outlet()
            self._exchange.wake(now_ns, outlet)
            output += self._pass_through(outlet, now_ns)
        return self._put_out(output)

    def add(self, active: Active) -> None:
        """A toxic was created while this connection lives: it takes its place behind those there are.

        Some toxics want a turn at once: look at `due_ns` afterwards, as after making a conduit. A matching toxic takes
        only a connection that is followed; else it counts it as `unfollowed`.
        """
        if self._over:
            return
        match = match_of(active.toxic)
        if match is None:
            self._pipes[active.stream].add(active)
        elif self._exchange is None or match.follows != self._follow:
            active.effects["unfollowed"] += 1
        else:
            self._exchange.add(active, match, self._dice(active.name))

    def change(self, active: Active, now_ns: int) -> Output:
        """A toxic was given other attributes (`active.toxic` is the new declaration)."""
        match = match_of(active.toxic)
        if match is None:
            return self._put_out([(active.stream, item) for item in self._pipes[active.stream].change(active, now_ns)])
        if self._exchange is not None:
            self._exchange.change(active, match)
        return []

    def remove(self, active: Active, now_ns: int) -> Output:
        """A toxic was removed."""
        if match_of(active.toxic) is None:
            return self._put_out([(active.stream, item) for item in self._pipes[active.stream].remove(active, now_ns)])
        outlet = Outlet()
        if self._exchange is not None:
            self._exchange.remove(active, outlet)
        return self._put_out(self._pass_through(outlet, now_ns))

    def _pass_through(self, outlet: Outlet, now_ns: int) -> Output:
        """Send what has left the exchange through the pipes."""
        output: Output = []
        if outlet.upstream:
            output += [("upstream", item) for item in self._pipes["upstream"].take(now_ns, outlet.upstream)]
        if outlet.downstream:
            output += [("downstream", item) for item in self._pipes["downstream"].take(now_ns, outlet.downstream)]
        if self._exchange is not None and self._exchange.is_needless:
            self._exchange = None
        return output

    def _put_out(self, output: Output) -> Output:
        """Return what leaves the conduit, and let go of everything else once the connection is over."""
        if self._over:
            return []
        for position, (_, item) in enumerate(output):
            if item is Signal.CLOSE or item is Signal.RESET:
                del output[position + 1 :]
                self._over = True
                self._exchange = None
                self._pipes = {"upstream": Pipe(self._dice), "downstream": Pipe(self._dice)}
                break
        return output
