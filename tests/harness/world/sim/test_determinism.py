"""One seed, one course: in one process, in several, and the first difference is shown when there is one."""

import asyncio
import os
import random
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.tape import Tape
from harness.units import ms
from harness.world.sim.run import SimRun, run_sim
from harness.world.sim.sink import MemorySink
from harness.world.sim.trace import describe_difference
from harness.world.sim.world import SimWorld

PORT = 7000


async def server() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                await asyncio.to_thread(line.upper)
                writer.write(line + uuid.uuid4().bytes.hex().encode() + b"\n")
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    await (await asyncio.start_server(handle, None, PORT)).serve_forever()


async def client(number: int) -> None:
    async def talk(worker: int) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection("server", PORT)
            except OSError:
                await asyncio.sleep(random.random())
                continue
            try:
                async with asyncio.timeout(5):
                    for _ in range(random.randrange(20)):
                        writer.write(b"%d %d %s\n" % (number, worker, os.urandom(4).hex().encode()))
                        await reader.readline()
                        await reader.readline()
            except OSError:
                pass
            finally:
                writer.close()
            await asyncio.wait({asyncio.create_task(asyncio.sleep(random.random())) for _ in range(3)})

    await asyncio.gather(*map(talk, range(3)))


async def director(world: SimWorld) -> None:
    """A little of everything."""
    dice = random.Random(world.tape.stream("plan/test").below(1 << 30))
    world.machines.boot("server", server)
    for number in range(3):
        world.machines.boot(f"client{number}", client, number)
    for _ in range(6):
        await asyncio.sleep(dice.uniform(0.5, 3))
        fault = dice.choice(["kill", "freeze", "cut", "off", "slow", "reset"])
        if fault in ("kill", "off"):
            (world.machines.kill if fault == "kill" else world.machines.power_off)("server")
            await asyncio.sleep(dice.uniform(0, 2))
            world.machines.boot("server", server)
        elif fault == "freeze":
            world.machines.freeze("server")
            await asyncio.sleep(dice.uniform(0, 2))
            world.machines.thaw("server")
        elif fault == "cut":
            world.network.cut("client1", "server")
            await asyncio.sleep(dice.uniform(0, 2))
            world.network.heal("client1", "server")
        elif fault == "slow":
            world.network.set_latency("client0", "server", ms(1), ms(dice.randrange(2, 200)))
        else:
            world.network.reset("client2", "server")


def run(seed: int, directory: Path, **options: Any) -> SimRun[None]:
    return run_sim(director, tape=Tape(seed), sink=MemorySink(), directory=directory, **options)


def test_the_same_seed_gives_the_same_digest_in_one_process(tmp_path: Path) -> None:
    """Also with other runs in between, and while text rows are recorded."""
    first = run(1, tmp_path)
    other = run(2, tmp_path)
    again = run(1, tmp_path, rows_max=100)
    assert first.digest == again.digest != other.digest
    assert (first.steps, first.segments, first.simulated_ns) == (again.steps, again.segments, again.simulated_ns)
    assert first.segments > 500
    assert (first.unhandled, first.failures, first.escapes) == (0, {}, ())


def test_the_same_seed_gives_the_same_digest_in_other_processes(tmp_path: Path) -> None:
    """Three fresh interpreters and this test's own program."""
    command = [sys.executable, __file__, str(tmp_path)]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [process.communicate(timeout=60)[0].split() for process in processes]
    assert all(process.returncode == 0 for process in processes)
    assert len(outputs[0]) == 3
    assert outputs[0] == outputs[1] == outputs[2]
    assert len(set(outputs[0])) == 3


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**60))
def test_any_seed_repeats(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Twice the same, with rows to show where not."""
    directory = tmp_path_factory.mktemp("disks")
    first, second = (run(seed, directory, rows_max=1_000_000) for _ in range(2))
    assert describe_difference(first.rows, second.rows) is None
    assert first.digest == second.digest


def test_the_first_difference_is_shown(tmp_path: Path) -> None:
    """One edited latency: the rows agree up to the segment that it concerns, and the text shows it."""

    def rows(edits: dict[str, dict[int, int]]) -> tuple[str, tuple[str, ...]]:
        done = run_sim(director, tape=Tape(5, edits), sink=MemorySink(), directory=tmp_path, rows_max=1_000_000)
        return done.digest, done.rows

    digest, before = rows({})
    edited_digest, after = rows({"link/client0->server": {20: 1}})
    text = describe_difference(before, after)
    assert digest != edited_digest
    assert text is not None
    assert "client0->server" in text
    assert text.count("\n") == 5


def test_rows_are_bounded(tmp_path: Path) -> None:
    """No more than asked for."""
    assert len(run(1, tmp_path, rows_max=10).rows) == 10
    assert run(1, tmp_path).rows == ()


def test_a_difference_in_length_is_a_difference() -> None:
    """A trace that goes on longer differs where the other ends."""
    assert describe_difference(["1 a"], ["1 a"]) is None
    text = describe_difference(["1 a", "2 b"], ["1 a"])
    assert text is not None
    assert "- 2 b" in text
    assert "+ (the trace ends)" in text


if __name__ == "__main__":
    for number in range(3):
        print(run(number, Path(sys.argv[1]) / f"{os.getpid()}").digest)  # noqa: T201 - the disks' path must not matter
