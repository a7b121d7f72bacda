"""The emulated exchange in both worlds: one suite, the same expectations word for word, unmodified clients.

Host programs use httpx and websockets as they are. In the real world they come through their proxies, which pass a
reset on as a plain close, as Toxiproxy does; so what is expected of a reset is that the connection broke.
"""

import asyncio
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.dependencies.binance.arms import Arm
from harness.dependencies.binance.control import BinanceControl
from harness.dependencies.binance.real import start_real
from harness.dependencies.binance.settings import EGRESS_IP
from harness.dependencies.binance.sim import start_sim
from harness.errors import WorldError
from harness.history.events import Event, HostChanged, Observation
from harness.tape import Tape
from harness.units import MILLISECOND, seconds
from harness.world.base import HostSpec, World
from harness.world.real.world import RealWorld
from harness.world.sim.run import run_sim

sys.path.insert(0, str(Path(__file__).parent / "programs"))  # host processes import their programs by name

import binance_programs

PATIENCE_NS = seconds(30)
WEIGHT = ["x-mbx-used-weight-1m"]
COUNTED = ["x-mbx-order-count-10s", "x-mbx-order-count-1m", "x-mbx-used-weight-1m"]

FAULTS: dict[str, Arm] = {
    "reset-before": Arm(kind="reset_before", count=1, methods=("POST",)),
    "silence-before": Arm(kind="silent_before", count=1, methods=("POST",)),
    "firewall": Arm(kind="firewall", count=1, methods=("POST",)),
    "too-many-orders": Arm(kind="too_many_orders", count=1, methods=("POST",)),
    "unknown-error": Arm(kind="unknown_error", count=1, methods=("POST",), options={"executed": 1.0}),
    "late-execution": Arm(
        kind="bus_unknown",
        count=1,
        methods=("POST",),
        paths=("/fapi/v1/order",),
        options={"executed": 1.0, "after_ms": 1_500},
    ),
    "service-unavailable": Arm(kind="service_unavailable", count=1, methods=("POST",)),
    "reset-after": Arm(kind="reset_after", count=1, methods=("POST",)),
    "silence-after": Arm(kind="silent_after", count=1, methods=("POST",)),
    "latency": Arm(kind="latency", count=1, methods=("POST",), options={"ms": 800}),
    "no-headers": Arm(kind="no_headers", count=1, methods=("POST",)),
}


class Seen:
    """A history in memory."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.ledger: dict[str, Any] = {}

    def record(self, event: Event) -> None:
        """Keep it."""
        self.events.append(event)

    def observed(self, actor: str, name: str) -> list[dict[str, Any]]:
        """Return the values of those observations."""
        return [
            event.value
            for event in self.events
            if isinstance(event, Observation) and (event.actor, event.name) == (actor, name)
        ]

    def steps(self, host: str) -> dict[str, dict[str, Any]]:
        """Return what a host met at each step."""
        return {
            step["step"]: {key: value for key, value in step.items() if key != "step"}
            for step in self.observed(host, "step")
        }

    def requests(self) -> list[dict[str, Any]]:
        """Return what the exchange recorded of requests."""
        return self.observed("binance", "request")


async def until(world: World, holds: Callable[[], bool]) -> None:
    """Return once that holds; the world goes on meanwhile."""
    deadline_ns = world.now_ns() + PATIENCE_NS
    while not holds():
        assert world.now_ns() < deadline_ns
        await world.sleep_until(world.now_ns() + 5 * MILLISECOND)


async def run_host(world: World, seen: Seen, spec: HostSpec, last: Callable[[], bool]) -> None:
    """Start a host, wait for its last word, and stop it."""
    await world.start_host(spec)
    await until(world, lambda: last() or _failed(seen, spec.name))
    assert await world.stop_host(spec.name, timeout_ns=seconds(10))


def _failed(seen: Seen, host: str) -> bool:
    return any(isinstance(one, HostChanged) and (one.actor, one.change) == (host, "failed") for one in seen.events)


async def direct(world: World, seen: Seen) -> None:
    """Let hosts trade, suffer each fault, listen to streams that end, and storm."""
    binance: BinanceControl = await world.start_dependency("binance", "binance", {"bans_ms": (60_000,)})
    await run_host(
        world,
        seen,
        HostSpec(name="trader", program=binance_programs.trade),
        lambda: bool(seen.observed("trader", "heard")),
    )
    for number, (name, arm) in enumerate(FAULTS.items()):
        armed = await binance.arm(arm)
        host = f"sufferer{number}"
        late = name == "late-execution"
        spec = HostSpec(name=host, program=binance_programs.suffer, params={"steps": [name], "late": late})
        steps = 3 if late else 2
        await run_host(world, seen, spec, lambda host=host, steps=steps: len(seen.steps(host)) == steps)  # type: ignore[misc]
        await binance.disarm(armed)
    await _end_streams(world, seen, binance)
    await run_host(
        world,
        seen,
        HostSpec(name="stormer", program=binance_programs.storm),
        lambda: bool(seen.steps("stormer")),
    )
    with pytest.raises(WorldError, match="never armed"):
        await binance.disarm("never armed")
    with pytest.raises(WorldError):
        await binance.arm(Arm(kind="latency", options={"seconds": 1}))
    seen.ledger = dict(await binance.ledger())


async def _end_streams(world: World, seen: Seen, binance: BinanceControl) -> None:
    """End the listener's stream in each way, as soon as it listens."""
    ends = ["stream_disconnect", "listen_key_expiry"]
    await world.start_host(HostSpec(name="listener", program=binance_programs.hear, params={"ends": ends}))
    for number, kind in enumerate(ends, start=1):
        await until(world, lambda number=number: len(seen.observed("listener", "listening")) == number)  # type: ignore[misc]
        armed = await binance.arm(Arm(kind=kind))  # type: ignore[arg-type]
        await until(world, lambda number=number: len(seen.observed("listener", "ended")) == number)  # type: ignore[misc]
        await binance.disarm(armed)
    assert await world.stop_host("listener", timeout_ns=seconds(10))


def run_in_sim(directory: Path) -> Seen:
    """Run it in virtual time."""
    seen = Seen()
    run = run_sim(
        lambda world: direct(world, seen),
        tape=Tape(1),
        sink=seen,
        directory=directory,
        dependency_kinds={"binance": start_sim},
    )
    assert (run.failures, run.escapes) == ({}, ())
    return seen


async def run_in_real(directory: Path) -> Seen:
    """Run it with processes."""
    seen = Seen()
    world = RealWorld(Tape(1), seen, targets={}, directory=directory, dependency_kinds={"binance": start_real})
    async with world:
        await direct(world, seen)
        assert world.failures == []
    return seen


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Seen]:
    """Return what the history saw in the world of that name; each world is run once."""

    @functools.cache
    def run(kind: str) -> Seen:
        directory = tmp_path_factory.mktemp(kind)
        return run_in_sim(directory) if kind == "sim" else asyncio.run(run_in_real(directory))

    return run


REAL = (pytest.mark.real, pytest.mark.xdist_group("binance-contract"))


@pytest.fixture(params=["sim", pytest.param("real", marks=REAL)])
def seen(request: pytest.FixtureRequest, worlds: Callable[[str], Seen]) -> Seen:
    """What the history saw in each world."""
    return worlds(request.param)


TRADED = {
    "filled": {"outcome": 200, "status": "FILLED", "executedQty": "0.010", "origQty": "0.010", "headers": COUNTED},
    "partly": {"outcome": 200, "status": "PARTIALLY_FILLED", "headers": COUNTED},
    "queried": {"outcome": 200, "status": "PARTIALLY_FILLED", "headers": WEIGHT},
    "rests": {"outcome": 200, "status": "NEW", "executedQty": "0.000", "headers": COUNTED},
    "duplicate": {"outcome": 400, "code": -4116},
    "cancelled": {"outcome": 200, "status": "CANCELED", "headers": WEIGHT},
    "gone": {"outcome": 400, "code": -2011, "headers": WEIGHT},
    "unknown": {"outcome": 400, "code": -2013, "headers": WEIGHT},
    "nowhere": {"outcome": 404},
}


def test_trading(seen: Seen) -> None:
    """Fills, partial fills, queries by client id, duplicates and cancels are answered as by Binance, with headers."""
    met = seen.steps("trader")
    assert met.keys() == TRADED.keys()
    wrong = {step: met[step] for step, expected in TRADED.items() if not expected.items() <= met[step].items()}
    assert not wrong
    assert met["partly"]["executedQty"] == met["queried"]["executedQty"] != "0.000"
    assert met["partly"]["executedQty"] < met["partly"]["origQty"]


def test_the_user_stream_tells_of_orders(seen: Seen) -> None:
    """Each new status of each order comes over the stream, in order."""
    (heard,) = seen.observed("trader", "heard")
    orders = heard["orders"]
    filled = [one for one in orders if one[0] == "filled"]
    assert filled[0] == ["filled", "NEW", "NEW"]
    assert filled[-1] == ["filled", "TRADE", "FILLED"]
    assert ["partly", "TRADE", "PARTIALLY_FILLED"] in orders
    assert [one for one in orders if one[0] == "rests"] == [["rests", "NEW", "NEW"], ["rests", "CANCELED", "CANCELED"]]


MET = {
    "reset-before": ({"outcome": "broken"}, -2013),
    "silence-before": ({"outcome": "timeout"}, -2013),
    "firewall": ({"outcome": 403, "kind": "text/html"}, -2013),
    "too-many-orders": ({"outcome": 429, "code": -1015}, -2013),
    "unknown-error": ({"outcome": 503}, "FILLED"),
    "late-execution": ({"outcome": 400, "code": -1006}, -2013),
    "service-unavailable": ({"outcome": 503}, -2013),
    "reset-after": ({"outcome": "broken"}, "FILLED"),
    "silence-after": ({"outcome": "timeout"}, "FILLED"),
    "latency": ({"outcome": 200, "status": "FILLED", "late": True}, "FILLED"),
    "no-headers": ({"outcome": 200, "status": "FILLED", "headers": []}, "FILLED"),
}
"""What the client met at each fault, and what it found of its order afterwards: a status, or an error's code."""


@pytest.mark.parametrize("name", FAULTS)
def test_what_a_fault_does(name: str, seen: Seen) -> None:
    """The client meets it, the order took effect or not, and the exchange recorded the hit and the fault."""
    number = list(FAULTS).index(name)
    arm = FAULTS[name]
    met, found = MET[name]
    steps = seen.steps(f"sufferer{number}")
    assert met.items() <= steps[name].items()
    asked = steps[f"{name}, asked"]
    assert (asked.get("status") or asked["code"]) == found

    (request,) = [one for one in seen.requests() if one.get("client_id") == name and one["method"] == "POST"]
    assert request["fault"] == arm.kind
    assert bool(request.get("executed")) == (found == "FILLED")
    (ended,) = [one for one in seen.observed("binance", "exchange_fault") if one["fault"] == arm.kind]
    assert ended["hits"] == 1
    if name == "late-execution":
        assert steps[f"{name}, asked again"]["status"] == "FILLED"
        assert (ended["executed"], ended["late"]) == (1, 1)


def test_streams_end_as_armed(seen: Seen) -> None:
    """A disconnect is an end without a word; an expired listen key is told before the close; both recorded."""
    ended = {one["to"]: one["said"] for one in seen.observed("listener", "ended")}
    assert ended == {"stream_disconnect": [], "listen_key_expiry": ["listenKeyExpired"]}
    changes = [one["change"] for one in seen.observed("binance", "stream")]
    assert changes.count("opened") == 4  # of the trader, of the listener, and of who waits for a late execution
    assert changes[-1] == "expired"
    for kind in ended:
        (fault,) = [one for one in seen.observed("binance", "exchange_fault") if one["fault"] == kind]
        assert fault["streams"] == 1


def test_limits_lead_to_429_and_429s_to_a_ban(seen: Seen) -> None:
    """Reads are served up to the window's weight; so many refusals as are set earn a ban, which is recorded."""
    (storm,) = seen.observed("stormer", "storm")
    assert storm["served"] > 0
    assert storm["refused"] > 0
    assert [one.get("status") for one in seen.requests()].count(429) == 9  # the tenth strike is the ban
    banned = seen.steps("stormer")["banned"]
    assert (banned["outcome"], banned["code"]) == (418, -1003)
    (ban,) = seen.observed("binance", "ban")
    assert (ban["ip"], ban["earned"], ban["length_ns"]) == (EGRESS_IP, True, 60 * seconds(1))
    statuses = [one["status"] for one in seen.requests() if one["path"] == "/fapi/v1/depth"]
    assert statuses[-1] == 418


def test_requests_are_recorded_as_documented(seen: Seen) -> None:
    """Requests count from one without a gap, come from one address, and bear what control.py says."""
    requests = seen.requests()
    assert [one["n"] for one in requests] == list(range(1, len(requests) + 1))
    assert {one["ip"] for one in requests} == {EGRESS_IP}
    (filled,) = [one for one in requests if one.get("client_id") == "filled"]
    assert (
        filled.items()
        >= {
            "method": "POST",
            "path": "/fapi/v1/order",
            "market": "futures",
            "status": 200,
            "symbol": "BTCUSDT",
            "side": "BUY",
            "quantity": "0.010",
            "executed": True,
            "orders": 1,
            "window_ms": 60_000,
            "limit": 2_400,
        }.items()
    )
    assert filled["counts"] == [[10_000, 1, 300], [60_000, 1, 1_200]]
    (order, *_) = [one for one in seen.observed("binance", "order") if one["client_id"] == "filled"]
    assert order["order_id"] == filled["order_id"]
    fills = [one for one in seen.observed("binance", "fill") if one["client_id"] == "filled"]
    assert {one["order_id"] for one in fills} == {filled["order_id"]}


def test_history_is_in_order_and_complete(seen: Seen) -> None:
    """The exchange's observations bear rising times, all are there at the end, and nothing failed inside."""
    times = [one.time_ns for one in seen.events if one.actor == "binance" and isinstance(one, Observation)]
    assert times == sorted(times)
    assert seen.observed("binance", "exchange")
    assert seen.ledger["requests"] == len(seen.requests())
    assert seen.ledger["internal_errors"] == 0


@pytest.mark.real
@pytest.mark.xdist_group("binance-contract")
def test_both_worlds_say_the_same(worlds: Callable[[str], Seen]) -> None:
    """What clients met and what the exchange recorded of orders is equal, step by step, but for times and shares."""
    told = []
    for seen in (worlds("sim"), worlds("real")):
        hosts = ["trader", *(f"sufferer{number}" for number in range(len(FAULTS)))]
        steps = {host: seen.steps(host) for host in hosts}
        orders = [
            (one["client_id"], one["status"], one.get("executed_quantity")) for one in seen.observed("binance", "order")
        ]
        requests = [
            (one["method"], one["path"], one.get("status"), one.get("fault"), one.get("client_id"))
            for one in seen.requests()
            if one["path"] != "/fapi/v1/depth"
        ]
        told.append((steps, orders, requests))
    assert told[0] == told[1]
