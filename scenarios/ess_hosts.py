"""The hosts of the emergency-stop scenarios: a desk with its operators and their enemies, and who hears of its trips.

The operators' agenda is a list of things done at times, each begun once: what a dead host missed is done after it.
What an operator does goes over the HTTP API but for `trip`, `race` and `errors`, which come from inside.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import httpx

from harness.history.events import Observation
from harness.units import ms
from harness.world.base import Host, HostSpec
from scenarios.ess_desk import Desk
from scenarios.ess_http import DEFECTS, OPERATORS, REPLAYED, Caller
from scenarios.ess_market import Market, Phase
from scenarios.ports.event_bus import Delivered, EventBus
from scenarios.serving import serving_itself

TYPES: Final = ("ess.armed", "ess.tripped", "ess.cooling_down", "ess.disabled")
GROUPS: Final = ("dashboard", "pager")
_ERRORS: Final = 5
_RESETS_MAX: Final = 12


def desk(
    *,
    phases: Sequence[Phase],
    agenda: Sequence[tuple[int, str]],
    options: Mapping[str, float],
    metrics_gap_ns: int,
    order_gap_ns: int,
    retry_ns: int,
    jitter_ns: int = 0,
    lanes: int = 3,
    drain_ns: int,
) -> HostSpec:
    """Return the desk. `options` are the target's; agenda and phases begin up to `jitter_ns` later than they say."""
    params = {
        "phases": [phase.as_param() for phase in phases],
        "agenda": [list(item) for item in agenda],
        "options": dict(options),
        "tokens": dict(OPERATORS),
        "metrics_gap_ns": metrics_gap_ns,
        "order_gap_ns": order_gap_ns,
        "retry_ns": retry_ns,
        "jitter_ns": jitter_ns,
        "lanes": lanes,
    }
    return HostSpec(name="desk", program=trade, params=params, drain_ns=drain_ns)


def subscriber() -> HostSpec:
    """Return who hears of transitions."""
    return HostSpec(name="subscriber", program=hear)


async def hear(host: Host) -> None:
    """Record each transition that is heard of, in each group."""
    bus = _bus(host)
    await bus.start()
    host.log.observe("groups", groups=list(GROUPS), types=list(TYPES))
    for group in GROUPS:
        await bus.subscribe(group, TYPES, _hearing(host, group))
    await host.stopping()
    await bus.close()


async def trade(host: Host) -> None:
    """Trade until asked to stop; read the audit trail back before and after."""
    bus = _bus(host)
    await bus.start()
    desk = Desk(host, bus.publish_event)
    await desk.ess.start()
    desk.sample()
    await desk.read_back()
    async with serving_itself(desk.ess.app()) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        operators = Operators(desk, Caller(host, client))
        async with asyncio.TaskGroup() as group:
            group.create_task(_feed(desk))
            for number in range(host.params["lanes"]):
                group.create_task(desk.lane(number))
            group.create_task(operators.work())
            await host.stopping()
            desk.stopped.set()
        desk.sample()
        await desk.read_back()
    await desk.ess.close()
    await bus.close()


class Operators:
    """Alice and Bob, who follow the agenda."""

    def __init__(self, desk: Desk, caller: Caller) -> None:
        self._desk = desk
        self._caller = caller
        self._actions: Mapping[str, Callable[[], Any]] = {
            "trigger": self._trigger,
            "reset": self._reset,
            "trip": self._trip,
            "race": self._race,
            "replay": self._replay,
            "late": self._late,
            "errors": self._errors,
            "attack": self._attack,
        }

    async def work(self) -> None:
        """Do what is on the agenda, each in its time."""
        host = self._desk.host
        draws = host.draws("agenda")
        began_ns = _began_ns(host)
        begun = [
            event.value["item"] for event in host.past if isinstance(event, Observation) and event.name == "agenda"
        ]
        agenda = enumerate(host.params["agenda"])
        for item, (at_ns, action) in islice(agenda, max(begun, default=-1) + 1, None):
            due_ns = began_ns + at_ns + draws.below(host.params["jitter_ns"] + 1)
            if not await self._desk.pause(max(ms(1), due_ns - host.now_ns())):
                return
            host.log.observe("agenda", item=item, action=action)
            await self._actions[action]()

    async def _trigger(self) -> None:
        await self._caller.trigger("alice")
        self._desk.sample()

    async def _reset(self) -> None:
        """Try to reset what is tripped until it is."""
        for _ in range(_RESETS_MAX):
            told = await self._caller.status("bob")
            trip = told.get("trip", "")
            if told.get("state") == "ARMED":
                return
            answer = await self._caller.reset("bob", trip) if trip else {}
            self._desk.sample()
            if answer.get("status") == httpx.codes.OK or not await self._desk.pause(self._desk.host.params["retry_ns"]):
                return

    async def _trip(self) -> None:
        await self._desk.trip(self._caller.key(), "risk-engine")

    async def _race(self) -> None:
        """Two resets of one trip at once, then a reset and a trip at once."""
        desk, key = self._desk, self._caller.key
        for rival in ("reset", "trip"):
            await desk.trip(key(), "risk-engine")
            await self._cooling()
            trip = desk.ess.status().trip
            other = desk.reset(trip, key(), "bob") if rival == "reset" else desk.trip(key(), "risk-engine")
            await asyncio.gather(self._caller.reset("alice", trip), other)
            desk.sample()
        await self._reset()

    async def _replay(self) -> None:
        """A trigger, and the very same call again once it was reset."""
        key = self._caller.key()
        await self._caller.trigger("alice", key=key)
        await self._reset()
        await self._caller.trigger("alice", key=key, defect=REPLAYED)
        self._desk.sample()

    async def _late(self) -> None:
        """A reset of a trip that was reset, after another trip: somebody's call that took long."""
        await self._caller.trigger("alice")
        await self._cooling()
        trip = self._desk.ess.status().trip
        await self._caller.reset("alice", trip)
        await self._desk.trip(self._caller.key(), "risk-engine")
        await self._cooling()
        await self._caller.reset("alice", trip)
        self._desk.sample()
        await self._reset()

    async def _errors(self) -> None:
        for _ in range(_ERRORS):
            await self._desk.executed(ok=False)
        await self._desk.executed(ok=True)

    async def _attack(self) -> None:
        """Every kind of bad call, of what would trip and of what would arm."""
        for number, defect in enumerate(DEFECTS):
            if number % 2:
                await self._caller.reset("alice", self._desk.ess.status().trip or "none", defect=defect)
            else:
                await self._caller.trigger("alice", defect=defect)
        self._desk.sample()

    async def _cooling(self) -> None:
        """Wait until the stop is carried out; it takes as long as the exchange takes to cancel."""
        for _ in range(_RESETS_MAX):
            if self._desk.sample() == "COOLING_DOWN" or not await self._desk.pause(
                self._desk.host.params["retry_ns"] // 4
            ):
                return


async def _feed(desk: Desk) -> None:
    """Feed the market's figures at a steady pace; more often while they flap or fall."""
    host = desk.host
    market = Market(host.params["phases"], host.draws("market"))
    began_ns = _began_ns(host)
    gap_ns = host.params["metrics_gap_ns"]
    while True:
        now_ns = host.now_ns() - began_ns
        figures = market.figures(now_ns)
        if figures is not None:
            await desk.metrics(*figures)
        if not await desk.pause(min(gap_ns, ms(200)) if market.is_moving(now_ns) else gap_ns):
            return


def _began_ns(host: Host) -> int:
    """Return when the desk's first life began: what the agenda's times count from."""
    first = next((event for event in host.past if isinstance(event, Observation) and event.name == "ess"), None)
    return host.now_ns() if first is None else first.time_ns


def _bus(host: Host) -> EventBus:
    bus: EventBus = host.target("event_bus")(redis_url=host.endpoints["redis"], directory=host.disk, name=host.name)
    return bus


def _hearing(host: Host, group: str) -> Callable[[Any], Any]:
    async def handle(event: Delivered) -> None:
        told = event.payload
        host.log.observe(
            "heard", group=group, transition=told.get("transition"), trip=told.get("trip"), to=told.get("to")
        )

    return handle
