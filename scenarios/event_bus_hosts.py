"""The hosts of the event-bus scenarios: a publisher that offers events at a rate, a consumer that records deliveries.

The publisher is an open loop: each event is offered at its own time by a task of its own, whether or not earlier ones
have returned, so a bus that stalls cannot slow down the load that shows it (no coordinated omission). Every event
carries a key of the harness's own; a restarted publisher goes on after the highest key it ever offered.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from harness.history.events import Invoke
from harness.units import as_seconds, ms, per_second
from harness.world.base import Host, HostSpec
from scenarios.ports import Delivered, EventBus, Handler

TYPES = ("orders", "fills", "signals", "positions")
GROUPS = ("risk", "dashboard")
_STATS_EVERY_NS = ms(250)


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
    """Offer events until asked to stop, then let the ones in flight return and close the bus."""
    bus = _open(host)
    bus.on_overflow(lambda ids: host.log.observe("overflow", ids=list(ids)))
    await bus.start()
    in_flight: set[asyncio.Task[None]] = set()
    offering = asyncio.ensure_future(_offer_all(host, bus, in_flight))
    sampler = asyncio.ensure_future(_sample(host, bus))
    await asyncio.wait({offering, asyncio.ensure_future(host.stopping())}, return_when=asyncio.FIRST_COMPLETED)
    offering.cancel()
    sampler.cancel()
    await asyncio.gather(offering, sampler, *in_flight, return_exceptions=True)
    _record_stats(host, bus)
    await bus.close()


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
    """Return what stands for a payload in the history: equal digests mean byte-equal canonical JSON."""
    return hashlib.blake2b(msgspec.json.encode(payload, order="deterministic"), digest_size=8).hexdigest()


def _open(host: Host) -> EventBus:
    factory = host.target("event_bus")
    bus: EventBus = factory(redis_url=host.endpoints["redis"], directory=host.disk, name=host.name)
    return bus


def _handler(host: Host, group: str) -> Handler:
    async def handle(event: Delivered) -> None:
        payload = event.payload
        host.log.observe(
            "deliver",
            group=group,
            key=payload.get("key"),
            type=event.event_type,
            id=event.event_id,
            digest=digest(payload),
        )

    return handle


async def _offer_all(host: Host, bus: EventBus, in_flight: set[asyncio.Task[None]]) -> None:
    """Offer one event after the other, each at its time, until cancelled."""
    gaps, kinds, gap_ns = host.draws("gaps"), host.draws("types"), host.params["gap_ns"]
    due_ns = host.now_ns()
    number = _resume_at(host)
    while True:
        task = asyncio.ensure_future(_offer(host, bus, _payload(host, number, kinds.choice(host.params["types"]))))
        in_flight.add(task)
        task.add_done_callback(in_flight.discard)
        number += 1
        due_ns += gap_ns // 2 + gaps.below(gap_ns + 1)
        await asyncio.sleep(as_seconds(max(0, due_ns - host.now_ns())))


async def _offer(host: Host, bus: EventBus, payload: dict[str, Any]) -> None:
    event_type = payload["type"]
    with host.log.operation("publish", key=payload["key"], type=event_type, digest=digest(payload)) as operation:
        operation.result = {"id": await bus.publish_event(event_type, payload)}


def _payload(host: Host, number: int, event_type: str) -> dict[str, Any]:
    """Return an event with what breaks sloppy encoders: large integers, decimals, text beyond ASCII, nesting."""
    return {
        "key": f"{host.name}-{number:06d}",
        "type": event_type,
        "order_id": (1 << 53) + number,
        "price": f"{number % 997}.{number % 100:02d}",
        "note": 'Köln \N{SNOWMAN} "quoted" \\ \n',
        "legs": [{"qty": 0.1 * (number % 7), "open": number % 2 == 0}, None],
        "pad": "x" * host.params["pad_bytes"],
    }


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
