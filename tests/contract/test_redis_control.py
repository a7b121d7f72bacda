"""The control surface of Redis: one suite, both worlds. What a client sees must be what was asked for."""

import asyncio
from pathlib import Path

import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from harness.dependencies.redis.real import start_real
from harness.dependencies.redis.sim import start_sim
from harness.errors import UsageError, WorldError
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


async def refused(one, times):
    """Write so many times, out of memory each time."""
    for _ in range(times):
        with pytest.raises(OutOfMemoryError):
            await one.set("k", "v")


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


ERRORS = {
    "OOM": OutOfMemoryError,
    "READONLY": ReadOnlyError,
    "LOADING": BusyLoadingError,
    "NOAUTH": AuthenticationError,
}


@pytest.mark.parametrize("refusal", ERRORS)
@pytest.mark.parametrize("persistence", ["aof", "none"])
def test_refuse_commands_and_serve_them(both, refusal, persistence):
    """A write meets that error until the server serves again, with its data; the errors given are counted, no more."""

    async def director(world):
        server = await world.start_dependency("redis", "redis", {"persistence": persistence})
        before = await run_id(server)
        async with client(server) as one:
            await one.set("k", "v")
            await server.refuse_commands(refusal)
            await one.connection_pool.disconnect()
            for _ in range(3):
                with pytest.raises(ERRORS[refusal]):
                    await one.set("k", "w")
            await server.serve_commands()
            kept = persistence == "aof" or refusal != "LOADING"
            assert await one.get("k") == (b"v" if kept else None)
            assert await one.set("k", "w")
            assert await one.dbsize() == 1
        assert (await run_id(server) == before) is (refusal != "LOADING")
        await server.stop()

    seen = both(director)
    assert seen.observations("refused_commands") == [{"refusal": refusal, "count": 3}]
    assert seen.changes().count("started") == (2 if refusal == "LOADING" else 1)


@pytest.mark.parametrize("refusal", ERRORS)
def test_nobody_asked_nobody_refused(both, refusal):
    """What the harness does itself to begin and end a refusal does not count as evidence."""

    async def director(world):
        server = await world.start_dependency("redis", "redis", {})
        await server.refuse_commands(refusal)
        await world.sleep_until(world.now_ns() + seconds(0.1))
        await server.serve_commands()
        await server.stop()

    assert both(director).observations("refused_commands") == [{"refusal": refusal, "count": 0}]


def test_errors_of_before_and_of_other_kinds_do_not_count(both):
    """Only what was given between the beginning and the end of the refusal, and of its kind."""

    async def director(world):
        server = await world.start_dependency("redis", "redis", {})
        async with client(server) as one:
            for expected in (2, 1):
                await server.refuse_commands("OOM")
                await refused(one, expected)
                with pytest.raises(ResponseError, match="unknown command"):
                    await one.execute_command("NONSENSE")
                await server.serve_commands()
        await server.stop()

    assert [value["count"] for value in both(director).observations("refused_commands")] == [2, 1]


def test_a_count_that_a_client_reset_starts_again(both):
    """CONFIG RESETSTAT takes away what was counted before it, never more than that."""

    async def director(world):
        server = await world.start_dependency("redis", "redis", {})
        async with client(server) as one:
            await server.refuse_commands("OOM")
            await refused(one, 3)
            await server.serve_commands()
            await server.refuse_commands("OOM")
            await refused(one, 2)
            await one.config_resetstat()
            await refused(one, 1)
            await server.serve_commands()
        await server.stop()

    assert [value["count"] for value in both(director).observations("refused_commands")] == [3, 1]


def test_a_crash_ends_a_refusal(both):
    """The next incarnation serves, whatever the one before refused, and there is nothing left to end."""

    async def director(world):
        server = await world.start_dependency("redis", "redis", {})
        for refusal in ERRORS:
            await server.refuse_commands(refusal)
            await server.crash()
            await server.restart(keep="all")
            async with client(server) as one:
                assert await one.set("k", "v")
            await server.serve_commands()
        await server.stop()

    assert both(director).observations("refused_commands") == []


def test_what_is_written_after_loading_survives_every_kind_of_restart(both):
    """The padding that kept a server loading is out of the way of the append-only file it stood before."""

    async def director(world):
        server = await world.start_dependency("redis", "redis", {})
        for number, keep in enumerate(("all", "window", "all")):
            await server.refuse_commands("LOADING")
            await server.serve_commands()
            async with client(server) as one:
                await one.set(f"k{number}", "v")
            await world.sleep_until(world.now_ns() + seconds(2.1))
            await server.crash()
            await server.restart(keep=keep)
            async with client(server) as one:
                assert await one.dbsize() == number + 1
        await server.stop()

    both(director)


def test_one_refusal_at_a_time(both):
    """A second one is an error of the schedule, and named."""

    async def director(world):
        server = await world.start_dependency("redis", "redis", {})
        await server.refuse_commands("OOM")
        with pytest.raises(WorldError, match="OOM"):
            await server.refuse_commands("READONLY")
        await server.serve_commands()
        await server.crash()
        with pytest.raises(WorldError, match="not running"):
            await server.refuse_commands("OOM")
        await server.restart(keep="all")
        await server.stop()

    both(director)


def test_a_password_that_fits_no_more(both):
    """With a password in the URL, NOAUTH means that it is refused; those refusals count, and it fits again later."""

    async def director(world):
        server = await world.start_dependency("redis", "redis", {"password": "secret"})
        async with client(server) as one:
            await one.set("k", "v")
            await server.refuse_commands("NOAUTH")
            for _ in range(2):
                with pytest.raises(RedisConnectionError):
                    await one.get("k")
            await server.serve_commands()
            assert await one.get("k") == b"v"
        await server.stop()

    (seen,) = both(director).observations("refused_commands")
    assert seen["refusal"] == "NOAUTH"
    assert seen["count"] > 0


def test_the_port_opens_and_closes_while_commands_are_refused(both):
    """Faults on the same server do not need each other's end."""

    async def director(world):
        server = await world.start_dependency("redis", "redis", {})
        for refusal, error in ERRORS.items():
            await server.refuse_commands(refusal)
            await server.refuse()
            await server.accept()
            await server.freeze()
            await server.thaw()
            async with client(server) as one:
                with pytest.raises(error):
                    await one.set("k", "v")
            await server.serve_commands()
        await server.stop()

    assert [value["count"] for value in both(director).observations("refused_commands")] == [1] * len(ERRORS)
