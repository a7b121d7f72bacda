"""Real clients, each in an environment of its own, against a running emulator.

Three of the clients install a module named `binance`, so none of them can live in the project's environment. A client
is driven step by step over pipes (programs/steps.py is the other end), so that a test can arm a fault between two of
its calls and ask the exchange's ledger what became of each.
"""

import contextlib
import json
import os
import runpy
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from harness.dependencies.binance.settings import API_KEY, API_SECRET

HERE = Path(__file__).parent
build_environment = runpy.run_path(str(HERE / "environment.py"))["build"]
READY_S_MAX = 20.0
STEP_S_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one step: what the client returned, or what it raised, and what it logged as a warning."""

    told: Any = None
    raised: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Driver:
    """A client's program, and the steps it is asked for."""

    process: "subprocess.Popen[str]"
    warned: list[str] = field(default_factory=list)

    def ask(self, step: str, /, **arguments: Any) -> Step:
        """Have the client do one thing. Fails the test if its program ended, or takes longer than it ever should."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"step": step, "arguments": arguments}) + "\n")
        self.process.stdin.flush()
        timer = threading.Timer(STEP_S_MAX, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        assert line, f"the client's program ended in step {step!r}, or did not answer within {STEP_S_MAX} s"
        reply = json.loads(line)
        self.warned += reply["warnings"]
        return Step(reply.get("told"), reply.get("raised"), tuple(reply["warnings"]))

    def do(self, step: str, /, **arguments: Any) -> Any:
        """Have the client do something that must work."""
        done = self.ask(step, **arguments)
        assert done.raised is None, done.raised
        return done.told

    def fail(self, step: str, /, **arguments: Any) -> Mapping[str, Any]:
        """Have the client do something that must fail; return what it raised."""
        done = self.ask(step, **arguments)
        assert done.raised is not None, done.told
        return done.raised


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator, by its control API, and by plain unsigned requests."""

    url: str

    def control(self, name: str, /, **body: Any) -> Any:
        """Ask the control API."""
        getting = name in ("state", "ledger", "kinds")
        data = None if getting else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/__control__/{name}", data=data)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def get(self, path: str) -> Any:
        """Return the answer to a public request."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
            return json.load(answer)

    def orders(self, market: str, client_id: str) -> list[Mapping[str, Any]]:
        """Return the orders that the exchange really has, or had, under that client id."""
        orders = self.control("ledger")["markets"][market]["orders"]
        return [order for order in orders if order["client_id"] == client_id]

    def best(self, market: str, side: str) -> tuple[Decimal, Decimal]:
        """Return (price, quantity) of the best level that an order of that side would take."""
        path = "/fapi/v1/depth" if market == "futures" else "/api/v3/depth"
        price, quantity = self.get(f"{path}?symbol=BTCUSDT&limit=5")["asks" if side == "BUY" else "bids"][0]
        return Decimal(price), Decimal(quantity)


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to use one client: its environment, its program, and what the program is told."""

    environment: str
    program: str
    market: str


KINDS: Mapping[str, Kind] = {
    "ccxt-futures": Kind("ccxt", "ccxt_sync", "futures"),
    "ccxt-spot": Kind("ccxt", "ccxt_sync", "spot"),
    "ccxt-pro-futures": Kind("ccxt", "ccxt_pro", "futures"),
    "ccxt-pro-spot": Kind("ccxt", "ccxt_pro", "spot"),
    "python-binance-futures": Kind("python_binance", "python_binance_sync", "futures"),
    "python-binance-spot": Kind("python_binance", "python_binance_sync", "spot"),
    "python-binance-async-futures": Kind("python_binance", "python_binance_async", "futures"),
    "python-binance-async-spot": Kind("python_binance", "python_binance_async", "spot"),
    "futures-connector": Kind("futures_connector", "futures_connector", "futures"),
    "spot-connector": Kind("spot_connector", "spot_connector", "spot"),
    "modular-sdk": Kind("modular_sdk", "modular_sdk", "futures"),
}


@dataclass(frozen=True, slots=True)
class Client:
    """A running client and the exchange that it talks to."""

    name: str
    market: str
    driver: Driver
    emulator: Emulator

    def orders(self, client_id: str) -> list[Mapping[str, Any]]:
        """Return the orders that the exchange really has, or had, under that client id."""
        return self.emulator.orders(self.market, client_id)

    def best(self, side: str) -> tuple[Decimal, Decimal]:
        """Return (price, quantity) of the best level that an order of that side would take."""
        return self.emulator.best(self.market, side)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known that names the clients of a test."""
    config.addinivalue_line("markers", "clients(*names): which clients this test drives; without it, all of them")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that wants a `client` once for each; one client's tests stay on one worker."""
    if "client" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("clients")
        names = marker.args if marker is not None else tuple(KINDS)
        chosen = [pytest.param(name, marks=pytest.mark.xdist_group(f"client-{name}")) for name in names]
        metafunc.parametrize("running", chosen, indirect=True)


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """An emulator for each worker, on a port that the system chose."""
    reading, writing = os.pipe()
    argv = [sys.executable, "-m", "harness.cli.main", "binance", "--port", "0", "--ready-fd", str(writing)]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, pass_fds=(writing,))
    os.close(writing)
    try:
        timer = threading.Timer(READY_S_MAX, process.kill)
        timer.start()
        with os.fdopen(reading) as ready:
            address = ready.readline().strip()
        timer.cancel()
        assert address, "the emulator did not come up"
        yield Emulator(f"http://{address}")
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture(scope="session")
def running(request: pytest.FixtureRequest, emulator: Emulator) -> Iterator[Client]:
    """One client's program, for all of its tests."""
    kind = KINDS[request.param]
    emulator.control("reset")  # python-binance talks to it while it is being made; the client before may be banned
    argv = [build_environment(kind.environment), HERE / f"programs/{kind.program}.py"]
    argv += [emulator.url, API_KEY, API_SECRET, kind.market]
    settings = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    settings.pop("PYTHONDONTWRITEBYTECODE", None)  # some clients take seconds to compile
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=settings)
    try:
        yield Client(request.param, kind.market, Driver(process), emulator)
    finally:
        _end(process)


@pytest.fixture
def client(running: Client) -> Client:
    """The client, with the exchange begun anew."""
    running.emulator.control("reset")
    return running


def _end(process: "subprocess.Popen[str]") -> None:
    """End a program as it wants to be ended, by the end of its input."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        process.stdout.close()
