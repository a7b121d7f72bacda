"""The host of the signal floods: a model that emits, the executor under test, and the exchange behind it.

The flood is an open loop: turns come at their own times, and each signal of a turn is offered by a task of its own, so
that an executor which stalls cannot slow down the load that shows it. Some turns are bursts: many signals at one
instant, then a longer wait. When so many as wanted have been offered it is quiet.

What executes a signal is the adapter behind the port `binance`, as the trader of the Binance scenarios drives it; an
execution that did not trade raises, as the executor expects. Trading is halted for a time, as by an emergency stop.

Everything is recorded from outside: each offer and each execution as an operation, each announced end and each change
of `may_trade` as an observation, and the executor's counts after every step. After a kill the flood goes on; exits that
the dead executor had not ended are offered again, as a system does that still wants to leave its positions.
"""

import asyncio
from decimal import ROUND_UP, Decimal
from typing import Any, Final, TypeGuard

from harness.dependencies.binance.settings import API_KEY, API_SECRET
from harness.history.events import Event, Invoke, Observation
from harness.units import ms, per_second
from harness.world.base import Host, HostSpec
from scenarios.binance_desk import Desk
from scenarios.ports.executor import Disposal, Executor, Signal
from scenarios.signal_mix import BURST, SYMBOLS, Mix, Offer, again, instrument

_NOTIONAL: Final = Decimal(150)
"""Of one execution, in USDT."""
_SLIPPAGE_BPS: Final = 100
_EXECUTION_S: Final = 8.0
"""What the adapter may take; more than an executor gives it, so that the executor's own limit is needed."""
_BURST_ONE_IN: Final = 20


class NotTradedError(Exception):
    """The exchange executed nothing; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def engine(
    *,
    count: int,
    per_s: float,
    exits: int,
    halt_at: tuple[int, int],
    halt_ms: tuple[int, int],
    poison: int = 60,
    repeated: int = 30,
    name: str = "engine",
) -> HostSpec:
    """Return a host that offers `count` signals, `per_s` a second; shares of `exits` and the like are per mille.

    Trading is halted once, for a time in the range `halt_ms`, when the signal comes whose number was drawn from
    `halt_at`: so in mid-flood, however long a restart takes.
    """
    params = {
        "count": count,
        "gap_ns": per_second(per_s),
        "shares": {"poison": poison, "repeated": repeated, "exits": exits},
        "halt_at": list(halt_at),
        "halt_ms": list(halt_ms),
    }
    return HostSpec(name=name, program=run, params=params)


async def run(host: Host) -> None:
    """Flood the executor, let it be quiet, and close it when asked to stop."""
    adapter = host.target("binance")(
        base_url=host.endpoints["binance"], api_key=API_KEY, api_secret=API_SECRET, directory=host.disk, name=host.name
    )
    await adapter.start()
    desk = Desk(host, adapter)
    floor = _Floor(desk)
    async with asyncio.TaskGroup() as group:
        floor.resume(group)
        group.create_task(floor.process())
        group.create_task(floor.flood(group))
        await host.stopping()
        desk.stopped.set()
        await floor.close()
    await adapter.close()


class _Floor:
    """The executor, and all that is done to it and by it."""

    def __init__(self, desk: Desk) -> None:
        host = desk.host
        self._desk = desk
        self._host = host
        self._may_trade = True
        self._halted = any(event.value["until_ns"] for event in host.past if _is(event, "trading"))
        self._offers: dict[str, dict[str, Any]] = {}
        self._unsampled = False
        self._executor: Executor = host.target("executor")(
            execute=self._execute,
            may_trade=lambda: self._may_trade,
            symbols=SYMBOLS,
            directory=host.disk,
            name=host.name,
        )
        self._executor.on_disposed(self._disposed)

    # --- what is done to it ---

    def resume(self, group: asyncio.TaskGroup) -> None:
        """Say whether trading is allowed: a halt outlives the one who obeys it."""
        until_ns = _halted_until(self._host)
        if until_ns > self._host.now_ns():
            group.create_task(self.halt(until_ns))
        else:
            self._allow(allowed=True, until_ns=0)

    async def flood(self, group: asyncio.TaskGroup) -> None:
        """Offer one turn after the other, each at its own time, until enough was offered."""
        host, params = self._host, self._host.params
        mix, turns = Mix(host.draws("mix"), params["shares"]), host.draws("turns")
        for value in _exits_left(host):
            number = self._desk.past.number("s")
            group.create_task(self._offer(mix.offer(number, again(number, value))))
        halt_at, halt_ns = _planned_halt(host)
        due_ns = host.now_ns()
        while True:
            turn = BURST if turns.below(_BURST_ONE_IN) == 0 else 1
            due_ns += turn * (params["gap_ns"] // 2 + turns.below(params["gap_ns"] + 1))
            pause_ns = due_ns - host.now_ns()
            if (pause_ns > 0 and not await self._desk.pause(pause_ns)) or self._desk.stopped.is_set():
                return
            for _ in range(turn):
                number = self._desk.past.number("s")
                if number >= params["count"]:
                    return
                if number >= halt_at and not self._halted:
                    self._halted = True
                    group.create_task(self.halt(due_ns + halt_ns))
                group.create_task(self._offer(mix.next(number)))

    async def halt(self, until_ns: int) -> None:
        """Forbid trading until then, or until the end."""
        self._allow(allowed=False, until_ns=until_ns)
        if await self._desk.pause(max(1, until_ns - self._host.now_ns())):
            self._allow(allowed=True, until_ns=0)

    async def process(self) -> None:
        """Let the executor work; that it ends by itself, or in an error, is recorded."""

        async def work() -> dict[str, Any]:
            await self._executor.process_queue()
            return {}

        await self._desk.record("process", {"key": "process"}, work)

    async def close(self) -> None:
        """Close it; what still waited is announced by it."""
        self._host.log.observe("closing")
        await self._executor.close()
        self._sample()

    async def _offer(self, offer: Offer) -> None:
        self._offers.setdefault(offer.value["id"], offer.value)

        async def handle() -> dict[str, Any]:
            await self._executor.handle_signal(offer.raw)  # type: ignore[arg-type]  # poison is what it is
            return {}

        await self._desk.record("offer", offer.value, handle)
        self._sample()

    # --- what is done by it ---

    async def _execute(self, signal: Signal) -> None:
        """Trade a signal on the exchange, or raise."""
        offered = self._offers.get(signal.id)

        async def execute() -> dict[str, Any]:
            self._sample()
            if offered is None:
                raise NotTradedError("it was never offered")
            traded = instrument(offered["symbol"])
            quantity = (_NOTIONAL / traded.price / traded.step).to_integral_value(ROUND_UP) * traded.step
            report = await self._desk.adapter.execute_order(
                traded.symbol,
                offered["side"],
                quantity,
                intent=signal.id,
                decision_price=traded.price,
                max_slippage_bps=_SLIPPAGE_BPS,
                deadline_s=_EXECUTION_S,
            )
            if not report.filled:
                raise NotTradedError(report.reason or report.status)
            return {"filled": str(report.filled)}

        if await self._desk.record("execution", {"key": signal.id}, execute) is None:
            raise NotTradedError("see the operation")

    def _disposed(self, one: Disposal) -> None:
        offered = self._offers.get(one.id, {})
        leaving = one.reason != "rejected" and bool(offered.get("exit"))
        self._host.log.observe("disposed", id=one.id, reason=one.reason, detail=one.detail, exit=leaving)
        if not self._unsampled:  # several ends of one step are announced one by one: wait for the last
            self._unsampled = True
            asyncio.get_running_loop().call_soon(self._sample_if_due)

    def _sample_if_due(self) -> None:
        if self._unsampled:
            self._sample()

    def _sample(self) -> None:
        self._unsampled = False
        stats = self._executor.stats()
        counts = {
            "offered": stats.offered,
            "executed": stats.executed,
            "dropped": self._executor.dropped_signals,
            "expired": stats.expired,
            "superseded": stats.superseded,
            "rejected": stats.rejected,
            "closed": stats.closed,
        }
        self._host.log.observe("stats", queued=stats.queued, counts=counts)

    def _allow(self, *, allowed: bool, until_ns: int) -> None:
        self._may_trade = allowed
        self._host.log.observe("trading", allowed=allowed, until_ns=until_ns)
        self._sample()  # what waits when trading is halted


def _is(event: Event, name: str) -> TypeGuard[Observation]:
    return isinstance(event, Observation) and event.name == name


def _planned_halt(host: Host) -> tuple[int, int]:
    """Return at which signal trading is halted, and for how long: as the first life drew it."""
    for event in host.past:
        if _is(event, "halt_planned"):
            return event.value["at"], event.value["length_ns"]
    draws, params = host.draws("halt"), host.params
    at, length_ns = draws.between(*params["halt_at"]), ms(draws.between(*params["halt_ms"]))
    host.log.observe("halt_planned", at=at, length_ns=length_ns)
    return at, length_ns


def _halted_until(host: Host) -> int:
    """Return until when trading was halted when the last life ended; 0 if it was not."""
    halts = [event.value["until_ns"] for event in host.past if _is(event, "trading")]
    return int(halts[-1]) if halts else 0


def _exits_left(host: Host) -> list[dict[str, Any]]:
    """Return the exits that earlier lives offered and that did not end: the newest for each symbol and side."""
    left: dict[str, dict[str, Any]] = {}
    for event in host.past:
        if isinstance(event, Invoke) and event.name == "offer":
            if event.value["exit"] and not event.value["flaw"]:
                left[event.value["id"]] = event.value
        elif isinstance(event, Invoke) and event.name == "execution":
            left.pop(event.value["key"], None)
        elif _is(event, "disposed") and event.value["reason"] != "rejected":
            left.pop(event.value["id"], None)
    return list({(value["symbol"], value["side"]): value for value in left.values()}.values())
