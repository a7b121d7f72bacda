"""Order that does not leak: each leak is shown to leak without its cure, and not to with it.

Whether two heaps differ where it matters is chance. So what shows a leak is that things hash by address, and that their
order follows their hashes.
"""

# ruff: noqa: PLC0415 - libraries are imported where they are tested, to be patched on first use

import asyncio
import gc
import itertools
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from harness.world.sim import identity
from harness.world.sim.identity import SimFuture, SimTask
from harness.world.sim.sources import virtual

ROOT = Path(__file__).resolve().parents[4]


class SimLikeLoop(asyncio.SelectorEventLoop):
    """A real loop with the sim world's tasks and futures."""

    def __init__(self):
        super().__init__()
        self.set_task_factory(lambda loop, coro, **options: SimTask(coro, loop=loop, **options))

    def create_future(self):
        return SimFuture(loop=self)


class LaidOutLoop(asyncio.SelectorEventLoop):
    """A real loop whose tasks and futures hash as if the heap had laid them out in the order of their creation."""

    direction = 1

    def __init__(self):
        super().__init__()
        addresses = itertools.count(1000, self.direction)

        class Task(asyncio.Task):
            def __init__(self, *args, **options):
                self.address = next(addresses)
                super().__init__(*args, **options)

            def __hash__(self):
                return self.address

        class Future(asyncio.Future):
            def __init__(self, *args, **options):
                self.address = next(addresses)
                super().__init__(*args, **options)

            def __hash__(self):
                return self.address

        self.set_task_factory(lambda loop, coro, **options: Task(coro, loop=loop, **options))
        self.create_future = lambda: Future(loop=self)


class LaidOutBackwards(LaidOutLoop):
    """The same, on a heap that grows downwards."""

    direction = -1


_clutter = []


def disturb(count):
    """Leave holes of the sizes of tasks and futures in the heap, so that addresses differ from the last run's."""
    _clutter.extend([kind() for _ in range(count)] for kind in (bytearray, object, dict))
    loop = asyncio.new_event_loop()
    futures = [asyncio.Future(loop=loop) for _ in range(count)]
    _clutter.append(futures[:: 3 if count % 2 else 2])
    loop.close()


def run(loop_class, body):
    """Run `body` on a loop of that class; its result is the order it observed."""
    identity.reset()
    gc.collect()
    loop = loop_class()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(body())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def order_of_wait():
    """The order in which `asyncio.wait` gives back what is done."""
    tasks = [asyncio.create_task(asyncio.sleep(0), name=str(number)) for number in range(40)]
    done, _ = await asyncio.wait(tasks)
    return [task.get_name() for task in done]


async def order_of_cancellation():
    """The order in which a task group cancels."""
    seen = []

    async def member(number):
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            seen.append(number)
            raise

    async def failing():
        await asyncio.sleep(0)
        raise KeyError

    with pytest.raises(BaseExceptionGroup):  # noqa: PT012 - a group is a block
        async with asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(member(number))
            group.create_task(failing())
    return seen


async def order_of_all_tasks():
    """The order of `asyncio.all_tasks`."""
    tasks = [asyncio.create_task(asyncio.sleep(0), name=str(number)) for number in range(40)]
    names = [task.get_name() for task in asyncio.all_tasks() if task in tasks]
    await asyncio.gather(*tasks)
    return names


async def order_of_futures():
    """The order of a set of futures of the loop."""
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in range(40)]
    return [futures.index(future) for future in set(futures)]


BODIES = [order_of_wait, order_of_cancellation, order_of_all_tasks, order_of_futures]


def orders(loop_class, body):
    seen = set()
    for count in (0, 7, 100, 1001, 30):
        disturb(count)
        seen.add(tuple(run(loop_class, body)))
    return seen


@pytest.mark.parametrize("body", BODIES)
def test_sets_of_tasks_leak_addresses(body):
    """Red: asyncio's own tasks and futures hash by address, and come in another order when the heap looks different."""
    assert asyncio.Task.__hash__ is asyncio.Future.__hash__ is object.__hash__
    assert run(LaidOutLoop, body) != run(LaidOutBackwards, body)


@pytest.mark.parametrize("body", BODIES)
def test_numbered_tasks_do_not(body):
    """Green: hashing by number, the order is the same however the heap looks."""
    assert len(orders(SimLikeLoop, body)) == 1


async def test_equality_stays_identity():
    """A number is a hash, not an equality: two tasks are never equal."""
    loop = asyncio.get_running_loop()
    identity.reset()
    first, second = SimFuture(loop=loop), SimFuture(loop=loop)
    assert hash(first) == 1
    identity.reset()
    assert hash(second) == hash(first) == 1
    assert first != second
    assert {first, second} >= {first}
    assert len({first, second}) == 2


async def cancel_scopes():
    """Anyio's cancel scopes: the children of a scope are kept in a set."""
    import anyio

    return [anyio.CancelScope() for _ in range(40)]


async def subscribers():
    """Sockets of fakeredis: it publishes to a set of them."""
    import redis
    from fakeredis import FakeServer
    from fakeredis._socket._fakesocket import FakeSocket

    server = FakeServer()
    return [FakeSocket(server, 0, client_class=redis.Redis) for _ in range(40)]


@pytest.mark.parametrize("make", [cancel_scopes, subscribers])
def test_scopes_and_subscribers(make, fakes):
    """Red without, green with: classes of other libraries hash by number while a run is active, and only then."""

    async def body():
        members = await make()
        return [members.index(member) for member in set(members)]

    def hash_by_address():
        return all(hash(member) == object.__hash__(member) for member in asyncio.run(make()))

    seen = set()
    assert hash_by_address()
    for count in (0, 7, 100, 1001, 30):
        disturb(count)
        loop = asyncio.SelectorEventLoop()
        identity.reset()
        with virtual(fakes.FakeMachine()):
            seen.add(tuple(loop.run_until_complete(body())))
        loop.close()
    assert hash_by_address()
    assert len(seen) == 1


def process(code, *, stable, env=()):
    """Return what `code` prints in a fresh interpreter; `stable` calls `ensure_stable_interpreter` first."""
    first = "from harness.world.sim.identity import ensure_stable_interpreter; ensure_stable_interpreter()\n"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHONHASH", "HARNESS_"))}
    environment.update(env)
    done = subprocess.run(
        [sys.executable, "-c", (first if stable else "") + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment,
    )
    return done.stdout


STRINGS = "print(list({f'key{n}' for n in range(30)}), hash('key'))"


def test_hashes_of_strings():
    """Red without: each process orders a set of strings its own way. Green with: all alike."""
    assert len({process(STRINGS, stable=False) for _ in range(3)}) == 3
    assert len({process(STRINGS, stable=True) for _ in range(3)}) == 1


OBJECTS = """
import ctypes, json
class Thing: pass
things = [Thing() for _ in range(30)]
print(json.dumps([ctypes.CDLL(None).personality(0xFFFFFFFF), [things.index(t) for t in set(things)], repr(things[0])]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="personality(2) is Linux's")
def test_addresses_of_plain_objects():
    """Green with: where the kernel permits fixed addresses, sets and reprs of plain objects are alike everywhere."""
    runs = [json.loads(process(OBJECTS, stable=True)) for _ in range(3)]
    if not runs[0][0] & 0x0040000:
        pytest.skip("this kernel does not let a process fix its addresses")
    assert runs[0] == runs[1] == runs[2]
    assert not json.loads(process(OBJECTS, stable=False))[0] & 0x0040000


def test_a_fixed_hash_seed_is_kept_and_arguments_survive():
    """A seed somebody chose stays; `-c` code, its arguments and options of the interpreter survive the new start."""
    code = "import os, sys; print(os.environ['PYTHONHASHSEED'], sys.flags.hash_randomization, sys.argv)"
    assert process(code, stable=True, env={"PYTHONHASHSEED": "5"}) == "5 1 ['-c']\n"
    assert process(code, stable=True) == "0 0 ['-c']\n"


SOURCES = """
import random, secrets, time, uuid, datetime, os
early = random.Random()
from time import time as bound
import importlib.util, sys
from contextlib import nullcontext
spec = importlib.util.spec_from_file_location("fakes", "tests/harness/world/sim/fake_machine.py")
fakes = importlib.util.module_from_spec(spec); spec.loader.exec_module(fakes)
from harness.world.sim.sources import virtual
late = random.Random()
with virtual(fakes.FakeMachine()) if VIRTUAL else nullcontext():
    print(ENTROPY)
"""
LEAKS = {
    "uuid4, secrets, random": "uuid.uuid4(), secrets.token_hex(), random.random(), os.urandom(4)",
    "random.Random() at import": "early.random(), late.random()",
    "time and friends": "time.time(), bound(), time.perf_counter(), datetime.datetime.now().isoformat()",
}


@pytest.mark.parametrize("leak", LEAKS)
def test_clocks_and_dice_across_processes(leak):
    """Red without virtual sources: processes differ. Green with: all alike."""
    code = SOURCES.replace("ENTROPY", LEAKS[leak])
    red = {process(code.replace("VIRTUAL", "False"), stable=True) for _ in range(2)}
    green = {process(code.replace("VIRTUAL", "True"), stable=True) for _ in range(2)}
    assert len(red) == 2
    assert len(green) == 1


async def test_names_of_tasks_count_from_one():
    """Asyncio numbers tasks through the process; ours are numbered through the run, unless they are given a name."""
    identity.reset()
    loop = asyncio.get_running_loop()
    tasks = [SimTask(asyncio.sleep(0), loop=loop), SimTask(asyncio.sleep(0), loop=loop, name="mine")]
    tasks.append(SimTask(asyncio.sleep(0), loop=loop))
    assert [task.get_name() for task in tasks] == ["Task-1", "mine", "Task-3"]
    await asyncio.gather(*tasks)


def test_numbers_begin_again():
    """Each run counts from one."""
    identity.reset()
    loop = asyncio.new_event_loop()
    first = [hash(SimFuture(loop=loop)) for _ in range(3)]
    identity.reset()
    assert first == [hash(SimFuture(loop=loop)) for _ in range(3)] == list(itertools.islice(itertools.count(1), 3))
    loop.close()


def test_the_dead_leave_no_number():
    """A number dies with its object: the next owner of the address gets a new one."""

    class Thing:
        __hash__ = identity.number_hash

    identity.reset()
    before = len(identity._numbered)
    first = Thing()
    assert hash(first) == hash(first) == 1
    del first
    assert len(identity._numbered) == before
    assert hash(Thing()) == 2
