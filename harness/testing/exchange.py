"""The fixture `binance_emulator`: the exchange behind a port of this machine, in this process."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from harness.dependencies.binance import assembly
from harness.dependencies.binance.arms import Arm, Kind
from harness.dependencies.binance.core import Clock
from harness.dependencies.binance.server import Server
from harness.dependencies.binance.settings import API_KEY, API_SECRET, Settings
from harness.tape import Tape
from harness.testing.background import Background, background
from harness.units import MILLISECOND


class _Requests:
    """Keeps what came in."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []

    def record(self, time_ns: int, name: str, fields: dict[str, Any]) -> None:
        """Keep requests; of the rest the ledger tells."""
        if name == "request":
            self.found.append({"time_ns": time_ns, **fields})

    def flush(self) -> None:
        """Nothing is kept back."""


class BinanceEmulator:
    """USD-M futures under `/fapi`, spot under `/api`."""

    api_key = API_KEY
    api_secret = API_SECRET

    def __init__(self, url: str, server: Server, requests: _Requests, thread: Background) -> None:
        self.url = url
        self._server = server
        self._requests = requests
        self._thread = thread

    @property
    def requests(self) -> Sequence[Mapping[str, Any]]:
        """Every request so far: `method`, `path`, `status`, `code`, `weight`, the `fault` that hit it."""
        return tuple(self._requests.found)

    def arm(self, kind: Kind, **options: Any) -> str:
        """Arm a fault (`harness.dependencies.binance.arms`) for good, or for `count` requests; return its name."""
        known = {name: options.pop(name) for name in Arm.__dataclass_fields__ if name in options}
        arm = Arm(kind=kind, **known, options={**known.pop("options", {}), **options})

        async def begin() -> str:
            return self._server.arm(arm)

        return self._thread.do(begin())

    @contextmanager
    def armed(self, kind: Kind, **options: Any) -> Iterator[None]:
        """Have a fault armed for a while."""
        name = self.arm(kind, **options)

        async def end() -> None:
            self._server.disarm(name)

        try:
            yield
        finally:
            self._thread.do(end())

    def ledger(self) -> Mapping[str, Any]:
        """Return all the truth there is: orders, fills, balances, positions."""

        async def read() -> Mapping[str, Any]:
            return self._server.ledger()

        return self._thread.do(read())


@contextmanager
def binance_server(*, seed: int = 1) -> Iterator[BinanceEmulator]:
    """Serve the exchange."""
    began_ns = time.monotonic_ns()
    clock = Clock(lambda: time.monotonic_ns() - began_ns, lambda: time.time_ns() // MILLISECOND)
    requests = _Requests()

    async def begin() -> tuple[Server, tuple[str, int]]:
        server = assembly.server(Settings(), Tape(seed).stream("exchange/binance"), clock, requests)
        return server, await server.listen("127.0.0.1", 0)

    async def end(server: Server) -> None:
        server.close()
        await server.ended()

    with background() as thread:
        server, (host, port) = thread.do(begin())
        try:
            yield BinanceEmulator(f"http://{host}:{port}", server, requests, thread)
        finally:
            thread.do(end(server))
