"""Host programs of test_disk_and_clock.py: they keep trying, and record what came of it."""

import asyncio
import contextlib
import datetime as dt
import errno
import sqlite3
import time
from pathlib import Path
from time import time as bound_before  # a clock that no attribute of a module leads to

from harness.world.base import Host

_PAUSE = 0.01


async def write(host: Host) -> None:
    """Insert rows by one old connection and by new ones, and write files, until asked to stop."""
    path = host.disk / "rows.sqlite3"
    old = await asyncio.to_thread(_open, path)
    stopping = asyncio.ensure_future(host.stopping())
    number = 1_000_000 * host.incarnation
    while not stopping.done():
        number += 1
        host.log.observe("insert", by="old", row=number, error=await asyncio.to_thread(_insert, old, number))
        number += 1
        host.log.observe("insert", by="new", row=number, error=await asyncio.to_thread(_insert_anew, path, number))
        host.log.observe("file", error=await asyncio.to_thread(_write_file, host.disk / "plain.txt"))
        with contextlib.suppress(sqlite3.Error):  # a log that must be recovered first cannot be, on a full disk
            host.log.observe("readable", rows=old.execute("SELECT COUNT(*) FROM rows").fetchone()[0])
        await asyncio.sleep(_PAUSE)
    (checked,) = old.execute("PRAGMA integrity_check").fetchone()
    kept = [row for (row,) in old.execute("SELECT number FROM rows ORDER BY number")]
    host.log.observe("kept", rows=kept, integrity=checked)
    old.close()


async def idle(host: Host) -> None:
    """Do nothing until asked to stop."""
    await host.stopping()


async def keep_log(host: Host) -> None:
    """Append to a file that stays open, flushing each line."""
    stopping = asyncio.ensure_future(host.stopping())
    with (host.disk / "log.txt").open("a") as file:
        number = 0
        while not stopping.done():
            number += 1
            error = None
            try:
                file.write(f"{number}\n")
                file.flush()
            except OSError as failure:
                error = errno.errorcode[failure.errno or 0]
                with contextlib.suppress(OSError):
                    file.seek(0, 2)
            host.log.observe("line", number=number, error=error)
            await asyncio.sleep(_PAUSE)


async def tell_time(host: Host) -> None:
    """Read every clock over and over."""
    stopping = asyncio.ensure_future(host.stopping())
    while not stopping.done():
        host.log.observe(
            "time",
            time=time.time(),
            bound=bound_before(),
            now=dt.datetime.now(dt.UTC).timestamp(),
            clock_gettime=time.clock_gettime(time.CLOCK_REALTIME),
            tuple=time.mktime(time.localtime()),
            steady=time.monotonic(),
            loop=asyncio.get_running_loop().time(),
        )
        await asyncio.sleep(_PAUSE)


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with contextlib.suppress(sqlite3.Error):  # the disk is full already: each insert will say so
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE IF NOT EXISTS rows (number INTEGER PRIMARY KEY, filler TEXT)")
    return db


def _insert(db: sqlite3.Connection, number: int) -> str | None:
    try:
        db.execute("INSERT INTO rows VALUES (?, ?)", (number, "x" * 100))
    except sqlite3.Error as error:
        return str(error)
    return None


def _insert_anew(path: Path, number: int) -> str | None:
    with contextlib.closing(_open(path)) as db:
        return _insert(db, number)


def _write_file(path: Path) -> str | None:
    try:
        path.write_text("some words")
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return None
