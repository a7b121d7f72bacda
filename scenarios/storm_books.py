"""Recording what the other services are made of: the portfolio, the models, the monitor."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from harness.dependencies.binance.market.symbols import INSTRUMENTS
from harness.units import seconds
from harness.world.base import Host
from reference_impl._ai.candles import INTERVAL_MS
from scenarios.feed_client import checksum
from scenarios.portfolio_books import Book, fill_of
from scenarios.portfolio_tape import Delivery, Fill
from scenarios.storm_record import Recorded, passed_on

LIVE: Final = "live"
SHUFFLED: Final = "shuffled"
_TRADES: Final = "/fapi/v1/userTrades"
_BATCHES: Final = 6
_LIFE: Final = 1_000_000
"""More events than are published in one life."""


class NotBookedError(Exception):
    """A book's own call failed; the operation in the history says how."""


class RecordedPortfolio:
    """A portfolio. At the end a second one gets the same trades in another order."""

    def __init__(self, host: Host) -> None:
        marks = {symbol: str(one.price) for symbol, one in INSTRUMENTS["futures"].items()}
        self._host = host
        self._book = Book(host, LIVE, marks, {})
        self._fills: dict[tuple[str, int], Fill] = {}
        self._flows: list[list[Any]] = []

    async def start(self) -> None:
        """Open it."""
        if not await self._book.open():
            raise NotBookedError("it did not open")

    async def apply(self, trades: Sequence[Mapping[str, Any]]) -> None:
        """Have it take trades."""
        fills = [fill_of(one) for one in trades]
        if not await self._book.deliver(Delivery(fills, [], {}, {})):
            raise NotBookedError("trades were not taken")
        self._fills |= {(str(one[0]), int(one[1])): one for one in fills}

    async def apply_income(self, incomes: Sequence[Mapping[str, Any]]) -> None:
        """Have it take transfers and funding."""
        flows = [[one["incomeType"], one["tranId"], one["time"], one["income"], one["asset"]] for one in incomes]
        if not await self._book.deliver(Delivery([], flows, {}, {})):
            raise NotBookedError("income was not taken")
        self._flows += [one for one in flows if one not in self._flows]

    async def reconcile(self, get: Callable[..., Awaitable[Any]], *, symbols: Sequence[str], **options: Any) -> Any:
        """Have it compare itself; what it is shown of trades is what it may have taken."""
        shown: dict[tuple[str, int], Fill] = {}

        async def seen(path: str, params: Mapping[str, Any], **more: Any) -> Any:
            answer = await get(path, params, **more)
            if path == _TRADES:
                shown.update({(str(one["symbol"]), int(one["id"])): fill_of(one) for one in answer})
            return answer

        found = await self._book.reconcile(seen, list(symbols), options["deadline_s"])
        if found is None:
            raise NotBookedError("it could not compare")
        through = found.through
        self._fills |= {key: one for key, one in shown.items() if key[1] <= through.get(key[0], -1)}
        return found

    def figures(self) -> Any:
        """Return its figures."""
        return self._book.portfolio.figures()

    def value(self, marks: Mapping[str, str], rates: Mapping[str, str]) -> Any:
        """Return what it is worth."""
        return self._book.portfolio.value(marks, rates)

    async def snapshot(self) -> None:
        """Have it save its state."""
        await self._book.snapshot()

    async def close(self) -> None:
        """Close it, and let a second one have the same in another order."""
        await self._book.snapshot()
        await self._book.close()
        fills = list(self._fills.values())
        self._host.draws("shuffled").dice().shuffle(fills)
        other = Book(self._host, SHUFFLED, self._book.marks, {})
        await other.open()
        size = 1 + len(fills) // _BATCHES
        for start in range(0, len(fills), size):
            await other.deliver(Delivery(fills[start : start + size], [], {}, {}))
        await other.deliver(Delivery([], self._flows, {}, {}))
        await other.close()


class RecordedAi(Recorded):
    """An AI engine, and what it is fed: candles come while `fed` is set."""

    def __init__(self, host: Host, part: Any) -> None:
        super().__init__(host, part)
        self.fed = asyncio.Event()
        self.fed.set()

    async def start(self) -> None:
        """Start it."""
        await passed_on(self.host, "start", {}, self.part.start())

    async def train(self, history: Sequence[Any]) -> None:
        """Train it."""
        await passed_on(self.host, "train", {"candles": len(history)}, self.part.train(history))

    async def on_candle(self, candle: Any) -> Any:
        """Have it predict."""
        await self.fed.wait()
        call: Awaitable[Any] = self.part.on_candle(candle)
        return await passed_on(
            self.host,
            "predict",
            {"candle": candle.open_ms // INTERVAL_MS},
            call,
            lambda made: {
                "made": [[one.id, one.source, one.version, one.direction, one.confidence, one.size] for one in made]
            },
        )

    async def on_outcomes(self, outcomes: Mapping[str, int]) -> int:
        """Tell it what came of predictions."""
        call: Awaitable[int] = self.part.on_outcomes(outcomes)
        return await passed_on(
            self.host, "resolve", {"outcomes": dict(outcomes)}, call, lambda counted: {"counted": counted}
        )

    async def disturb(self, slot: str, wrap: Any) -> None:
        """Take a model away."""
        value = {"slot": slot, "how": "remove", "canary": f"canary-{self.host.name}"}
        await passed_on(self.host, "disturb", value, self.part.disturb(slot, wrap))

    async def restore(self, slot: str) -> None:
        """Give it back."""
        await passed_on(self.host, "restore", {"slot": slot}, self.part.restore(slot))


class RecordedBoard(Recorded):
    """A dashboard's server, and what is published on it."""

    def __init__(self, host: Host, part: Any, options: Mapping[str, Any]) -> None:
        super().__init__(host, part)
        self._options = dict(options)
        self._number = 0

    async def start(self) -> None:
        """Start it."""
        await passed_on(self.host, "start", self._options, self.part.start())

    async def publish(self, topic: str, key: str, value: Any) -> int:
        """Publish, under a number that is unique over all lives."""
        self._number += 1
        number = self.host.incarnation * _LIFE + self._number
        fields = {"n": number, "topic": topic, "key": key, "sum": checksum(topic, key, value)}
        call: Awaitable[int] = self.part.publish(topic, key, value)
        return await passed_on(self.host, "publish", fields, call, lambda seq: {"seq": seq})


class RecordedMonitor(Recorded):
    """A health monitor, and what it tells people."""

    def __init__(
        self, host: Host, make: Callable[..., Any], *, services: Sequence[Mapping[str, Any]], **more: Any
    ) -> None:
        self._value = {
            "interval_ns": seconds(more["interval"]),
            "timeout_ns": seconds(more["timeout"]),
            "depends_on": {one["name"]: list(one["depends_on"]) for one in services},
        }

        def alerted(alert: Any) -> None:
            host.log.observe("alert", service=alert.service, kind=alert.kind, affected=list(alert.affected))

        super().__init__(host, make(services=services, on_alert=alerted, **more))

    async def start(self) -> None:
        """Start it."""
        await passed_on(self.host, "watch", self._value, self.part.start())
