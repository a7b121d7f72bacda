"""What it costs to take a run down, and that nothing breaks it off."""

import asyncio
import itertools

import pytest

from harness.tape import Tape
from harness.world.sim.run import run_sim


class Nowhere:
    def record(self, event):
        pass


def test_a_listening_server_is_taken_down_in_a_few_steps(tmp_path):
    """A server that still listens when the run ends does not spin: the steps after the end are counted in dozens."""
    worlds = []

    async def serve():
        await asyncio.start_server(lambda _reader, writer: writer.close(), "0.0.0.0", 80)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1)  # a service that takes its time to end, while its port is still open

    async def director(world):
        worlds.append(world)
        world.machines.boot("server", serve)
        world.machines.boot("killed", serve)
        await asyncio.sleep(1)
        world.machines.kill("killed")

    run = run_sim(director, tape=Tape(1), sink=Nowhere(), directory=tmp_path)
    assert run.steps > 0
    assert worlds[0].loop.steps - run.steps < 100


@pytest.mark.parametrize("after", [0, 3])
def test_an_interrupted_run_is_taken_down_to_the_end(tmp_path, after):
    """It raises at a pause of the loop, out of no program's code, and then lets every program finish: once, for good.

    The question is still answered yes in the teardown, where nobody asks it any more.
    """
    asked, ends = [], []

    def interrupted():
        asked.append(None)
        return len(asked) > after

    async def serve():
        try:
            for _ in itertools.repeat(None):
                await asyncio.sleep(0.001)
        except BaseException as error:
            ends.append(type(error))
            raise
        finally:
            for _ in range(5_000):
                await asyncio.sleep(0)
            ends.append("done")

    async def director(world):
        world.machines.boot("server", serve)
        await asyncio.sleep(3600)

    with pytest.raises(KeyboardInterrupt):
        run_sim(director, tape=Tape(1), sink=Nowhere(), directory=tmp_path, interrupted=interrupted)
    assert len(asked) == after + 1
    assert ends == [asyncio.CancelledError, "done"]
