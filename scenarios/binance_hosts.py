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
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final, TypeAlias

from harness.dependencies.binance.settings import API_KEY, API_SECRET
from harness.units import as_seconds, ms, per_second, seconds
from harness.world.base import Host, HostSpec
from scenarios.binance_desk import Desk
from scenarios.binance_lanes import Lane, rest

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
    adapter = factory(
        base_url=host.endpoints["binance"], api_key=API_KEY, api_secret=API_SECRET, directory=host.disk, name=host.name
    )
    await adapter.start()
    desk = Desk(host, adapter)
    if host.past:
        await desk.settle()
    async with asyncio.TaskGroup() as group:
        for work in _workers(desk):
            group.create_task(work)
        await host.stopping()
        desk.stopped.set()
    await desk.settle()
    await adapter.close()


def _workers(desk: Desk) -> list[Coroutine[Any, Any, None]]:
    params = desk.host.params
    work = [Lane(desk, symbol).run() for symbol in params["lanes"]]
    work += [rest(desk, symbol) for symbol in params["resting"]]
    if params["reads_gap_ns"]:
        work.append(_read_paced(desk))
    if params["burst"]:
        work.append(_read_burst(desk))
    return work


async def _read(desk: Desk, read: Read) -> None:
    path, query, weight, signed = read
    deadline_ns = desk.host.params["read_deadline_ns"]

    async def get() -> dict[str, Any]:
        await desk.adapter.get(path, query, signed=signed, deadline_s=as_seconds(deadline_ns))
        return {}

    key = f"r-{desk.past.number('r'):06d}"
    await desk.record("read", {"key": key, "path": path, "weight": weight, "deadline_ns": deadline_ns}, get)


async def _read_paced(desk: Desk) -> None:
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


async def _read_burst(desk: Desk) -> None:
    """Begin all reads at once, and see them return."""
    params, draws = desk.host.params, desk.host.draws("burst")
    await desk.pause(params["warm_up_ns"])
    async with asyncio.TaskGroup() as group:
        for _ in range(params["burst"]):
            group.create_task(_read(desk, draws.choice(params["menu"])))
