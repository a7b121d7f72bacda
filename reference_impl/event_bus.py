"""Patch 1: an event bus on Redis Streams that survives Redis.

```python
bus = EventBusV2("redis://localhost:6379", "fallback.sqlite3")
await bus.start()
event_id = await bus.publish_event("signal.created", {"symbol": "BTCUSDT", "side": "BUY"})
await bus.subscribe("execution", ["signal.created"], handler)
await bus.close()
```

`publish_event` returns once the event can no longer be lost: Redis has confirmed it, or, when Redis is away, hangs or
refuses, an SQLite file has. Recovery needs nobody: the bus finds out that Redis is back, replays in order, and goes on
directly. Streams are `events:<event type>`, one consumer group per kind of reader.

What it promises:

- *No acked event is lost* while the disk holds, SIGKILL of the publisher included, unless the buffer overflows, which
  is counted (`stats().dropped`), announced (`on_overflow`) and logged, or refused up front (`overflow="reject"`). A
  Redis that restarts without its last seconds is noticed by its run id, and what it confirmed in the last
  `retain_seconds` is published again. (If publisher and Redis both die in the same few seconds, confirmed events that
  only Redis had may go with them.)
- *Order*: per event type and bus, handlers see events in the order of their acks; the argument: `_event_bus.lane`.
- *Once*: repetitions in the stream do not reach handlers; what exactly holds in which crash: `_event_bus.consumer`.
- *A full disk* takes nothing that Redis would confirm: direct publishing and its recovery go on. What would have to be
  buffered raises `BufferUnavailableError` at once, is not acked, and nothing needs to be done when there is space
  again. Consumers stand still until they can save what they handled. `start` needs the disk.
- *Wall clocks* decide nothing: they only stamp events. Order, age and time limits go by numbers and monotonic clocks.
- *Bounded time*: a publish waits for Redis 170 ms at most, then for one commit of the buffer.
- *An error reply confirms nothing*, and nothing is given up for it. A Redis that refuses (OOM, READONLY, LOADING,
  NOAUTH) counts as away. An error about one stream (WRONGTYPE) holds up the others too, until somebody repairs it.

How: `_event_bus.modes` decides between direct, fallback and resync; `lane` carries events to Redis or into the buffer;
`recovery` brings them back; `consumer` delivers.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from reference_impl._event_bus.buffer import Buffer, BufferWorker
from reference_impl._event_bus.consumer import Subscription
from reference_impl._event_bus.counters import Counters
from reference_impl._event_bus.encoding import appender, check_event_type, encode_payload
from reference_impl._event_bus.errors import (
    BufferFullError,
    BufferRefusedError,
    BufferSupersededError,
    BufferUnavailableError,
    BusClosedError,
    EventBusError,
    PayloadError,
    PublishTimeoutError,
)
from reference_impl._event_bus.handling import Handling
from reference_impl._event_bus.lane import Lane
from reference_impl._event_bus.link import Address
from reference_impl._event_bus.model import BusStats, DeliveredEvent, Handler, Options
from reference_impl._event_bus.modes import Modes
from reference_impl._event_bus.reach import Reach
from reference_impl._event_bus.recovery import Recovery
from reference_impl._event_bus.tail import Tail
from reference_impl._event_bus.watermarks import WatermarkFile, Watermarks

__all__ = [
    "BufferFullError",
    "BufferRefusedError",
    "BufferSupersededError",
    "BufferUnavailableError",
    "BusClosedError",
    "BusStats",
    "DeliveredEvent",
    "EventBusError",
    "EventBusV2",
    "Options",
    "PayloadError",
    "PublishTimeoutError",
    "make",
]

log = logging.getLogger(__name__)

_CLOSE_GRACE = 5.0  # seconds that handlers get to finish the event in hand


class EventBusV2:
    """A publisher and its subscriptions. Belongs to one event loop; not thread-safe.

    Args:
        redis_url: As redis-py takes it (`redis://`, `rediss://`, `unix://`); credentials in it are never logged.
        fallback_db_path: The SQLite file of the buffer; one bus at a time may use it.
        name: Stable over restarts: member of consumer groups, part of event ids; default: the file's stem.
        options: See `Options`.

    Raises:
        ValueError: The URL or an option is invalid.

    """

    buffer_type: type[Buffer] = Buffer
    modes_type: type[Modes] = Modes
    lane_type: type[Lane] = Lane
    recovery_type: type[Recovery] = Recovery
    watermarks_type: type[Watermarks] = Watermarks
    subscription_type: type[Subscription] = Subscription

    def __init__(
        self, redis_url: str, fallback_db_path: str | Path, *, name: str | None = None, **options: Any
    ) -> None:
        path = Path(fallback_db_path)
        self.name = name or path.stem
        self._address = Address(redis_url)
        self._options = Options(**options)
        self._path = path
        self._counters = Counters()
        self._modes = self.modes_type()
        self._reach = Reach()
        self._tail = Tail(self._options.retain_seconds, self._options.retain_max)
        self._watermarks = WatermarkFile(path.with_name(f"{path.stem}.watermarks"))
        self._lane: Lane | None = None
        self._recovery: Recovery | None = None
        self._overflow_callbacks: list[Callable[[Sequence[str]], None]] = []
        self._subscriptions: dict[asyncio.Task[None], Subscription] = {}
        self._closed = False

    def __repr__(self) -> str:
        return f"<EventBusV2 {self.name} at {self._address}, {self._modes.mode}>"

    async def start(self) -> None:
        """Open the buffer and begin working; returns within about a `probe_timeout`, Redis or no Redis.

        Raises:
            BufferUnavailableError: The buffer cannot be opened.
            BusClosedError: The bus was started or closed before.

        """
        if self._closed or self._lane is not None:
            raise BusClosedError("a bus is started once")
        options = self._options
        xadd = appender(options.stream_maxlen)
        worker = BufferWorker(self.buffer_type(self._path, options.capacity, options.overflow))
        try:
            found = await worker.call(worker.buffer.open, self.name)
        except BaseException:
            await worker.close()
            raise
        self._modes.opened(found.rows, found.tail_run_id if found.tail else None)
        self._tail.confirmed(found.tail, asyncio.get_running_loop().time())
        self._counters.dropped = found.dropped
        lane = self.lane_type(options, self._modes, self._tail, worker, self._counters, xadd)
        lane.spilled = bool(found.tail)
        lane.on_overflow = self._overflow_callbacks
        lane.open(found.producer, found.epoch)
        self._lane = lane
        self._recovery = self.recovery_type(self._address, options, lane, self._reach, xadd)
        self._recovery.start()
        if not found.rows:
            await self._recovery.attempt()

    async def publish_event(self, event_type: str, payload: Mapping[str, Any]) -> str:
        """Publish a JSON object; return the event's id once the event can no longer be lost.

        Raises:
            PayloadError: The type or the payload cannot be carried. Nothing was published.
            BusClosedError: The bus is not open. Nothing was published.
            PublishTimeoutError: Too many publishers are waiting. Nothing was published.
            BufferRefusedError: Redis did not confirm and the buffer did not take the event (`BufferFullError`,
                `BufferUnavailableError`, `BufferSupersededError`). It is not acked; it may still appear in the stream.

        """
        lane = self._lane
        if lane is None:
            raise BusClosedError("the event bus is not open")
        check_event_type(event_type)
        encoded = encode_payload(payload, self._options.max_payload_bytes)
        if lane.is_full:
            await lane.admission()
        return await lane.submit(event_type, encoded)

    async def subscribe(self, group: str, event_types: Sequence[str], handler: Handler) -> None:
        """Deliver every event of these types to `handler`, as a member of that consumer group, until closed.

        A new group starts with the oldest event in the stream. Returns at once; Redis may be down.

        Raises:
            PayloadError: An event type cannot name a stream.
            BusClosedError: The bus is not open.

        """
        if self._lane is None or self._closed:
            raise BusClosedError("the event bus is not open")
        for event_type in event_types:
            check_event_type(event_type)
        subscription = self.subscription_type(
            address=self._address,
            options=self._options,
            group=group,
            member=self.name,
            event_types=list(event_types),
            handling=Handling(handler, self._options, self._counters),
            file=self._watermarks,
            counters=self._counters,
            reach=self._reach,
            make_watermarks=self.watermarks_type,
        )
        task = asyncio.get_running_loop().create_task(subscription.run(), name=f"event-bus-consumer-{group}")
        self._subscriptions[task] = subscription

    async def resync_from_fallback(self) -> int:
        """Replay the buffer now if Redis answers; return how many events left the buffer.

        Not needed for recovery, which is automatic; cuts its present pause short.
        """
        if self._recovery is None:
            return 0
        before = self._counters.resynced
        await self._recovery.attempt()
        return self._counters.resynced - before

    def on_overflow(self, callback: Callable[[Sequence[str]], None]) -> None:
        """Have `callback` told the ids of acked events that overflow gives up, as it happens."""
        self._overflow_callbacks.append(callback)

    def stats(self) -> BusStats:
        """Return the present figures."""
        return BusStats(
            mode=self._modes.mode,
            buffered=self._modes.rows,
            retained=len(self._tail),
            **msgspec.structs.asdict(self._counters),
        )

    async def close(self) -> None:
        """Stop cleanly: publishes in progress are acked or raise, no task, thread or connection is left. Idempotent.

        Events still in the buffer stay there for the next start.
        """
        if self._closed:
            return
        self._closed = True
        for subscription in self._subscriptions.values():
            subscription.stop()
        self._reach.release()
        if self._subscriptions:
            _, late = await asyncio.wait(self._subscriptions, timeout=_CLOSE_GRACE)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        self._watermarks.close()
        if self._lane is not None and self._recovery is not None:
            await self._lane.close()
            await self._recovery.close()
            await self._lane.release()


def make(*, redis_url: str, directory: Path, name: str, **options: Any) -> EventBusV2:
    """Make a bus whose files are in `directory`. Options are the fields of `Options`."""
    return EventBusV2(redis_url, Path(directory) / f"{name}.event_bus.sqlite3", name=name, **options)
