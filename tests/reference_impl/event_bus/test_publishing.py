"""Publishing through every kind of outage, against a real server."""

import asyncio
import logging
import subprocess
import sys

import pytest

from reference_impl.event_bus import (
    BufferFullError,
    BufferUnavailableError,
    BusClosedError,
    PayloadError,
    PublishTimeoutError,
)

pytestmark = pytest.mark.real

BOUND = 0.25  # seconds: EB5


async def timed(bus, number, event_type="t"):
    loop = asyncio.get_running_loop()
    began = loop.time()
    event_id = await bus.publish_event(event_type, {"n": number})
    assert loop.time() - began < BOUND
    return event_id


async def test_a_healthy_publish_is_in_the_stream_when_it_returns(server, make_bus):
    """Directly: the ack means that Redis has it, in order, and the buffer was not touched."""
    bus = make_bus(server.url)
    await bus.start()
    ids = [await bus.publish_event("t", {"n": number}) for number in range(5)]
    ids += await asyncio.gather(*[bus.publish_event("t", {"n": number}) for number in range(50)])
    assert ids == server.ids("t")
    assert (
        bus.stats().mode,
        bus.stats().buffered,
        bus.stats().published_direct,
        bus.stats().published_buffered,
    ) == ("direct", 0, 55, 0)


async def test_a_frozen_redis_costs_bounded_time_and_nothing_else(server, make_bus, reader, eventually):
    """SIGSTOP: every publish returns in time, the order survives the thaw, and readers see each event once."""
    bus, consumer = make_bus(server.url), make_bus(server.url, "consumer")
    await bus.start()
    await consumer.start()
    await consumer.subscribe("g", ["t"], reader)
    ids = [await timed(bus, 0)]
    server.freeze()
    ids += await asyncio.gather(*[timed(bus, number) for number in range(200)])
    ids += [await timed(bus, number) for number in range(50)]
    assert bus.stats().mode == "fallback"
    assert bus.stats().buffered == 250
    server.thaw()
    await eventually(lambda: bus.stats().mode == "direct", within=5)
    ids.append(await timed(bus, 1))
    await reader.until(len(ids))
    assert ids == reader.ids
    assert bus.stats().buffered == 0


async def test_live_events_never_overtake_buffered_ones(server, make_bus, reader, eventually):
    """Publishers that go on during the replay stay behind it, and the replay ends although they go on."""
    bus = make_bus(server.url, batch=50)
    await bus.start()
    await bus.subscribe("g", ["t"], reader)
    server.kill()
    ids = list(await asyncio.gather(*[bus.publish_event("t", {"n": number}) for number in range(1_000)]))
    direct = False

    async def publisher():
        while not direct:
            ids.append(await bus.publish_event("t", {}))

    publishers = [asyncio.ensure_future(publisher()) for _ in range(8)]
    server.start()
    await eventually(lambda: bus.stats().mode == "direct", within=5)
    direct = True
    await asyncio.gather(*publishers)
    await reader.until(len(ids))
    assert sorted(ids, key=lambda event_id: int(event_id.rsplit(":", 1)[1])) == reader.ids


async def test_a_redis_that_restarts_empty_gets_the_retained_tail_again(server, make_bus, eventually):
    """What was confirmed just before a crash without persistence is in the new stream, in order."""
    bus = make_bus(server.url)
    await bus.start()
    before = [await bus.publish_event("t", {"n": number}) for number in range(300)]
    server.kill()
    during = [await bus.publish_event("t", {"n": number}) for number in range(20)]
    server.start()
    await eventually(lambda: bus.stats().mode == "direct", within=5)
    after = [await bus.publish_event("t", {})]
    assert before + during + after == server.ids("t")
    assert bus.stats().republished == 300


async def test_a_lost_fsync_window_is_filled(server, make_bus, reader, eventually):
    """A restart that keeps only the first part of the stream: readers that had seen all of it see nothing twice."""
    server.kill()
    server.start("--appendonly", "yes", "--appendfsync", "always")
    bus = make_bus(server.url)
    await bus.start()
    await bus.subscribe("g", ["t"], reader)
    first = [await bus.publish_event("t", {"n": number}) for number in range(10)]
    await reader.until(10)
    server.client.config_set("appendonly", "no")  # from here on the file does not grow: what follows will be lost
    lost = [await bus.publish_event("t", {"n": number}) for number in range(10)]
    await reader.until(20)
    server.kill()
    server.start("--appendonly", "yes")
    await eventually(lambda: bus.stats().mode == "direct" and bus.stats().republished > 0, within=5)
    last = await bus.publish_event("t", {})
    await reader.until(21)
    assert [*first, *lost, last] == reader.ids
    assert set(lost) <= set(server.ids("t"))


async def test_a_spilled_tail_survives_the_publisher(server, make_bus, eventually, tmp_path):
    """Redis dies with its memory, then the publisher dies too: the successor still knows what Redis must get again."""
    server.kill()
    server.start()
    script = """
import asyncio, os, pathlib, signal, sys
from reference_impl.event_bus import make
async def main():
    bus = make(redis_url=sys.argv[1], directory=pathlib.Path(sys.argv[2]), name="bus")
    await bus.start()
    for number in range(30):
        print(await bus.publish_event("t", {"n": number}))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for number in range(30):
        print(await bus.publish_event("t", {"n": number}))
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, server.url, str(tmp_path)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    acked = [(await child.stdout.readline()).decode().strip() for _ in range(31)]
    assert acked.pop() == "ready"
    server.kill()
    rest, _ = await child.communicate(b"\n")
    acked += rest.decode().split()
    assert len(acked) == 60
    server.start()
    bus = make_bus(server.url)
    await bus.start()
    await eventually(lambda: bus.stats().mode == "direct", within=5)
    acked.append(await bus.publish_event("t", {}))
    assert acked == server.ids("t")


async def test_redis_may_be_down_at_the_start(server, make_bus, eventually):
    """Starting and publishing work without Redis; what was acked arrives when Redis does."""
    server.kill()
    bus = make_bus(server.url)
    await bus.start()
    ids = [await timed(bus, number) for number in range(3)]
    server.start()
    await eventually(lambda: bus.stats().mode == "direct", within=5)
    assert ids == server.ids("t")


@pytest.mark.parametrize(
    ("break_it", "heal_it"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
        (("CONFIG", "SET", "requirepass", "x"), None),
    ],
    ids=["oom", "readonly", "noauth"],
)
async def test_a_redis_that_refuses_is_an_outage(server, make_bus, eventually, break_it, heal_it):
    """OOM, READONLY and NOAUTH replies lead to the buffer, for single events and groups, and back."""
    bus = make_bus(server.url)
    await bus.start()
    ids = [await timed(bus, 0)]
    server.client.execute_command(*break_it)
    if heal_it is None:
        server.client.execute_command("CLIENT", "KILL", "SKIPME", "yes")
    ids += await asyncio.gather(*[timed(bus, number) for number in range(20)])
    ids.append(await timed(bus, 1))
    assert bus.stats().mode != "direct"
    assert bus.stats().published_buffered == 21
    server.client.execute_command(*(heal_it or ("CONFIG", "SET", "requirepass", "")))
    await eventually(lambda: bus.stats().mode == "direct", within=5)
    assert list(dict.fromkeys(server.ids("t"))) == ids


async def test_nobody_listens_for_a_while(server, make_bus, eventually):
    """Port closed and connections cut: refused connections are an outage like any other."""
    bus = make_bus(server.url)
    await bus.start()
    control = server.client.client()
    control.execute_command("CONFIG", "SET", "port", "0")
    control.execute_command("CLIENT", "KILL", "SKIPME", "yes")
    ids = [await timed(bus, number) for number in range(20)]
    assert bus.stats().buffered == 20
    assert await bus.resync_from_fallback() == 0
    control.execute_command("CONFIG", "SET", "port", str(server.port))
    control.close()
    await eventually(lambda: bus.stats().mode == "direct", within=5)
    assert ids == server.ids("t")


async def test_an_idle_bus_notices_a_hang_by_itself(server, make_bus, eventually):
    """The heartbeat finds out, so that the first publish of the outage pays no timeout."""
    bus = make_bus(server.url, heartbeat=0.05)
    await bus.start()
    server.freeze()
    await eventually(lambda: bus.stats().mode == "fallback", within=2)
    server.thaw()
    await eventually(lambda: bus.stats().mode == "direct", within=5)


async def test_ten_thousand_events_are_back_within_a_second(server, make_bus, eventually):
    """The plan's full buffer is replayed in order in at most a second."""
    server.kill()
    bus = make_bus(server.url, max_waiting=20_000)
    await bus.start()
    ids = await asyncio.gather(*[bus.publish_event("t", {"n": number}) for number in range(10_000)])
    server.start()
    loop = asyncio.get_running_loop()
    left = 0
    while not left:
        began = loop.time()
        left = await bus.resync_from_fallback()
    assert left == 10_000
    assert loop.time() - began <= 1.0 + bus._options.backoff_cap
    assert ids == server.ids("t")


async def test_overflow_gives_up_the_oldest_counted_and_announced(server, make_bus, eventually):
    """Dropped = announced, survives a restart of the bus, and what is left arrives in order."""
    server.kill()
    bus = make_bus(server.url, capacity=10)
    announced = []
    bus.on_overflow(announced.extend)
    await bus.start()
    ids = [await bus.publish_event("t", {"n": number}) for number in range(7)]
    ids += await asyncio.gather(*[bus.publish_event("t", {"n": number}) for number in range(8)])
    assert ids[:5] == announced
    assert (bus.stats().buffered, bus.stats().dropped) == (10, 5)
    await bus.close()
    server.start()
    again = make_bus(server.url, capacity=10)
    await again.start()
    assert again.stats().dropped == 5
    await eventually(lambda: again.stats().mode == "direct", within=5)
    assert ids[5:] == server.ids("t")


async def test_a_failing_overflow_callback_harms_nobody(server, make_bus, caplog):
    """An exception in a callback is logged; the event is acked and other callbacks hear of it."""
    server.kill()
    bus = make_bus(server.url, capacity=1)
    announced = []
    bus.on_overflow(lambda _: 1 / 0)
    bus.on_overflow(announced.extend)
    await bus.start()
    first = await bus.publish_event("t", {})
    await bus.publish_event("t", {})
    assert [first] == announced
    assert "ZeroDivisionError" in caplog.text


async def test_reject_refuses_what_does_not_fit(server, make_bus):
    """With overflow="reject" nothing acked is given up; the caller is told."""
    server.kill()
    bus = make_bus(server.url, capacity=2, overflow="reject")
    await bus.start()
    outcomes = await asyncio.gather(*[bus.publish_event("t", {}) for _ in range(4)], return_exceptions=True)
    assert [str, str, BufferFullError, BufferFullError] == [type(outcome) for outcome in outcomes]
    assert (bus.stats().buffered, bus.stats().dropped) == (2, 0)


async def test_a_full_disk_is_told_to_the_caller_and_ends(server, make_bus, eventually):
    """No ack without a commit; once there is space again, publishing goes on in order."""
    server.kill()
    bus = make_bus(server.url)
    await bus.start()
    ids = [await bus.publish_event("t", {})]
    db = bus._lane.worker.buffer._open
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(BufferUnavailableError, match="full"):
        await bus.publish_event("t", {"x": "y" * 100_000})
    db.execute(f"PRAGMA max_page_count={pages + 1_000}")
    ids.append(await bus.publish_event("t", {}))
    server.start()
    await eventually(lambda: bus.stats().mode == "direct", within=5)
    assert ids == server.ids("t")


async def test_waiting_publishers_are_bounded(server, make_bus):
    """Beyond `max_waiting` callers wait, and after their deadline get a typed error; nothing of theirs is published."""
    bus = make_bus(server.url, max_waiting=2, admission_timeout=0.02, publish_timeout=0.2, lane_timeout=0.2)
    await bus.start()
    server.freeze()
    outcomes = await asyncio.gather(*[bus.publish_event("t", {}) for _ in range(6)], return_exceptions=True)
    server.thaw()
    assert [str, str, str, *[PublishTimeoutError] * 3] == [type(outcome) for outcome in outcomes]
    assert bus.stats().published_buffered == 3


async def test_a_cancelled_publish_disturbs_no_other(server, make_bus):
    """A caller that gives up does not break the link for the rest."""
    bus = make_bus(server.url)
    await bus.start()
    impatient = asyncio.ensure_future(bus.publish_event("t", {"n": 1}))
    await asyncio.sleep(0)
    impatient.cancel()
    second = await bus.publish_event("t", {"n": 2})
    assert second == server.ids("t")[-1]
    assert (bus.stats().mode, bus.stats().fallbacks) == ("direct", 0)


async def test_closing_answers_everybody(server, make_bus):
    """Publishes in progress at `close` are acked; later ones raise; a buffered event waits for the next start."""
    bus = make_bus(server.url)
    with pytest.raises(BusClosedError):
        await bus.publish_event("t", {})
    await bus.start()
    server.freeze()
    going = [asyncio.ensure_future(bus.publish_event("t", {"n": number})) for number in range(5)]
    await asyncio.sleep(0)
    await bus.close()
    ids = await asyncio.gather(*going)
    with pytest.raises(BusClosedError):
        await bus.publish_event("t", {})
    with pytest.raises(BusClosedError):
        await bus.start()
    await bus.close()
    server.thaw()
    again = make_bus(server.url)
    await again.start()
    assert again.stats().buffered == 5 or again.stats().resynced == 5
    await again.resync_from_fallback()
    assert ids == list(dict.fromkeys(server.ids("t")))


async def test_a_payload_that_cannot_be_carried_is_refused_before_any_ack(server, make_bus):
    """Nothing is published, nothing is buffered, and the order of the rest has no gap."""
    bus = make_bus(server.url)
    await bus.start()
    for payload in ({"x": float("nan")}, {1: 2}, [1], {"x": object()}):
        with pytest.raises(PayloadError):
            await bus.publish_event("t", payload)
    assert server.client.exists("events:t") == 0


async def test_the_password_is_nowhere(server, make_bus, caplog):
    """Neither logs nor reprs nor errors show it, through a whole outage."""
    server.client.config_set("requirepass", "s3cret")
    bus = make_bus(server.url.replace("//", "//:s3cret@"))
    with caplog.at_level(logging.DEBUG):
        await bus.start()
        await bus.publish_event("t", {})
        server.kill()
        await bus.publish_event("t", {})
        await bus.resync_from_fallback()
    assert "falling back" in caplog.text
    assert "s3cret" not in caplog.text + repr(bus) + repr(vars(bus))
