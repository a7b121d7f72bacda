"""Consumer groups against a real server: once, in order, never for ever stuck."""

import asyncio

import pytest

from reference_impl.event_bus import BusClosedError

pytestmark = pytest.mark.real


async def test_every_group_gets_every_event_of_its_types(server, make_bus, reader):
    """Two types in one subscription, another group beside it; order per type, payloads equal."""
    bus = make_bus(server.url)
    await bus.start()
    other = type(reader)()
    await bus.subscribe("one", ["a", "b"], reader)
    await bus.subscribe("two", ["a"], other)
    published = [(kind, number) for number in range(20) for kind in "ab"]
    for kind, number in published:
        await bus.publish_event(kind, {"n": number})
    await reader.until(40)
    await other.until(20)
    for kind in "ab":
        assert list(range(20)) == [event.payload["n"] for event in reader.events if event.event_type == kind]
    assert list(range(20)) == [event.payload["n"] for event in other.events]


async def test_a_repetition_in_the_stream_reaches_no_handler(server, make_bus, reader):
    """A lost reply leaves an event in the stream twice; the handler sees it once, after its own restart too."""
    bus, consumer = make_bus(server.url), make_bus(server.url, "consumer")
    await bus.start()
    await consumer.start()
    await consumer.subscribe("g", ["t"], reader)
    ids = [await bus.publish_event("t", {"n": number}) for number in range(3)]
    await reader.until(3)
    await consumer.close()
    for fields in server.entries("t"):
        server.client.xadd("events:t", fields)
    consumer = make_bus(server.url, "consumer")
    await consumer.start()
    await consumer.subscribe("g", ["t"], reader)
    ids.append(await bus.publish_event("t", {"n": 3}))
    await reader.until(4)
    assert ids == reader.ids
    assert consumer.stats().duplicates_dropped == 3


async def test_what_was_read_but_not_acknowledged_comes_first_after_a_crash(server, make_bus, reader, eventually):
    """Entries pending under the member's own name are delivered before new ones."""
    bus = make_bus(server.url)
    await bus.start()
    ids = [await bus.publish_event("t", {"n": number}) for number in range(250)]
    server.client.xgroup_create("events:t", "g", "0")
    server.client.xreadgroup("g", "bus", {"events:t": ">"}, count=220)
    await bus.subscribe("g", ["t"], reader)
    await reader.until(250)
    assert ids == reader.ids
    await eventually(lambda: server.client.xpending("events:t", "g")["pending"] == 0)


async def test_stale_entries_of_another_member_are_taken_over(server, make_bus, reader, eventually):
    """What a dead member left pending is delivered here, although newer events were handled before."""
    bus = make_bus(server.url, claim_idle=0.1)
    await bus.start()
    ids = [await bus.publish_event("t", {"n": number}) for number in range(4)]
    server.client.xgroup_create("events:t", "g", "0")
    server.client.xreadgroup("g", "dead", {"events:t": ">"}, count=2)
    await bus.subscribe("g", ["t"], reader)
    await reader.until(4)
    assert sorted(ids) == sorted(reader.ids)
    await eventually(lambda: server.client.xpending("events:t", "g")["pending"] == 0)


async def test_what_a_ghost_takes_comes_in_its_turn(server, make_bus, reader, eventually):
    """A read of an earlier life still blocks at the server and takes the next event: it is neither lost nor late."""
    bus = make_bus(server.url)
    await bus.start()
    await bus.publish_event("t", {"n": 0})
    server.client.xgroup_create("events:t", "g", "$")
    ghost = asyncio.create_task(
        asyncio.to_thread(server.client.xreadgroup, "g", "bus", {"events:t": ">"}, block=1_000, count=1)
    )
    await eventually(lambda: server.client.info("clients")["blocked_clients"] == 1)
    await bus.subscribe("g", ["t"], reader)
    await eventually(lambda: server.client.info("clients")["blocked_clients"] == 2)
    ids = [await bus.publish_event("t", {"n": number}) for number in (1, 2)]
    assert [len(entries) for _, entries in await ghost] == [1]
    await reader.until(2)
    assert ids == reader.ids
    await eventually(lambda: server.client.xpending("events:t", "g")["pending"] == 0)


async def test_a_group_that_redis_forgot_is_made_again(server, make_bus, reader, eventually):
    """FLUSHALL under a reading consumer: later events arrive, earlier ones are not repeated."""
    bus = make_bus(server.url)
    await bus.start()
    await bus.subscribe("g", ["t"], reader)
    first = await bus.publish_event("t", {"n": 1})
    await reader.until(1)
    server.client.flushall()
    second = await bus.publish_event("t", {"n": 2})
    await reader.until(2)
    assert [first, second] == reader.ids


async def test_a_frozen_redis_is_left_and_found_again(server, make_bus, reader, eventually):
    """The blocking read has a deadline, and reading goes on after the thaw."""
    bus = make_bus(server.url, block=0.05)
    await bus.start()
    await bus.subscribe("g", ["t"], reader)
    ids = [await bus.publish_event("t", {})]
    await reader.until(1)
    server.freeze()
    await eventually(lambda: bus.stats().reconnects > 0, within=3)
    server.thaw()
    ids.append(await bus.publish_event("t", {}))
    await reader.until(2)
    assert ids == reader.ids


async def test_a_handler_that_fails_for_a_while_gets_the_event_again_in_order(server, make_bus, reader):
    """A raising handler is tried again, and nothing overtakes the event meanwhile."""
    bus = make_bus(server.url, handler_backoff=0.001)
    await bus.start()
    failures = iter([True, True, False])

    async def moody(event):
        if event.payload["n"] == 0 and next(failures):
            raise RuntimeError("not now")
        await reader(event)

    await bus.subscribe("g", ["t"], moody)
    ids = [await bus.publish_event("t", {"n": number}) for number in range(3)]
    await reader.until(3)
    assert ids == reader.ids
    assert (bus.stats().handler_failures, bus.stats().dead_lettered) == (2, 0)


async def test_a_poisonous_event_goes_to_the_dead_letters(server, make_bus, reader, eventually):
    """Raising or hanging for ever: after the last attempt the event is set aside with its reason, the rest goes on."""
    bus = make_bus(server.url, handler_backoff=0.001, handler_attempts=2, handler_timeout=0.02)
    await bus.start()

    async def handler(event):
        if event.payload["n"] == 0:
            raise RuntimeError("never")
        if event.payload["n"] == 1:
            await asyncio.Event().wait()
        await reader(event)

    await bus.subscribe("g", ["t"], handler)
    ids = [await bus.publish_event("t", {"n": number}) for number in range(3)]
    server.client.xadd("events:t", {"foreign": "entry"})
    await reader.until(1)
    await eventually(lambda: bus.stats().dead_lettered == 3)
    dead = [fields for _, fields in server.client.xrange("dead_letter:g")]
    assert [*[event_id.encode() for event_id in ids[:2]], None] == [fields.get(b"event_id") for fields in dead]
    assert [fields[b"error"] for fields in dead[:2]] == [b"RuntimeError: never", b"TimeoutError: "]
    await eventually(lambda: server.client.xpending("events:t", "g")["pending"] == 0)


async def test_an_entry_trimmed_while_pending_is_passed_over(server, make_bus, reader, eventually):
    """A pending entry whose content is gone is acknowledged and stops nothing."""
    bus = make_bus(server.url)
    await bus.start()
    ids = [await bus.publish_event("t", {"n": number}) for number in range(2)]
    server.client.xgroup_create("events:t", "g", "0")
    ((_, ((entry, _),)),) = server.client.xreadgroup("g", "bus", {"events:t": ">"}, count=1)
    server.client.xdel("events:t", entry)
    await bus.subscribe("g", ["t"], reader)
    await reader.until(1)
    assert ids[1:] == reader.ids


async def test_subscribing_needs_an_open_bus_but_no_redis(server, make_bus, reader):
    """Redis may be down when subscribing; a bus that is not open is an error."""
    bus = make_bus(server.url)
    with pytest.raises(BusClosedError):
        await bus.subscribe("g", ["t"], reader)
    server.kill()
    await bus.start()
    await bus.subscribe("g", ["t"], reader)
    event_id = await bus.publish_event("t", {})
    server.start()
    await reader.until(1)
    assert [event_id] == reader.ids


async def test_streams_are_trimmed(server, make_bus):
    """A stream does not grow much beyond its limit."""
    bus = make_bus(server.url, stream_maxlen=100)
    await bus.start()
    await asyncio.gather(*[bus.publish_event("t", {}) for _ in range(1_000)])
    assert server.client.xlen("events:t") <= 200


async def test_closing_waits_for_the_event_in_hand(server, make_bus, reader):
    """A handler at work at `close` may finish, and its event is not delivered again."""
    bus = make_bus(server.url)
    await bus.start()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(event):
        begun.set()
        await go_on.wait()
        await reader(event)

    await bus.subscribe("g", ["t"], slow)
    await bus.publish_event("t", {"n": 0})
    await begun.wait()
    closing = asyncio.ensure_future(bus.close())
    await asyncio.sleep(0)
    go_on.set()
    await closing
    again = make_bus(server.url)
    await again.start()
    await again.subscribe("g", ["t"], reader)
    await again.publish_event("t", {"n": 1})
    await reader.until(2)
    assert [event.payload["n"] for event in reader.events] == [0, 1]
