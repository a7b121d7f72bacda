"""A client of the dashboard's feed, without I/O: frames in, what it knows out, and the hello of its next connection.

It believes nothing that it can count. `through` says up to which sequence number it has had everything; every batch
must begin where the last one ended, and what it passes must have been delivered to this client or be declared
conflated (superseded by a newer value of the same key). What does not add up is a `Gap`, and the next hello then asks
for a snapshot instead of resuming from a position that cannot be trusted.

Used by the hosts of the scenarios, by load users and by tests; it knows the protocol and nothing of any server.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Final, TypeAlias

import msgspec

from harness.errors import HarnessError

CRITICAL: Final = ("ess.", "order.")
"""How topics begin of which every event counts; of the others only the latest value of each key does."""
_FRAMES_KEPT: Final = 512


class FeedError(HarnessError):
    """The server sent what the protocol does not have."""


class Event(msgspec.Struct, frozen=True):
    """One published event. `at` is the server's wall time in nanoseconds; 0 in a snapshot."""

    seq: int
    topic: str
    key: str
    value: Any
    at: int = 0

    @property
    def critical(self) -> bool:
        """True if every event of the topic counts."""
        return self.topic.startswith(CRITICAL)


class Welcome(msgspec.Struct, frozen=True, tag="welcome"):
    """The hello was accepted. Batches go on from `base`; `resumed` says that no snapshot comes first."""

    epoch: Any
    seq: int
    base: int
    resumed: bool
    limits: Mapping[str, Any] = {}


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    """The latest value of every key as of `seq`, in chunks while `more`.

    Critical events beyond `critical_from` that the client has not had come in batches; those up to it will not come.
    """

    seq: int
    state: list[Event]
    critical_from: int
    more: bool = False


class Batch(msgspec.Struct, frozen=True, tag="batch"):
    """Events, and the promise that all of `(after, through]` was delivered, or conflated (so many)."""

    after: int
    through: int
    conflated: int
    events: list[Event]


class Heartbeat(msgspec.Struct, frozen=True, tag="heartbeat"):
    """There is nothing else to say."""

    through: int
    seq: int


class Pong(msgspec.Struct, frozen=True, tag="pong"):
    """The answer to a ping."""

    id: Any
    seq: int


Frame: TypeAlias = Welcome | Snapshot | Batch | Heartbeat | Pong
_DECODER: Final = msgspec.json.Decoder(Frame)


@dataclass(frozen=True, slots=True)
class Reading:
    """A frame, and the checksum of each event that it carries."""

    frame: Frame
    sums: tuple[int, ...] = ()


@lru_cache(maxsize=_FRAMES_KEPT)
def read(text: bytes) -> Reading:
    """Return what a frame says. Clients at the same position get the same bytes, which are then read once.

    Raises `FeedError` for what is no frame.
    """
    try:
        frame: Frame = _DECODER.decode(text)
    except msgspec.MsgspecError as error:
        raise FeedError(f"not a frame of the feed: {error}") from error
    events = frame.events if isinstance(frame, Batch) else frame.state if isinstance(frame, Snapshot) else ()
    return Reading(frame, tuple(checksum(event.topic, event.key, event.value) for event in events))


def checksum(topic: str, key: str, value: Any) -> int:
    """Return the CRC-32 of an event's content, whatever the order of its fields."""
    return zlib.crc32(msgspec.json.encode([topic, key, value], order="sorted"))


@dataclass(frozen=True, slots=True)
class Gap:
    """What did not add up: `missing` of `(after, through]` (less than 0: too many), or a batch out of place."""

    after: int
    through: int
    missing: int
    why: str


class FeedClient:
    """What one client knows, over all its connections. Not safe for concurrent use.

    `state` is the latest event by (topic, key); `criticals` the numbers of the critical ones, as they came; `lost`
    the ranges `(after, until]` in which critical ones were missed for good; `gaps` all that did not add up.
    """

    SILENT_HEARTBEATS: ClassVar[int] = 3
    """A client that hears nothing for so many heartbeats takes the connection for dead."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._ahead: set[int] = set()
        """What came, and is beyond `through`: it is counted once that passes it."""
        self._critical_ahead: set[int] = set()
        self._chunks: list[Event] = []
        self.epoch: Any = None
        self.base = 0
        self.through: int | None = None
        self.critical_seq: int | None = None
        self.conflated = 0
        self.delivered = 0
        self.server_seq = 0
        self.limits: Mapping[str, Any] = {}
        self.state: dict[tuple[str, str], Event] = {}
        self.criticals: list[int] = []
        self.lost: list[tuple[int, int]] = []
        self.gaps: list[Gap] = []
        self.complete = False
        """True once it has been welcomed and, unless resumed, has its snapshot."""
        self._trusted = True

    def hello(self) -> bytes:
        """Return the first frame of a connection; it asks to resume unless something did not add up."""
        known = self._trusted and self.through is not None
        self.complete = False
        self._chunks = []
        return msgspec.json.encode(
            {
                "type": "hello",
                "token": self._token,
                "epoch": self.epoch,
                "last_seq": self.through if known else None,
                "critical_seq": self.critical_seq,
            }
        )

    @property
    def heartbeat_s(self) -> float:
        """How often the server has said that it will be heard of, in seconds."""
        return float(self.limits.get("heartbeat", 2.0))

    @property
    def ping_every_s(self) -> float:
        """How often the server wants to hear of this client, in seconds."""
        return float(self.limits.get("ping_every", 2.0))

    def feed(self, text: bytes) -> Reading:
        """Take in one frame and return it. Raises `FeedError` if it is none, or out of turn."""
        reading = read(text)
        frame = reading.frame
        if isinstance(frame, Batch):
            self._batch(frame)
        elif isinstance(frame, Welcome):
            self._welcome(frame)
        elif isinstance(frame, Snapshot):
            self._snapshot(frame)
        else:
            self.server_seq = max(self.server_seq, frame.seq)
        return reading

    def _welcome(self, frame: Welcome) -> None:
        self.limits = frame.limits
        self.server_seq = frame.seq
        if frame.resumed:
            if frame.base != self.through or frame.epoch != self.epoch:
                self._gap(self.through or 0, frame.base, frame.base - (self.through or 0), "resumed from elsewhere")
            self.complete = True
        else:
            self._trusted = False  # until the snapshot is complete: a position without its state is none
        had = self._critical_ahead if frame.epoch == self.epoch else set()
        self._ahead = {
            seq for seq in had if seq > frame.base
        }  # state that came early comes again, what is critical not
        self._critical_ahead = set(self._ahead)
        self.epoch, self.base, self.through = frame.epoch, frame.base, frame.base
        self.delivered = self.conflated = 0

    def _snapshot(self, frame: Snapshot) -> None:
        if self.through is None or self.complete:
            raise FeedError("a snapshot that nobody had to expect")
        self._chunks += frame.state
        if frame.more:
            return
        self.state = {(event.topic, event.key): event for event in self._chunks}
        self._chunks = []
        if frame.seq != self.base:
            self._gap(self.base, frame.seq, frame.seq - self.base, "a snapshot of another moment than the welcome's")
        if self.critical_seq is not None and frame.critical_from > self.critical_seq:
            self.lost.append((self.critical_seq, frame.critical_from))
        self.critical_seq = max(self.critical_seq or 0, frame.critical_from)
        self.complete = True
        self._trusted = True

    def _batch(self, frame: Batch) -> None:
        if self.through is None or not self.complete:
            raise FeedError("a batch before the welcome and its snapshot")
        if frame.after != self.through or frame.through < frame.after:
            self._gap(self.through, frame.after, frame.after - self.through, "a batch that does not follow the last")
        for event in frame.events:
            self._event(event, frame.after)
        arrived = {seq for seq in self._ahead if seq <= frame.through}
        self._ahead -= arrived
        self._critical_ahead -= arrived
        missing = frame.through - frame.after - frame.conflated - len(arrived)
        if missing:
            self._gap(frame.after, frame.through, missing, "neither delivered nor conflated")
        self.delivered += len(arrived)
        self.conflated += frame.conflated
        self.through = frame.through
        self.server_seq = max(self.server_seq, frame.through)

    def _event(self, event: Event, after: int) -> None:
        if event.critical:
            if self.critical_seq is not None and event.seq <= self.critical_seq:
                self._gap(self.critical_seq, event.seq, event.seq - self.critical_seq, "a critical event out of order")
            self.criticals.append(event.seq)
            self.critical_seq = max(self.critical_seq or 0, event.seq)
            self._critical_ahead |= {event.seq} if event.seq > after else set()
        elif event.seq <= after or event.seq in self._ahead:
            self._gap(after, event.seq, event.seq - after, "an event that was delivered or conflated before")
        if event.seq > after:
            self._ahead.add(event.seq)
        known = self.state.get((event.topic, event.key))
        if known is None or known.seq < event.seq:
            self.state[event.topic, event.key] = event

    def _gap(self, after: int, through: int, missing: int, why: str) -> None:
        self.gaps.append(Gap(after, through, missing, why))
        self._trusted = False
