"""Many runs in one process take no more memory than some: what a run leaves behind goes."""

import gc
import weakref

from harness.tape import Tape
from harness.world.sim import run as runs
from harness.world.sim.run import run_sim
from harness.world.sim.world import SimWorld


class Nowhere:
    """A sink that keeps nothing."""

    def record(self, event: object) -> None:
        """Forget it."""


def test_worlds_of_earlier_runs_are_let_go(tmp_path, monkeypatch):
    """Freezing what is there before each run would keep every world for ever; two collections later one is gone."""
    monkeypatch.setattr(runs, "_RUNS_PER_COLLECTION", 2)
    worlds: list[weakref.ref[SimWorld]] = []

    async def director(world: SimWorld) -> None:
        worlds.append(weakref.ref(world))

    gc.disable()  # as where runs follow each other without a pause
    try:
        for seed in range(5):
            run_sim(director, tape=Tape(seed), sink=Nowhere(), directory=tmp_path / str(seed))
    finally:
        gc.enable()

    assert [world() is None for world in worlds[:3]] == [True] * 3
