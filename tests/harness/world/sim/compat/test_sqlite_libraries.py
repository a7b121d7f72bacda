"""SQLite on a host's disk, through asyncio.to_thread and through aiosqlite."""

import asyncio
import contextlib
import sqlite3

import aiosqlite
import pytest


def test_to_thread(simulate):
    """Work in the default executor takes a little virtual time, not a thread; rows survive the host."""

    async def director(lab):
        path = lab.world.machines.disk("client") / "a.db"

        def insert(number):
            with contextlib.closing(sqlite3.connect(path)) as db, db:
                db.execute("CREATE TABLE IF NOT EXISTS t (x)")
                db.execute("INSERT INTO t VALUES (?)", (number,))
                return db.execute("SELECT count(*) FROM t").fetchone()[0]

        async def use():
            lab.note(await asyncio.to_thread(insert, 1))
            lab.note(sorted(await asyncio.gather(*(asyncio.to_thread(insert, number) for number in range(5)))))

        await lab.client(use)
        await lab.client(use)

    lab = simulate(director)
    assert [event[1] for event in lab.events] == [1, [2, 3, 4, 5, 6], 7, [8, 9, 10, 11, 12]]
    times = [event[0] for event in lab.events]
    assert sorted(set(times)) == times
    assert times[-1] < 0.5


def test_aiosqlite_work_errors_and_order(simulate):
    """Statements of one connection run in order, in virtual time; errors reach the caller; rows come back."""

    async def director(lab):
        path = lab.world.machines.disk("client") / "a.db"

        async def use():
            async with aiosqlite.connect(path) as db:
                await db.execute("PRAGMA journal_mode=WAL")
                await db.execute("CREATE TABLE t (x INTEGER UNIQUE)")
                await asyncio.gather(*(db.execute("INSERT INTO t VALUES (?)", (number,)) for number in range(20)))
                await db.commit()
                with pytest.raises(sqlite3.IntegrityError):
                    await db.execute("INSERT INTO t VALUES (1)")
                async with db.execute("SELECT x FROM t ORDER BY rowid") as cursor:
                    lab.note([row[0] async for row in cursor])

        await lab.client(use)

    lab = simulate(director, permute=False)
    ((when, rows),) = lab.events
    assert rows == list(range(20))
    assert 0 < when < 1


def test_a_kill_between_insert_and_commit_loses_exactly_that(simulate):
    """The killed host's transaction is rolled back, its lock is gone, and its restart finds what was committed."""

    async def director(lab):
        path = lab.world.machines.disk("server") / "outbox.db"

        async def first():
            db = await aiosqlite.connect(path)
            await db.execute("CREATE TABLE t (x)")
            await db.execute("INSERT INTO t VALUES (1)")
            await db.commit()
            await db.execute("INSERT INTO t VALUES (2)")
            lab.note("in a transaction")
            await asyncio.sleep(100)
            lab.note("never")

        async def second():
            async with aiosqlite.connect(path, timeout=0) as db:
                await db.execute("INSERT INTO t VALUES (3)")
                await db.commit()
                async with db.execute("SELECT x FROM t") as cursor:
                    lab.note([row[0] async for row in cursor])

        lab.serve(first)
        await lab.until(1)
        lab.kill()
        lab.serve(second)
        await lab.until(200)

    lab = simulate(director)
    assert [event[1] for event in lab.events] == ["in a transaction", [1, 3]]
