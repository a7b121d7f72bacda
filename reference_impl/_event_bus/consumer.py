"""One subscription: reads a consumer group, has each event handled once and in order, acknowledges.

A batch is one round trip: the acknowledgement of the last batch and the next blocking read leave together. Before the
first read on a connection the member's own pending entries come, oldest first: whatever was read but not acknowledged
before a crash or a lost reply. A group that Redis forgot (NOGROUP) is made again from the beginning of the stream, and
the watermarks drop what was handled before.

A connection that is dead may not be so to the server: a read that blocks there takes the next entry, for this member,
and answers into the void. It ends after `block` at the latest. For that long a new connection is *in doubt*: it reads
new entries only to make them the member's own, and then handles all that is pending, in the order of the stream. So
what a ghost took comes in its turn; whatever it took was added before what was read after it.

What is guaranteed, with one member per group:

- Every entry of the stream reaches the handler, or the dead-letter stream `dead_letter:<group>` if the handler keeps
  failing. An event is given up only once the dead-letter entry is confirmed.
- A repetition in the stream (lost reply, replay, restarted Redis) never reaches the handler.
- While the watermarks cannot be committed (the disk is full), nothing further is handled, so that no more than one
  batch is in doubt; handled again it is only if the process ends before there is space. Then it goes on by itself.
- If this process dies, the events of the batch it was handling, at most `read_batch` a stream, are handled again. An
  event whose handler raised or timed out is handled again by design.

With several members per group, entries pending at a dead member are taken over after `claim_idle`; the dead member may
have handled some of them, so order and once-only then hold per member, not across members.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import ClassVar

from reference_impl._event_bus.backoff import Backoff
from reference_impl._event_bus.counters import Counters
from reference_impl._event_bus.encoding import Reply, acker, decode_entry, pack, parse_event_id, stream_of
from reference_impl._event_bus.handling import Handling
from reference_impl._event_bus.link import Address, Link, LinkError
from reference_impl._event_bus.model import Options
from reference_impl._event_bus.reach import Reach
from reference_impl._event_bus.watermarks import WatermarkFile, Watermarks

log = logging.getLogger(__name__)

_MARGIN = 0.5  # seconds that the reply to a blocking read may be late before Redis counts as hung
_RECENT_MAX = 10_000  # ids remembered, to recognise entries that are taken over from another member


class Subscription:
    """A member of a consumer group."""

    doubt: ClassVar[float] = 2.0
    """Seconds that an earlier connection's read may take entries: `block`, at most 1 s, and its way to the server."""

    def __init__(
        self,
        *,
        address: Address,
        options: Options,
        group: str,
        member: str,
        event_types: Sequence[str],
        handling: Handling,
        file: WatermarkFile,
        counters: Counters,
        reach: Reach,
        make_watermarks: Callable[..., Watermarks] = Watermarks,
    ) -> None:
        self._address = address
        self._options = options
        self._group = group
        self._member = member
        self._streams = [stream_of(event_type) for event_type in event_types]
        self._places = {name.encode(): (name, acker(name.encode(), group)) for name in self._streams}
        self._handling = handling
        self._file = file
        self._counters = counters
        self._reach = reach
        self._make_watermarks = make_watermarks
        self._marks: Watermarks | None = None
        self._recent: deque[str] = deque(maxlen=_RECENT_MAX)
        self._stopping = False
        self._link: Link | None = None
        self._reading = False
        self._next_claim = 0.0
        self._read_pending = self._pack_read("0", 0)
        self._read_new = self._pack_read(">", options.block)

    async def run(self) -> None:
        """Deliver until `stop` is called, whatever happens to Redis."""
        try:
            await self._keep_on()
        finally:
            self._handling.close()

    async def _keep_on(self) -> None:
        backoff = Backoff(first=0.05, cap=self._options.backoff_cap)
        while not self._stopping:
            try:
                await self._session(backoff)
            except LinkError as error:
                if not self._stopping:
                    log.info("event bus: consumer of %s reconnects (%s)", self._group, error)
            except OSError as error:
                log.error("event bus: consumer of %s waits, it cannot save what it handled: %s", self._group, error)  # noqa: TRY400 - the trace says no more
            except Exception:
                log.exception("event bus: consumer of %s failed and starts again", self._group)
            finally:
                if self._link is not None:
                    await self._link.aclose()
                    self._link = None
            if not self._stopping:
                self._counters.reconnects += 1
                await self._reach.pause(backoff.pause())

    def stop(self) -> None:
        """Have `run` return: at once if it waits for events, else after the batch in hand."""
        self._stopping = True
        if self._link is not None and self._reading:
            self._link.abort("closed")

    async def _session(self, backoff: Backoff) -> None:
        """Read on one connection until it is lost, or the subscription is stopped.

        Raises:
            LinkError: The connection was lost.

        """
        if self._marks is None:
            self._marks = self._make_watermarks(self._group, self._file.load(self._group))
        self._link = link = await Link.open(self._address, self._options.probe_timeout)
        await self._make_groups(link)
        await self._finish_pending(link, self._marks, [])
        backoff.reset()
        loop = asyncio.get_running_loop()
        acks: list[bytes] = []
        doubtful_until = loop.time() + self.doubt
        while not self._stopping and loop.time() < doubtful_until:
            await self._read(link, acks, self._read_new, self._options.block)
            acks = await self._process(link, self._marks, await self._read(link, [], self._read_pending, 0))
        await self._finish_pending(link, self._marks, acks)
        acks = []
        while not self._stopping:
            if loop.time() >= self._next_claim:
                self._next_claim = loop.time() + self._options.claim_idle / 2
                acks += await self._claim(link, self._marks)
            reply = await self._read(link, acks, self._read_new, self._options.block)
            acks = await self._process(link, self._marks, reply)
        await self._send(link, acks)

    async def _finish_pending(self, link: Link, marks: Watermarks, acks: list[bytes]) -> None:
        """Acknowledge, and have handled and acknowledged what is pending at this member, until nothing is."""
        while True:
            await self._send(link, acks)
            if self._stopping:
                return
            acks = await self._process(link, marks, await self._read(link, [], self._read_pending, 0))
            if not acks:
                return

    # -- Redis

    async def _make_groups(self, link: Link) -> None:
        commands = [pack("XGROUP", "CREATE", stream, self._group, "0", "MKSTREAM") for stream in self._streams]
        for reply in await link.ask(b"".join(commands), len(commands), self._options.replay_timeout):
            if isinstance(reply, Exception) and not str(reply).startswith("BUSYGROUP"):
                raise LinkError(f"cannot make the group: {reply}")

    async def _send(self, link: Link, commands: Sequence[bytes]) -> None:
        if commands:
            _check_acks(await link.ask(b"".join(commands), len(commands), self._options.replay_timeout))

    def _pack_read(self, start: str, block: float) -> bytes:
        blocking = ("BLOCK", round(block * 1000)) if block else ()
        starts = [start] * len(self._streams)
        return pack(
            *("XREADGROUP", "GROUP", self._group, self._member, "COUNT", self._options.read_batch, *blocking),
            *("STREAMS", *self._streams, *starts),
        )

    async def _read(self, link: Link, acks: Sequence[bytes], read: bytes, block: float) -> Sequence[Reply]:
        """Acknowledge, and read on; return `[stream, entries]` pairs."""
        self._reading = bool(block)
        try:
            replies = await link.ask(b"".join([*acks, read]), len(acks) + 1, block + _MARGIN)
        finally:
            self._reading = False
        found = replies[-1]
        if isinstance(found, Exception):
            if not str(found).startswith("NOGROUP"):
                raise LinkError(f"cannot read: {found}")
            log.warning("event bus: Redis lost group %s; reading from the beginning", self._group)
            await self._make_groups(link)
            return []
        _check_acks(replies[:-1])
        return found or []

    async def _claim(self, link: Link, marks: Watermarks) -> list[bytes]:
        """Take over what other members left pending for too long; return the acknowledgements."""
        idle_ms = round(self._options.claim_idle * 1000)
        acks: list[bytes] = []
        for stream in self._streams:
            command = pack(
                *("XAUTOCLAIM", stream, self._group, self._member, idle_ms, "0-0"),
                *("COUNT", self._options.read_batch),
            )
            (reply,) = await link.ask(command, 1, self._options.replay_timeout)
            if isinstance(reply, list) and reply[1]:
                acks += await self._process(link, marks, [(stream.encode(), reply[1])], claimed=True)
        return acks

    # -- events

    async def _process(
        self, link: Link, marks: Watermarks, found: Sequence[Reply], *, claimed: bool = False
    ) -> list[bytes]:
        """Have every entry handled, commit the watermarks, return the acknowledgements to send."""
        acks = []
        try:
            for stream, entries in found:
                if entries:
                    name, xack = self._places[stream]
                    await self._handle(link, marks, name, entries, claimed=claimed)
                    acks.append(xack([entry_id for entry_id, _ in entries]))
        finally:
            changed = marks.changed()
            if changed:
                self._file.save(changed)
                marks.saved()
        return acks

    async def _handle(
        self,
        link: Link,
        marks: Watermarks,
        stream: str,
        entries: Sequence[tuple[bytes, Sequence[bytes] | None]],
        *,
        claimed: bool,
    ) -> None:
        """Have the entries of one stream handled, one after the other."""
        begin, recent = self._handling.begin, self._recent
        known = set(recent) if claimed else None
        for entry_id, fields in entries:
            if fields is None:  # trimmed away while it was pending
                continue
            try:
                event = decode_entry(stream, fields)
                event_id, event_type = event.event_id, event.event_type
                key = parse_event_id(event_id)
            except ValueError as error:
                await self._give_up(link, stream, entry_id, fields, str(error))
                continue
            # An entry taken over may be older than the mark and still be new to this group.
            if marks.is_duplicate(key, event_type) if known is None else event_id in known:
                self._counters.duplicates_dropped += 1
                continue
            unfinished = begin(event)
            if unfinished is not None:
                reason = await unfinished
                if reason is not None:
                    await self._give_up(link, stream, entry_id, fields, reason)
            marks.handled(key, event_type)
            recent.append(event_id)
            if known is not None:
                known.add(event_id)

    async def _give_up(self, link: Link, stream: str, entry_id: bytes, fields: Sequence[bytes], reason: str) -> None:
        """Put an entry into the dead-letter stream; it stays pending until that is confirmed."""
        log.error("event bus: %s of %s goes to the dead letters: %s", entry_id.decode(), stream, reason)
        about = ("stream", stream, "entry", entry_id, "error", reason.encode(errors="replace"))
        target = ("XADD", f"dead_letter:{self._group}", "MAXLEN", "~", self._options.stream_maxlen, "*")
        (reply,) = await link.ask(pack(*target, *about, *fields), 1, self._options.replay_timeout)
        if isinstance(reply, Exception):
            raise LinkError(f"the dead-letter stream refuses: {reply}")
        self._counters.dead_lettered += 1


def _check_acks(replies: Sequence[Reply]) -> None:
    """Raise LinkError if an acknowledgement was refused: its entries are still pending, and must be met again."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise LinkError(f"cannot acknowledge: {reply}")
