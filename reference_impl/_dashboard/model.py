"""The data of the feed: events, what can be tuned, what a store gives back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

Key: TypeAlias = tuple[str, str]
"""Topic and key: what a value is the value of."""

SECOND_NS: Final = 1_000_000_000
_CRITICAL: Final = ("ess.", "order.")


class Event(NamedTuple):
    """One published event. A NamedTuple, as SQLite takes it for a row as it is.

    `at` is the server's wall clock at publishing, in ns; `value` is JSON; `text` is the event as clients get it,
    encoded once for all of them.
    """

    seq: int
    topic: str
    key: str
    at: int
    value: str
    text: str


class Batch(NamedTuple):
    """Events that go to a client in one frame; `conflated` of those in (`after`, `through`] were superseded instead."""

    after: int
    through: int
    conflated: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a store holds when it is opened. `seq` is the highest number that may have been given to an event.

    Up to `resume_floor` clients may have seen values that are not here: a crash lost them. Critical events up to
    `critical_floor` were trimmed; the others, and the latest values, are in the order of their numbers.
    """

    epoch: str
    seq: int
    reserved: int
    resume_floor: int
    critical_floor: int
    critical: Sequence[Event]
    latest: Sequence[Event]


def is_critical(topic: str) -> bool:
    """Say whether each event of the topic counts, and not just the latest of its key."""
    return topic.startswith(_CRITICAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Limits and timings. Durations are seconds unless the name says otherwise."""

    max_clients: int = 2_000
    """Connections at once, those that have not said hello included."""
    hello_max: int = 200
    """Connections that have not said hello yet."""
    events_per_second: int = 50
    """Events to a client in any second (the plan's figure)."""
    batch_events: int = 10
    """Events in one frame (the plan's figure)."""
    batch_ms: int = 100
    """How long an event waits for others to share its frame, unless that is full before (the plan's figure)."""
    hello_timeout: float = 5.0
    stall_timeout: float = 5.0
    """How long a client may take to make room for a frame."""
    silence_timeout: float = 10.0
    """Who has said nothing for so long is not there any more, whatever TCP believes."""
    ping_every: float = 3.0
    """How often a client has to say something."""
    heartbeat: float = 2.0
    """After so long without a frame a client is told that there is nothing."""
    close_timeout: float = 2.0
    """How long a closing handshake, or all of them at the end, may take."""
    critical_retained: int = 10_000
    """Critical events that are kept, at least, for clients that come back."""
    queue_max: int = 5_000
    """Critical events a client may fall behind, while it is connected."""
    keys_max: int = 10_000
    """Keys of state topics, and as many of critical ones."""
    resume_keys_max: int = 100
    """Who has missed changes of more keys than this gets a snapshot, which is faster than so many events."""
    frame_bytes_max: int = 4_096
    """Largest frame a client may send."""
    client_messages_per_second: int = 10
    value_bytes_max: int = 16_384
    """Largest value, encoded."""
    store_interval: float = 0.25
    """How long the latest values may be ahead of the store: what a crash may lose of state topics."""
    store_patience: float = 1.0
    """A critical event that the disk has not taken for so long is shown without it."""

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ValueError: A value is out of its bounds, or two of them contradict each other.

        """
        for field in fields(self):
            value, (low, high) = getattr(self, field.name), BOUNDS[field.name]
            if isinstance(value, bool) or not isinstance(value, int if isinstance(low, int) else (int, float)):
                raise ValueError(f"{field.name} must be a number, not {value!r}")  # noqa: TRY004 - one kind for all
            if not (math.isfinite(value) and low <= value <= high):
                raise ValueError(f"{field.name} must be from {low} to {high}, not {value!r}")
        for small, large in _ORDERED:
            if getattr(self, small) > getattr(self, large):
                raise ValueError(f"{small} must not be more than {large}")

    @property
    def shown(self) -> dict[str, int | float]:
        """What clients are told of it."""
        return {name: getattr(self, name) for name in _SHOWN}


BOUNDS: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "max_clients": (1, 100_000),
        "hello_max": (1, 10_000),
        "events_per_second": (1, 10_000),
        "batch_events": (1, 1_000),
        "batch_ms": (1, 60_000),
        "hello_timeout": (0.01, 60.0),
        "stall_timeout": (0.01, 300.0),
        "silence_timeout": (0.1, 3_600.0),
        "ping_every": (0.05, 600.0),
        "heartbeat": (0.05, 600.0),
        "close_timeout": (0.01, 60.0),
        "critical_retained": (1, 1_000_000),
        "queue_max": (1, 1_000_000),
        "keys_max": (1, 1_000_000),
        "resume_keys_max": (0, 1_000_000),
        "frame_bytes_max": (256, 1_048_576),
        "client_messages_per_second": (1, 10_000),
        "value_bytes_max": (16, 1_048_576),
        "store_interval": (0.01, 60.0),
        "store_patience": (0.01, 60.0),
    }
)
_ORDERED: Final = (
    ("batch_events", "events_per_second"),
    ("queue_max", "critical_retained"),
    ("hello_max", "max_clients"),
    ("ping_every", "silence_timeout"),
)
_SHOWN: Final = (
    "events_per_second",
    "batch_events",
    "batch_ms",
    "heartbeat",
    "ping_every",
    "silence_timeout",
    "frame_bytes_max",
    "client_messages_per_second",
)
