"""The event bus: what is published reaches a handler, whole and once."""

from collections.abc import Sequence

from harness.trial import Trial
from scenarios.ports.event_bus import Delivered, EventBus

_PAYLOAD = {"symbol": "BTCUSDT", "note": "Köln", "legs": [1, None, {"qty": 0.5}]}


async def talk(trial: Trial) -> None:
    """Publish three events to a group that listens."""
    heard: list[Delivered] = []
    overflowed: list[Sequence[str]] = []

    async def handle(event: Delivered) -> None:
        heard.append(event)

    bus: EventBus = trial.make(redis_url=trial.endpoints["redis"], directory=trial.disk, name="trial")
    bus.on_overflow(overflowed.append)
    await trial.call("start()", bus.start)
    await trial.call("subscribe()", bus.subscribe, "risk", ["orders"], handle)
    ids = [await trial.call("publish_event()", bus.publish_event, "orders", _PAYLOAD) for _ in range(3)]
    await trial.expect("a handler was called for each", lambda: len(heard) >= len(ids), after="publish_event()")
    trial.equal("what the events bear as event_id", sorted(ids), sorted(event.event_id for event in heard))
    trial.equal("their event_type", "orders", heard[0].event_type)
    trial.equal("their payload", _PAYLOAD, dict(heard[0].payload))
    stats = bus.stats()
    trial.equal("stats().mode", "direct", stats.mode)
    trial.equal("stats().buffered", 0, stats.buffered)
    trial.equal("stats().dropped", 0, stats.dropped)
    trial.equal("overflows", [], overflowed)
    trial.equal("resync_from_fallback()", 0, await trial.call("resync_from_fallback()", bus.resync_from_fallback))
    await trial.call("close()", bus.close)
