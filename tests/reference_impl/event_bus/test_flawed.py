"""Each flawed variant works while nothing fails, and shows its one defect when something does."""

import asyncio
import os
import sqlite3

import pytest

from harness.world.sim import full_disks
from reference_impl._event_bus.model import Event
from reference_impl.flawed import event_bus as flawed

pytestmark = pytest.mark.real


@pytest.mark.parametrize("variant", flawed.VARIANTS)
async def test_a_flawed_variant_works_while_nothing_fails(server, make_bus, reader, variant):
    """A defect that shows without a fault would prove nothing about the faults."""
    bus = make_bus(server.url, factory=flawed.VARIANTS[variant])
    await bus.start()
    await bus.subscribe("g", ["t"], reader)
    ids = [await bus.publish_event("t", {"n": number}) for number in range(10)]
    await reader.until(10)
    assert ids == reader.ids
    assert (bus.stats().mode, bus.stats().buffered, bus.stats().dropped) == ("direct", 0, 0)


def test_every_variant_is_a_name_of_its_module():
    """Scenarios name variants as `module:attribute`."""
    assert {name: getattr(flawed, name) for name in flawed.VARIANTS} == flawed.VARIANTS
    assert len(flawed.VARIANTS) == 15


@pytest.mark.parametrize("variant", ["planned", "no_socket_timeout"])
async def test_a_frozen_redis_holds_the_publisher(server, make_bus, variant):
    """Without deadlines a publish waits for as long as Redis does not answer."""
    bus = make_bus(server.url, factory=flawed.VARIANTS[variant])
    await bus.start()
    await bus.publish_event("t", {})
    server.freeze()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bus.publish_event("t", {}), 0.5)
    server.thaw()


async def test_planned_deletes_what_it_could_not_replay(server, make_bus):
    """A resync that fails at the first row empties the buffer all the same."""
    bus = make_bus(server.url, factory=flawed.planned)
    await bus.start()
    server.kill()
    await bus.publish_event("t", {})
    assert bus.stats().buffered == 1
    assert await bus.resync_from_fallback() == 0
    assert bus.stats().buffered == 0


def test_deletes_all_after_partial_resync(tmp_path):
    """The first confirmed batch takes the unsent rows with it."""
    buffer = flawed._DeletesAll(tmp_path / "b.sqlite3", 100, "drop_oldest")
    buffer.open("bus")
    buffer.append([Event(f"p:1:{number}", "t", "{}", 0.0) for number in range(3)], None)
    assert buffer.confirm(buffer.head(1)[-1].id) == 0
    buffer.close()


def test_replays_by_wall_clock(tmp_path):
    """What was stamped after the clock went back is replayed before what was buffered earlier; no row is lost."""
    buffer = flawed._ByTimestamp(tmp_path / "b.sqlite3", 100, "drop_oldest")
    buffer.open("bus")
    buffer.append([Event(f"p:1:{number}", "t", "{}", stamp) for number, stamp in enumerate([9.0, 10.0, 4.0])], None)
    rows = buffer.head(3)
    assert [row.event.event_id for row in rows] == ["p:1:2", "p:1:0", "p:1:1"]
    assert [row.id for row in rows] == [1, 2, 3]
    buffer.close()


async def test_acks_what_the_disk_refused(server, make_bus, tmp_path, eventually):
    """With Redis down and the disk full a publish returns all the same, and the event is nowhere."""
    bus = make_bus(server.url, factory=flawed.acks_what_the_disk_refused)
    await bus.start()
    server.kill()
    kept = await bus.publish_event("t", {})
    disk = os.path.realpath(tmp_path)  # noqa: ASYNC240 - the test waits for nothing else
    full_disks.fill(disk)
    try:
        lost = await bus.publish_event("t", {})
    finally:
        full_disks.free(disk)
    server.start()
    await eventually(lambda: bus.stats().mode == "direct")
    assert server.ids("t") == [kept]
    assert lost != kept


async def test_live_overtakes_buffered(server, make_bus, eventually):
    """While the buffer is replayed, a live event is in the stream before older buffered ones."""
    bus = make_bus(server.url, factory=flawed.live_overtakes_buffered)
    await bus.start()
    server.kill()
    await asyncio.gather(*[bus.publish_event("t", {}) for _ in range(300)])
    server.start()
    await eventually(lambda: bus.stats().mode == "resync")
    live = await bus.publish_event("t", {})
    await eventually(lambda: bus.stats().mode == "direct")
    assert server.ids("t").index(live) < 300


async def test_silent_overflow(server, make_bus):
    """Events are given up, and neither counter nor callback tells."""
    server.kill()
    bus = make_bus(server.url, factory=flawed.silent_overflow, capacity=1)
    announced = []
    bus.on_overflow(announced.extend)
    await bus.start()
    for _ in range(3):
        await bus.publish_event("t", {})
    assert (bus.stats().buffered, bus.stats().dropped, announced) == (1, 0, [])


async def test_ack_before_commit(server, make_bus, tmp_path):
    """At the moment of the ack the file does not have the event."""
    server.kill()
    bus = make_bus(server.url, factory=flawed.ack_before_commit)
    await bus.start()
    await bus.publish_event("t", {})
    with sqlite3.connect(tmp_path / "bus.event_bus.sqlite3") as db:
        assert db.execute("SELECT COUNT(*) FROM event_buffer").fetchone() == (0,)
    db.close()


async def test_no_dedupe_on_lost_reply(server, make_bus, reader):
    """An entry that is in the stream twice is handled twice."""
    bus = make_bus(server.url, factory=flawed.no_dedupe_on_lost_reply)
    await bus.start()
    event_id = await bus.publish_event("t", {})
    server.client.xadd("events:t", server.entries("t")[0])
    await bus.subscribe("g", ["t"], reader)
    await reader.until(2)
    assert [event_id, event_id] == reader.ids


async def test_in_memory_buffer(server, make_bus):
    """An acked event is gone with the process."""
    server.kill()
    bus = make_bus(server.url, factory=flawed.in_memory_buffer)
    await bus.start()
    await bus.publish_event("t", {})
    assert bus.stats().buffered == 1
    await bus.close()
    again = make_bus(server.url, factory=flawed.in_memory_buffer)
    await again.start()
    assert again.stats().buffered == 0


async def test_forgets_to_leave_fallback(server, make_bus, eventually):
    """The buffer is drained, but publishing stays in fallback."""
    bus = make_bus(server.url, factory=flawed.forgets_to_leave_fallback)
    await bus.start()
    server.kill()
    await bus.publish_event("t", {})
    server.start()
    await eventually(lambda: bus.stats().buffered == 0)
    await bus.publish_event("t", {})
    assert bus.stats().mode == "fallback"
    assert bus.stats().published_buffered == 2


async def test_treats_error_reply_as_sent(server, make_bus):
    """An event that Redis refused is acked, and is neither in the stream nor in the buffer."""
    bus = make_bus(server.url, factory=flawed.treats_error_reply_as_sent)
    await bus.start()
    server.client.config_set("maxmemory", 1)
    await asyncio.gather(*[bus.publish_event("t", {}) for _ in range(3)])
    assert (bus.stats().mode, bus.stats().buffered, server.ids("t")) == ("direct", 0, [])


async def test_drops_what_redis_refuses(server, make_bus, eventually):
    """Buffered events that Redis refuses leave the buffer all the same."""
    bus = make_bus(server.url, factory=flawed.drops_what_redis_refuses)
    await bus.start()
    server.client.config_set("maxmemory", 1)
    for _ in range(3):
        await bus.publish_event("t", {})
    await eventually(lambda: bus.stats().buffered == 0)
    assert server.ids("t") == []
