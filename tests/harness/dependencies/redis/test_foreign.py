"""A Redis server that is not ours: reached through the proxies, broken on the way, emptied only when told to."""

import asyncio
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from harness.dependencies.redis.foreign import LEFT_OUT, check, start_foreign
from harness.dependencies.redis.server_process import find_server
from harness.errors import UsageError, WorldError
from harness.history.events import Event, Observation
from harness.registry import discover
from harness.scenario import plan
from harness.tape import Tape
from harness.world.base import Host, HostSpec
from harness.world.real.world import RealWorld
from harness.worlds import Options
from scenarios.redis_outage import SCENARIO

pytestmark = pytest.mark.real

PASSWORD = "hunter2"


class Seen(list[Event]):
    """A history in memory."""

    def record(self, event: Event) -> None:
        self.append(event)


async def waits(host: Host) -> None:
    """Do nothing until asked to stop."""
    await host.stopping()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a server with a password; return its URL without a database."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        "port": port,
        "bind": "127.0.0.1",
        "dir": tmp_path_factory.mktemp("redis"),
        "save": "",
        "requirepass": PASSWORD,
    }
    arguments = [part for key, value in settings.items() for part in (f"--{key}", str(value))]
    with subprocess.Popen([str(find_server()), *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while b"Ready to accept connections" not in process.stdout.readline():
            assert process.poll() is None
        yield f"redis://:{PASSWORD}@127.0.0.1:{port}"
        process.kill()


@pytest.fixture
def url(server: str) -> Iterator[str]:
    """Return the URL of a database that is empty, and is emptied afterwards."""
    yield f"{server}/3"
    with redis.Redis.from_url(server) as client:
        client.flushall()


def put(url: str, key: str) -> None:
    """Write a key, as its owner would."""
    with redis.Redis.from_url(url) as client:
        client.set(key, "v")


def keys(url: str) -> list[bytes]:
    """Return what is there."""
    with redis.Redis.from_url(url) as client:
        return list(client.keys())


def client(url: str) -> Any:
    """A client of the host's that neither retries nor waits for long."""
    return redis.asyncio.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0))


async def test_a_database_that_holds_something_is_not_touched(url: str, tmp_path: Path) -> None:
    """The error says how many keys, what to do about it, and no password; the keys are still there."""
    put(url, "precious")
    async with world_of(url, tmp_path, Seen(), flush=False) as world:
        with pytest.raises(UsageError, match=r"database 3 is not empty \(1 keys\).*--redis-flush") as failure:
            await world.start_dependency("redis", "redis", {})
    assert PASSWORD not in str(failure.value)
    assert keys(url) == [b"precious"]


async def test_flushing_empties_that_database_and_no_other(url: str, server: str, tmp_path: Path) -> None:
    """FLUSHDB, never FLUSHALL."""
    put(url, "old")
    put(f"{server}/4", "theirs")
    async with world_of(url, tmp_path, Seen(), flush=True) as world:
        await world.start_dependency("redis", "redis", {})
    assert keys(url) == []
    assert keys(f"{server}/4") == [b"theirs"]


async def test_an_empty_database_needs_no_flush(url: str) -> None:
    """And asking again changes nothing."""
    await check(url, flush=False)
    await check(url, flush=False)


async def test_a_wrong_password_is_told_without_it(server: str) -> None:
    """The server's own word is the reason."""
    with pytest.raises(UsageError, match=r"no Redis server that lets us in there: .*password") as failure:
        await check(server.replace(PASSWORD, "wrong-one"), flush=False)
    assert "wrong-one" not in str(failure.value)


async def test_hosts_reach_it_and_meet_its_outages(url: str, tmp_path: Path) -> None:
    """Refused while it refuses, unanswered while it hangs, with the bytes on record and carried out afterwards."""
    seen = Seen()
    async with world_of(url, tmp_path, seen, flush=False) as world:
        server = await world.start_dependency("redis", "redis", {})
        await world.start_host(HostSpec(name="a", program=waits))
        mine = (await world._proxies.endpoints("a"))["redis"]
        assert mine.startswith(f"redis://:{PASSWORD}@127.0.0.1:")
        assert mine.endswith("/3")
        async with client(mine) as one:
            await one.set("k", "v")
            await server.refuse()
            with pytest.raises(redis.ConnectionError):
                await one.get("k")
            with pytest.raises(redis.ConnectionError):
                await one.get("k")
            await server.accept()
            assert await one.get("k") == b"v"
            await server.freeze()
            with pytest.raises(redis.TimeoutError):
                await one.set("late", "v")
            async with client(mine) as other:
                waiting = asyncio.create_task(other.ping())
                await asyncio.sleep(0.2)
                await server.thaw()
                assert await waiting
                assert await other.get("late") == b"v"
        for impossible in (server.crash(), server.restart(keep="all"), server.refuse_commands("OOM")):
            with pytest.raises(WorldError, match="is not ours, so it cannot be") as failure:
                await impossible
            assert PASSWORD not in str(failure.value)
        await server.stop()
    (unanswered,) = [event for event in seen if isinstance(event, Observation) and event.name == "unanswered"]
    assert unanswered.value["connections"] >= 2
    assert unanswered.value["bytes"] > 0
    assert set(keys(url)) == {b"k", b"late"}


def test_what_cannot_be_done_to_it_is_left_out_of_the_plan() -> None:
    """Six seeds take `redis-outage` through the modes that are left, and through no crash; in the sim world all six."""
    options = Options(redis="redis://127.0.0.1:6379")
    profile = SCENARIO.profile("short")
    assert options.left_out("sim") == ()
    assert Options(redis="/usr/bin/redis-server").left_out("real") == ()
    assert options.left_out("real") == LEFT_OUT
    modes = {plan(profile, Tape(seed), options.left_out("real"))[0].mode for seed in range(6)}
    assert modes == {"refuse", "hang", "flapping"}


def test_what_a_foreign_proxy_cannot_do_or_prove_is_left_out_of_the_plan() -> None:
    """Of the ways in which a link breaks, those remain that Toxiproxy's own toxics can do and the kernel can prove."""
    options = Options(toxiproxy="http://127.0.0.1:8474")
    profile = discover()["redis-flaky-network"].profile("short")
    assert options.left_out("sim") == ()
    modes = {plan(profile, Tape(seed), options.left_out("real"))[0].mode for seed in range(11)}
    assert modes == {"both-ways", "upstream", "latency", "bandwidth", "slice", "refuse"}


def world_of(url: str, directory: Path, seen: Seen, *, flush: bool) -> RealWorld:
    """Return a world whose Redis is the server at that URL."""

    async def start(world: RealWorld, name: str, _options: object) -> Any:
        return await start_foreign(world, name, url, flush=flush)

    return RealWorld(Tape(1), seen, targets={}, directory=directory, dependency_kinds={"redis": start})
