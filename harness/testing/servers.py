"""The fixture `real_redis`: a Redis-compatible server as a process, which a test can take away in every way."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.dependencies.redis.control import Keep, RedisControl
from harness.dependencies.redis.real import start_real
from harness.tape import Tape
from harness.testing.background import Background, background
from harness.world.real.world import RealWorld
from harness.world.sim.sink import MemorySink


class RealRedisServer:
    """A running server. Methods return once the new condition is in force."""

    def __init__(self, control: RedisControl, thread: Background) -> None:
        self._control = control
        self._thread = thread

    @property
    def url(self) -> str:
        """Where it is."""
        return self._control.url

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse connections; the server lives on with its data."""
        self._thread.do(self._control.refuse())
        try:
            yield
        finally:
            self._thread.do(self._control.accept())

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Accept, and answer nothing (SIGSTOP)."""
        self._thread.do(self._control.freeze())
        try:
            yield
        finally:
            self._thread.do(self._control.thaw())

    @contextmanager
    def crashed(self, keep: Keep = "all") -> Iterator[None]:
        """Kill it, and start it again: with `all` of its data, all but the last `window` of a second, or `nothing`."""
        self._thread.do(self._control.crash())
        try:
            yield
        finally:
            self._thread.do(self._control.restart(keep=keep))


@contextmanager
def redis_server(directory: Path) -> Iterator[RealRedisServer]:
    """Run a server; nothing of it is left afterwards."""
    with real_world(directory) as (world, thread):
        thread.do(world.start_dependency("redis", "redis", {}))
        yield RealRedisServer(world.dependency("redis"), thread)


@contextmanager
def real_world(directory: Path) -> Iterator[tuple[RealWorld, Background]]:
    """Have a real world in a thread: what it starts ends with it."""
    with background() as thread:
        world = RealWorld(
            Tape(1), MemorySink(), targets={}, directory=directory, dependency_kinds={"redis": start_real}
        )
        thread.do(world.__aenter__())
        try:
            yield world, thread
        finally:
            thread.do(world.__aexit__(None, None, None))
