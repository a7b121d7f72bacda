"""The hosts of the event-bus scenarios: a publisher that offers events at a rate, a consumer that records deliveries.

The publisher is an open loop: each event is offered at its own time by a task that is free, whether or not earlier ones
have returned, so a bus that stalls cannot slow down the load that shows it (no coordinated omission). Every event
carries a key of the harness's own; a restarted publisher goes on after the highest key it ever offered.
"""

import asyncio
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from harness.history.events import Invoke
from harness.units import as_seconds, ms, per_second, seconds
from harness.world.base import Host, HostSpec
from scenarios.ports.event_bus import Delivered, EventBus, Handler

TYPES = ("orders", "fills", "signals", "positions")
GROUPS = ("risk", "dashboard")
_STATS_EVERY_NS = ms(250)
_LOOK_S = 0.05
_EMPTY_NS_MAX = seconds(5)
_canonical = msgspec.json.Encoder(order="deterministic").encode


def publisher(
    *, rate: float, name: str = "publisher", types: Sequence[str] = TYPES, pad_bytes: int = 120, drain_ns: int
) -> HostSpec:
    """Return a host that publishes `rate` events a second, spread over `types`, `pad_bytes` of filler in each."""
    params = {"gap_ns": per_second(rate), "types": list(types), "pad_bytes": pad_bytes}
    return HostSpec(name=name, program=publish, params=params, drain_ns=drain_ns)


def consumer(*, name: str = "consumer", groups: Sequence[str] = GROUPS, types: Sequence[str] = TYPES) -> HostSpec:
    """Return a host that consumes `types` as a member of each of `groups`."""
    return HostSpec(name=name, program=consume, params={"groups": list(groups), "types": list(types)})


async def publish(host: Host) -> None:
    """Offer events until asked to stop, then let the ones in flight return, the buffer empty itself, and close the bus.

    A bus may keep its buffer for the next start, but this is the last: what stays is never delivered.
    """
    bus = _open(host)
    bus.on_overflow(lambda ids: host.log.observe("overflow", ids=list(ids)))
    await bus.start()
    offers = _Offers(host, bus)
    offers.begin()
    sampler = asyncio.ensure_future(_sample(host, bus))
    await host.stopping()
    sampler.cancel()
    await offers.end()
    await _emptied(host, bus)
    _record_stats(host, bus)
    await bus.close()


async def _emptied(host: Host, bus: EventBus) -> None:
    """Return once nothing waits in the buffer, or no longer may: a host has 10 s to finish."""
    until_ns = host.now_ns() + _EMPTY_NS_MAX
    while bus.stats().buffered and host.now_ns() < until_ns:  # noqa: ASYNC110 - a bus tells by being asked
        await asyncio.sleep(_LOOK_S)


async def consume(host: Host) -> None:
    """Record every delivery to every group until asked to stop."""
    bus = _open(host)
    await bus.start()
    host.log.observe("groups", groups=host.params["groups"], types=host.params["types"])
    for group in host.params["groups"]:
        await bus.subscribe(group, host.params["types"], _handler(host, group))
    await host.stopping()
    await bus.close()


def digest(payload: Mapping[str, Any]) -> str:
    """Return what stands for a payload in the history: its canonical JSON's CRC-32.

    Digests are compared within one key, and against chance alone: one in four billion garbled payloads would pass.
    Three are made for each event, and a cryptographic hash took eight times as long.
    """
    return f"{zlib.crc32(_canonical(payload)):08x}"


def _open(host: Host) -> EventBus:
    factory = host.target("event_bus")
    bus: EventBus = factory(redis_url=host.endpoints["redis"], directory=host.disk, name=host.name)
    return bus


def _handler(host: Host, group: str) -> Handler:
    observe = host.log.observe

    async def handle(event: Delivered) -> None:
        payload = event.payload
        observe(
            "deliver",
            group=group,
            key=payload.get("key"),
            type=event.event_type,
            id=event.event_id,
            digest=digest(payload),
        )

    return handle


class _Offers:
    """Offers one event after the other, each at its time, by a task that has no other event in hand.

    Tasks are kept for later events: as many are made as events were ever in flight at once, usually one. A timer rather
    than a task that sleeps: half the steps.
    """

    def __init__(self, host: Host, bus: EventBus) -> None:
        self._host = host
        self._bus = bus
        self._loop = asyncio.get_running_loop()
        self._gaps, self._gap_ns = host.draws("gaps"), host.params["gap_ns"]
        self._kinds, self._types = host.draws("types"), host.params["types"]
        self._payload = _payloads(host.name, host.params["pad_bytes"])
        self._number = _resume_at(host)
        self._due_ns = host.now_ns()
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False
        self._tasks: list[asyncio.Task[None]] = []
        self._idle: list[asyncio.Future[tuple[int, str] | None]] = []

    def begin(self) -> None:
        """Offer the next event, and set the timer for the one after it."""
        number = self._number
        event_type = self._kinds.choice(self._types)
        if self._idle:
            self._idle.pop().set_result((number, event_type))
        else:
            self._tasks.append(self._loop.create_task(self._work(number, event_type)))
        self._number = number + 1
        self._due_ns += self._gap_ns // 2 + self._gaps.below(self._gap_ns + 1)
        self._timer = self._loop.call_later(as_seconds(max(0, self._due_ns - self._host.now_ns())), self.begin)

    async def end(self) -> None:
        """Offer no more; return when those in flight have."""
        if self._timer is not None:
            self._timer.cancel()
        self._ended = True
        for turn in self._idle:
            turn.set_result(None)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, number: int, event_type: str) -> None:
        """Offer an event, and whenever one is due while this task has none in hand, another."""
        while True:
            payload = self._payload(number, event_type)
            with self._host.log.operation(
                "publish", key=payload["key"], type=event_type, digest=digest(payload)
            ) as operation:
                operation.result = {"id": await self._bus.publish_event(event_type, payload)}
            if self._ended:
                return
            turn: asyncio.Future[tuple[int, str] | None] = self._loop.create_future()
            self._idle.append(turn)
            following = await turn
            if following is None:
                return
            number, event_type = following


def _payloads(name: str, pad_bytes: int) -> Callable[[int, str], dict[str, Any]]:
    """Return a maker of events with what breaks sloppy encoders: large integers, decimals, non-ASCII text, nesting."""
    prefix, pad = f"{name}-", "x" * pad_bytes

    def payload(number: int, event_type: str) -> dict[str, Any]:
        return {
            "key": f"{prefix}{number:06d}",
            "type": event_type,
            "order_id": (1 << 53) + number,
            "price": f"{number % 997}.{number % 100:02d}",
            "note": 'Köln \N{SNOWMAN} "quoted" \\ \n',
            "legs": [{"qty": 0.1 * (number % 7), "open": number % 2 == 0}, None],
            "pad": pad,
        }

    return payload


def _resume_at(host: Host) -> int:
    """Return the number after the last event that any earlier incarnation offered."""
    offered = [event.value["key"] for event in host.past if isinstance(event, Invoke) and event.name == "publish"]
    return max((int(key.rpartition("-")[2]) for key in offered), default=-1) + 1


async def _sample(host: Host, bus: EventBus) -> None:
    while True:
        _record_stats(host, bus)
        await asyncio.sleep(as_seconds(_STATS_EVERY_NS))


def _record_stats(host: Host, bus: EventBus) -> None:
    stats = bus.stats()
    host.log.observe("stats", mode=stats.mode, buffered=stats.buffered, dropped=stats.dropped)
