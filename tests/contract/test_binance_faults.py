"""What the exchange's faults do to unmodified httpx and websockets: one table, both worlds, and the evidence of each.

A prober sends reads, orders, queries and cancels and keeps a user data stream open, all the time. Every fault of the
menu, in each of its modes, is held once until the prober has met what the table says, and after it everything is as
before; then it must have left proof. Then the same fault is held back (`WithoutEffect`) for as many rounds, and there
must be none. All in one run of each world, one fault after the other.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from harness.dependencies.binance import faults
from harness.dependencies.binance.real import start_real
from harness.dependencies.binance.settings import Limit
from harness.dependencies.binance.sim import start_sim
from harness.faults import network
from harness.faults.base import Evidence, Fault, Stage, WithoutEffect
from harness.history.events import SCHEMA, Event, FaultBegan, FaultHealed, HostChanged, Observation, RunStarted
from harness.history.history import History
from harness.history.query import fault_windows
from harness.tape import Tape
from harness.units import seconds
from harness.world.base import HostSpec, World, WorldKind
from harness.world.real.world import RealWorld
from harness.world.sim.run import run_sim

sys.path.insert(0, str(Path(__file__).parent / "programs"))  # host processes import their programs by name

import binance_fault_programs

LIMITS = (Limit("REQUEST_WEIGHT", "SECOND", 1, 2_000), Limit("ORDERS", "SECOND", 1, 500))
"""Windows so short that a fault of limits is felt soon; the prober by itself never comes near them."""
OPTIONS = {"futures_limits": LIMITS, "strikes": 1_000_000}
ROUNDS_HELD_BACK = 3
PATIENCE_NS = seconds(20)

Met: TypeAlias = dict[str, Any]
Expected: TypeAlias = Sequence[tuple[str, str]] | Callable[[Met], bool]
"""(what, outcome) pairs, each to be met after the one before; or what an observation must be."""

FINE = {"read": "200 told", "order": "200 told", "rest": "200 told", "query": "200 told", "cancel": "200 told"}
STORM = [("read", "429 -1003 wait told"), ("order", "429 -1003 wait told")]
BAN = ("read", "418 -1003 wait")
BANS = (200, 300, 400)
PEER_RESET = "reset by the exchange"
PEER_RESETS = {"sim": "ReadError", "real": "RemoteProtocolError"}
"""A peer's own reset: the proxy of the real world passes it on as a close, as the original Toxiproxy does."""


def late(met: Met) -> bool:
    """An answer that came late, and came."""
    return met["what"] == "read" and met["outcome"] == "200 told" and met["ms"] >= 300


def answers(what: str, *outcomes: str) -> list[tuple[str, str]]:
    """The same request meets these one after the other."""
    return [(what, outcome) for outcome in outcomes]


TABLE: list[tuple[Fault, dict[str, Expected]]] = [
    (
        faults.storm(),
        {
            "rest-of-window": STORM,
            "short": STORM,
            "no-headers": [("read", "429 -1003"), ("order", "429 -1003")],
        },
    ),
    (
        faults.ban(lengths_ms=BANS, pause_ms=(100, 200)),
        {
            "first": [BAN],
            "second": [BAN],
            "third": [BAN],
            "escalating": [BAN, ("read", "200 told"), BAN, ("read", "200 told")],
        },
    ),
    (
        faults.order_storm(),
        {
            "at-429": [("order", "429 -1015 wait told"), ("read", "200 told")],
            "at-400": [("order", "400 -1015 told"), ("read", "200 told")],
            "no-headers": [("order", "429 -1015"), ("read", "200")],
        },
    ),
    (
        faults.unavailable(),
        {
            "A-executed": answers("order", "503 - told"),
            "A-not-executed": answers("order", "503 - told"),
            "B": answers("order", "503 -1016 told"),
            "C": answers("order", "503 -1008 told"),
            "D": answers("order", "503 -1001 told"),
        },
    ),
    (
        faults.unknown_status(),
        {
            "1006-executed": answers("order", "400 -1006 told"),
            "1006-not-executed": answers("order", "400 -1006 told"),
            "1007-executed": answers("order", "408 -1007 told"),
            "1007-not-executed": answers("order", "408 -1007 told"),
        },
    ),
    (faults.recv_window(), {"recv-window": [("order", "400 -1021 told"), ("query", "400 -1021 told")]}),
    (faults.firewall(), {"firewall": [("read", "403 html"), ("order", "403 html")]}),
    (faults.rejects(), {str(code): answers("order", f"400 {code} told") for code in faults.TERMINAL}),
    (
        faults.timeouts(share=0.5),
        {"before": answers("order", "ReadTimeout"), "after": answers("order", "ReadTimeout")},
    ),
    (faults.resets(share=0.5), {"before": answers("order", PEER_RESET), "after": answers("order", PEER_RESET)}),
    (faults.latency(latency_ms=400, jitter_ms=100, share=0.5), {"spikes": late, "all": late}),
    (
        faults.tenants(share=0.9, limits=LIMITS),
        {"weight": lambda met: met.get("used", 0) >= 1_200, "orders": lambda met: met.get("orders", 0) >= 300},
    ),
    (faults.lower_limits(factor=0.01), {"lower-limits": [("read", "429 -1003 wait told")]}),
    (faults.no_headers(), {"no-headers": answers("read", "200", "200")}),
    (faults.thin_book(), {"thin-book": answers("order", "200 told", "200 told")}),
    (faults.slippage(), {"slippage": answers("order", "200 told", "200 told")}),
    (
        faults.streams(every_ms=100),
        {
            "disconnect": answers("stream", "closed 1006", "closed 1006"),
            "expiry": answers("stream", "expired closed 1000", "expired closed 1000"),
        },
    ),
    (
        network.drop_http_reply("prober", "binance", methods=("POST",), path="/fapi/v1/order", share=0.5),
        {"drop-reply": answers("order", "ReadTimeout"), "drop-request": answers("order", "ReadTimeout")},
    ),
    (
        network.reset_http("prober", "binance", methods=("POST",), path="/fapi/v1/order", share=0.5),
        {
            "before": answers("order", "ReadError"),
            "after": answers("order", "ReadError"),
            "mid-reply": answers("order", "ReadError"),
        },
    ),
]
WAYS = [(fault, mode, expected) for fault, modes in TABLE for mode, expected in modes.items()]


class Seen(list[Event]):
    """A sink."""

    def record(self, event: Event) -> None:
        """Keep it; a prober that fails ends the run."""
        self.append(event)
        assert not (isinstance(event, HostChanged) and event.change == "failed"), event

    def met(self, since: int, *, began_ns: int = 0) -> list[Met]:
        """What the prober met, observed since that position, of what it began since that time."""
        return [
            event.value
            for event in self[since:]
            if isinstance(event, Observation) and event.name == "met" and event.value["began_ns"] >= began_ns
        ]


def is_met(expected: Expected, seen: list[Met], kind: WorldKind) -> bool:
    """Whether everything expected was met in that world, in its order."""
    if callable(expected):
        return any(expected(met) for met in seen)
    wanted = [(what, PEER_RESETS[kind] if outcome == PEER_RESET else outcome) for what, outcome in expected]
    for met in seen:
        if wanted and (met["what"], met["outcome"]) == wanted[0]:
            del wanted[0]
    return not wanted


def rounds(seen: list[Met]) -> int:
    """How many whole rounds of the prober."""
    return sum(met["what"] == "query" for met in seen)


def is_well(seen: list[Met]) -> bool:
    """Whether every kind of request is answered as ever."""
    return {(met["what"], met["outcome"]) for met in seen} >= FINE.items()


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
    params=["sim", pytest.param("real", marks=[pytest.mark.real, pytest.mark.xdist_group("binance-faults")])],
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


def evidence(history: History, fault: Fault, number: int) -> Evidence:
    """The evidence of the fault of that number."""
    (window,) = (one for one in fault_windows(history) if one.number == number)
    return fault.evidence(history, window)


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
