"""Libraries with threads of their own run their work through the machine, and are put back after the run."""

import asyncio
import contextvars
import subprocess
import sys
import threading
from pathlib import Path

import aiosqlite
import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from harness.errors import EscapeError
from harness.world.sim.active import Escapes
from harness.world.sim.sources import virtual

ROOT = Path(__file__).resolve().parents[4]


def run(machine, body, collector=None):
    """Run `body` on a real loop in a virtual process; the loop's own pipe is made before."""
    loop = asyncio.SelectorEventLoop()
    try:
        with virtual(machine, collector):
            return loop.run_until_complete(body())
    finally:
        loop.close()


variable = contextvars.ContextVar("variable", default=0)


def test_anyio_work_runs_inline(machine):
    """`to_thread.run_sync` gives results, errors and context through, on the run's own thread."""

    async def body():
        variable.set(7)
        here = await anyio.to_thread.run_sync(threading.get_ident)
        value = await anyio.to_thread.run_sync(variable.get)
        with pytest.raises(ZeroDivisionError):
            await anyio.to_thread.run_sync(divmod, 1, 0)
        await anyio.to_thread.run_sync(variable.set, 8)
        return here, value, variable.get()

    assert run(machine, body) == (threading.get_ident(), 7, 7)
    assert machine.blocking == [None] * 4


def test_anyio_limiter_and_cancellation(machine):
    """The limiter is held while the work runs; a cancelled scope keeps work from starting, and work can see it."""

    async def body():
        limiter = anyio.CapacityLimiter(1)
        held = await anyio.to_thread.run_sync(lambda: limiter.borrowed_tokens, limiter=limiter)
        ran = []
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.to_thread.run_sync(ran.append, 1)
        seen = []

        def work():
            seen.append("started")
            scope_in_work.cancel()
            anyio.from_thread.check_cancelled()
            seen.append("not reached")

        with anyio.CancelScope() as scope_in_work:
            await anyio.to_thread.run_sync(work)
        return held, limiter.borrowed_tokens, ran, scope.cancelled_caught, seen

    assert run(machine, body) == (1, 0, [], True, ["started"])


def test_anyio_from_thread(machine):
    """Sync work may call sync functions of the loop; waiting for a coroutine would wait for ever and is an escape."""

    async def body():
        value = await anyio.to_thread.run_sync(lambda: anyio.from_thread.run_sync(abs, -3))
        with pytest.raises(EscapeError, match="make the caller async"):
            await anyio.to_thread.run_sync(lambda: anyio.from_thread.run(anyio.sleep, 1))
        return value

    collector = Escapes()
    assert run(machine, body, collector) == 3
    assert collector.count == 1


def test_aiosqlite_runs_inline_in_order(machine):
    """Statements, rows, errors and close work without a thread, each connection one worker."""
    threads = threading.active_count()

    async def body():
        async with aiosqlite.connect(Path(machine.disk) / "a.db") as db:
            await db.execute("CREATE TABLE t (x INTEGER UNIQUE)")
            await asyncio.gather(*(db.execute("INSERT INTO t VALUES (?)", (number,)) for number in range(5)))
            await db.commit()
            with pytest.raises(aiosqlite.IntegrityError):
                await db.execute("INSERT INTO t VALUES (1)")
            async with db.execute("SELECT x FROM t ORDER BY rowid") as cursor:
                rows = [row[0] async for row in cursor]
        with pytest.raises(ValueError, match="no active connection"):
            await db.execute("SELECT 1")
        return rows

    assert run(machine, body) == [0, 1, 2, 3, 4]
    assert threading.active_count() == threads
    assert len(set(machine.blocking)) == 1
    assert machine.blocking[0]._max_workers == 1


def test_aiosqlite_outside_the_disk(machine, tmp_path):
    """The guard holds for it too: the error reaches the caller."""

    async def body():
        with pytest.raises(EscapeError, match="opened the SQLite database"):
            await aiosqlite.connect(tmp_path / "outside.db")

    collector = Escapes()
    run(machine, body, collector)
    assert collector.count == 1
    assert not (tmp_path / "outside.db").exists()


def test_a_connection_that_outlives_its_run(machine):
    """A connection dropped without being closed is closed by its finalizer, after the run too, without an error."""
    kept = []

    async def body():
        db = await aiosqlite.connect(Path(machine.disk) / "a.db")
        await db.execute("CREATE TABLE t (x)")
        kept.append(db)

    run(machine, body)
    inner = kept[0]._connection
    asyncio.set_event_loop(None)  # aiosqlite asks for one, and asyncio would make one
    with pytest.warns(ResourceWarning, match="deleted before being closed"):
        kept[0].__del__()
    with pytest.raises(aiosqlite.ProgrammingError, match="closed"):
        inner.execute("SELECT 1")


def test_libraries_are_put_back(machine):
    """After a run the real threads are back."""
    before = aiosqlite.core.Thread, aiosqlite.core.SimpleQueue, threading.Thread.start
    with virtual(machine):
        assert aiosqlite.core.Thread is not before[0]
    assert before == (aiosqlite.core.Thread, aiosqlite.core.SimpleQueue, threading.Thread.start)

    async def body():
        return await anyio.to_thread.run_sync(threading.get_ident)

    assert asyncio.run(body()) != threading.get_ident()


LAZY = """
import importlib.util, inspect, sys, threading
spec = importlib.util.spec_from_file_location("fakes", "tests/harness/world/sim/fake_machine.py")
fakes = importlib.util.module_from_spec(spec); spec.loader.exec_module(fakes)
from harness.world.sim.sources import virtual
libraries = ("anyio", "aiosqlite", "fakeredis", "concurrent.futures.thread")
print([name for name in libraries if name in sys.modules])
with virtual(fakes.FakeMachine()):
    import aiosqlite, anyio._backends._asyncio, concurrent.futures.thread
    print(aiosqlite.core.Thread is threading.Thread, type(aiosqlite.core.__loader__).__name__)
    print(aiosqlite.core.__spec__.loader is aiosqlite.core.__loader__, bool(inspect.getsource(aiosqlite.core)))
    pool = concurrent.futures.thread.ThreadPoolExecutor()
    try:
        pool.submit(print)
    except Exception as error:
        print(type(error).__name__)
    from harness.world.sim.active import RUN
    RUN.escapes.texts.clear()
print(aiosqlite.core.Thread is threading.Thread)
"""


def test_libraries_imported_during_a_run():
    """The harness imports none of them; one that is imported in a run is patched before anybody sees it."""
    done = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines() == ["[]", "False SourceFileLoader", "True True", "EscapeError", "True"]
