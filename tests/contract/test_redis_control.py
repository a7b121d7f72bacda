"""The control surface of Redis: one suite, both worlds. What a client sees must be what was asked for."""

import asyncio
from pathlib import Path

import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError

from harness.dependencies.redis.real import start_real
from harness.dependencies.redis.sim import start_sim
from harness.errors import UsageError
from harness.history.events import HostChanged, Observation
from harness.tape import Tape
from harness.units import seconds
from harness.world.real.world import RealWorld
from harness.world.sim.run import run_sim


class Seen:
    """A history in memory."""

    def __init__(self):
        self.events = []

    def record(self, event):
        self.events.append(event)

    def observations(self, name):
        return [event.value for event in self.events if isinstance(event, Observation) and event.name == name]

    def changes(self):
        return [event.change for event in self.events if isinstance(event, HostChanged) and event.actor == "redis"]


def in_sim(director, tmp_path: Path) -> Seen:
    seen = Seen()
    run_sim(director, tape=Tape(1), sink=seen, directory=tmp_path, dependency_kinds={"redis": start_sim})
    return seen


def in_real(director, tmp_path: Path) -> Seen:
    seen = Seen()

    async def run():
        world = RealWorld(Tape(1), seen, targets={}, directory=tmp_path, dependency_kinds={"redis": start_real})
        async with world:
            await director(world)

    asyncio.run(run())
    return seen


@pytest.fixture(params=["sim", pytest.param("real", marks=pytest.mark.real)])
def both(request, tmp_path):
    """Run a director in that world and return what its history saw."""
    play = in_sim if request.param == "sim" else in_real
    return lambda director: play(director, tmp_path)


def client(server, **options):
    """A client that neither retries nor waits for long."""
    settings = {"retry": Retry(NoBackoff(), 0), "socket_timeout": 0.5, "socket_connect_timeout": 0.5}
    return redis.asyncio.Redis.from_url(server.url, **settings, **options)


async def run_id(server):
    async with client(server) as one:
        return (await one.info("server"))["run_id"]


def test_refuse_and_accept(both):
    """Connections are reset and refused, then accepted again by the same process with the same data."""

    async def director(world):
        server = await world.start_dependency("redis", "redis", {})
        before = await run_id(server)
        async with client(server) as one, client(server) as other:
            await one.set("k", "v")
            await server.refuse()
            with pytest.raises(RedisConnectionError):
                await one.get("k")
            with pytest.raises(RedisConnectionError):
                await other.ping()
            await server.accept()
            assert await one.get("k") == b"v"
        assert await run_id(server) == before
        await server.stop()

    assert both(director).observations("unanswered") == []


def test_freeze_and_thaw(both):
    """A frozen server accepts and says nothing; what it did not read is observed, then answered or gone."""

    async def director(world):
        server = await world.start_dependency("redis", "redis", {})
        async with client(server) as one:
            await one.ping()
            await server.freeze()
            with pytest.raises(RedisTimeoutError):
                await one.set("k", "v")
            async with client(server) as other:
                waiting = asyncio.create_task(other.ping())
                await world.sleep_until(world.now_ns() + seconds(0.2))
                await server.thaw()
                assert await waiting
        await server.stop()

    seen = both(director)
    (unanswered,) = seen.observations("unanswered")
    assert unanswered["bytes"] > 0
    assert unanswered["connections"] > 0
    assert [change for change in seen.changes() if change in {"frozen", "thawed"}] == ["frozen", "thawed"]


@pytest.mark.parametrize(
    ("keep", "expected"), [("all", [b"old", b"new"]), ("window", [b"old", None]), ("nothing", [None, None])]
)
def test_crash_and_restart(both, keep, expected):
    """SIGKILL resets and refuses; the restarted server is another process with as much data as asked for."""

    async def director(world):
        server = await world.start_dependency("redis", "redis", {})
        before = await run_id(server)
        async with client(server) as one:
            await one.set("a", "old")
            await world.sleep_until(world.now_ns() + seconds(2.1))
            await one.set("b", "new")
            await server.crash()
            with pytest.raises(RedisConnectionError):
                await one.get("a")
            with pytest.raises(RedisConnectionError):
                await one.get("a")
            await server.restart(keep=keep)
            assert await one.mget("a", "b") == expected
        assert await run_id(server) != before
        await server.stop()

    assert "killed" in both(director).changes()


def test_a_frozen_server_can_crash(both):
    """SIGKILL works on a process that stands still."""

    async def director(world):
        server = await world.start_dependency("redis", "redis", {})
        await server.freeze()
        await server.crash()
        await server.restart(keep="all")
        async with client(server) as one:
            assert await one.ping()
        await server.stop()

    both(director)


def test_password(both):
    """With a password, the URL carries it, and nobody else gets in."""

    async def director(world):
        server = await world.start_dependency("redis", "redis", {"password": "secret"})
        async with client(server) as one:
            assert await one.ping()
        await server.refuse()
        await server.accept()
        async with redis.asyncio.Redis.from_url(server.url.replace(":secret@", "")) as stranger:
            with pytest.raises(RedisConnectionError, match="authenticated"):
                await stranger.ping()
        await server.stop()

    both(director)


def test_unknown_options_are_named(both):
    """A misspelt option does not pass for none."""

    async def director(world):
        with pytest.raises(UsageError, match="persistance"):
            await world.start_dependency("redis", "redis", {"persistance": "aof"})

    both(director)


def test_reply_error(tmp_path):
    """READONLY meets writes only, LOADING everything; None ends it."""

    async def director(world):
        server = await world.start_dependency("redis", "redis", {})
        async with client(server) as one:
            await server.reply_error("READONLY You can't write against a read only replica.")
            with pytest.raises(ReadOnlyError):
                await one.set("k", "v")
            assert await one.get("k") is None
            await server.reply_error("LOADING Redis is loading the dataset in memory")
            with pytest.raises(RedisConnectionError):
                await one.get("k")
            await server.reply_error(None)
            assert await one.set("k", "v")

    in_sim(director, tmp_path)
