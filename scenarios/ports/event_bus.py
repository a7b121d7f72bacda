"""Patch 1: an event bus that survives Redis."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

from harness.ports import Port


class Delivered(Protocol):
    """An event as a handler receives it."""

    @property
    def event_id(self) -> str:
        """The id that `publish_event` returned for it."""

    @property
    def event_type(self) -> str:
        """The type it was published under."""

    @property
    def payload(self) -> Mapping[str, Any]:
        """The payload, equal to what was published."""


Handler: TypeAlias = Callable[[Any], Awaitable[None]]


class BusStats(Protocol):
    """What a bus says of itself; sampled by the publisher program and drawn as charts."""

    @property
    def mode(self) -> Literal["direct", "fallback", "resync"]:
        """`direct`: straight to Redis; `fallback`: to the buffer; `resync`: the buffer is being replayed."""

    @property
    def buffered(self) -> int:
        """Rows in the fallback buffer."""

    @property
    def dropped(self) -> int:
        """Acked events given up by overflow, ever; survives a restart."""


class EventBus(Protocol):
    """Patch 1. The factory is `make(*, redis_url: str, directory: Path, name: str, **options) -> EventBus`.

    `name` is stable over restarts of one host; `directory` survives them. An option in use is
    `overflow="drop_oldest" | "reject"`.
    """

    async def start(self) -> None:
        """Open the buffer and begin working; must succeed while Redis is down."""

    async def publish_event(self, event_type: str, payload: Mapping[str, Any]) -> str:
        """Publish, and return the event's id once the event can no longer be lost.

        Raises, in the same bounded time, when it is not accepted: nobody can keep it, as with Redis away and the disk
        full. What raised may or may not be delivered.
        """

    async def subscribe(self, group: str, event_types: Sequence[str], handler: Handler) -> None:
        """Deliver every event of these types to the handler, as a member of that consumer group, until closed."""

    async def resync_from_fallback(self) -> int:
        """Replay the buffer now if Redis answers; return how many events left the buffer."""

    def on_overflow(self, callback: Callable[[Sequence[str]], None]) -> None:
        """Have `callback` told the ids of acked events that overflow gives up, as it happens."""

    def stats(self) -> BusStats:
        """Return the present figures."""

    async def close(self) -> None:
        """Stop cleanly: nothing acked is lost, no task or thread is left."""


PORT = Port(
    name="event_bus",
    shape=EventBus,
    keywords=(
        "redis_url",
        "directory",
        "name",
    ),
    trial="scenarios.trials.event_bus:talk",
    dependencies=("redis",),
    command="scenarios.commands.event_bus:make",
)
