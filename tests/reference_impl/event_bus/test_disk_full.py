"""A full disk: what needs it fails clearly and at once, what does not goes on, and nothing is lost or handled twice.

SQLite's own writes are refused with ENOSPC (harness/world/sim/full_disks.py), so its errors are the genuine ones.
"""

import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from harness.world.sim import full_disks
from reference_impl._event_bus.buffer import Buffer
from reference_impl._event_bus.model import Event
from reference_impl.event_bus import BufferUnavailableError, make

PROMPT_S = 1.0  # the promise is 250 ms; this machine may be busy


class Disk:
    """The disk that the bus of a test has its files on."""

    def __init__(self, directory: Path) -> None:
        self._directory = os.path.realpath(directory)

    def fill(self) -> None:
        """Refuse every write from now on."""
        full_disks.fill(self._directory)

    def free(self) -> int:
        """Take writes again; return how many were refused."""
        return full_disks.free(self._directory)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """The disk of the test's directory, free again afterwards."""
    made = Disk(tmp_path)
    yield made
    made.free()


async def refused(bus, number: int) -> float:
    """Publish what must be refused; return how long the refusal took, in seconds."""
    began = time.monotonic()
    with pytest.raises(BufferUnavailableError, match="disk is full"):
        await bus.publish_event("t", {"n": number})
    return time.monotonic() - began


async def test_what_would_be_buffered_is_refused_at_once_and_taken_when_there_is_space(
    server, make_bus, reader, disk, eventually
) -> None:
    """Each publish raises, promptly; none of them is ever delivered; those before and after are, in order."""
    bus = make_bus(server.url)
    await bus.start()
    acked = [await bus.publish_event("t", {"n": 0})]
    server.kill()
    acked.append(await bus.publish_event("t", {"n": 1}))
    disk.fill()
    took = [await refused(bus, number) for number in range(100, 110)]
    assert max(took) < PROMPT_S
    assert bus.stats().buffered == 1
    disk.free()
    acked.append(await bus.publish_event("t", {"n": 2}))
    assert bus.stats().buffered == 2
    server.start()
    await eventually(lambda: bus.stats().mode == "direct")
    acked.append(await bus.publish_event("t", {"n": 3}))
    await bus.subscribe("g", ["t"], reader)
    await reader.until(4)
    assert acked == reader.ids
    assert [event.payload["n"] for event in reader.events] == [0, 1, 2, 3]


async def test_the_first_publish_that_meets_the_outage_is_refused_in_time_too(server, make_bus, disk) -> None:
    """It waits for a frozen Redis no longer than ever, then learns that the disk is full."""
    bus = make_bus(server.url)
    await bus.start()
    await bus.publish_event("t", {"n": 0})
    disk.fill()
    server.freeze()
    assert await refused(bus, 1) < PROMPT_S
    server.thaw()


async def test_direct_publishing_needs_no_disk(server, make_bus, disk) -> None:
    """Redis confirms, so nothing has to be written."""
    bus = make_bus(server.url)
    await bus.start()
    disk.fill()
    acked = [await bus.publish_event("t", {"n": number}) for number in range(20)]
    assert acked == server.ids("t")
    assert bus.stats().mode == "direct"


async def test_coming_back_to_direct_publishing_needs_no_disk(server, make_bus, disk, eventually) -> None:
    """Rows that cannot be deleted count as gone once Redis has them; with space, they go for good."""
    bus = make_bus(server.url)
    await bus.start()
    server.kill()
    acked = [await bus.publish_event("t", {"n": number}) for number in range(20)]
    disk.fill()
    server.start()
    await eventually(lambda: bus.stats().mode == "direct")
    assert bus.stats().buffered == 0
    acked += [await bus.publish_event("t", {"n": number}) for number in range(20, 30)]
    assert acked == server.ids("t")
    assert disk.free() > 0
    await bus.close()
    again = make_bus(server.url)
    await again.start()
    assert again.stats().buffered == 0
    await again.publish_event("t", {"n": 30})
    assert server.ids("t")[:30] == acked


async def test_rows_that_could_not_be_deleted_are_recognised_when_they_come_again(
    server, make_bus, reader, disk, eventually
) -> None:
    """The publisher ends while the disk is still full: its successor repeats them, and no handler sees them twice."""
    bus = make_bus(server.url)
    await bus.start()
    server.kill()
    acked = [await bus.publish_event("t", {"n": number}) for number in range(20)]
    disk.fill()
    server.start()
    await eventually(lambda: bus.stats().mode == "direct")
    acked += [await bus.publish_event("t", {"n": 20})]
    consumer = make_bus(server.url, name="consumer-elsewhere")
    await bus.close()
    disk.free()
    await consumer.start()
    await consumer.subscribe("g", ["t"], reader)
    successor = make_bus(server.url)
    await successor.start()
    await eventually(lambda: successor.stats().mode == "direct")
    acked.append(await successor.publish_event("t", {"n": 21}))
    await reader.until(22)
    assert acked == reader.ids
    assert len(server.ids("t")) == 42  # twenty of them twice


async def test_a_consumer_stands_still_until_it_can_save_and_handles_nothing_twice(
    server, make_bus, reader, disk, eventually
) -> None:
    """The batch in hand is handled, nothing after it; with space it goes on, each event once and in order."""
    publisher, consumer = make_bus(server.url), make_bus(server.url, name="consumer", read_batch=5)
    await publisher.start()
    await consumer.start()
    await consumer.subscribe("g", ["t"], reader)
    acked = [await publisher.publish_event("t", {"n": 0})]
    await reader.until(1)
    await eventually(lambda: server.client.xpending("events:t", "g")["pending"] == 0)
    disk.fill()
    acked += [await publisher.publish_event("t", {"n": number}) for number in range(1, 50)]
    before = consumer.stats().reconnects
    await eventually(lambda: consumer.stats().reconnects >= before + 3)
    assert len(reader.ids) <= 1 + 5
    assert disk.free() > 0
    await reader.until(50)
    assert acked == reader.ids


async def test_a_bus_does_not_start_on_a_full_disk(server, make_bus, disk, tmp_path) -> None:
    """It cannot begin an epoch of its own; the error says why, and with space the same directory works."""
    first = make_bus(server.url)
    await first.start()
    await first.close()
    disk.fill()
    second = make(redis_url=server.url, directory=tmp_path, name="bus")
    with pytest.raises(BufferUnavailableError, match="disk"):
        await second.start()
    disk.free()
    third = make_bus(server.url)
    await third.start()
    assert await third.publish_event("t", {"n": 1}) in server.ids("t")


class FullDisks(RuleBasedStateMachine):
    """A buffer whose disk fills and is freed, against a list of what it holds."""

    @initialize()
    def begin(self):
        self.directory = tempfile.TemporaryDirectory(prefix="event-bus-disk-")
        self.disk = Disk(Path(self.directory.name))
        self.full = False
        self.held: list[Event] = []
        self.undeleted: list[Event] = []
        self.count = 0
        self.open()

    def open(self):
        self.buffer = Buffer(Path(self.directory.name) / "b.sqlite3", 1_000, "drop_oldest")
        self.found = self.buffer.open("p").rows

    def teardown(self):
        if hasattr(self, "disk"):
            self.disk.free()
            self.buffer.close()
            self.directory.cleanup()

    @rule(count=st.integers(1, 4))
    def append(self, count):
        events = [Event(f"p:1:{self.count + n}", "t", "{}", 0.0) for n in range(count)]
        self.count += count
        if self.full:
            with pytest.raises(sqlite3.OperationalError, match="full"):
                self.buffer.append(events, None)
            return
        assert self.buffer.append(events, None).rows == len(self.held) + count
        self.held += events
        self.undeleted = []

    @precondition(lambda self: self.held)
    @rule(count=st.integers(1, 6))
    def confirm(self, count):
        rows = self.buffer.head(count)
        assert self.buffer.confirm(rows[-1].id) == len(self.held) - len(rows)
        confirmed, self.held = self.held[: len(rows)], self.held[len(rows) :]
        self.undeleted = [*self.undeleted, *confirmed] if self.full else []

    @rule()
    def fill(self):
        self.disk.fill()
        self.full = True

    @rule()
    def free(self):
        self.disk.free()
        self.full = False

    @precondition(lambda self: not self.full)
    @rule(cleanly=st.booleans())
    def restart(self, cleanly):
        """What could not be deleted comes again, in front, unless there was space at a clean end."""
        if cleanly:
            self.buffer.close()
        else:
            self.buffer._open.close()
            self.held = [*self.undeleted, *self.held]
        self.undeleted = []
        self.open()
        assert self.found == len(self.held)

    @invariant()
    def holds_what_the_model_holds(self):
        assert [row.event for row in self.buffer.head(1_000)] == self.held


TestFullDisks = FullDisks.TestCase
TestFullDisks.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
