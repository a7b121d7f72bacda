"""How faults of the exchange are injected: what is armed while they hold. Every way disarms what it armed."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Protocol

from harness.dependencies.binance.arms import Arm
from harness.dependencies.binance.control import BinanceControl
from harness.dependencies.binance.proof import Proof, look
from harness.faults.base import Evidence, Stage
from harness.history.history import History
from harness.history.query import FaultWindow
from harness.tape import Stream
from harness.units import ms
from harness.world.base import World


class Way(Protocol):
    """One way in which a fault can happen: the mode of a run."""

    @property
    def proof(self) -> Proof:
        """What proves that it bit."""

    def hold(self, exchange: BinanceControl, world: World, stream: Stream) -> AbstractAsyncContextManager[None]:
        """Arm on entering, disarm on leaving."""


@dataclass(frozen=True, slots=True)
class ExchangeFault:
    """A fault of the exchange `on`, in one of the ways that `how` names."""

    name: str
    on: str
    how: Mapping[str, Way]

    @property
    def modes(self) -> Sequence[str]:
        """The ways it can happen."""
        return tuple(self.how)

    @asynccontextmanager
    async def hold(self, stage: Stage, mode: str, stream: Stream) -> AsyncIterator[None]:
        """Hurt; leaving returns when nothing of it is armed any more."""
        async with self.how[mode].hold(stage.world.dependency(self.on), stage.world, stream):
            yield

    def evidence(self, history: History, window: FaultWindow) -> Evidence:
        """Judge what the exchange recorded while it held."""
        return self.how[window.mode].proof(look(history, window, self.on))


@dataclass(frozen=True, slots=True)
class Armed:
    """These are armed all the time."""

    arms: tuple[Arm, ...]
    proof: Proof

    @asynccontextmanager
    async def hold(self, exchange: BinanceControl, world: World, stream: Stream) -> AsyncIterator[None]:
        """Arm them in order, and disarm in the reverse order, also those armed before one that failed."""
        del world, stream
        async with AsyncExitStack() as stack:
            for arm in self.arms:
                stack.push_async_callback(exchange.disarm, await exchange.arm(arm))
            yield


@dataclass(frozen=True, slots=True)
class Escalating:
    """One ban after the other, each for its whole length, with a drawn pause between them; the last one again."""

    lengths_ms: tuple[int, ...]
    pause_ms: tuple[int, int]
    proof: Proof

    @asynccontextmanager
    async def hold(self, exchange: BinanceControl, world: World, stream: Stream) -> AsyncIterator[None]:
        """Ban until left."""
        left = asyncio.Event()
        task = asyncio.create_task(self._ban(exchange, world, stream, left), name=f"bans of {exchange.name}")
        try:
            yield
        finally:
            left.set()
            await task

    async def _ban(self, exchange: BinanceControl, world: World, stream: Stream, left: asyncio.Event) -> None:
        """Only sleeps are cut short: a call to the exchange that is cancelled might leave something armed."""
        for length_ms in chain(self.lengths_ms, repeat(self.lengths_ms[-1])):
            imposed = Armed((Arm(kind="ban", options={"ms": length_ms}),), self.proof)
            async with imposed.hold(exchange, world, stream):
                await _sleep(world, length_ms, left)
            if not left.is_set():
                await _sleep(world, stream.between(*self.pause_ms), left)
            if left.is_set():
                return


async def _sleep(world: World, duration_ms: int, left: asyncio.Event) -> None:
    """Sleep so long, or until `left` is set."""
    waits = {
        asyncio.ensure_future(world.sleep_until(world.now_ns() + ms(duration_ms))),
        asyncio.ensure_future(left.wait()),
    }
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
