"""Fixed, clock-aligned counters: weight of an IP, orders of an account; what they refuse, and what headers say.

A window ends at a multiple of its length in UTC, whoever began to use it when; so up to twice the limit fits around an
edge, and a client's token bucket that knows nothing of edges is wrong in both directions. Use of other tenants is a
constant rate, applied when somebody looks: no timer, and the same figures in both worlds. Other tenants are refused
like everybody, so they fill a window but never overrun it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from harness.dependencies.binance.settings import Limit

_MICRO: Final = 1_000_000


def scaled(limit: Limit, factor: float) -> Limit:
    """Return the limit times `factor`, rounded down, at least 1."""
    return replace(limit, limit=max(1, int(limit.limit * factor)))


class Counter:
    """Use of one limit in its current window. `limit` is the one in force, `declared` what it is without faults."""

    __slots__ = ("_alien", "_rate", "_seen_ms", "_start_ms", "declared", "limit", "own", "window_ms")

    def __init__(self, declared: Limit) -> None:
        self.declared = declared
        self.limit = declared.limit
        self.window_ms = declared.window_ms
        self.own = 0
        self._start_ms = -1
        self._seen_ms = -1
        self._rate = 0
        self._alien = 0

    def roll(self, wall_ms: int) -> None:
        """Bring it to the present: a new window begins at nothing, and other tenants' use is added."""
        start_ms = wall_ms - wall_ms % self.window_ms
        if start_ms != self._start_ms:
            self._start_ms = self._seen_ms = start_ms
            self.own = self._alien = 0
        if self._rate and wall_ms > self._seen_ms:
            room = max(self._alien, (self.limit - self.own) * _MICRO)
            self._alien = min(self._alien + self._rate * (wall_ms - self._seen_ms), room)
            self._seen_ms = wall_ms

    def share(self, per_second: float, wall_ms: int) -> None:
        """Let other tenants use so much a second from now on, in steps of a thousandth."""
        self.roll(wall_ms)
        self._seen_ms = wall_ms
        self._rate = round(per_second * 1_000)

    def scale(self, factor: float) -> None:
        """Let the limit in force be the declared one times `factor`."""
        self.limit = scaled(self.declared, factor).limit

    @property
    def others(self) -> int:
        """Use by other tenants, as of the last `roll`."""
        return self._alien // _MICRO

    @property
    def used(self) -> int:
        """All use in this window, as of the last `roll`."""
        return self.own + self._alien // _MICRO

    def rest_ms(self, wall_ms: int) -> int:
        """How long the window that holds `wall_ms` still lasts; at least 1."""
        return self.window_ms - wall_ms % self.window_ms

    def as_json(self) -> list[int]:
        """`[window_ms, used, limit]`."""
        return [self.window_ms, self.used, self.limit]


class WeightBudget:
    """An IP's use of one market's weight limits. Refused requests are counted as well, as users see it."""

    __slots__ = ("_headers", "counters")

    def __init__(self, limits: Sequence[Limit], *, plain_header: bool) -> None:
        self.counters = tuple(Counter(limit) for limit in limits if limit.type == "REQUEST_WEIGHT")
        named = [(f"X-MBX-USED-WEIGHT-{counter.declared.suffix}", counter) for counter in self.counters]
        if plain_header and self.counters:
            named.insert(0, ("X-MBX-USED-WEIGHT", self.counters[0]))
        self._headers = tuple(named)

    def charge(self, weight: int, wall_ms: int) -> Counter | None:
        """Count `weight`; return the limit that this breaks (of several, the one that lasts longest), if any."""
        broken: Counter | None = None
        for counter in self.counters:
            counter.roll(wall_ms)
            counter.own += weight
            if counter.own + counter.others > counter.limit and (
                broken is None or counter.rest_ms(wall_ms) > broken.rest_ms(wall_ms)
            ):
                broken = counter
        return broken

    def headers(self) -> dict[str, str]:
        """Return the headers of use, as of the last `charge`."""
        return {name: str(counter.used) for name, counter in self._headers}


class OrderBudget:
    """The account's use of one market's order limits. An order over a limit is refused and not counted."""

    __slots__ = ("_headers", "counters")

    def __init__(self, limits: Sequence[Limit]) -> None:
        orders = (Counter(limit) for limit in limits if limit.type == "ORDERS")
        self.counters = tuple(sorted(orders, key=lambda counter: counter.window_ms))
        self._headers = tuple((f"X-MBX-ORDER-COUNT-{one.declared.suffix}", one) for one in self.counters)

    def take(self, slots: tuple[int, int], wall_ms: int) -> Counter | None:
        """Take slots in every window, `slots[0]` of the shortest and `slots[1]` of the others, or none at all.

        Returns the limit that refuses (of several, the one that lasts longest), or `None`.
        """
        full: Counter | None = None
        for index, counter in enumerate(self.counters):
            counter.roll(wall_ms)
            if counter.own + counter.others + slots[index > 0] > counter.limit and (
                full is None or counter.rest_ms(wall_ms) > full.rest_ms(wall_ms)
            ):
                full = counter
        if full is None:
            for index, counter in enumerate(self.counters):
                counter.own += slots[index > 0]
        return full

    def headers(self) -> dict[str, str]:
        """Return the headers of use, as of the last `take`."""
        return {name: str(counter.used) for name, counter in self._headers}
