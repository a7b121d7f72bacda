"""Matching toxics on a simulated link to the Redis dependency, as an unmodified redis-py meets them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from harness.dependencies.redis.sim import start_sim
from harness.tape import Tape
from harness.world.sim.run import run_sim
from harness.world.sim.sink import MemorySink
from harness.world.sim.world import SimWorld

Use = Callable[[Any, redis.Redis], Awaitable[Any]]
Run = Callable[..., Any]

PATIENCE_S = 1.0


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def run(linked: ModuleType, tmp_path: Path, sink: MemorySink) -> Run:
    """Run `use(on, db)`: `on` is the director's, `db` a client of the host's with one connection and no retries."""

    def run(use: Use, *, follow: str | None = "redis") -> Any:
        async def direct(world: SimWorld) -> Any:
            server: Any = await world.start_dependency("server", "redis", {}, follow=follow)  # type: ignore[arg-type]
            on = linked.Linked(world, server)
            await on.start()

            async def make() -> redis.Redis:
                return redis.Redis.from_url(
                    server.url, socket_timeout=PATIENCE_S, retry=Retry(NoBackoff(), 0), max_connections=1
                )

            db = await on.on(make)
            try:
                return await use(on, db)
            finally:
                await on.on(db.aclose)

        done = run_sim(direct, tape=Tape(1), sink=sink, directory=tmp_path, dependency_kinds={"redis": start_sim})
        assert done.escapes == ()
        assert done.unhandled == 0
        return done.result

    return run


async def stats(on: Any, db: redis.Redis) -> int:
    """Return how many connections the server has ever accepted."""
    return int((await on.on(lambda: db.info("stats")))["total_connections_received"])


def test_a_dropped_reply_is_a_timeout_of_what_was_done(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """The client waits its second and gives up; the command was executed, once; other commands were answered."""

    async def use(on: Any, db: redis.Redis) -> tuple[float, bytes, bytes]:
        await on.on(lambda: db.set("k", "v"))
        await on.add("redis_match", action="drop_reply", commands=["incrby"])
        assert await on.on(lambda: db.get("k")) == b"v"
        begin = on.world.now_ns()
        with pytest.raises(redis.TimeoutError):
            await on.on(lambda: db.incr("n"))
        took = (on.world.now_ns() - begin) / 1e9
        during = await on.on(lambda: db.get("n"))
        await on.link.remove("t")
        assert await on.on(lambda: db.incr("n")) == 2
        return took, during, await on.on(lambda: db.get("n"))

    assert run(use) == (pytest.approx(PATIENCE_S, abs=0.01), b"1", b"2")
    [told] = linked.told(sink)
    assert (told["type"], told["matched"], told["dropped_replies"]) == ("redis_match", 1, 1)


def test_a_reset_in_the_midst_of_a_reply(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """The client meets a lost connection at once, not a timeout; the command was executed; the next one reconnects."""

    async def use(on: Any, db: redis.Redis) -> tuple[bool, bytes, int]:
        await on.on(lambda: db.set("k", "x" * 1000))
        before = await stats(on, db)
        await on.add("redis_match", action="reset_mid_reply", commands=["getset"], after_bytes=10)
        begin = on.world.now_ns()
        with pytest.raises(redis.ConnectionError):
            await on.on(lambda: db.getset("k", "new"))
        quick = on.world.now_ns() - begin < 10_000_000
        value = await on.on(lambda: db.get("k"))
        after = await stats(on, db)
        await on.link.remove("t")
        return quick, value, after - before

    assert run(use) == (True, b"new", 1)
    [told] = linked.told(sink)
    assert (told["matched"], told["reset"]) == (1, 1)


def test_an_answer_of_our_own(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """The client raises the error by its code, the server never hears of the command, and the connection stays."""

    async def use(on: Any, db: redis.Redis) -> tuple[bytes, int]:
        await on.on(lambda: db.set("k", "old"))
        before = await stats(on, db)
        await on.add("redis_match", "upstream", action="answer", commands=["set"], text="READONLY injected", times=2)
        for _ in range(2):
            with pytest.raises(redis.ReadOnlyError, match="injected"):
                await on.on(lambda: db.set("k", "new"))
        value = await on.on(lambda: db.get("k"))
        assert await on.on(lambda: db.set("k", "third")) is True
        after = await stats(on, db)
        await on.link.remove("t")
        return value, after - before

    assert run(use) == (b"old", 0)
    assert linked.told(sink)[0]["answered"] == 2


def test_a_pipelines_replies_keep_their_places(run: Run) -> None:
    """One command of a pipeline is answered by us: its error stands in its place among the server's replies."""

    async def use(on: Any, db: redis.Redis) -> list[str]:
        await on.add("redis_match", action="answer", commands=["get"], keys="b", text="READONLY injected")

        async def pipeline() -> list[Any]:
            async with db.pipeline(transaction=False) as pipe:
                for key in "abc":
                    pipe.set(key, key).get(key)
                return await pipe.execute(raise_on_error=False)

        replies = await on.on(pipeline)
        await on.link.remove("t")
        return [type(one).__name__ if isinstance(one, Exception) else repr(one) for one in replies]

    assert run(use) == ["True", "b'a'", "True", "ReadOnlyError", "True", "b'c'"]


def test_a_toxic_added_while_a_request_is_outstanding(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """The reply to a request that was there before arrives whole; the next request's, on that connection, is dropped.

    So replies are still told apart on a connection that was followed without any toxic.
    """

    async def use(on: Any, db: redis.Redis) -> tuple[Any, int]:
        await on.on(lambda: db.set("k", "v"))
        waiting = asyncio.ensure_future(on.on(lambda: db.blpop("list", timeout=0.5)))
        await asyncio.sleep(0.2)
        await on.add("redis_match", action="drop_reply")
        reply = await waiting
        with pytest.raises(redis.TimeoutError):
            await on.on(lambda: db.incr("n"))
        await on.link.remove("t")
        return reply, int(await on.on(lambda: db.get("n")))

    assert run(use) == (None, 1)
    [told] = linked.told(sink)
    assert (told["matched"], told["dropped_replies"]) == (1, 1)
    assert told.get("unfollowed", 0) == 0


def test_a_toxic_removed_while_it_waits_for_a_reply(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """A match that has not come to its reply yet lets it pass when the toxic is removed."""

    async def use(on: Any, db: redis.Redis) -> Any:
        await on.on(lambda: db.rpush("other", 1))
        await on.add("redis_match", action="drop_reply")
        waiting = asyncio.ensure_future(on.on(lambda: db.blpop("list", timeout=0.5)))
        await asyncio.sleep(0.2)
        await on.link.remove("t")
        return await waiting, await on.on(lambda: db.rpop("other"))

    assert run(use) == (None, b"1")
    assert linked.told(sink)[0].get("dropped_replies", 0) == 0


def test_unfollowed_connections_are_spared_and_counted(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """Without `follow` a matching toxic takes no connection that is older than itself, and says how many."""

    async def use(on: Any, db: redis.Redis) -> int:
        await on.on(lambda: db.set("k", "v"))
        await on.add("redis_match", action="drop_reply")
        number: int = await on.on(lambda: db.incr("n"))
        await on.link.remove("t")
        return number

    assert run(use, follow=None) == 1
    assert linked.told(sink)[0]["unfollowed"] == 1


@pytest.mark.parametrize("action", ["drop_reply", "reset_mid_reply", "answer"])
def test_after_it_redis_is_as_before(run: Run, action: str) -> None:
    """Whatever befell a client's commands, it carries on by itself once the toxic is gone, and no window has leaked."""

    async def use(on: Any, db: redis.Redis) -> bytes:
        await on.add("redis_match", action=action, commands=["set"], toxicity=0.5, per_message=True)
        failed = 0
        for number in range(20):
            try:
                await on.on(lambda number=number: db.set("k", number))
            except redis.RedisError:
                failed += 1
        assert 0 < failed < 20
        await on.link.remove("t")
        assert await on.on(lambda: db.set("k", "last"))
        last: bytes = await on.on(lambda: db.get("k"))
        await asyncio.sleep(1)
        ends = [sock for sock in on.world.network.node("client").sockets.values() if sock.remote is not None]
        assert ends
        assert all(sock.unread == sock.peer.unread == 0 for sock in ends)
        return last

    assert run(use) == b"last"
