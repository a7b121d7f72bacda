"""The exchange behind respx is the exchange: the same prober meets the same table as in both worlds, in a unit test."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.dependencies.binance.arms import Arm
from harness.dependencies.binance.respx_emulator import URLS, ManualClock, RoutedExchange, binance_routes
from harness.dependencies.binance.settings import Settings
from harness.faults.base import Fault, Stage
from harness.history.events import SCHEMA, FaultBegan, FaultHealed, Observation, RunStarted
from harness.history.history import History
from harness.tape import Tape
from harness.world.base import WorldKind

sys.path.insert(0, str(Path(__file__).parent / "programs"))

import binance_fault_programs
from binance_fault_table import OPTIONS, WAYS, Expected, Met, Seen, evidence, is_met, is_well


class Desk:
    """The exchange behind respx, as the world of a fault and as the host of a prober at once."""

    kind: WorldKind = "sim"
    name = "binance"

    def __init__(self, exchange: RoutedExchange, clock: ManualClock) -> None:
        self.exchange = exchange
        self.clock = clock
        self.origin_ns = clock()
        self.seen = Seen()
        self.log = self

    def observe(self, name: str, **value: Any) -> None:
        """Keep what the prober met."""
        self.seen.record(Observation(self.now_ns(), "prober", 1, name, value))

    def dependency(self, name: str) -> "Desk":
        """Itself."""
        assert name == "binance"
        return self

    async def arm(self, arm: Arm) -> str:
        """Arm it."""
        return self.exchange.arm(arm)

    async def disarm(self, name: str) -> None:
        """Disarm it."""
        self.exchange.disarm(name)

    def now_ns(self) -> int:
        """The time since the beginning."""
        return self.clock() - self.origin_ns

    async def sleep_until(self, time_ns: int) -> None:
        """Return when the prober's time has come so far."""
        while self.now_ns() < time_ns:  # noqa: ASYNC110 - the clock is no event
            await asyncio.sleep(0)

    async def rounds(self, condition: Callable[[list[Met]], bool]) -> None:
        """Probe until the condition holds of what was met."""
        since = len(self.seen)
        async with httpx.AsyncClient(
            base_url=URLS[0], timeout=binance_fault_programs.TIMEOUT_S, verify=False
        ) as client:
            probes = binance_fault_programs.Probes(self, client)  # type: ignore[arg-type]  # the part of a host it needs
            for _ in range(400):
                await probes.round()
                await asyncio.sleep(0)
                self.clock.advance(binance_fault_programs.PAUSE_S)
                if condition(self.seen.met(since)):
                    return
        pytest.fail(f"not met: {Counter((met['what'], met['outcome']) for met in self.seen.met(since))}")


@pytest.mark.parametrize(
    ("fault", "mode", "expected"),
    [
        pytest.param(*way, id=f"{way[0].name}-{way[1]}")
        for way in WAYS
        if way[0].name.startswith("binance.") and way[0].name != "binance.streams"
    ],
)
async def test_behind_respx_it_is_the_same(
    fault: Fault, mode: str, expected: Expected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same prober meets the same table inside a unit test, and the exchange's records are the same proof."""
    clock = ManualClock()
    monkeypatch.setattr(binance_fault_programs, "time", clock)
    with binance_routes(clock=clock, settings=Settings.parse(OPTIONS), seed=1) as exchange:
        desk = Desk(exchange, clock)
        await desk.rounds(is_well)
        began = FaultBegan(desk.now_ns(), "harness", 1, 0, fault.name, mode, fault.on)
        async with fault.hold(Stage(desk, {}), mode, Tape(1).stream("fault/0")):  # type: ignore[arg-type]  # as above
            await desk.rounds(lambda seen: is_met(expected, seen, "sim"))
        healed = FaultHealed(desk.now_ns(), "harness", 1, 0)
        clock.advance(1)
        await desk.rounds(is_well)
    recorded = [Observation(one.time_ns, "binance", 1, one.name, one.fields) for one in exchange.records]
    header = RunStarted(0, "harness", 1, SCHEMA, "0", "s", "full", "sim", 1, {}, [])
    assert evidence(History.of([header, began, *recorded, healed]), fault, 0).bit
