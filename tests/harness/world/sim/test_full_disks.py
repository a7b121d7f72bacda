"""Full disks of the sim world: whose writes are refused, how, how many, and that it is all undone."""

import contextlib
import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import WorldError
from harness.world.sim import escapes, full_disks
from harness.world.sim.sources import virtual


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[str]:
    """An empty disk, free again afterwards."""
    directory = tmp_path / "disk"
    directory.mkdir(exist_ok=True)
    yield os.path.realpath(directory)
    full_disks.free_all()


def opened(directory: str, mode: str = "WAL") -> sqlite3.Connection:
    """A database on that disk with one row."""
    db = sqlite3.connect(Path(directory, f"{mode}.sqlite3"), isolation_level=None)
    db.execute(f"PRAGMA journal_mode={mode}")
    db.execute("CREATE TABLE t (x)")
    db.execute("INSERT INTO t VALUES (1)")
    return db


def insert_and_commit(db: sqlite3.Connection, *values: object) -> None:
    """Insert rows in the transaction that is open, and end it."""
    for value in values:
        db.execute("INSERT INTO t VALUES (?)", (value,))
    db.execute("COMMIT")


def rows(db: sqlite3.Connection) -> list[int]:
    """What is in it."""
    return [x for (x,) in db.execute("SELECT x FROM t ORDER BY rowid")]


@pytest.mark.parametrize("mode", ["WAL", "DELETE", "TRUNCATE", "PERSIST"])
def test_sqlite_says_itself_that_the_disk_is_full(disk: str, mode: str) -> None:
    """SQLITE_FULL from statements and commits, the transaction undone, and nothing to repair with space again."""
    with contextlib.closing(opened(disk, mode)) as db:
        full_disks.fill(disk)
        with pytest.raises(sqlite3.OperationalError) as alone:
            db.execute("INSERT INTO t VALUES (2)")
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError) as together:
            insert_and_commit(db, 3)
        if db.in_transaction:
            db.execute("ROLLBACK")
        assert {alone.value.sqlite_errorcode, together.value.sqlite_errorcode} == {sqlite3.SQLITE_FULL}
        assert rows(db) == [1]
        assert full_disks.free(disk) >= 2
        db.execute("INSERT INTO t VALUES (4)")
        assert rows(db) == [1, 4]
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_commit_larger_than_the_cache_is_undone_as_a_whole(disk: str) -> None:
    """Pages that SQLite writes early, in the middle of a transaction, are refused there and then."""
    with contextlib.closing(opened(disk)) as db:
        db.execute("PRAGMA cache_size=10")
        full_disks.fill(disk)
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="full"):
            insert_and_commit(db, *("x" * 1_000 + str(number) for number in range(1_000)))
        full_disks.free(disk)
        assert rows(db) == [1]


def test_a_disk_that_fills_between_two_statements_of_a_transaction(disk: str) -> None:
    """The commit fails as a whole."""
    with contextlib.closing(opened(disk)) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO t VALUES (2)")
        full_disks.fill(disk)
        with pytest.raises(sqlite3.OperationalError, match="full"):
            db.execute("COMMIT")
        full_disks.free(disk)
        assert rows(db) == [1]


def test_other_disks_and_names_that_begin_alike_have_room(disk: str) -> None:
    """`disk2` is not on `disk`; memory is on no disk."""
    other = disk + "2"
    Path(other).mkdir()
    with contextlib.closing(opened(other)) as db, contextlib.closing(sqlite3.connect(":memory:")) as memory:
        full_disks.fill(disk)
        db.execute("INSERT INTO t VALUES (2)")
        memory.execute("CREATE TABLE t (x)")
        full_disks.check(other + "/new")
        assert rows(db) == [1, 2]
        assert full_disks.free(disk) == 0


def test_two_disks_fill_and_are_freed_by_themselves(disk: str) -> None:
    """Freeing one leaves the other full; each has its own count."""
    other = disk + "2"
    Path(other).mkdir()
    with contextlib.closing(opened(disk)) as one, contextlib.closing(opened(other)) as two:
        for directory in (disk, other):
            full_disks.fill(directory)
        for _ in range(3):
            with pytest.raises(sqlite3.OperationalError):
                one.execute("INSERT INTO t VALUES (2)")
        assert full_disks.free(disk) == 3
        one.execute("INSERT INTO t VALUES (2)")
        with pytest.raises(sqlite3.OperationalError):
            two.execute("INSERT INTO t VALUES (2)")
        assert full_disks.free(other) == 1
        two.execute("INSERT INTO t VALUES (2)")


def test_reading_deleting_and_renaming_go_on(disk: str) -> None:
    """As on any full disk: that is how room is made."""
    for name in ("a", "b"):
        Path(disk, name).write_text("words")
    full_disks.fill(disk)
    assert Path(disk, "a").read_text() == "words"
    Path(disk, "a").rename(Path(disk, "c"))
    Path(disk, "b").unlink()
    assert [path.name for path in Path(disk).iterdir()] == ["c"]


def test_files_and_directories_of_python_are_refused_in_a_run(machine, disk: str) -> None:
    """Opening to write and making a directory raise ENOSPC, through a symbolic link as well; reading does not."""
    machine.disk = disk
    Path(disk, "old").write_text("words")
    Path(disk, "way").symlink_to(disk)
    with virtual(machine):
        with escapes.permitted():
            full_disks.fill(disk)
        for act in (
            lambda: Path(disk, "new").write_text("x"),
            lambda: os.open(Path(disk, "old"), os.O_WRONLY | os.O_APPEND),
            lambda: Path(disk, "way", "new").write_text("x"),
            lambda: Path(disk, "directory").mkdir(),
            lambda: shutil.copy(Path(disk, "old"), Path(disk, "copy")),
        ):
            with pytest.raises(OSError, match="No space left") as raised:
                act()
            assert raised.value.errno == errno.ENOSPC
        assert Path(disk, "old").read_text() == "words"
        assert full_disks.free(disk) == 5
        Path(disk, "new").write_text("x")


def test_the_end_of_a_run_frees_every_disk(machine, disk: str) -> None:
    """Whatever the director forgot."""
    machine.disk = disk
    with virtual(machine), contextlib.closing(opened(disk)) as db:
        with escapes.permitted():
            full_disks.fill(disk)
        with pytest.raises(sqlite3.OperationalError):
            db.execute("INSERT INTO t VALUES (2)")
    assert not full_disks.is_full(disk)
    with contextlib.closing(opened(disk, "DELETE")) as db:
        assert rows(db) == [1]


def descriptors() -> set[str]:
    """The open ones."""
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def test_a_log_that_is_open_fails_and_goes_on(disk: str) -> None:
    """The file that was open for writing is the same afterwards, position and all; one closed meanwhile is let go."""
    before = descriptors()
    with Path(disk, "log").open("a") as log, Path(disk, "closed").open("w") as closed:
        log.write("1\n")
        log.flush()
        full_disks.fill(disk)
        log.write("2\n")
        with pytest.raises(OSError, match="No space left"):
            log.flush()
        closed.close()
        full_disks.free(disk)
        log.write("3\n")
    assert Path(disk, "log").read_text() == "1\n2\n3\n"
    assert descriptors() == before


def test_writes_to_a_descriptor_that_is_open_are_refused_and_counted(disk: str) -> None:
    """At an offset or not; other descriptors are none of it, and afterwards `os` is as it was."""
    functions = os.write, os.pwrite, os.writev, os.pwritev
    kept = os.open(Path(disk, "kept"), os.O_WRONLY | os.O_CREAT)
    reading, writing = os.pipe()
    full_disks.fill(disk)
    for act in (
        lambda: os.write(kept, b"x"),
        lambda: os.pwrite(kept, b"x", 7),
        lambda: os.writev(kept, [b"x"]),
        lambda: os.pwritev(kept, [b"x"], 7),
    ):
        with pytest.raises(OSError, match="No space left"):
            act()
    assert os.write(writing, b"x") == 1
    assert full_disks.free(disk) == 4
    assert (os.write, os.pwrite, os.writev, os.pwritev) == functions
    assert os.pwrite(kept, b"x", 7) == 1
    for descriptor in (kept, reading, writing):
        os.close(descriptor)


def test_sqlite_is_as_it_was_when_no_disk_is_full(disk: str) -> None:
    """The system calls are the ones from before, so a disk that is not full costs nothing."""
    full_disks.fill(disk)
    table = full_disks._table[0]
    vfs = table._vfs.contents

    def calls() -> list[int | None]:
        return [vfs.get_system_call(table._address, name) for name in table._ours]

    ours = calls()
    full_disks.free(disk)
    theirs = calls()
    assert set(ours).isdisjoint(theirs)
    full_disks.fill(disk)
    full_disks.free(disk)
    assert calls() == theirs


def test_an_interpreter_whose_sqlite_cannot_be_reached_says_so(disk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `WorldError`, and the disk is not full."""
    monkeypatch.setattr(full_disks, "_table", [])
    monkeypatch.setattr(full_disks._sqlite3, "__file__", "/nowhere/_sqlite3.so")
    with pytest.raises(WorldError, match="SQLite"):
        full_disks.fill(disk)
    assert not full_disks.is_full(disk)
