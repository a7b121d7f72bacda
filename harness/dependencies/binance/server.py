"""The server: connections on one side, the exchange on the other, and time brought to both.

It runs on any event loop, so the same code is a machine of the sim world, a process of the real one, and what
`harness binance` runs. Every call of the core goes through `_call`: the clock is read once, what the core records gets
that time, the record is flushed before anybody can see the answer, and the core's next wish to be woken is heard.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from harness.dependencies.binance import http_answers
from harness.dependencies.binance.arms import Arm
from harness.dependencies.binance.connection import Connection
from harness.dependencies.binance.core import Clock, Core, Record
from harness.dependencies.binance.sessions import Sessions
from harness.dependencies.binance.stream_session import StreamSession
from harness.dependencies.binance.streams import StreamOut
from harness.dependencies.binance.wire import Answer, Reaction, Request
from harness.units import MILLISECOND, SECOND

T = TypeVar("T")

Make: TypeAlias = Callable[[Record, StreamOut], Core]
"""Makes an exchange that records there and speaks there: at the start, and again at each reset."""

Control: TypeAlias = Callable[[Request, str], Answer]
"""Answers a request of the control API; takes it and the peer's address."""

CONTROL_PATH: Final = "/__control__"
BACKLOG: Final = 1024
_MS: Final = 1_000
_RESTARTING: Final = 1012
_GRACE_S: Final = 1.0
_TEXT_MAX: Final = 300
_EARLY_NS: Final = MILLISECOND
"""The core's wishes differ by less from call to call, as its clock counts milliseconds: no reason to move an alarm."""

_LOG: Final = logging.getLogger(__name__)


class Recorder(Protocol):
    """Where observations go."""

    def record(self, time_ns: int, name: str, fields: dict[str, Any]) -> None:
        """Take one observation; it may be kept back until `flush`."""

    def flush(self) -> None:
        """Let go of what was kept back."""


@dataclass(slots=True)
class Counters:
    """What the server did, since it was started. `requests` were the exchange's, `control_requests` were not."""

    connections: int = 0
    connections_open: int = 0
    requests: int = 0
    control_requests: int = 0
    internal_errors: int = 0


class Server:
    """One exchange behind any number of listeners. Call `listen`, at the end `close`, then `ended`.

    `ip` is the address that all clients count as; None: each its own.
    """

    def __init__(self, make: Make, clock: Clock, recorder: Recorder, *, ip: str | None = None) -> None:
        self.counters = Counters()
        self.control: Control | None = None
        """The control API; None: its paths are the exchange's, who knows none of them."""
        self._make = make
        self._clock = clock
        self._recorder = recorder
        self._ip = ip
        self._now_ns = clock.now_ns()
        self._wall_ms = clock.wall_ms()
        self._connections: set[Connection] = set()
        self._one_lost = asyncio.Event()
        self._sessions = Sessions(self)
        self._listeners: list[asyncio.Server] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_ns: int | None = None
        self._core = make(self._record, self._sessions)
        recorder.flush()

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Listen there (port 0: any free one); return the address. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(lambda: Connection(self), host, port, backlog=BACKLOG)
        self._listeners.append(listener)
        name = listener.sockets[0].getsockname()
        self._settle()
        return name[0], name[1]

    def close(self) -> None:
        """Stop listening, and close every connection once what was written to it is sent."""
        for listener in self._listeners:
            listener.close()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        for connection in list(self._connections):
            connection.shut()
        self._recorder.flush()

    async def ended(self) -> None:
        """After `close`: return once every client has what was written to it; who does not read is reset at the end."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + _GRACE_S
        while self._connections and (left_s := deadline_s - loop.time()) > 0:
            self._one_lost.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._one_lost.wait(), left_s)
        for connection in list(self._connections):
            connection.reset()
        await asyncio.sleep(0)  # resets happen in the loop's next turn

    # --- what a control surface does ----------------------------------------------------------------------------

    def arm(self, arm: Arm) -> str:
        """Arm a fault; return its name. Raises `WorldError`."""
        return self._call(lambda core: core.arm(arm, self._now_ns, self._wall_ms))

    def disarm(self, name: str) -> None:
        """Disarm it. Raises `WorldError`."""
        self._call(lambda core: core.disarm(name, self._now_ns, self._wall_ms))

    def refill(self, symbol: str) -> None:
        """Bring back the depth of that symbol's book. Raises `WorldError`."""
        self._call(lambda core: core.refill(symbol, self._now_ns, self._wall_ms))

    def set_price(self, symbol: str, price: Decimal) -> None:
        """Move the middle of that symbol's book. Raises `WorldError`."""
        self._call(lambda core: core.set_price(symbol, price, self._now_ns, self._wall_ms))

    def reset(self) -> None:
        """Begin anew with a fresh exchange: no orders, no limits used, nothing armed. Streams are closed."""
        self._sessions.drop_all(_RESTARTING)
        self._read_clock()
        self._core = self._make(self._record, self._sessions)
        self._settle()

    def ledger(self) -> dict[str, Any]:
        """Return the exchange's ledger, with the server's `internal_errors`."""
        return {**self._core.ledger(), "internal_errors": self.counters.internal_errors}

    def state(self) -> dict[str, int]:
        """Return both clocks and the counters."""
        clocks = {"now_ns": self._clock.now_ns(), "wall_ms": self._clock.wall_ms()}
        return {**clocks, **asdict(self.counters), **asdict(self._sessions.counters)}

    # --- what connections ask -----------------------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """Keep a connection."""
        self._connections.add(connection)
        self.counters.connections += 1
        self.counters.connections_open += 1

    def lost(self, connection: Connection) -> None:
        """Forget it."""
        self._connections.discard(connection)
        self.counters.connections_open -= 1
        self._one_lost.set()

    def address_of(self, peer: str) -> str:
        """Return what a peer counts as."""
        return self._ip or peer

    def wall_s(self) -> int:
        """Return the exchange's clock, as the call in hand has read it."""
        return self._wall_ms // _MS

    def react(self, request: Request, peer: str) -> Reaction:
        """Ask the exchange, or the control API. What fails inside is logged, counted, and answered as Binance would."""
        self._read_clock()
        reaction: Reaction
        try:
            if self.control is not None and request.path.startswith(CONTROL_PATH):
                self.counters.control_requests += 1
                return self.control(request, peer)
            self.counters.requests += 1
            reaction = self._core.receive(request, self._now_ns, self._wall_ms)
        except Exception as error:  # noqa: BLE001 - whatever it was, the client gets an answer and the ledger shows it
            self._failed(f"{request.method} {request.path}", error)
            reaction = http_answers.internal_error()
        self._settle()
        return reaction

    def upgrade(self, request: Request, connection: Connection) -> StreamSession | None:
        """Open a WebSocket."""
        return self._sessions.open(request, connection)

    # --- what sessions tell -------------------------------------------------------------------------------------

    def stream_opened(self, name: str, path: str, query: str) -> bool:
        """Ask the exchange whether there is such a stream."""
        return bool(self._try(lambda core: core.stream_opened(name, path, query, self._now_ns, self._wall_ms), path))

    def stream_said(self, name: str, text: str) -> None:
        """Tell the exchange."""
        self._try(lambda core: core.stream_said(name, text, self._now_ns, self._wall_ms), name)

    def stream_closed(self, name: str) -> None:
        """Tell the exchange."""
        self._try(lambda core: core.stream_closed(name, self._now_ns, self._wall_ms), name)

    # --- time, records, failures --------------------------------------------------------------------------------

    def _call(self, ask: Callable[[Core], T]) -> T:
        self._read_clock()
        try:
            return ask(self._core)
        finally:
            self._settle()

    def _try(self, ask: Callable[[Core], T], what: str) -> T | None:
        """Like `_call`, but nothing gets out of it: there is nobody outside to catch it."""
        try:
            return self._call(ask)
        except Exception as error:  # noqa: BLE001 - see `react`
            self._failed(what, error)
            self._recorder.flush()
            return None

    def _failed(self, what: str, error: Exception) -> None:
        self.counters.internal_errors += 1
        self._record("internal_error", {"what": what, "error": repr(error)[:_TEXT_MAX]})
        _LOG.exception("the emulator failed at %s", what)

    def _read_clock(self) -> None:
        self._now_ns = self._clock.now_ns()
        self._wall_ms = self._clock.wall_ms()

    def _record(self, name: str, fields: dict[str, Any]) -> None:
        self._recorder.record(self._now_ns, name, fields)

    def _settle(self) -> None:
        """After a call of the core: let its records go, and set the alarm for what it will do by itself."""
        self._recorder.flush()
        due_ns = self._core.due_ns()
        alarm_ns = self._alarm_ns
        if alarm_ns == due_ns or (alarm_ns is not None and due_ns is not None and alarm_ns <= due_ns + _EARLY_NS):
            return  # an alarm that comes early finds nothing to do, and is set again
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._alarm_ns = due_ns
        if due_ns is not None:
            delay_s = max(due_ns - self._clock.now_ns(), 0) / SECOND
            self._alarm = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def _ring(self) -> None:
        self._alarm = self._alarm_ns = None
        self._try(lambda core: core.wake(self._now_ns, self._wall_ms), "what is due by itself")
