"""Timestamps for signed requests, and what may be relied upon about the exchange's time.

What is known is an interval (`server_clock`). Its middle is the best estimate, which requests are stamped with. Its
lower end is what may be relied upon: an order whose window has passed by the lower end can no longer be accepted, which
makes "order does not exist" final (`execution`). Monotonic time only: a step of the wall clock changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from reference_impl._binance.server_clock import ServerClock

MAX_AGE: Final = 600.0
"""Seconds until the exchange is asked again; by then drift has widened the interval by 120 ms."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An answer to GET /fapi/v1/time: sent and received at these monotonic seconds."""

    sent: float
    received: float
    server_ms: int


class ServerTime:
    """The exchange's time. Pure: the local monotonic time, in seconds, is passed in."""

    def __init__(self) -> None:
        self._clock = ServerClock(now=0.0, wall=0.0)
        self._taken = 0.0
        self._doubted = False
        self.epoch = 0

    def learn(self, samples: Iterable[Sample]) -> None:
        """Take these instead of what was known; what they agree on is narrower than each."""
        self._clock = ServerClock(now=0.0, wall=0.0)
        for sample in samples:
            self._clock.learn_time(sample.server_ms, sent=sample.sent, received=sample.received)
            self._taken = sample.received
        self._doubted = False
        self.epoch += 1

    def doubt(self, epoch: int) -> None:
        """Rely no more on what was known, if that is still what a refused timestamp of `epoch` came from."""
        if epoch == self.epoch:
            self._doubted = True

    def due(self, now: float) -> bool:
        """Whether the exchange should be asked (again)."""
        return not self.known or now - self._taken > MAX_AGE

    @property
    def known(self) -> bool:
        """Whether anything is known that is not in doubt, be it old."""
        return self._clock.known and not self._doubted

    def stamp_ms(self, now: float) -> int:
        """Return the best estimate, be it in doubt. Raises `AssertionError` if the exchange was never asked."""
        assert self._clock.known, "the exchange's clock was never read"
        low, high = self._clock.bounds(now)
        return int((now + (low + high) / 2) * 1_000)

    def earliest_ms(self, now: float) -> int | None:
        """Return what the exchange's clock shows at least; None while nothing is known."""
        if not self.known:
            return None
        return int((now + self._clock.bounds(now)[0]) * 1_000)
