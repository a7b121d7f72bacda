"""A Redis that answers errors. The rule: an error reply of any kind confirms nothing, and nothing is given up for it.

The bus never judges by an error's text whether an event is to blame. What is about the server (OOM, READONLY, NOAUTH,
LOADING) and what is about one command (WRONGTYPE, NOPERM) holds up what comes behind it all the same: publishes are
acked by the buffer, consumers try again, and when the cause is gone all goes on in order.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
import redis

from harness.dependencies.redis import loading

pytestmark = pytest.mark.real


@contextlib.asynccontextmanager
async def refusing(server, refusal: str) -> AsyncIterator[None]:
    """Have the server refuse, by the means of its operators, until left."""
    client = server.client
    if refusal == "OOM":
        client.config_set("maxmemory", 1)
        yield
        client.config_set("maxmemory", 0)
    elif refusal == "READONLY":
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            client.replicaof("127.0.0.1", nobody.getsockname()[1])
            yield
            client.replicaof("NO", "ONE")
    elif refusal == "NOAUTH":
        client.config_set("requirepass", "withheld")
        with redis.Redis(port=server.port, password="withheld") as admin:
            admin.client_kill_filter(_type="normal")
            yield
            admin.config_set("requirepass", "")
    else:
        server.kill()
        server.start(*server.arguments, *loading.prolong(server.directory, "aof"), loading=True)
        yield
        client.execute_command(*loading.HURRY)


@pytest.fixture
def server(server):
    """The server with an append-only file: to have it load is to restart it."""
    server.kill()
    server.arguments = ("--appendonly", "yes")
    server.start(*server.arguments)
    return server


@pytest.mark.parametrize("refusal", ["OOM", "READONLY", "NOAUTH", "LOADING"])
async def test_a_redis_that_refuses_is_down(server, make_bus, reader, eventually, refusal):
    """Publishes are acked by the buffer; all goes on in order, once and without loss when Redis serves again."""
    bus = make_bus(server.url)
    await bus.start()
    await bus.subscribe("g", ["t"], reader)
    ids = [await bus.publish_event("t", {"n": 0})]
    await reader.until(1)
    async with refusing(server, refusal):
        async with asyncio.timeout(5):
            ids += [await bus.publish_event("t", {"n": number}) for number in range(1, 40)]
        assert bus.stats().published_buffered == 39
        await bus.resync_from_fallback()
        assert (bus.stats().mode, bus.stats().buffered) == ("fallback", 39)
    await eventually(lambda: bus.stats().mode == "direct", within=5)
    ids.append(await bus.publish_event("t", {"n": 40}))
    await reader.until(41)
    assert ids == reader.ids
    assert (bus.stats().buffered, bus.stats().dropped, bus.stats().dead_lettered) == (0, 0, 0)


async def test_an_error_about_one_command_holds_up_what_comes_behind_it(server, make_bus, reader, eventually):
    """A key of the wrong type costs no event, neither of its stream nor of others; repaired, all arrive in order."""
    bus = make_bus(server.url)
    await bus.start()
    server.client.set("events:broken", "not a stream")
    await bus.subscribe("g", ["broken", "sound"], reader)
    ids = [await bus.publish_event(kind, {}) for kind in ("broken", "sound", "broken", "sound")]
    assert await bus.resync_from_fallback() == 0
    assert (bus.stats().mode, bus.stats().buffered, bus.stats().dropped) == ("fallback", 4, 0)
    await eventually(lambda: bus.stats().reconnects >= 2)  # the consumer keeps trying
    server.client.delete("events:broken")
    await reader.until(4)
    await eventually(lambda: bus.stats().mode == "direct", within=5)
    of_kind = {
        kind: [event.event_id for event in reader.events if event.event_type == kind] for kind in ("broken", "sound")
    }
    assert of_kind == {"broken": ids[::2], "sound": ids[1::2]}


async def test_a_refused_batch_shrinks_to_one_event(server, make_bus):
    """A Redis that refuses is asked again with little, not with hundreds of events each time."""
    bus = make_bus(server.url)
    await bus.start()
    async with refusing(server, "OOM"):
        await asyncio.gather(*[bus.publish_event("t", {"n": number}) for number in range(300)])
        for _ in range(10):
            await bus.resync_from_fallback()
        server.client.config_resetstat()
        await bus.resync_from_fallback()
        given = server.client.info("errorstats")
    assert given["errorstat_OOM"]["count"] >= 1
    assert "errorstat_EXECABORT" not in given


async def test_a_refused_acknowledgement_is_tried_again(server, make_bus, reader, eventually):
    """It is not taken for done: the consumer connects anew, and the entry stays pending until it is acknowledged."""
    bus = make_bus(server.url)
    await bus.start()
    server.client.execute_command("ACL", "SETUSER", "default", "-xack")
    await bus.subscribe("g", ["t"], reader)
    await bus.publish_event("t", {})
    await reader.until(1)
    await eventually(lambda: bus.stats().reconnects >= 3)
    assert server.client.xpending("events:t", "g")["pending"] == 1
    server.client.execute_command("ACL", "SETUSER", "default", "+xack")
    await eventually(lambda: server.client.xpending("events:t", "g")["pending"] == 0)
    await bus.publish_event("t", {})
    await reader.until(2)
    assert len(set(reader.ids)) == len(reader.ids) == 2
