"""The hosts of the portfolio scenarios: one that books what an unreliable feed brings, one that trades and reconciles.

The *keeper* delivers the tape (portfolio_tape.py), one batch after the other, saves a snapshot now and then, and opens
its portfolio anew. Killed, it opens it, tells what it knows, has the feed bring the last batches again, as feeds do,
and goes on. At the end a second portfolio gets everything that the first one took, in another order.

The *desk* trades on the emulated exchange through the port `binance`: it buys, sells twice as much, buys twice as much.
It reads its trades there and has them booked, but for some that are withheld, so that reconciling has gaps to find.
Before each comparison comes one whose reads fail in its midst: what that one took by then is taken, whatever it says.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, Literal

from harness.dependencies.binance.market.symbols import INSTRUMENTS
from harness.dependencies.binance.settings import API_KEY, API_SECRET, Settings
from harness.history.events import Invoke, Observation, Ok
from harness.units import as_seconds, seconds
from harness.world.base import Host, HostSpec
from scenarios.portfolio_books import Book, fill_of
from scenarios.portfolio_tape import Delivery, deliveries
from scenarios.ports.binance import BinanceAdapter

TAPE: Final = "tape"
SHUFFLED: Final = "shuffled"
LIVE: Final = "live"
_AGAIN: Final = 3
"""Deliveries that a restarted feed brings again."""
_TRADES: Final = "/fapi/v1/userTrades"
_RETRY_S: Final = 0.25
_TRIES: Final = 60
_SHUFFLED_BATCHES: Final = 10


def keeper(
    *,
    trades: int,
    batch: int,
    gap_ns: int,
    snapshot_every: int = 12,
    reload_every: int = 60,
    name: str = "keeper",
    drain_ns: int = seconds(1),
) -> HostSpec:
    """Return the keeper; `gap_ns` lies between deliveries, counts are of deliveries."""
    params = {
        "trades": trades,
        "batch": batch,
        "gap_ns": gap_ns,
        "snapshot_every": snapshot_every,
        "reload_every": reload_every,
    }
    return HostSpec(name=name, program=keep, params=params, drain_ns=drain_ns)


def desk(*, symbols: tuple[str, ...], gap_ns: int, name: str = "desk", drain_ns: int = seconds(1)) -> HostSpec:
    """Return the desk; `gap_ns` lies between its orders."""
    params = {"symbols": list(symbols), "gap_ns": gap_ns}
    return HostSpec(name=name, program=trade, params=params, drain_ns=drain_ns)


async def keep(host: Host) -> None:
    """Deliver the tape until asked to stop; then deliver the rest at once, and all again to a second portfolio."""
    tape = deliveries(_seed(host), trades=host.params["trades"], batch=host.params["batch"])
    done = _delivered(host)
    again = sorted(done)[-_AGAIN:]
    book = Book(host, TAPE, tape[0].marks, tape[0].rates)
    stopping = asyncio.ensure_future(host.stopping())
    await _until(book.open)
    for number, delivery in enumerate(tape):
        if number in done:
            continue
        if await _until(partial(book.deliver, delivery, number)):
            done.add(number)
        for past in again:
            await book.deliver(tape[past], past)
        again = []
        if number % host.params["snapshot_every"] == 1:
            await book.snapshot()
        if number % host.params["reload_every"] == host.params["reload_every"] - 1:
            await _until(book.open)
        if not stopping.done():
            await asyncio.wait({stopping}, timeout=as_seconds(host.params["gap_ns"]))
    await stopping
    await book.close()
    await _shuffled(host, [tape[number] for number in sorted(done)])


async def trade(host: Host) -> None:
    """Trade, book and reconcile until asked to stop; then reconcile until it is settled."""
    adapter: BinanceAdapter = host.target("binance")(
        base_url=host.endpoints["binance"], api_key=API_KEY, api_secret=API_SECRET, directory=host.disk, name=host.name
    )
    await adapter.start()
    work = _Desk(host, adapter)
    await work.book.open()
    deposit = Delivery([], [["TRANSFER", 1, 0, str(Settings().balance), "USDT"]], {}, {})
    await work.book.deliver(deposit)
    stopping = asyncio.ensure_future(host.stopping())
    number = 0
    while not stopping.done():
        await work.cycle(number)
        number += 1
        await asyncio.wait({stopping}, timeout=as_seconds(host.params["gap_ns"]))
    for _ in range(8):
        found = await work.reconcile()
        if found:
            break
        await asyncio.sleep(_RETRY_S)
    await work.book.close()
    await adapter.close()


class BrokenOffError(Exception):
    """The exchange cannot be read any more. Like all errors of an adapter it bears a reason."""

    reason = "broken_off"


def _breaking_off(get: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return a `get` that fails, as in a ban, once it has shown trades: a comparison that took them cannot end."""
    shown = False

    async def read(path: str, params: Mapping[str, Any], **options: Any) -> Any:
        nonlocal shown
        if shown:
            raise BrokenOffError("not now")
        answer = await get(path, params, **options)
        shown = path == _TRADES and bool(answer)
        return answer

    return read


class _Desk:
    """One cycle after the other: an order, the trades that it brought, now and then a comparison."""

    def __init__(self, host: Host, adapter: BinanceAdapter) -> None:
        self._host = host
        self._adapter = adapter
        self._symbols: list[str] = host.params["symbols"]
        self._draws = host.draws("desk")
        self._from_id = dict.fromkeys(self._symbols, 0)
        self._bought: set[str] = set()
        marks = {symbol: str(INSTRUMENTS["futures"][symbol].price) for symbol in self._symbols}
        self.book = Book(host, LIVE, marks, {})

    async def cycle(self, number: int) -> None:
        symbol = self._symbols[number % len(self._symbols)]
        await self._order(symbol, number)
        await self._read(symbol)
        if number % 4 == 3:  # noqa: PLR2004 - now and then
            await self.book.reconcile(_breaking_off(self._adapter.get), self._symbols, 10.0)
            await self.reconcile()

    async def reconcile(self) -> bool:
        """Return whether the books were compared."""
        found = await self.book.reconcile(self._adapter.get, self._symbols, 10.0)
        return found is not None and found.settled

    async def _order(self, symbol: str, number: int) -> None:
        instrument = INSTRUMENTS["futures"][symbol]
        lots = 1 + int(1_500 / instrument.price / instrument.step) + self._draws.below(7)
        side: Literal["BUY", "SELL"] = "SELL" if symbol in self._bought else "BUY"
        quantity = instrument.step * lots * (2 if side == "SELL" else 1)
        key = f"d-{symbol}-{number:04d}"
        with self._host.log.operation("execute", key=key, symbol=symbol, side=side, quantity=str(quantity)) as done:
            report = await self._adapter.execute_order(symbol, side, quantity, intent=key, deadline_s=5.0)
            done.result = {"status": report.status, "filled": str(report.filled)}
            self._bought ^= {symbol} if report.filled else set()

    async def _read(self, symbol: str) -> None:
        """Read the trades since the last ones, and have most of them booked; some come twice."""
        found: list[dict[str, Any]] = []
        with self._host.log.operation("feed", symbol=symbol) as done:
            query = {"symbol": symbol, "fromId": self._from_id[symbol], "limit": 100}
            found = await self._adapter.get(_TRADES, query, signed=True, deadline_s=5.0)
            done.result = {"trades": len(found)}
        fills = [fill_of(one) for one in found]
        if not fills:
            return
        if self._draws.below(4):
            self._from_id[symbol] = int(fills[-1][1]) + 1
        kept = [fill for fill in fills if self._draws.below(5)]
        if kept:
            await self.book.deliver(Delivery(kept, [], {}, {}))


async def _shuffled(host: Host, taken: list[Delivery]) -> None:
    """Give a second portfolio what the first one has taken, each entry once, in an order of its own."""
    fills = list({(one[0], one[1]): one for delivery in taken for one in delivery.fills}.values())
    flows = list({(one[0], one[1]): one for delivery in taken for one in delivery.flows}.values())
    host.draws("shuffled").dice().shuffle(fills)
    book = Book(host, SHUFFLED, taken[-1].marks, taken[-1].rates)
    await book.open()
    await book.deliver(Delivery([], flows[::-1], {}, {}))
    size = 1 + len(fills) // _SHUFFLED_BATCHES
    for start in range(0, len(fills), size):
        await book.deliver(Delivery(fills[start : start + size], [], {}, {}))
    await book.close()


async def _until(call: Callable[[], Awaitable[bool]]) -> bool:
    """Try until it succeeds, for as long as a disk may be full; return whether it did."""
    for _ in range(_TRIES):
        if await call():
            return True
        await asyncio.sleep(_RETRY_S)
    return False


def _seed(host: Host) -> int:
    """Return the seed of the tape, the same in every life."""
    for event in host.past:
        if isinstance(event, Observation) and event.name == "tape":
            return int(event.value["seed"])
    seed = host.draws("tape").below(1 << 32)
    host.log.observe("tape", seed=seed)
    return seed


def _delivered(host: Host) -> set[int]:
    """Return the numbers of the deliveries that were taken in earlier lives."""
    begun = {(one.incarnation, one.op): one for one in host.past if isinstance(one, Invoke) and one.name == "apply"}
    ended = [begun.get((one.incarnation, one.op)) for one in host.past if isinstance(one, Ok)]
    return {one.value["n"] for one in ended if one is not None and one.value["book"] == TAPE}
