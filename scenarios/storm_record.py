"""Recording at the seams of the stack: the event bus, and what all parts' recorders share.

The stack is run as it is. The parts that it is made of are wrapped before it gets them: each call passes on what the
part returns or raises, and is an operation of the history in the vocabulary of that patch's invariants.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from harness.invariants.flow import Flow
from harness.units import as_seconds, ms, seconds
from harness.world.base import Host
from scenarios.event_bus_hosts import digest
from scenarios.ports.event_bus import Delivered, Handler

T = TypeVar("T")

FLOW: Final = Flow(publish="bus_publish", groups="bus_groups", stats="bus_stats")
"""The usual names mean something else to other patches' invariants."""
KEY: Final = "_key"
"""The harness's own id of an event, which travels in its payload."""
BORN: Final = "_born_ns"
"""When it was published, in the time of the run."""
_OURS: Final = (KEY, BORN)
_SAMPLE_NS: Final = ms(250)
_ASK_NS: Final = ms(100)
_TEXT_MAX: Final = 200


def nothing(_: object) -> dict[str, Any]:
    """Return no result, for what returns nothing of interest."""
    return {}


async def passed_on(
    host: Host,
    name: str,
    value: dict[str, Any],
    call: Awaitable[T],
    result: Callable[[T], dict[str, Any]] = nothing,
    *,
    only_reads: bool = False,
) -> T:
    """Await it as one operation, and return or raise what it does. An error with a `reason` is a typed one.

    What only reads and is given up by its caller has certainly done nothing.
    """
    operation = host.log.begin(name, value)
    try:
        got = await call
    except asyncio.CancelledError:
        if only_reads:
            operation.fail("cancelled: who asked gave it up")
        else:
            operation.info("cancelled")
        raise
    except Exception as error:
        reason = getattr(error, "reason", None)
        text = " ".join(f"{type(error).__name__}: {error}".split())[:_TEXT_MAX]
        if isinstance(reason, str) and reason:
            operation.fail(f"{reason}: {text}")
        else:
            operation.info(text)
        raise
    operation.ok(**result(got))
    return got


async def until_up(host: Host, name: str) -> int:
    """Wait until that service answers; return when it did. Times of the storm count from when the last one does.

    In the real world hosts start one after the other, each in a second or two.
    """
    place = urlsplit(host.endpoints[name])
    while True:
        with contextlib.suppress(OSError):
            async with asyncio.timeout(1.0):
                reader, writer = await asyncio.open_connection(place.hostname, place.port)
                writer.write(f"GET /health HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n\r\n".encode())
                answer = await reader.read()
                writer.close()
            if answer.startswith(b"HTTP/1.1 200 "):
                return host.now_ns()
        await asyncio.sleep(as_seconds(_ASK_NS))


class Recorded:
    """A part, and everything of it that nobody records."""

    def __init__(self, host: Host, part: Any) -> None:
        self.host = host
        self.part = part
        self.sampler: asyncio.Task[None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.part, name)

    def sample_every(self, span_ns: int, sample: Callable[[], object]) -> None:
        """Sample now and then, until `end_sampling`."""

        async def again() -> None:
            while True:
                sample()
                await asyncio.sleep(as_seconds(span_ns))

        self.sampler = asyncio.get_running_loop().create_task(again(), name="sampler")

    def end_sampling(self) -> None:
        """Stop to sample."""
        if self.sampler is not None:
            self.sampler.cancel()


@dataclass(frozen=True, slots=True)
class Event:
    """An event without the harness's key."""

    event_id: str
    event_type: str
    payload: Mapping[str, Any]
    timestamp: float


class RecordedBus(Recorded):
    """An event bus. Who subscribes is owed every event, but for `leaves_early`: one that ends before the producers."""

    def __init__(self, host: Host, part: Any, *, leaves_early: bool = False) -> None:
        super().__init__(host, part)
        self._number = 0
        self._leaves_early = leaves_early
        self.born: dict[str, tuple[int, int]] = {}
        """When the signals that came were published, and their ttl, by their ids."""

    async def start(self) -> None:
        """Start it, and sample its figures from then on."""
        self.part.on_overflow(lambda ids: self.host.log.observe("overflow", ids=list(ids)))
        await self.part.start()
        self.sample_every(_SAMPLE_NS, self._sample)

    async def publish_event(self, event_type: str, payload: Mapping[str, Any]) -> str:
        """Publish, under a key."""
        host = self.host
        self._number += 1
        keyed = {**payload, KEY: f"{host.name}-{host.incarnation}-{self._number:06d}", BORN: host.now_ns()}
        value = {"key": keyed[KEY], "type": event_type, "digest": digest(keyed)}
        published: Awaitable[str] = self.part.publish_event(event_type, keyed)
        return await passed_on(host, FLOW.publish, value, published, lambda event_id: {"id": event_id})

    async def subscribe(self, group: str, event_types: Sequence[str], handler: Handler) -> None:
        """Subscribe, and record what comes."""
        log = self.host.log
        if self._leaves_early:
            await self.part.subscribe(group, event_types, lambda event: handler(_without_key(event)))
            return
        log.observe(FLOW.groups, groups=[group], types=list(event_types))
        if any(one.startswith("ess.") for one in event_types):
            log.observe("groups", groups=[group], types=list(event_types))
        await self.part.subscribe(group, event_types, self._recording(group, handler))

    async def close(self) -> None:
        """Close it."""
        self.end_sampling()
        self._sample()
        await self.part.close()

    def _recording(self, group: str, handler: Handler) -> Handler:
        observe = self.host.log.observe

        async def handle(event: Delivered) -> None:
            kind, told = event.event_type, event.payload
            if "ttl_s" in told:
                self.born[told["id"]] = (told[BORN], seconds(told["ttl_s"]))
            observe("deliver", group=group, key=told.get(KEY), type=kind, id=event.event_id, digest=digest(told))
            await handler(_without_key(event))
            if kind.startswith("ess."):
                observe(
                    "heard", group=group, transition=told.get("transition"), trip=told.get("trip"), to=told.get("to")
                )

        return handle

    def _sample(self) -> None:
        stats = self.part.stats()
        self.host.log.observe(FLOW.stats, mode=stats.mode, buffered=stats.buffered, dropped=stats.dropped)


def _without_key(event: Any) -> Event:
    payload = {name: value for name, value in event.payload.items() if name not in _OURS}
    return Event(event.event_id, event.event_type, payload, getattr(event, "timestamp", 0.0))
