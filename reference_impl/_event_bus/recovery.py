"""The way back from the buffer to Redis, without anybody asking for it.

One task. While publishing is direct it only probes an idle link. Otherwise it tries to reach Redis, with full-jitter
pauses of at most a second, and once Redis answers it replays: first the retained tail if this is another Redis
process than the one that confirmed it, then the buffer in row order, a MULTI/EXEC batch at a time, deleting what was
confirmed before reading on. The batch adapts: halved when it was refused or not confirmed in time, else doubled.

An error reply of any kind confirms nothing, and nothing is given up for it: whether the server is to blame (OOM,
READONLY) or one event (WRONGTYPE), everything stays in the buffer, in order, until Redis takes it.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from reference_impl._event_bus.backoff import Backoff
from reference_impl._event_bus.batch import pack_batch, refusal
from reference_impl._event_bus.encoding import Reply, pack
from reference_impl._event_bus.errors import BufferRefusedError, BufferUnavailableError
from reference_impl._event_bus.lane import Lane
from reference_impl._event_bus.link import Address, Link, LinkError
from reference_impl._event_bus.model import Event, Options
from reference_impl._event_bus.modes import Step
from reference_impl._event_bus.reach import Reach

log = logging.getLogger(__name__)

_PING = pack("PING")


class Recovery:
    """Brings a lane back to direct publishing, whenever it is not."""

    def __init__(
        self, address: Address, options: Options, lane: Lane, reach: Reach, xadd: Callable[[Event], bytes]
    ) -> None:
        self._address = address
        self._reach = reach
        self._options = options
        self._lane = lane
        self._xadd = xadd
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._batch = options.batch
        self._hold_deadline: float | None = None
        self._attempts_awaited: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None
        lane.on_doubt = self._wake.set

    def start(self) -> None:
        """Begin; the first attempt is made at once."""
        self._task = self._loop.create_task(self._run(), name="event-bus-recovery")

    async def attempt(self) -> None:
        """Have an attempt made now, and return when it has ended one way or the other; at once if none is needed."""
        if self._lane.modes.mode == "direct":
            return
        ended = self._loop.create_future()
        self._attempts_awaited.append(ended)
        self._wake.set()
        await ended

    async def close(self) -> None:
        """End the task; nothing of it is left."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        self._attempt_ended()

    async def _run(self) -> None:
        backoff = Backoff(first=0.05, cap=self._options.backoff_cap)
        while True:
            if self._lane.modes.mode == "direct":
                backoff.reset()
                await self._pause(self._options.heartbeat)
                self._probe_idle_link()
                continue
            try:
                await self._attempt()
            except (LinkError, BufferRefusedError) as error:
                log.info("event bus: still in fallback (%s)", error)
                self._attempt_ended()
                await self._pause(backoff.pause())
            else:
                self._attempt_ended()

    async def _pause(self, seconds: float) -> None:
        """Wait so long, or until somebody needs an attempt."""
        alarm = self._loop.call_later(seconds, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            alarm.cancel()
        self._wake.clear()

    def _attempt_ended(self) -> None:
        awaited, self._attempts_awaited = self._attempts_awaited, []
        for ended in awaited:
            if not ended.done():
                ended.set_result(None)

    def _probe_idle_link(self) -> None:
        """Ask an idle link for a sign of life: an outage noticed now costs the next event no timeout."""
        link = self._lane.link
        idle = not self._lane.is_busy and self._loop.time() - self._lane.last_used >= self._options.heartbeat
        if link is None or self._lane.modes.mode != "direct" or not idle:
            return

        def done(result: Sequence[Reply] | LinkError) -> None:
            if not isinstance(result, LinkError) and isinstance(result[0], Exception):
                link.abort(f"Redis refuses: {result[0]}")

        link.request(_PING, 1, self._options.publish_timeout, done)

    async def _attempt(self) -> None:
        """Reach Redis, replay everything, resume.

        Raises:
            LinkError: Redis cannot be reached or did not confirm.
            BufferRefusedError: The buffer cannot be read or written.

        """
        lane = self._lane
        if lane.link is not None:
            await lane.link.aclose()
            lane.link = None
        try:
            link = await Link.open(self._address, self._options.probe_timeout)
        except LinkError:
            self._reach.missed()
            raise
        self._reach.found()
        lane.modes.reached(link.run_id)
        try:
            await self._replay(link)
            if not link.is_open:
                raise LinkError("lost at the end of the replay")  # noqa: TRY301 - handled as any loss in the replay
        except BaseException:
            lane.modes.doubt()
            lane.tail_grew()
            await link.aclose()
            raise
        finally:
            self._hold_deadline = None
            lane.turn()
        self._resume(link)
        if lane.spilled:
            lane.spilled = False
            try:
                await lane.worker.call(lane.worker.buffer.forget_tail)
            except BufferUnavailableError as error:  # a full disk; what stays is harmless, and goes the next time
                lane.spilled = True
                log.info("event bus: the written-out tail stays for now (%s)", error)

    def _resume(self, link: Link) -> None:
        lane = self._lane
        lane.modes.resumed()
        lane.link = link
        link.on_lost = lambda: lane.doubt("the connection was lost")
        log.info("event bus: publishing directly")
        lane.turn()

    async def _replay(self, link: Link) -> None:
        """Replay until nothing is left."""
        modes = self._lane.modes
        while True:
            step = modes.next_step(self._batch)
            if modes.holding and self._hold_deadline is None:
                self._hold_deadline = self._loop.time() + self._options.publish_timeout
            if step is Step.TAIL:
                await self._replay_tail(link)
            elif step is Step.ROWS:
                await self._replay_rows(link)
            elif step is Step.WAIT:
                await self._lane.settled()
            else:
                return

    async def _replay_tail(self, link: Link) -> None:
        lane = self._lane
        events = lane.tail.events()
        if events:
            log.warning("event bus: Redis was restarted, %d confirmed events are published again", len(events))
        sent = 0
        while sent < len(events):
            batch = events[sent : sent + self._batch]
            await self._confirmed(link, batch)
            sent += len(batch)
        lane.counters.republished += len(events)
        lane.tail.confirmed_again(self._loop.time())
        lane.modes.tail_replayed(link.run_id)

    async def _replay_rows(self, link: Link) -> None:
        lane = self._lane
        rows = await lane.worker.call(lane.worker.buffer.head, self._batch)
        if not rows:
            lane.modes.rows_left(0)
            return
        events = [row.event for row in rows]
        await self._confirmed(link, events)
        lane.tail.confirmed(events, self._loop.time())
        lane.modes.rows_left(await lane.worker.call(lane.worker.buffer.confirm, rows[-1].id))
        lane.counters.resynced += len(rows)

    async def _confirmed(self, link: Link, events: Sequence[Event]) -> None:
        """Append a batch, or raise; adapt the batch to what the link bears and the server takes."""
        timeout = self._options.replay_timeout
        if self._hold_deadline is not None:
            timeout = max(0.0, min(timeout, self._hold_deadline - self._loop.time()))
        packed = pack_batch(events, self._xadd)
        try:
            problem = refusal(await link.ask(packed.data, packed.replies, timeout), len(events))
            if problem is not None:
                raise LinkError(problem)  # noqa: TRY301 - handled as no answer is
        except LinkError:
            self._batch = max(1, self._batch // 2)
            raise
        self._batch = min(self._options.batch, self._batch * 2)
