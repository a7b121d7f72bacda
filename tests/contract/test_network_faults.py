"""What a link's faults do to those who talk over it: one suite, both worlds, the same expectations word for word.

Before a fault, under it and after it, a host asks the Redis dependency for an echo of 1,000 bytes, over a connection
that it has had since before and over a new one. All cases run at once in one world, each on a link of its own, so none
may touch another's either. What connects, what is delivered, when, and how it ends must be the
same whether the link is simulated or goes through the proxy. Times are bounded from below by the fault's definition,
and from above by what a busy machine keeps.
"""

import asyncio
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from harness.dependencies.redis.real import start_real
from harness.dependencies.redis.sim import start_sim
from harness.faults import network
from harness.faults.base import Stage
from harness.faults.network import LinkFault, Toxics
from harness.history.events import SCHEMA, Event, FaultBegan, FaultHealed, Observation, RunStarted
from harness.history.history import History
from harness.history.query import fault_windows
from harness.tape import Tape
from harness.toxics.base import Direction
from harness.toxics.catalog import parse
from harness.units import seconds
from harness.world.base import HostSpec, World
from harness.world.real.world import RealWorld
from harness.world.sim.run import run_sim

sys.path.insert(0, str(Path(__file__).parent / "programs"))  # host processes import their programs by name

import network_programs

SLOWNESS_MS = 1_000
"""What a busy machine may add to any real answer."""
MARGIN_NS = seconds(2)
"""What it may take a busy machine to inject, or to heal, all the faults at once."""
ECHO = len(b"$1000\r\n\r\n") + network_programs.SIZE


@dataclass(frozen=True, slots=True)
class Met:
    """What a probe is to meet: so many bytes `heard` (`total`: since connecting), not before `least_ms`.

    And not after `least_ms` plus `within_ms`. None: not looked at.
    """

    outcome: str
    heard: int | range | None = None
    least_ms: int = 0
    within_ms: int | None = SLOWNESS_MS
    pieces: range = field(default=range(1_000))
    total: int | None = None
    first_ms: int | None = None
    """By when the first news has come."""


ANSWERED = Met("answered", heard=ECHO)
SILENT = Met("silent", heard=0, least_ms=1_900, within_ms=None)
LATE = Met("answered", within_ms=5_000, total=3 * ECHO)
"""The answer that had been held up comes after all, as soon as TCP tries again, and then this one."""
AFTER_SYN = Met("answered", heard=ECHO, within_ms=5_000)
GONE = Met("closed", heard=0)


@dataclass(frozen=True, slots=True)
class Case:
    """A fault, and what the old and the new connection meet under it and after it."""

    fault: LinkFault
    old: Met
    new: Met
    old_after: Met = ANSWERED
    new_after: Met = ANSWERED
    says: str = "echo"
    """What is said under the fault; see network_programs."""


def toxic(kind: str, stream: Direction = "downstream", *, proof: str, **attributes: Any) -> LinkFault:
    """Return one of the toxics that no fault of its own stands for."""
    how = Toxics(((stream, parse(kind, attributes)),), frozenset({proof}))
    return LinkFault(f"network.{kind}", *LINK, {kind: how})


LINK = ("prober", "redis")
QUIT_SLOWLY = Met("closed", len(b"+OK\r\n"), 1_200, within_ms=800, first_ms=1_100)
"""The server's word comes at once, its close does not."""
HALF_CLOSE = Toxics(
    (("upstream", parse("latency", {"latency": 400})), ("upstream", parse("half_close", {}))), frozenset({"ends"})
)
"""The request is late, and the end right behind it: so no reply can be ahead of the end, whatever the machine does."""
CASES = {
    "partition both ways": Case(
        network.partition(*LINK, "both-ways"), SILENT, Met("no answer", least_ms=1_900), LATE, AFTER_SYN
    ),
    "partition upstream": Case(
        network.partition(*LINK, "upstream"), SILENT, Met("no answer", least_ms=1_900), LATE, AFTER_SYN
    ),
    "partition downstream": Case(
        network.partition(*LINK, "downstream"), SILENT, Met("no answer", least_ms=1_900), LATE, AFTER_SYN
    ),
    "refuse": Case(network.refuse(*LINK), GONE, Met("refused"), GONE),
    "latency": Case(network.latency(*LINK, latency_ms=400), Met("answered", ECHO, 400), Met("answered", ECHO, 400)),
    "latency and jitter": Case(
        network.latency(*LINK, latency_ms=400, jitter_ms=100), Met("answered", ECHO, 300), Met("answered", ECHO, 300)
    ),
    "bandwidth": Case(
        network.bandwidth(*LINK, rate_kb_s=2), Met("answered", ECHO, 1_000), Met("answered", ECHO, 1_000)
    ),
    "slices": Case(
        network.slices(*LINK, average_bytes=100, variation_bytes=50, delay_us=20_000),
        Met("answered", ECHO, 200, pieces=range(5, 30)),
        Met("answered", ECHO, 200, pieces=range(5, 30)),
    ),
    "reset": Case(
        network.reset(*LINK, pause_ns=(seconds(60), seconds(60))), Met("reset", 0), ANSWERED, Met("reset", 0)
    ),
    "half-open": Case(network.half_open(*LINK), SILENT, SILENT, SILENT),
    "drop a reply": Case(network.drop_reply(*LINK, commands=("ECHO",), share=1), SILENT, SILENT, SILENT),
    "delay a reply": Case(
        network.delay_reply(*LINK, commands=("ECHO",), delay_ms=400),
        Met("answered", ECHO, 400),
        Met("answered", ECHO, 400),
        ANSWERED,
    ),
    "reset mid-reply": Case(
        network.reset_mid_reply(*LINK, commands=("ECHO",), share=1),
        Met("reset", range(1, ECHO)),
        Met("reset", range(1, ECHO)),
        Met("reset", 0),
    ),
    "toxic timeout": Case(toxic("timeout", proof="dropped", timeout=0), SILENT, SILENT, GONE),
    "toxic timeout, in time": Case(
        toxic("timeout", proof="closed", timeout=1_200),
        Met("closed", 0),
        Met("closed", 0, 1_100),
        GONE,
    ),
    "toxic reset_peer": Case(
        toxic("reset_peer", proof="reset", timeout=300), Met("reset", 0, 300), Met("reset", 0, 300), Met("reset", 0)
    ),
    "toxic limit_data": Case(toxic("limit_data", proof="closed", bytes=7), Met("closed", 7), Met("closed", 7), GONE),
    "toxic limit_data upstream": Case(
        toxic("limit_data", "upstream", proof="closed", bytes=500), Met("closed", 0), Met("closed", 0), GONE
    ),
    "an end ends both directions": Case(
        toxic("latency", "upstream", proof="bytes", latency=400),
        Met("closed", 0, 400),
        Met("closed", 0, 400),
        GONE,
        says="half-close",
    ),
    "toxic half_close": Case(
        LinkFault("network.half_close", *LINK, {"half_close": HALF_CLOSE}),
        Met("answered", ECHO, 400),
        Met("answered", ECHO, 400),
        GONE,
        says="half-close",
    ),
    "toxic slow_close, of a close": Case(
        toxic("slow_close", proof="ends", delay=1_200),
        QUIT_SLOWLY,
        QUIT_SLOWLY,
        GONE,
        says="quit",
    ),
    "toxic slow_close": Case(toxic("slow_close", proof="ends", delay=300), ANSWERED, ANSWERED),
    "toxic abort": Case(toxic("abort", proof="reset"), Met("reset", 0), Met("reset", 0), Met("reset", 0)),
    "toxic discard_first": Case(
        toxic("discard_first", proof="dropped", bytes=9),
        Met("silent", ECHO - 9, 1_900, within_ms=None),
        Met("silent", ECHO - 9, 1_900, within_ms=None),
    ),
}


class Seen:
    """A history in memory."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, event: Event) -> None:
        """Keep it."""
        self.events.append(event)

    def probes(self, host: str) -> dict[tuple[str, str], dict[str, Any]]:
        """Return what that host met, by stage and connection."""
        return {
            (event.value["stage"], event.value["which"]): event.value
            for event in self.events
            if isinstance(event, Observation) and (event.name, event.actor) == ("probe", host)
        }


FAULTS = {name: replace(case.fault, host=f"prober{number}") for number, (name, case) in enumerate(CASES.items())}


async def hurt(world: World, schedule: Path) -> None:
    """Let every prober talk before, under and after its fault."""
    await world.start_dependency("redis", "redis", {}, follow="redis")
    specs = {
        fault.host: HostSpec(
            name=fault.host,
            program=network_programs.probe,
            params={"schedule": str(schedule), "says": CASES[name].says},
        )
        for name, fault in FAULTS.items()
    }
    for spec in specs.values():
        await world.start_host(spec)
    ready_ns = world.now_ns() + seconds(0.5)
    at_ns = {stage: ready_ns + seconds(later) for stage, later in {"before": 0, "under": 4, "after": 9}.items()}
    network_programs.tell(schedule, at_ns)
    stage = Stage(world, specs)
    async with asyncio.TaskGroup() as group:
        for number, fault in enumerate(FAULTS.values()):
            group.create_task(hold(stage, number, fault, at_ns))
    await world.sleep_until(at_ns["after"] + seconds(0.2))
    async with asyncio.TaskGroup() as group:
        for name in specs:
            group.create_task(world.stop_host(name, timeout_ns=seconds(10)))


async def hold(stage: Stage, number: int, fault: LinkFault, at_ns: dict[str, int]) -> None:
    """Hold one fault while its prober talks the second time, as the director would."""
    world = stage.world
    (mode,) = fault.modes
    await world.sleep_until(at_ns["under"] - MARGIN_NS)
    world.history.record(FaultBegan(world.now_ns(), "harness", 1, number, fault.name, mode, fault.on))
    async with fault.hold(stage, mode, world.tape.stream(f"fault/{number}")):
        await world.sleep_until(at_ns["after"] - MARGIN_NS)
    world.history.record(FaultHealed(world.now_ns(), "harness", 1, number))


@pytest.fixture(
    scope="module",
    params=["sim", pytest.param("real", marks=[pytest.mark.real, pytest.mark.xdist_group("network-faults")])],
)
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Run every fault in that world, once, and return what its history saw."""
    seen, directory = Seen(), tmp_path_factory.mktemp("world")
    if request.param == "sim":
        run_sim(
            lambda world: hurt(world, directory / "schedule"),
            tape=Tape(1),
            sink=seen,
            directory=directory,
            dependency_kinds={"redis": start_sim},
        )
    else:
        asyncio.run(_real(seen, directory))
    return seen


async def _real(seen: Seen, directory: Path) -> None:
    world = RealWorld(Tape(1), seen, targets={}, directory=directory, dependency_kinds={"redis": start_real})
    async with world:
        await hurt(world, directory / "schedule")


@pytest.mark.parametrize("name", CASES)
def test_what_a_fault_does(seen: Seen, name: str) -> None:
    """Before, under and after it, over the old connection and new ones; and it leaves proof that it bit."""
    case, fault = CASES[name], FAULTS[name]
    probes = seen.probes(fault.host)
    expected = {
        ("before", "old"): ANSWERED,
        ("before", "new"): ANSWERED,
        ("under", "old"): case.old,
        ("under", "new"): case.new,
        ("after", "old"): case.old_after,
        ("after", "new"): case.new_after,
    }
    assert probes.keys() == expected.keys()
    wrong = {place: (probes[place], met) for place, met in expected.items() if not fits(probes[place], met)}
    assert not wrong

    header = RunStarted(0, "harness", 1, SCHEMA, "0", "s", "full", "sim", 1, {}, [])
    history = History.of([header, *seen.events])
    (window,) = (one for one in fault_windows(history) if one.on == fault.on)
    evidence = fault.evidence(history, window)
    assert evidence.bit, evidence


def fits(probe: dict[str, Any], met: Met) -> bool:
    """Tell whether a probe met that."""
    heard = probe.get("heard", 0)
    return (
        probe["outcome"] == met.outcome
        and (met.heard is None or (heard in met.heard if isinstance(met.heard, range) else heard == met.heard))
        and met.total in (None, probe.get("total"))
        and probe["ms"] >= met.least_ms
        and (met.within_ms is None or probe["ms"] <= met.least_ms + met.within_ms)
        and probe.get("pieces", 1) in met.pieces
        and (met.first_ms is None or probe["first_ms"] <= met.first_ms)
        and probe.get("connecting_ms", 0) <= (5_000 if met is AFTER_SYN else SLOWNESS_MS)
    )
