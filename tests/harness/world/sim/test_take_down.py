"""What it costs to take a run down."""

import asyncio

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
