"""The SQLite file: order, capacity, what survives, what a full disk does."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_impl._event_bus.buffer import Buffer, BufferWorker, Opened, Spill
from reference_impl._event_bus.errors import BufferSupersededError, BufferUnavailableError
from reference_impl._event_bus.model import Event


def events(first: int, last: int) -> list[Event]:
    return [Event(f"p:1:{number}", "t", f'{{"n":{number}}}', float(number)) for number in range(first, last + 1)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "buffer.sqlite3"


@pytest.fixture
def buffer(path: Path) -> Iterator[Buffer]:
    opened = Buffer(path, 5, "drop_oldest")
    opened.open("bus")
    yield opened
    opened.close()


def opened_once(path: Path) -> Opened:
    buffer = Buffer(path, 5, "drop_oldest")
    found = buffer.open("bus")
    buffer.close()
    return found


def stored(buffer: Buffer) -> list[Event]:
    return [row.event for row in buffer.head(1_000)]


def test_rows_come_back_in_order_and_leave_when_confirmed(buffer: Buffer) -> None:
    """Only rows up to the confirmed id leave; the rest keep their order."""
    buffer.append(events(1, 4), None)
    rows = buffer.head(2)
    assert events(1, 2) == [row.event for row in rows]
    assert buffer.confirm(rows[-1].id) == 2
    assert events(3, 4) == stored(buffer)


def test_the_oldest_are_dropped_and_counted_in_the_file(buffer: Buffer, path: Path) -> None:
    """Overflow tells which events it gave up, and the count survives a restart."""
    buffer.append(events(1, 4), None)
    appended = buffer.append(events(5, 7), None)
    assert appended.dropped == ["p:1:1", "p:1:2"]
    assert (appended.rows, appended.dropped_ever) == (5, 2)
    assert events(3, 7) == stored(buffer)
    buffer.close()
    again = Buffer(path, 5, "drop_oldest")
    found = again.open("bus")
    again.close()
    assert (found.rows, found.dropped) == (5, 2)


def test_reject_accepts_what_fits_and_drops_nothing(path: Path) -> None:
    """With `reject` the front of a group is taken, the rest is not, and stored rows stay."""
    buffer = Buffer(path, 5, "reject")
    buffer.open("bus")
    buffer.append(events(1, 4), None)
    appended = buffer.append(events(5, 7), None)
    assert (appended.accepted, appended.dropped, appended.rows) == (1, [], 5)
    assert events(1, 5) == stored(buffer)
    assert buffer.append(events(8, 8), None).accepted == 0
    buffer.close()


@settings(max_examples=30, deadline=None)
@given(groups=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), max_size=12))
def test_the_carried_row_count_is_the_real_one(
    tmp_path_factory: pytest.TempPathFactory, groups: list[tuple[int, int]]
) -> None:
    """Whatever is appended and confirmed, the count carried along equals COUNT(*), and never exceeds the capacity."""
    buffer = Buffer(tmp_path_factory.mktemp("count") / "b.sqlite3", 7, "drop_oldest")
    buffer.open("bus")
    number = 1
    for size, confirmed in groups:
        appended = buffer.append(events(number, number + size - 1), None)
        number += size
        rows = appended.rows
        head = buffer.head(confirmed) if confirmed else []
        if head:
            rows = buffer.confirm(head[-1].id)
        assert len(stored(buffer)) == rows <= 7
    buffer.close()


def test_epochs_grow_and_the_producer_stays(path: Path, buffer: Buffer) -> None:
    """A successor has the same producer and a higher epoch; a new file is a new producer."""
    second, third, other = opened_once(path), opened_once(path), opened_once(path.with_name("other.sqlite3"))
    assert (second.epoch, third.epoch, other.epoch) == (2, 3, 1)
    assert second.producer == third.producer
    assert second.producer != other.producer


def test_a_superseded_writer_writes_no_more(path: Path, buffer: Buffer) -> None:
    """Once a successor has opened the file, its predecessor can neither add nor delete."""
    buffer.append(events(1, 2), None)
    successor = Buffer(path, 5, "drop_oldest")
    successor.open("bus")
    with pytest.raises(BufferSupersededError):
        buffer.append(events(3, 3), None)
    with pytest.raises(BufferSupersededError):
        buffer.append(events(3, 4), None)
    with pytest.raises(BufferSupersededError):
        buffer.confirm(2)
    assert events(1, 2) == stored(successor)
    successor.close()


def test_a_spilled_tail_survives_and_does_not_count(path: Path, buffer: Buffer) -> None:
    """Retained events are kept apart: found by the successor, replaced by the next spill, not in the capacity."""
    buffer.append(events(8, 9), Spill(events(1, 7), "r1"))
    buffer.append([], Spill(events(2, 7), "r2"))
    successor = Buffer(path, 5, "drop_oldest")
    found = successor.open("bus")
    assert (events(2, 7), "r2", 2) == (found.tail, found.tail_run_id, found.rows)
    successor.forget_tail()
    successor.close()
    last = Buffer(path, 5, "drop_oldest")
    assert last.open("bus").tail == []
    last.close()


def test_a_full_disk_takes_all_or_nothing(buffer: Buffer) -> None:
    """When SQLite cannot grow the file, the group is not in it, the count is right, and space makes it work again."""
    buffer.append(events(1, 1), None)
    db = buffer._open
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count={pages}")
    big = [Event("p:1:2", "t", "x" * 100_000, 0.0)]
    with pytest.raises(sqlite3.OperationalError, match="full"):
        buffer.append([*events(2, 2), *big], None)
    assert events(1, 1) == stored(buffer)
    db.execute(f"PRAGMA max_page_count={pages + 100}")
    assert buffer.append(events(2, 2), None).rows == 2


async def test_failures_of_the_disk_are_typed(tmp_path: Path) -> None:
    """What SQLite or the file system raise in the worker arrives as BufferUnavailableError."""
    (tmp_path / "file").write_text("no directory")
    worker = BufferWorker(Buffer(tmp_path / "file" / "b.sqlite3", 5, "drop_oldest"))
    with pytest.raises(BufferUnavailableError):
        await worker.call(worker.buffer.open, "bus")
    with pytest.raises(BufferUnavailableError):
        await worker.call(worker.buffer.head, 1)
    await worker.close()


def test_a_file_that_is_no_database_is_an_error(path: Path) -> None:
    """A corrupt buffer is reported, not replaced."""
    path.write_bytes(b"garbage" * 1_000)
    with pytest.raises(sqlite3.DatabaseError):
        opened_once(path)
    assert path.read_bytes().startswith(b"garbage")
