"""The service `portfolio`: books what was traded, exactly, and tells what it is all worth.

That something was traded comes over the bus; what exactly, from the exchange itself, through the door of `execution`.
It reads a few trades again each time, and compares everything with the exchange now and then: what the bus was late
with, or this service was not there for, is found without it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from starlette.types import ASGIApp

from reference_impl._stack import topics
from reference_impl._stack.door import Door
from reference_impl._stack.paths import Paths
from reference_impl._stack.running import Tasks
from reference_impl._stack.settings import Settings

log = logging.getLogger(__name__)

TRADES: Final = "/fapi/v1/userTrades"
GROUP: Final = "portfolio"
_AGAIN: Final = 2
"""Trades that are read again: a trade that was executed earlier may be listed later."""
_LIMIT: Final = 100
_PLACES: Final = Decimal("0.00000001")
_DEADLINE_S: Final = 3.0
_RETRY_S: Final = 0.5


@dataclass(slots=True)
class Cursor:
    """Up to which trade each symbol was read. Pure."""

    seen: dict[str, list[int]] = field(default_factory=dict)

    def query(self, symbol: str) -> dict[str, Any]:
        """Return what to ask for next; the last ones again."""
        seen = self.seen.get(symbol, [])
        return {"symbol": symbol, "fromId": seen[0] if seen else 0, "limit": _LIMIT}

    def read(self, symbol: str, ids: list[int]) -> bool:
        """Take note of trades that were booked; return whether there may be more at once."""
        if ids:
            self.seen[symbol] = sorted({*self.seen.get(symbol, ()), *ids})[-_AGAIN:]
        return len(ids) == _LIMIT


def position_told(symbol: str, one: Any, mark: str | None) -> dict[str, Any]:
    """Return a position as people are told of it, rounded to eight places. Pure."""
    amount, cost = Fraction(str(one.amount)), Fraction(str(one.cost))
    price = None if mark is None else Fraction(mark)
    return {
        "symbol": symbol,
        "quantity": _rounded(amount),
        "entry_price": _rounded(cost / amount) if amount else None,
        "mark_price": mark,
        "unrealised": None if price is None else _rounded(amount * price - cost),
        "realised": _rounded(Fraction(str(one.realised))),
    }


def _rounded(figure: Fraction) -> str:
    return format((Decimal(figure.numerator) / figure.denominator).quantize(_PLACES, ROUND_HALF_UP), "f")


class PortfolioService:
    """See the module. `parts` are the factories of the patches, by the names of their ports."""

    def __init__(
        self, *, parts: Mapping[str, Callable[..., Any]], settings: Settings, directory: Path, name: str
    ) -> None:
        self.settings = settings
        self.bus = parts["event_bus"](redis_url=settings.redis_url, directory=directory, name=name)
        self.portfolio = parts["portfolio"](directory=directory, name=name, **settings.options_of("portfolio"))
        self.door = Door(settings.urls["execution"], settings.door_token)
        self.tasks = Tasks()
        self.cursor = Cursor()
        self.marks: dict[str, str] = {}
        self.differences: tuple[str, ...] = ()
        self._traded: dict[str, None] = dict.fromkeys(settings.symbols)
        self._told: dict[str, dict[str, Any]] = {}
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        self._paths = Paths(name, {}, self._details)

    def app(self) -> ASGIApp:
        """Return `/health`."""
        return self._paths

    async def start(self) -> None:
        """Begin with what was booked; everything that is new since is read from the exchange."""
        await self.bus.start()
        await self.portfolio.start()
        await self._deposit()
        self._news.set()
        self.tasks.every(0.0, self._book, "booking")
        self.tasks.every(self.settings.tell_every_s, self.tell, "telling")
        self.tasks.every(self.settings.reconcile_every_s, self.reconcile, "comparing")
        await self.bus.subscribe(GROUP, [topics.REPORTED], self.on_report)
        await self.bus.subscribe(GROUP, [topics.PRICES], self.on_prices)

    async def close(self) -> None:
        """Stop; what is booked is on disk."""
        await self.tasks.end()
        await self.portfolio.close()
        await self.door.close()
        await self.bus.close()

    async def on_report(self, event: Any) -> None:
        """Something was traded, or may have been: read it from the exchange, by and by."""
        if event.payload["symbol"] in self.settings.symbols:
            self._traded[event.payload["symbol"]] = None
            self._news.set()

    async def on_prices(self, event: Any) -> None:
        """Value by these from now on."""
        self.marks |= event.payload["prices"]

    async def reconcile(self) -> None:
        """Compare with the exchange, and take what was missed."""
        if not self.marks:
            return
        async with self._turn:
            found = await self.portfolio.reconcile(
                self.door.get, symbols=list(self.settings.symbols), rates={}, deadline_s=_DEADLINE_S
            )
        self.differences = tuple(str(one) for one in found.differences)
        if self.differences:
            first = self.differences[0]
            log.warning("%d figures differ from the exchange's, the first: %s", len(self.differences), first)

    async def tell(self) -> None:
        """Publish equity, and positions that have changed."""
        figures = self.portfolio.figures()
        if any(one.amount and symbol not in self.marks for symbol, one in figures.positions.items()):
            return
        value = self.portfolio.value(self.marks, {})
        parts = ("equity", "realised", "unrealised", "fees", "funding", "deposits")
        await self.bus.publish_event(topics.EQUITY, {part: str(getattr(value, part)) for part in parts})
        for symbol, one in figures.positions.items():
            told = position_told(symbol, one, self.marks.get(symbol))
            if told != self._told.get(symbol):
                await self.bus.publish_event(topics.POSITION, told)
                self._told[symbol] = told

    async def _book(self) -> None:
        """Read and book the trades of every symbol of which there is news."""
        await self._news.wait()
        self._news.clear()
        while self._traded:
            symbol = next(iter(self._traded))
            try:
                async with self._turn:
                    await self.read(symbol)
            except Exception as error:  # noqa: BLE001 - the exchange or the door is away: it stays on the list
                log.info("trades of %s are not read yet: %s", symbol, type(error).__name__)
                await asyncio.sleep(_RETRY_S)

    async def read(self, symbol: str) -> None:
        """Read the trades of one symbol since the last ones, and book them."""
        self._traded.pop(symbol, None)
        try:
            more = True
            while more:
                trades = await self.door.get(TRADES, self.cursor.query(symbol), signed=True, deadline_s=_DEADLINE_S)
                if trades:
                    await self.portfolio.apply(trades)
                more = self.cursor.read(symbol, [int(one["id"]) for one in trades])
        except BaseException:
            self._traded[symbol] = None
            raise

    async def _deposit(self) -> None:
        """Book what the account began with; that it was booked before changes nothing."""
        if self.settings.deposit != "0":
            entry = {"incomeType": "TRANSFER", "tranId": 1, "time": 0, "income": self.settings.deposit, "asset": "USDT"}
            await self.portfolio.apply_income([entry])

    def _details(self) -> Mapping[str, Any]:
        return {"bus": self.bus.stats().mode, "unread": sorted(self._traded), "differences": list(self.differences)}
