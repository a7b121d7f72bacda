"""What the exchange's faults do to unmodified httpx and websockets: one table, both worlds, and the evidence of each.

A prober sends reads, orders, queries and cancels and keeps a user data stream open, all the time. Every fault of the
menu, in each of its modes, is held once until the prober has met what the table says, and after it everything is as
before; then it must have left proof. Then the same fault is held back (`WithoutEffect`) for some rounds, and there
must be none. All in one run of each world, one fault after the other.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.dependencies.binance.real import start_real
from harness.dependencies.binance.sim import start_sim
from harness.faults.base import Fault, Stage, WithoutEffect
from harness.history.events import SCHEMA, FaultBegan, FaultHealed, RunStarted
from harness.history.history import History
from harness.history.query import fault_windows
from harness.tape import Tape
from harness.units import seconds
from harness.world.base import HostSpec, World
from harness.world.real.world import RealWorld
from harness.world.sim.run import run_sim

sys.path.insert(0, str(Path(__file__).parent / "programs"))  # host processes import their programs by name

import binance_fault_programs
from binance_fault_table import OPTIONS, TABLE, WAYS, Expected, Seen, evidence, is_met, is_well, rounds

PATIENCE_NS = seconds(20)
ROUNDS_HELD_BACK = 3


async def until(world: World, seen: Seen, since: int, what: str, condition: Callable[[], bool]) -> None:
    """Return when the condition holds."""
    deadline_ns = world.now_ns() + PATIENCE_NS
    while not condition():
        assert world.now_ns() < deadline_ns, (what, Counter((met["what"], met["outcome"]) for met in seen.met(since)))
        await world.sleep_until(world.now_ns() + seconds(0.01))


async def hold(stage: Stage, number: int, fault: Fault, mode: str, seen: Seen, expected: Expected | None) -> None:
    """Hold a fault until the expected was met (None: for some rounds); return when all is well again."""
    world, since = stage.world, len(seen)
    label = f"{fault.name}/{mode}"
    world.history.record(FaultBegan(world.now_ns(), "harness", 1, number, fault.name, mode, fault.on))
    async with fault.hold(stage, mode, world.tape.stream(f"fault/{number}")):
        if expected is None:
            await until(world, seen, since, label, lambda: rounds(seen.met(since)) >= ROUNDS_HELD_BACK)
        else:
            await until(world, seen, since, label, lambda: is_met(expected, seen.met(since), world.kind))
    healed_ns = world.now_ns()
    world.history.record(FaultHealed(healed_ns, "harness", 1, number))
    await until(world, seen, since, f"after {label}", lambda: is_well(seen.met(since, began_ns=healed_ns)))


async def hurt(world: World, seen: Seen) -> None:
    """Hold every fault in every mode, and then held back."""
    await world.start_dependency("binance", "binance", OPTIONS, follow="http")
    spec = HostSpec(name="prober", program=binance_fault_programs.probe)
    await world.start_host(spec)
    await until(world, seen, 0, "at the start", lambda: is_well(seen.met(0)))
    stage = Stage(world, {"prober": spec})
    for number, (fault, mode, expected) in enumerate(WAYS):
        await hold(stage, 2 * number, fault, mode, seen, expected)
        await hold(stage, 2 * number + 1, WithoutEffect(fault), mode, seen, None)
    assert await world.stop_host("prober", timeout_ns=seconds(10))


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("sim", marks=pytest.mark.xdist_group("binance-faults-sim")),
        pytest.param("real", marks=[pytest.mark.real, pytest.mark.xdist_group("binance-faults-real")]),
    ],
)
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> History:
    """Run every fault in that world, once, and return the history."""
    seen, directory = Seen(), tmp_path_factory.mktemp("world")
    if request.param == "sim":
        kinds = {"binance": start_sim}
        run_sim(lambda world: hurt(world, seen), tape=Tape(1), sink=seen, directory=directory, dependency_kinds=kinds)
    else:
        asyncio.run(_real(seen, directory))
    return History.of([RunStarted(0, "harness", 1, SCHEMA, "0", "s", "full", "sim", 1, {}, []), *seen])


async def _real(seen: Seen, directory: Path) -> None:
    async with RealWorld(
        Tape(1), seen, targets={}, directory=directory, dependency_kinds={"binance": start_real}
    ) as world:
        await hurt(world, seen)


def test_the_table_is_the_whole_menu() -> None:
    """Every mode of every fault that is in it; the menu itself is held against all kinds of arms elsewhere."""
    for fault, modes in TABLE:
        assert tuple(modes) == tuple(fault.modes)


@pytest.mark.parametrize(
    ("number", "fault", "mode"),
    [pytest.param(number, *way[:2], id=f"{way[0].name}-{way[1]}") for number, way in enumerate(WAYS)],
)
def test_it_was_met_and_leaves_proof(history: History, number: int, fault: Fault, mode: str) -> None:
    """The run met what the table says, else there would be no history. Held back, the same fault proves nothing."""
    assert fault_windows(history)[2 * number].mode == mode
    assert evidence(history, fault, 2 * number).bit, evidence(history, fault, 2 * number)
    assert not evidence(history, WithoutEffect(fault), 2 * number + 1).bit
