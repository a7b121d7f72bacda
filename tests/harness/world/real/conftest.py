"""What the tests of the real world share: a sink, a world in a temporary folder, waiting for a condition."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from harness.history.events import Event
from harness.tape import Tape
from harness.world.real.world import RealWorld, StartDependency

PROGRAMS = Path(__file__).parent / "programs"
sys.path.insert(0, str(PROGRAMS))  # host processes import their programs by name, as a team's would be


class ListSink(list[Event]):
    """A sink that keeps what it is given and wakes those who wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self._news = asyncio.Event()

    def record(self, event: Event) -> None:
        """Append one event."""
        self.append(event)
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds; it is looked at after each event."""
        async with asyncio.timeout(20):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def named(self, name: str, actor: str | None = None) -> list[Event]:
        """Return the operations and observations of that name."""
        return [e for e in self if getattr(e, "name", None) == name and actor in (None, e.actor)]

    def changes(self, actor: str) -> list[str]:
        """Return the life of a host: its changes in order."""
        return [event.change for event in self if hasattr(event, "change") and event.actor == actor]


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Keep run records of tests out of the user's home."""
    home = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    return home


@pytest.fixture
def sink() -> ListSink:
    """Return an empty history."""
    return ListSink()


@pytest.fixture
def make_world(tmp_path: Path, sink: ListSink) -> Callable[..., RealWorld]:
    """Return a factory of worlds that record into `sink`."""

    def make(*, targets: dict[str, str] | None = None, kinds: dict[str, StartDependency] | None = None) -> RealWorld:
        return RealWorld(Tape(1), sink, targets=targets or {}, directory=tmp_path / "run", dependency_kinds=kinds or {})

    return make


class Listener:
    """A dependency for tests: serves connections with `handle`, in the test's own process."""

    def __init__(self, name: str, server: asyncio.Server) -> None:
        self.name = name
        self._server = server
        host, port = server.sockets[0].getsockname()[:2]
        self.url = f"redis://{host}:{port}"
        self.stopped = False

    async def stop(self) -> None:
        """Close the server."""
        self._server.close()
        self.stopped = True


@pytest.fixture
def listener_kind() -> Callable[..., StartDependency]:
    """Return a factory of dependency kinds that serve connections with the given handler."""

    def make(handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> StartDependency:
        async def start(_world: RealWorld, name: str, _options: object) -> Listener:
            return Listener(name, await asyncio.start_server(handle, "127.0.0.1", 0))

        return start

    return make
