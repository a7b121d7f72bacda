"""redis-py's asyncio client against the simulated Redis."""

import asyncio
import inspect
from asyncio import selector_events

import pytest
import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff

from harness.dependencies.redis.engine import Engine
from harness.dependencies.redis.protocol import listen
from harness.dependencies.redis.state import RedisState

_writelines = selector_events._SelectorSocketTransport.writelines
WRITELINES_BREAKS = "_write_ready" in (source := inspect.getsource(_writelines)) and "_conn_lost" not in source
"""asyncio since 3.12, until python/cpython#136234: to a lost connection it is an AttributeError, in the real world too
(tests/contract/test_streams.py), which redis-py neither translates nor retries."""


def redis_server(lab):
    """A program that serves a fresh Redis."""

    async def program():
        engine = Engine(RedisState(now_ns=lab.world.machines.wall_ns, identity="server", password=""))
        server = await listen("0.0.0.0", 6379, engine)
        await server.server.serve_forever()

    return program


def client(**options):
    """A client that gives up after the first error, unless told otherwise."""
    return redis.Redis(host="server", **{"retry": Retry(NoBackoff(), 0), **options})


def test_commands_pipelines_streams_and_pubsub(simulate):
    """The usual commands work; a blocking read returns when the entry comes, or exactly at its limit."""

    async def director(lab):
        lab.serve(redis_server(lab))

        async def use():
            async with client(decode_responses=True) as db:
                assert await db.set("a", 1)
                assert await db.get("a") == "1"
                async with db.pipeline(transaction=True) as pipe:
                    assert await pipe.incr("a").incr("a").execute() == [2, 3]
                await db.xgroup_create("s", "g", mkstream=True)
                began = lab.now()
                lab.note("nothing", await db.xreadgroup("g", "me", {"s": ">"}, block=1500), began)
                reading = asyncio.ensure_future(db.xreadgroup("g", "me", {"s": ">"}, block=9000, count=5))
                await asyncio.sleep(0.5)
                entry = await db.xadd("s", {"k": "v"})
                ((_, entries),) = (await reading).items() if isinstance(await reading, dict) else await reading
                lab.note("read", entries in ([(entry, {"k": "v"})], [[(entry, {"k": "v"})]]))
                assert await db.xack("s", "g", entry) == 1
                async with db.pubsub() as channel:
                    await channel.subscribe("news")
                    assert (await channel.get_message(timeout=1))["type"] == "subscribe"
                    assert await db.publish("news", "hello") == 1
                    lab.note((await channel.get_message(timeout=1))["data"])

        await lab.client(use)

    lab = simulate(director)
    (first, nothing, answer, began), (_, read, right), (_, hello) = lab.events
    assert (nothing, read, right, hello) == ("nothing", "read", True, "hello")
    assert not answer
    assert 1.5 <= first - began <= 1.51


def test_a_partition_ends_in_timeouts_of_the_length_asked_for(simulate):
    """`socket_timeout` is exact, on an open connection and on a new one; after the partition the client works again."""

    async def director(lab):
        lab.serve(redis_server(lab))

        async def use():
            async with client(socket_timeout=2.0, socket_connect_timeout=3.0) as db:
                await db.set("a", 1)
                lab.cut()
                for _ in range(2):
                    began = lab.now()
                    with pytest.raises(redis.TimeoutError):
                        await db.get("a")
                    lab.note(round(lab.now() - began, 6))
                lab.heal()
                lab.note(await db.get("a"))

        await lab.client(use)

    lab = simulate(director)
    assert [event[1] for event in lab.events] == [2.0, 3.0, b"1"]


def test_a_reset_and_a_refusal_are_connection_errors(simulate):
    """A reset fails what was waiting; a kill fails the open connection at once and a new one after a round trip."""

    async def director(lab):
        lab.serve(redis_server(lab))

        async def use():
            async with client() as db:
                with pytest.raises(redis.ConnectionError):
                    await db.blpop(["nothing"], timeout=60)
                lab.note("reset")
                assert await db.ping()
                lab.kill()
                await asyncio.sleep(1)
                dead = (redis.ConnectionError, "Error 104 while writing")
                if WRITELINES_BREAKS:
                    dead = (AttributeError, "_add_writer")
                for kind, text in (dead, (redis.ConnectionError, "Connect call failed")):
                    began = lab.now()
                    with pytest.raises(kind, match=text):
                        await db.ping()
                    lab.note(round(lab.now() - began, 6))

        running = asyncio.ensure_future(lab.client(use))
        await lab.until(5)
        assert lab.reset() == 1
        await running

    lab = simulate(director)
    # redis-py notices the dead connection of its pool only when it writes to it.
    assert lab.events[0] == (5.0, "reset")
    assert [event[1] for event in lab.events[1:]] == [0.0, 0.002]


def test_retries_bridge_a_restart(simulate):
    """With backoff the client outlives two seconds of outage, without the test knowing how often it tried."""

    async def director(lab):
        lab.serve(redis_server(lab))

        async def use():
            async with client(retry=Retry(ExponentialBackoff(cap=1, base=0.1), 10)) as db:
                await db.ping()
                lab.note("before")
                await asyncio.sleep(1)
                if WRITELINES_BREAKS:
                    with pytest.raises(AttributeError, match="_add_writer"):
                        await db.ping()
                assert await db.ping()
                lab.note("after")

        running = asyncio.ensure_future(lab.client(use))
        await lab.until(0.5)
        lab.kill()
        await lab.until(2.5)
        lab.serve(redis_server(lab))
        await running

    lab = simulate(director)
    assert [event[1] for event in lab.events] == ["before", "after"]
    assert 2.5 < lab.events[1][0] < 4.5
