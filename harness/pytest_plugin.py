"""The pytest plugin: fixtures, and a marker that puts a target under a scenario. harness/docs/pytest.md shows its use.

It is loaded by every pytest that finds the package installed, so it imports nothing until a test asks for something.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.testing.chaos import ChaosRuns
    from harness.testing.exchange import BinanceEmulator
    from harness.testing.flood import Flood
    from harness.testing.servers import RealRedisServer
    from harness.testing.sim import SimWorldRunner
    from harness.testing.toxics import Toxics

_MARKER = (
    "chaos(scenario, *, seeds=20, seed=1, target=None, world='sim', profile=None, shrink_s=60): run that scenario "
    "before the test, and fail it unless every seed passes; target is 'PORT=module:factory', or a mapping of ports to "
    "factories; a failure is made smaller for at most shrink_s seconds"
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Run the scenarios of a marked test; only if all pass is its body run."""
    for mark in item.iter_markers("chaos"):
        from harness.testing.chaos import put_under

        put_under(item, mark)


@pytest.fixture
def chaos(request: pytest.FixtureRequest) -> "ChaosRuns":
    """What the scenarios of a marked test came to, for further assertions."""
    from harness.testing.chaos import runs_of

    return runs_of(request.node)


@pytest.fixture
def sim_world() -> "SimWorldRunner":
    """Run an async function in a sim world: virtual time, an in-memory network, hosts, Redis, Binance."""
    from harness.testing.sim import SimWorldRunner

    return SimWorldRunner()


@pytest.fixture
def real_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator["RealRedisServer"]:
    """Start a Redis-compatible server of its own; `url` is where it is, and it can be refused, frozen and crashed."""
    from harness.testing.servers import redis_server

    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def binance_emulator() -> Iterator["BinanceEmulator"]:
    """Start the emulated Binance; `url` is where it is, and faults can be armed."""
    from harness.testing.exchange import binance_server

    with binance_server() as server:
        yield server


@pytest.fixture
def toxics(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Toxics"]:
    """Put a proxy in front of an address, `toxics(url)`, and break the connections through it."""
    from harness.testing.toxics import proxies

    with proxies(tmp_path_factory.mktemp("toxics")) as made:
        yield made


@pytest.fixture
def flood() -> "Flood":
    """Offer work at a rate, whether or not earlier work has returned."""
    from harness.testing.flood import flood as offering

    return offering
