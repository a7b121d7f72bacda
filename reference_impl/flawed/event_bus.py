"""Event buses with one known defect each: what the scenarios of patch 1 must catch.

All but `planned` are the reference with one seam replaced, so that nothing else differs.
"""

import asyncio  # noqa: TC003 - the annotation below is evaluated by tools that read it
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from reference_impl._event_bus.buffer import Appended, Buffer, Row, Spill
from reference_impl._event_bus.consumer import Subscription
from reference_impl._event_bus.encoding import EventKey, Reply
from reference_impl._event_bus.lane import Lane, Slot
from reference_impl._event_bus.link import Link, LinkError
from reference_impl._event_bus.model import Event
from reference_impl._event_bus.recovery import Recovery
from reference_impl._event_bus.watermarks import Mark, Watermarks
from reference_impl.event_bus import EventBusV2
from reference_impl.flawed._planned_event_bus import PlannedEventBus

Factory: TypeAlias = Callable[..., Any]

_NEVER = 1e6  # seconds
_WRITE_BEHIND = 0.1  # seconds between the ack and the commit it promised
_DRAIN_INTERVAL = 10.0  # seconds


class _DeletesAll(Buffer):
    def confirm(self, last_id: int) -> int:
        """Delete every row once the first batch is confirmed."""
        return super().confirm(max(last_id, 2**62))


class _ByTimestamp(Buffer):
    def head(self, limit: int) -> Sequence[Row]:
        """Replay in the order of the wall clock's stamps."""
        rows = super().head(limit)
        stamped = sorted((row.event for row in rows), key=lambda event: event.timestamp)
        return [Row(row.id, event) for row, event in zip(rows, stamped, strict=True)]


class _AsciiOnly(Buffer):
    def append(self, events: Sequence[Event], spill: Spill | None) -> Appended:
        """Store text as a database with the wrong character set does."""
        lossy = [event._replace(payload=event.payload.encode("ascii", "replace").decode()) for event in events]
        return super().append(lossy, spill)


class _InMemory(Buffer):
    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


class _Overtaking(Lane):
    def turn(self) -> None:
        """Send live events directly as soon as Redis answers, whatever is still buffered."""
        live = self.modes.mode == "resync" and self.link is not None and self.link.is_open
        if live and self._waiting and not self._busy:
            self._send()
        else:
            super().turn()


class _LendsLink(Recovery):
    async def _replay(self, link: Link) -> None:
        self._lane.link = link
        await super()._replay(link)


class _RemembersIds(Watermarks):
    """Recognises repetitions without relying on order: what was overtaken is delivered late, not dropped."""

    def __init__(self, group: str, saved: Sequence[Mark] = ()) -> None:
        super().__init__(group, saved)
        self._seen: set[tuple[EventKey, str]] = set()

    def is_duplicate(self, key: EventKey, event_type: str) -> bool:
        return (key, event_type) in self._seen

    def handled(self, key: EventKey, event_type: str) -> None:
        super().handled(key, event_type)
        self._seen.add((key, event_type))


class _SilentLane(Lane):
    def overflowed(self, event_ids: Sequence[str], ever: int) -> None:
        """Neither count nor announce."""


class _WriteBehind(Lane):
    def _commit(self) -> None:
        self._ack(self._waiting)
        self._loop.call_later(_WRITE_BEHIND, super()._commit)


class _TrustsReplies(Lane):
    def _sent(self, batch: Sequence[Slot], result: Sequence[Reply] | LinkError) -> None:
        """Take any reply for a confirmation."""
        if not isinstance(result, LinkError):
            result = [b"1-1"] if len(batch) == 1 else [[b"1-1"] * len(batch)]
        super()._sent(batch, result)


class _DropsRefused(Recovery):
    async def _confirmed(self, link: Link, events: Sequence[Event]) -> None:
        """Take events that Redis refuses for poison, which would be refused for ever, and go on without them."""
        try:
            await super()._confirmed(link, events)
        except LinkError:
            if not link.is_open:
                raise


class _AcksRefused(Lane):
    def _committed(self, batch: Sequence[Slot], spill: Spill | None, commit: "asyncio.Future[Appended]") -> None:
        """Ack whatever came of the commit, as code does that logs an error and goes on."""
        self._ack(batch)
        super()._committed(batch, spill, commit)


class _NeverDuplicate(Watermarks):
    def is_duplicate(self, _key: EventKey, _event_type: str) -> bool:
        """Take every entry for a new event."""
        return False


class _TrustsDisconnects(Subscription):
    """Takes a connection that it has left for one that the server has left as well."""

    doubt = 0.0


class _StaysInFallback(Recovery):
    def _resume(self, link: Link) -> None:
        counters = self._lane.counters
        if counters.fallbacks + counters.resynced == 0:  # a start without any trouble
            super()._resume(link)
        else:
            self._lane.link = link  # closed by the next attempt
            self._lane.modes.doubt()
            self._lane.turn()

    async def _attempt(self) -> None:
        await super()._attempt()
        if self._lane.modes.mode != "direct":
            await self._pause(_DRAIN_INTERVAL)


class _DeletesAllBus(EventBusV2):
    buffer_type = _DeletesAll


class _ByTimestampBus(EventBusV2):
    buffer_type = _ByTimestamp


class _AcksRefusedBus(EventBusV2):
    lane_type = _AcksRefused


class _AsciiOnlyBus(EventBusV2):
    buffer_type = _AsciiOnly


class _InMemoryBus(EventBusV2):
    buffer_type = _InMemory


class _OvertakingBus(EventBusV2):
    lane_type = _Overtaking
    recovery_type = _LendsLink
    watermarks_type = _RemembersIds


class _SilentBus(EventBusV2):
    lane_type = _SilentLane


class _WriteBehindBus(EventBusV2):
    lane_type = _WriteBehind


class _TrustingBus(EventBusV2):
    lane_type = _TrustsReplies


class _DropsRefusedBus(EventBusV2):
    recovery_type = _DropsRefused


class _NoDedupeBus(EventBusV2):
    watermarks_type = _NeverDuplicate


class _TrustsDisconnectsBus(EventBusV2):
    subscription_type = _TrustsDisconnects


class _StaysInFallbackBus(EventBusV2):
    recovery_type = _StaysInFallback


def _factory(bus_type: type[EventBusV2] | type[PlannedEventBus], **forced: float) -> Factory:
    def make(*, redis_url: str, directory: Path, name: str, **options: Any) -> EventBusV2 | PlannedEventBus:
        path = Path(directory) / f"{name}.event_bus.sqlite3"
        return bus_type(redis_url, path, name=name, **{**options, **forced})

    return make


planned = _factory(PlannedEventBus)
deletes_all_after_partial_resync = _factory(_DeletesAllBus)
live_overtakes_buffered = _factory(_OvertakingBus, batch=20)  # a replay of some length to overtake
no_socket_timeout = _factory(
    EventBusV2, publish_timeout=_NEVER, lane_timeout=_NEVER, probe_timeout=_NEVER, replay_timeout=_NEVER
)
silent_overflow = _factory(_SilentBus)
ack_before_commit = _factory(_WriteBehindBus)
no_dedupe_on_lost_reply = _factory(_NoDedupeBus)
in_memory_buffer = _factory(_InMemoryBus)
garbles_buffered_text = _factory(_AsciiOnlyBus)
acks_what_the_disk_refused = _factory(_AcksRefusedBus)
replays_by_wall_clock = _factory(_ByTimestampBus)
overlooks_ghost_reads = _factory(_TrustsDisconnectsBus)
forgets_to_leave_fallback = _factory(_StaysInFallbackBus)
treats_error_reply_as_sent = _factory(_TrustingBus)
drops_what_redis_refuses = _factory(_DropsRefusedBus)

VARIANTS: Mapping[str, Factory] = MappingProxyType(
    {
        "planned": planned,
        "deletes_all_after_partial_resync": deletes_all_after_partial_resync,
        "live_overtakes_buffered": live_overtakes_buffered,
        "no_socket_timeout": no_socket_timeout,
        "silent_overflow": silent_overflow,
        "ack_before_commit": ack_before_commit,
        "no_dedupe_on_lost_reply": no_dedupe_on_lost_reply,
        "in_memory_buffer": in_memory_buffer,
        "garbles_buffered_text": garbles_buffered_text,
        "acks_what_the_disk_refused": acks_what_the_disk_refused,
        "replays_by_wall_clock": replays_by_wall_clock,
        "overlooks_ghost_reads": overlooks_ghost_reads,
        "forgets_to_leave_fallback": forgets_to_leave_fallback,
        "treats_error_reply_as_sent": treats_error_reply_as_sent,
        "drops_what_redis_refuses": drops_what_redis_refuses,
    }
)
"""Factories of the shape of `reference_impl.event_bus.make`, by name of the defect."""
