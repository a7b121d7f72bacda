"""The host of the Binance scenarios: a trader that reads, executes intents, and places and cancels resting orders.

Reads come in two ways. *Paced* reads are an open loop: each is begun at its own time, whether or not earlier ones have
returned, so that an adapter that stalls cannot slow down the load that shows it. A *burst* offers all its reads at once
and then no more: work is waiting until it is done. Everything else is a fixed number of closed loops, as a trading
system has: one for each symbol, so that at any time one intent at most is under way on a symbol. That is what lets
invariants attribute the exchange's orders to intents, whatever client ids the adapter chooses.

A lane of intents buys, then sells what it got with a reduce-only order, and so on. A lane of resting orders places one
below the market, and cancels it after a while. Lanes of the two kinds use different symbols.

After a restart what earlier lives left is settled first (`reconcile`), intents that were under way are asked for again
under the same name, as a system does that still wants them, and orders that were left resting are cancelled. At the end
everything is reconciled once more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

from harness.dependencies.binance.market.symbols import INSTRUMENTS
from harness.dependencies.binance.settings import API_KEY, API_SECRET
from harness.history.events import Fail, Info, Invoke, Ok
from harness.units import as_seconds, ms, per_second, seconds
from harness.world.base import Host, HostSpec
from scenarios.ports import BinanceAdapter, ExecutionReport

Read: TypeAlias = tuple[str, Mapping[str, Any], int, bool]
"""Path, parameters, weight, and whether it is signed."""

READS: Final[tuple[Read, ...]] = (
    ("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": 1000}, 20, False),
    ("/fapi/v2/account", {}, 5, True),
    ("/fapi/v1/depth", {"symbol": "ETHUSDT", "limit": 100}, 5, False),
    ("/fapi/v1/allOrders", {"symbol": "BTCUSDT"}, 5, True),
    ("/fapi/v1/openOrders", {}, 40, True),
    ("/fapi/v1/userTrades", {"symbol": "ETHUSDT"}, 5, True),
)
"""Market data and the account, of all weights."""
HEAVY_READS: Final = (READS[0], READS[0], READS[4], READS[1], READS[0])
"""The heavier of them, 21 on average, for runs of many minutes."""
LIGHT_READS: Final[tuple[Read, ...]] = (
    ("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": 20}, 2, False),
    ("/fapi/v1/openOrders", {"symbol": "BTCUSDT"}, 1, True),
    ("/fapi/v1/depth", {"symbol": "ETHUSDT", "limit": 50}, 2, False),
)
_PAUSE_S: Final = 0.25
"""After a failure, before the next try of a closed loop."""
_ODD: Final = 5
_SETTLE_TRIES: Final = 8


def trader(
    *,
    reads_per_s: float = 0.0,
    burst: int = 0,
    menu: Sequence[Read] = READS,
    read_deadline_ns: int = seconds(30),
    lanes: Sequence[str] = (),
    notional: int = 6_000,
    limit_bps: int = 50,
    intent_gap_ns: int = seconds(2),
    intent_deadline_ns: int = seconds(20),
    resting: Sequence[str] = (),
    resting_gap_ns: int = seconds(1),
    resting_deadline_ns: int = seconds(20),
    warm_up_ns: int = 0,
    drain_ns: int = seconds(1),
    name: str = "trader",
) -> HostSpec:
    """Return the trader. `notional`: of an intent, in USDT; gaps lie between the end of one and the next."""
    params = {
        "reads_gap_ns": per_second(reads_per_s) if reads_per_s else 0,
        "burst": burst,
        "menu": [list(read) for read in menu],
        "read_deadline_ns": read_deadline_ns,
        "lanes": list(lanes),
        "notional": notional,
        "limit_bps": limit_bps,
        "intent_gap_ns": intent_gap_ns,
        "intent_deadline_ns": intent_deadline_ns,
        "resting": list(resting),
        "resting_gap_ns": resting_gap_ns,
        "resting_deadline_ns": resting_deadline_ns,
        "warm_up_ns": warm_up_ns,
    }
    return HostSpec(name=name, program=trade, params=params, drain_ns=drain_ns)


async def trade(host: Host) -> None:
    """Trade until asked to stop, let what is under way return, settle, and close."""
    factory = host.target("binance")
    adapter: BinanceAdapter = factory(
        base_url=host.endpoints["binance"], api_key=API_KEY, api_secret=API_SECRET, directory=host.disk, name=host.name
    )
    await adapter.start()
    desk = _Desk(host, adapter)
    if host.past:
        await desk.settle()
    async with asyncio.TaskGroup() as group:
        for work in _workers(desk):
            group.create_task(work)
        await host.stopping()
        desk.stopped.set()
    await desk.settle()
    await adapter.close()


def _workers(desk: "_Desk") -> list[Coroutine[Any, Any, None]]:
    params = desk.host.params
    work = [_Lane(desk, symbol).run() for symbol in params["lanes"]]
    work += [_rest(desk, symbol) for symbol in params["resting"]]
    if params["reads_gap_ns"]:
        work.append(_read_paced(desk))
    if params["burst"]:
        work.append(_read_burst(desk))
    return work


class _Desk:
    """What the loops share: the adapter, the log, the word to stop, and what earlier lives did."""

    def __init__(self, host: Host, adapter: BinanceAdapter) -> None:
        self.host = host
        self.adapter = adapter
        self.stopped = asyncio.Event()
        self.past = _Past(host)

    async def record(self, name: str, value: dict[str, Any], call: Callable[[], Awaitable[dict[str, Any]]]) -> Any:
        """Do one operation; return its result, or None after an error. An error with a reason is a typed one."""
        operation = self.host.log.begin(name, value)
        try:
            result = await call()
        except asyncio.CancelledError:
            operation.info("cancelled")
            raise
        except Exception as error:  # noqa: BLE001 - whatever the target raises is its answer
            reason = getattr(error, "reason", None)
            text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            if isinstance(reason, str) and reason:
                operation.fail(f"{reason}: {text}")
            else:
                operation.info(text)
            return None
        operation.ok(**result)
        return result

    async def pause(self, duration_ns: int) -> bool:
        """Sleep so long; return False if asked to stop meanwhile."""
        try:
            await asyncio.wait_for(self.stopped.wait(), as_seconds(duration_ns))
        except TimeoutError:
            return True
        return False

    async def settle(self, until: str | None = None) -> None:
        """Reconcile until the exchange could be asked, or that intent is known; not for ever."""
        for _ in range(_SETTLE_TRIES):
            found: Mapping[str, ExecutionReport] = {}

            async def reconcile() -> dict[str, Any]:
                nonlocal found
                found = await self.adapter.reconcile(deadline_s=10.0)
                return {"intents": len(found)}

            done = await self.record("reconcile", {"key": "reconcile", "deadline_ns": seconds(10)}, reconcile)
            if found:
                self.host.log.observe("reconciled", intents={key: _fields(one) for key, one in found.items()})
            unknown = [key for key, one in found.items() if one.status == "unknown"]
            if done is not None and not unknown and (until is None or until in found):
                return
            await asyncio.sleep(4 * _PAUSE_S)


class _Past:
    """What earlier incarnations of the host began and did not end."""

    def __init__(self, host: Host) -> None:
        begun: dict[tuple[int, int], Invoke] = {}
        resting: dict[str, tuple[str, str]] = {}
        self.intents: dict[str, dict[str, Any]] = {}
        self.numbers: dict[str, int] = {}
        for event in host.past:
            if isinstance(event, Invoke):
                begun[event.incarnation, event.op] = event
                self._count(event)
                if event.name == "execute":
                    self.intents[event.value["key"]] = event.value
                elif event.name == "cancel":
                    resting.pop(event.value["client_id"], None)
            elif isinstance(event, Ok | Fail | Info):
                done = begun[event.incarnation, event.op]
                if done.name == "execute":
                    self.intents.pop(done.value["key"], None)
                elif done.name == "place" and isinstance(event, Ok):
                    resting[event.value["client_id"]] = (done.value["symbol"], event.value["client_id"])
        self.resting = tuple(resting.values())

    def _count(self, event: Invoke) -> None:
        stem, _, number = str(event.value.get("key", "")).rpartition("-")
        if number.isdecimal():
            self.numbers[stem] = max(self.numbers.get(stem, -1), int(number))

    def number(self, stem: str) -> int:
        """Return the next number of keys with that stem, which no earlier life used."""
        self.numbers[stem] = self.numbers.get(stem, -1) + 1
        return self.numbers[stem]


class _Lane:
    """One symbol's intents: buy, sell what was bought, and again."""

    def __init__(self, desk: _Desk, symbol: str) -> None:
        self._desk = desk
        self._symbol = symbol
        self._instrument = INSTRUMENTS["futures"][symbol]
        self._held = Decimal(0)

    async def run(self) -> None:
        """Work on one intent after the other until stopped."""
        desk, params = self._desk, self._desk.host.params
        draws = desk.host.draws(f"lane/{self._symbol}")
        for value in [one for one in desk.past.intents.values() if one["symbol"] == self._symbol]:
            await self._execute(dict(value))
        while await desk.pause(params["warm_up_ns"] // 4 + draws.below(params["intent_gap_ns"]) + ms(1)):
            await self._execute(self._next(params, draws.below(100)))

    def _next(self, params: Mapping[str, Any], percent: int) -> dict[str, Any]:
        """Return the next intent: of half to all of the notional, or of all that is held.

        Some are for more than a whole number of lots, as what a strategy computes is.
        """
        price, step = self._instrument.price, self._instrument.step
        reduce_only = self._held > 0
        wanted = Decimal(params["notional"]) * (100 + percent) / 200 / price
        quantity = self._held if reduce_only else (wanted / step).to_integral_value() * step
        if not reduce_only and percent % _ODD == 0:
            quantity += step / 4
        return {
            "key": f"i-{self._symbol}-{self._desk.past.number(f'i-{self._symbol}'):05d}",
            "symbol": self._symbol,
            "side": "SELL" if reduce_only else "BUY",
            "quantity": format(quantity, "f"),
            "decision_price": str(price if reduce_only else price + self._instrument.tick),
            "limit_bps": params["limit_bps"],
            "reduce_only": reduce_only,
            "deadline_ns": params["intent_deadline_ns"],
        }

    async def _execute(self, value: dict[str, Any]) -> None:
        desk = self._desk

        async def execute() -> dict[str, Any]:
            report = await desk.adapter.execute_order(
                value["symbol"],
                value["side"],
                Decimal(value["quantity"]),
                intent=value["key"],
                decision_price=Decimal(value["decision_price"]),
                max_slippage_bps=value["limit_bps"],
                reduce_only=value["reduce_only"],
                deadline_s=as_seconds(value["deadline_ns"]),
            )
            return _fields(report)

        result = await desk.record("execute", value, execute)
        if result is None:
            await desk.pause(ms(1_000 * _PAUSE_S))
            return
        if result["status"] == "unknown":
            await desk.settle(until=value["key"])
        filled = Decimal(result["filled"])
        self._held = max(Decimal(0), self._held - filled) if value["reduce_only"] else self._held + filled


async def _rest(desk: _Desk, symbol: str) -> None:
    """Place an order far below the market, cancel it a while later, and again."""
    params, instrument = desk.host.params, INSTRUMENTS["futures"][symbol]
    draws = desk.host.draws(f"resting/{symbol}")
    price = (instrument.price * Decimal("0.97") / instrument.tick).to_integral_value() * instrument.tick
    quantity = (Decimal(1_000) / price / instrument.step).to_integral_value() * instrument.step
    deadline_ns, gap_ns = params["resting_deadline_ns"], params["resting_gap_ns"]

    async def cancel(client_id: str) -> None:
        async def send() -> dict[str, Any]:
            executed = await desk.adapter.cancel_order(symbol, client_id, deadline_s=as_seconds(deadline_ns))
            return {"executed": str(executed)}

        value = {"key": f"c-{client_id}", "symbol": symbol, "client_id": client_id, "deadline_ns": deadline_ns}
        await desk.record("cancel", value, send)

    async def place() -> dict[str, Any]:
        client_id = await desk.adapter.place_limit(symbol, "BUY", quantity, price, deadline_s=as_seconds(deadline_ns))
        return {"client_id": client_id}

    for left, client_id in desk.past.resting:
        if left == symbol:
            await cancel(client_id)
    while await desk.pause(gap_ns // 2 + draws.below(gap_ns)):
        key = f"p-{symbol}-{desk.past.number(f'p-{symbol}'):05d}"
        placed = await desk.record("place", {"key": key, "symbol": symbol, "deadline_ns": deadline_ns}, place)
        if placed is None:
            await desk.pause(ms(1_000 * _PAUSE_S))
            continue
        await desk.pause(gap_ns // 2 + draws.below(gap_ns))
        await cancel(placed["client_id"])


async def _read(desk: _Desk, read: Read) -> None:
    path, query, weight, signed = read
    deadline_ns = desk.host.params["read_deadline_ns"]

    async def get() -> dict[str, Any]:
        await desk.adapter.get(path, query, signed=signed, deadline_s=as_seconds(deadline_ns))
        return {}

    key = f"r-{desk.past.number('r'):06d}"
    await desk.record("read", {"key": key, "path": path, "weight": weight, "deadline_ns": deadline_ns}, get)


async def _read_paced(desk: _Desk) -> None:
    """Begin one read after the other, each at its own time; at the end, let all return."""
    params, draws = desk.host.params, desk.host.draws("reads")
    gap_ns, menu = params["reads_gap_ns"], params["menu"]
    due_ns = desk.host.now_ns()
    async with asyncio.TaskGroup() as group:
        while True:
            due_ns += gap_ns // 2 + draws.below(gap_ns + 1)
            if not await desk.pause(max(ms(1), due_ns - desk.host.now_ns())):
                return
            group.create_task(_read(desk, draws.choice(menu)))


async def _read_burst(desk: _Desk) -> None:
    """Begin all reads at once, and see them return."""
    params, draws = desk.host.params, desk.host.draws("burst")
    await desk.pause(params["warm_up_ns"])
    async with asyncio.TaskGroup() as group:
        for _ in range(params["burst"]):
            group.create_task(_read(desk, draws.choice(params["menu"])))


def _fields(report: ExecutionReport) -> dict[str, Any]:
    """Return a report as a history keeps it."""
    price = report.average_price
    return {
        "status": report.status,
        "filled": str(report.filled),
        "missing": str(report.missing),
        "average_price": None if price is None else str(price),
        "reason": report.reason,
        "attempts": report.attempts,
    }
