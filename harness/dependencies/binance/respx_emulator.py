"""The whole exchange behind respx: no socket, no process, no loop, so that plain unit tests of httpx users get it.

Everything that the emulator does over HTTP it does here: weights and both order windows, 429 that become bans, orders
that fill partly, signatures, and the faults of arms.py. User data streams are not there; they need a WebSocket.

A storm hits the first two requests, and the next one is served; the clock is the test's own:

>>> clock = ManualClock()
>>> with binance_routes(arms=[Arm(kind="too_many_requests", count=2)], clock=clock) as exchange:
...     answers = [httpx.get("https://fapi.binance.com/fapi/v1/ping") for _ in range(3)]
>>> [answer.status_code for answer in answers]
[429, 429, 200]
>>> [(request["path"], request.get("fault", "")) for request in exchange.requests][-2:]
[('/fapi/v1/ping', 'too_many_requests'), ('/fapi/v1/ping', '')]

Nothing waits. Where a client would wait, for a late answer or for one that never comes, a `ManualClock` goes on by so
much, and any other clock stays; a wait that is longer than the client's read timeout ends in `httpx.ReadTimeout`.
Clients sign with their own clock, so with a `ManualClock` theirs must be set to it, or they meet -1021.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import httpx
import respx

from harness.dependencies.binance.arms import Arm
from harness.dependencies.binance.assembly import maker
from harness.dependencies.binance.core import Core
from harness.dependencies.binance.respx_routes import FaultRoute, read_timeout_s
from harness.dependencies.binance.server import Make
from harness.dependencies.binance.settings import EGRESS_IP, Settings
from harness.dependencies.binance.wire import Answer, Request, Reset, Silence
from harness.tape import Tape
from harness.units import MILLISECOND, SECOND, as_seconds, seconds

URLS: Final = ("https://fapi.binance.com", "https://api.binance.com")
"""The real exchange's, futures and spot: what clients under test need not be told."""

Clock = Callable[[], int]
"""Returns nanoseconds since the epoch, as `time.time_ns` does."""


@dataclass(slots=True)
class ManualClock:
    """A clock that goes on when it is told to. It begins at the start of a minute: 2026-01-01 00:00 UTC."""

    time_ns: int = 1_767_225_600 * SECOND

    def __call__(self) -> int:
        """Return nanoseconds since the epoch."""
        return self.time_ns

    def time(self) -> float:
        """Return seconds since the epoch: what a client's clock is to be replaced by."""
        return as_seconds(self.time_ns)

    def advance(self, duration_s: float) -> None:
        """Go on by so many seconds."""
        self.time_ns += seconds(duration_s)


@dataclass(frozen=True, slots=True)
class Record:
    """One observation of the exchange, as control.py lists them; `time_ns` counts from the start."""

    time_ns: int
    name: str
    fields: dict[str, Any]


@dataclass(slots=True)
class RoutedExchange:
    """The exchange behind the routes. `records` is all that it observed, in order."""

    clock: Clock
    make: Make
    records: list[Record] = field(default_factory=list)
    _core: Core = field(init=False)
    _origin_ns: int = field(init=False)
    _now_ns: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._origin_ns = self.clock()
        self._core = self.make(self._record, _NoStreams())

    @property
    def requests(self) -> list[dict[str, Any]]:
        """What it recorded of each request, in the order of their arrival."""
        return [record.fields for record in self.records if record.name == "request"]

    def arm(self, arm: Arm) -> str:
        """Arm a fault; return what names it. Raises `WorldError` for options that it does not take."""
        return self._core.arm(arm, *self._time())

    def disarm(self, name: str) -> None:
        """End it."""
        self._core.disarm(name, *self._time())

    @contextmanager
    def fault(self, arm: Arm) -> Iterator[None]:
        """Have a fault armed inside of a `with` block."""
        name = self.arm(arm)
        try:
            yield
        finally:
            self.disarm(name)

    def ledger(self) -> dict[str, Any]:
        """Return all the truth there is: orders, fills, balances, positions, counters, as plain JSON values."""
        return self._core.ledger()

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer as the exchange would, or raise what httpx would."""
        reaction = self._core.receive(_as_received(request), *self._time())
        if isinstance(reaction, Silence):
            self._wait_in_vain(request)
        self._wait(request, reaction.delay_ns)
        if isinstance(reaction, Reset):
            raise httpx.ReadError("the connection was reset", request=request)
        return _as_sent(reaction, request)

    def _time(self) -> tuple[int, int]:
        """Return the time of the run and of the exchange, after what was to happen by itself until then."""
        wall_ns = self.clock()
        self._now_ns = wall_ns - self._origin_ns
        while (due_ns := self._core.due_ns()) is not None and due_ns <= self._now_ns:
            self._core.wake(self._now_ns, wall_ns // MILLISECOND)
        return self._now_ns, wall_ns // MILLISECOND

    def _wait(self, request: httpx.Request, delay_ns: int) -> None:
        limit_s = request.extensions.get("timeout", {}).get("read")
        if limit_s is not None and delay_ns > seconds(limit_s):
            self._wait_in_vain(request)
        self._go_on(as_seconds(delay_ns))

    def _wait_in_vain(self, request: httpx.Request) -> NoReturn:
        limit_s = read_timeout_s(request)
        self._go_on(limit_s)
        raise httpx.ReadTimeout(f"no answer within {limit_s} s", request=request)

    def _go_on(self, duration_s: float) -> None:
        if isinstance(self.clock, ManualClock):
            self.clock.advance(duration_s)

    def _record(self, name: str, fields: dict[str, Any]) -> None:
        self.records.append(Record(self._now_ns, name, fields))


class _NoStreams:
    """Nobody listens: respx has no WebSockets."""

    def send(self, key: str, text: str) -> None:
        """Never called: no session was ever opened."""

    def close(self, key: str, code: int) -> None:
        """Never called either."""


@contextmanager
def binance_routes(
    *,
    base_url: str | Sequence[str] = URLS,
    arms: Sequence[Arm] = (),
    settings: Settings | None = None,
    clock: Clock = time.time_ns,
    seed: int = 0,
) -> Iterator[RoutedExchange]:
    """Put an exchange behind every httpx client, sync or async, until left; requests elsewhere fail the test.

    Clients are given `settings.API_KEY` and `settings.API_SECRET`. The same `seed` gives the same choices, as which of
    the requests a `share` of 0.3 hits.
    """
    with respx.mock(assert_all_called=False) as router:
        yield route_to_emulator(router, base_url=base_url, arms=arms, settings=settings, clock=clock, seed=seed)


def route_to_emulator(
    router: respx.Router,
    *,
    base_url: str | Sequence[str] = URLS,
    arms: Sequence[Arm] = (),
    settings: Settings | None = None,
    clock: Clock = time.time_ns,
    seed: int = 0,
) -> RoutedExchange:
    """Add the exchange to a router of the test's own; faults of respx_routes.py that were added before go first.

    Returns the exchange, to arm faults and to look at. Raises `WorldError` for arms that it does not take.
    """
    exchange = RoutedExchange(clock, maker(settings or Settings(), Tape(seed).stream("exchange")))
    for arm in arms:
        exchange.arm(arm)
    for url in (base_url,) if isinstance(base_url, str) else base_url:
        router.add(FaultRoute(url__startswith=url).mock(side_effect=exchange.answer))
    return exchange


def _as_received(request: httpx.Request) -> Request:
    path, _, query = request.url.raw_path.partition(b"?")
    return Request(
        method=request.method,
        path=path.decode("ascii"),
        query=query,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=request.content,
        ip=EGRESS_IP,
    )


def _as_sent(answer: Answer, request: httpx.Request) -> httpx.Response:
    headers = {"Content-Type": answer.content_type, **answer.headers}
    return httpx.Response(answer.status, headers=headers, content=b"" if request.method == "HEAD" else answer.body)
