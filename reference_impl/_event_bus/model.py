"""The data of the event bus: what is published, what is delivered, what can be tuned, what is counted."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

Mode: TypeAlias = Literal["direct", "fallback", "resync"]
Overflow: TypeAlias = Literal["drop_oldest", "reject"]


class Event(NamedTuple):
    """One event on its way to Redis: id (`producer:epoch:seq`), type, canonical JSON, Unix seconds.

    A NamedTuple because SQLite takes it as a row as it is. On hot paths it is made by `tuple.__new__`: the constructor
    that NamedTuple generates is a Python function, and takes three times as long.
    """

    event_id: str
    event_type: str
    payload: str
    timestamp: float


class DeliveredEvent(msgspec.Struct, frozen=True):
    """An event as a handler receives it; `payload` equals what was published.

    A msgspec struct because one is made for every delivery, and a frozen dataclass takes six times as long.
    """

    event_id: str
    event_type: str
    payload: Mapping[str, Any]
    timestamp: float


Handler: TypeAlias = Callable[[DeliveredEvent], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Limits and timings. Durations are seconds."""

    capacity: int = 10_000
    """Rows in the fallback buffer (the plan's figure)."""
    overflow: Overflow = "drop_oldest"
    """At capacity: give up the oldest rows, counted and announced, or refuse the new event with `BufferFullError`."""
    publish_timeout: float = 0.1
    """How long Redis may take to confirm before its silence counts as an outage."""
    lane_timeout: float = 0.15
    """How long one event may wait for Redis in all, its predecessors' round trips included."""
    admission_timeout: float = 0.2
    """How long a caller waits for a place among `max_waiting` publishers before `PublishTimeoutError`."""
    max_waiting: int = 1_024
    """Publishers in the lane at once."""
    batch: int = 500
    """Events in one MULTI/EXEC, live or replayed."""
    probe_timeout: float = 0.25
    """How long connecting and the first answer may take."""
    replay_timeout: float = 1.0
    """How long Redis may take to confirm one batch of the replay."""
    backoff_cap: float = 1.0
    """Longest pause between attempts to reach Redis."""
    heartbeat: float = 1.0
    """An idle connection is probed this often, so that an outage is known before the next event."""
    retain_seconds: float = 5.0
    """How much of the confirmed past is kept to be published again if Redis restarts without it."""
    retain_max: int = 20_000
    """The most events so kept."""
    stream_maxlen: int = 100_000
    """Streams are trimmed to about this length."""
    max_payload_bytes: int = 1_048_576
    """Largest encoded payload."""
    read_batch: int = 100
    """Most entries per stream in one read of a consumer."""
    block: float = 1.0
    """How long a consumer's read waits at the server; at most 1 s."""
    claim_idle: float = 60.0
    """Entries pending at another member of the group for this long are taken over."""
    handler_timeout: float = 30.0
    """How long a handler may take before the attempt counts as failed."""
    handler_attempts: int = 5
    """Attempts before an event goes to the dead-letter stream."""
    handler_backoff: float = 0.05
    """First pause between attempts; doubles, capped at 1 s."""

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ValueError: A limit is not positive, or `overflow` is unknown, or `block` exceeds 1 s.

        """
        if self.overflow not in {"drop_oldest", "reject"}:
            raise ValueError(f"overflow must be 'drop_oldest' or 'reject', not {self.overflow!r}")
        for name in self.__slots__:
            value = getattr(self, name)
            if name != "overflow" and not value > 0:
                raise ValueError(f"{name} must be positive, not {value!r}")
        if self.block > 1:
            raise ValueError(f"block must be at most 1 s, not {self.block!r}")


class BusStats(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one bus at one moment. All counters but `dropped` count since `start`."""

    mode: Mode
    buffered: int
    """Rows in the fallback buffer."""
    dropped: int
    """Acked events given up by overflow, ever."""
    retained: int
    """Confirmed events kept in case Redis restarts without them."""
    published_direct: int
    """Acked because Redis confirmed."""
    published_buffered: int
    """Acked because the buffer committed."""
    resynced: int
    """Rows that left the buffer for Redis."""
    republished: int
    """Confirmed events published again after Redis restarted."""
    fallbacks: int
    """Times that direct publishing was given up."""
    delivered: int
    """Events that a handler accepted."""
    duplicates_dropped: int
    """Stream entries recognised as seen before."""
    handler_failures: int
    """Attempts of a handler that raised or timed out."""
    dead_lettered: int
    """Events given to the dead-letter stream."""
    reconnects: int
    """Times that a consumer's connection was lost."""
