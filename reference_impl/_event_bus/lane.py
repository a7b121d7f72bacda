"""The one way out for all events of a bus: strictly in order, at most one group in hand, to Redis or to the buffer.

There is no task here: the caller that finds the lane idle starts the round trip itself, and whoever receives the reply
starts the next. A publish on a healthy link costs one write, one read and two callbacks.

Why first occurrences in a stream are always in publish order, stale connections included: a link is only used while
every earlier event is confirmed or goes out on it first, in order; a group follows only when the one before it is
confirmed; a group is appended as a whole or not at all; and after any doubt the link is dropped and the doubtful events
stay first in line. So each link ever used carries one consecutive run of events that begins no later than the first
event not known to be in the stream. When a frozen Redis thaws, or a network lets go of what it held, the run of an old
link may be executed between, before or after the runs of newer ones: whichever link appends event n for the first time,
it, or another before it, has appended n - 1. Everything else that appears is a repetition, and consumers drop it.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from reference_impl._event_bus.batch import pack_batch, refusal
from reference_impl._event_bus.buffer import Appended, BufferWorker, Spill
from reference_impl._event_bus.counters import Counters
from reference_impl._event_bus.encoding import Reply, format_event_id
from reference_impl._event_bus.errors import (
    BufferFullError,
    BufferRefusedError,
    BufferUnavailableError,
    BusClosedError,
    PublishTimeoutError,
)
from reference_impl._event_bus.link import Link, LinkError
from reference_impl._event_bus.model import Event, Options
from reference_impl._event_bus.modes import Modes, Route
from reference_impl._event_bus.tail import Tail

log = logging.getLogger(__name__)

_OVERFLOW_LOG_INTERVAL = 1.0  # seconds; every single drop is in the counter and in the callbacks
_FAIR_CHANCE = 0.02  # seconds that Redis always gets, however long the event has waited for its turn


class Slot(msgspec.Struct, eq=False):
    """An event in the lane and the caller that waits for its ack. A struct, as one is made for every publish."""

    event: Event
    done: "asyncio.Future[str]"
    since: float


class Lane:
    """Takes events in order and acks each when Redis has confirmed it or the buffer has committed it."""

    def __init__(
        self,
        options: Options,
        modes: Modes,
        tail: Tail,
        worker: BufferWorker,
        counters: Counters,
        xadd: Callable[[Event], bytes],
    ) -> None:
        self.modes = modes
        self.tail = tail
        self.worker = worker
        self.counters = counters
        self.link: Link | None = None
        self.on_doubt: Callable[[], None] = lambda: None
        self.on_overflow: list[Callable[[Sequence[str]], None]] = []
        self.last_used = 0.0
        self.spilled = False
        self._options = options
        self._waiting_max = options.max_waiting
        self._xadd = xadd
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Slot] = deque()
        self._admissions: deque[asyncio.Future[None]] = deque()
        self._settled: list[asyncio.Future[None]] = []
        self._busy = False
        self._closed = True
        self._spill_due = False
        self._alone = True
        self._overflow_logged = -_OVERFLOW_LOG_INTERVAL
        self._producer, self._epoch, self._seq = "", 0, 0

    def open(self, producer: str, epoch: int) -> None:
        """Begin to take events, which will carry this identity."""
        self._producer, self._epoch = producer, epoch
        self._closed = False

    @property
    def is_full(self) -> bool:
        """Whether the next event has to wait for `admission`."""
        return len(self._waiting) >= self._waiting_max

    def submit(self, event_type: str, payload: str) -> "asyncio.Future[str]":
        """Put one event in line; the future has its id once it is acked, or a `BufferRefusedError`.

        A future rather than a coroutine: every frame between a caller and its ack costs each publish.

        Raises:
            BusClosedError: The lane takes no events.

        """
        if self._closed:
            raise BusClosedError("the event bus is not open")
        self._seq += 1
        event_id = format_event_id(self._producer, self._epoch, self._seq)
        event = tuple.__new__(Event, (event_id, event_type, payload, time.time()))
        loop = self._loop
        done: asyncio.Future[str] = loop.create_future()
        self._waiting.append(Slot(event, done, loop.time()))
        if not self._busy:
            self.turn()
        return done

    def turn(self) -> None:
        """Start on what waits, if nothing is in hand and the mode allows it."""
        if self._busy:
            return
        route = self.modes.route()
        if route is Route.SEND:
            if self._waiting:
                self._send()
        elif route is Route.BUFFER and (self._waiting or self._spill_due):
            self._busy = True
            self.modes.commit_began()
            if self._alone:
                self._commit()
            else:  # callers acked together publish their next events in one turn of the loop: let them share a commit
                self._loop.call_soon(self._commit)

    def doubt(self, reason: str) -> None:
        """Give up direct publishing: the link cannot be trusted any more. What is unconfirmed stays first in line."""
        if self.modes.mode != "direct":
            return
        self.modes.doubt()
        self.counters.fallbacks += 1
        log.warning("event bus: falling back to the buffer (%s)", reason)
        self._spill_due = len(self.tail) > 0
        if self.link is not None:
            self.link.abort(reason)
        self.on_doubt()
        self.turn()

    def tail_grew(self) -> None:
        """A replay was cut short: what it confirmed is written out with the next commit."""
        self._spill_due = len(self.tail) > 0

    async def settled(self) -> None:
        """Return when the group in hand is done; at once if there is none."""
        if self._busy:
            waiter = self._loop.create_future()
            self._settled.append(waiter)
            await waiter

    async def close(self) -> None:
        """Take no more events, and return when each one taken has been acked or has failed."""
        self._closed = True
        while self._busy or self._waiting:
            waiter = self._loop.create_future()
            self._settled.append(waiter)
            await waiter

    async def release(self) -> None:
        """Give back the link and the buffer, the tail written out: Redis may restart before this bus does."""
        link, self.link = self.link, None
        if link is not None:
            await link.aclose()
        try:
            if len(self.tail):
                spill = Spill(self.tail.events(), self.modes.tail_run_id)
                await self.worker.call(self.worker.buffer.append, [], spill)
        except BufferRefusedError as error:
            log.warning("event bus: the retained tail could not be written out: %s", error)
        finally:
            await self.worker.close()

    @property
    def is_busy(self) -> bool:
        """Whether a group is in hand."""
        return self._busy

    # -- to Redis

    def _send(self) -> None:
        waiting = self._waiting
        batch = [waiting.popleft() for _ in range(min(len(waiting), self._options.batch))]
        self._busy = True
        packed = pack_batch([slot.event for slot in batch], self._xadd)
        self.last_used = now = self._loop.time()
        left = batch[0].since + self._options.lane_timeout - now
        budget = max(_FAIR_CHANCE, min(self._options.publish_timeout, left))
        assert self.link is not None, "direct without a link"
        self.link.request(packed.data, packed.replies, budget, partial(self._sent, batch))

    def _sent(self, batch: Sequence[Slot], result: Sequence[Reply] | LinkError) -> None:
        problem = str(result) if isinstance(result, LinkError) else refusal(result, len(batch))
        self._busy = False
        if problem is None:
            self.tail.confirmed([slot.event for slot in batch], self._loop.time())
            self.counters.published_direct += len(batch)
            self._ack(batch)
        else:
            self._waiting.extendleft(reversed(batch))
            self.doubt(problem)
        self._after()

    # -- to the buffer

    def _commit(self) -> None:
        batch = list(self._waiting)
        self._waiting.clear()
        self._alone = len(batch) == 1
        spill = Spill(self.tail.events(), self.modes.tail_run_id) if self._spill_due else None
        commit = self.worker.call(self.worker.buffer.append, [slot.event for slot in batch], spill)
        commit.add_done_callback(partial(self._committed, batch, spill))

    def _committed(self, batch: Sequence[Slot], spill: Spill | None, commit: "asyncio.Future[Appended]") -> None:
        self._busy = False
        error = BufferUnavailableError("the loop is closing") if commit.cancelled() else commit.exception()
        if error is not None:
            self.modes.commit_ended(self.modes.rows)
            log.error("event bus: the buffer did not take %d events: %s", len(batch), error)
            self._spill_due = False  # the tail stays in memory; the next doubt writes it out
            for slot in batch:
                _fail(slot, type(error)(*error.args))
        else:
            appended = commit.result()
            self.modes.commit_ended(appended.rows)
            self.counters.published_buffered += appended.accepted
            if spill is not None:
                self._spill_due, self.spilled = False, True
            if appended.dropped:
                self.overflowed(appended.dropped, appended.dropped_ever)
            self._ack(batch[: appended.accepted])
            for slot in batch[appended.accepted :]:
                _fail(slot, BufferFullError(f"the fallback buffer is full ({self._options.capacity} events)"))
        self._after()

    def overflowed(self, event_ids: Sequence[str], ever: int) -> None:
        """Count and announce acked events that were given up."""
        self.counters.dropped = ever
        if self._loop.time() >= self._overflow_logged + _OVERFLOW_LOG_INTERVAL:
            self._overflow_logged = self._loop.time()
            log.error("event bus: the buffer is full, the oldest events are given up (%d ever)", ever)
        for callback in self.on_overflow:
            try:
                callback(event_ids)
            except Exception:
                log.exception("event bus: an on_overflow callback failed")

    # -- to the callers

    async def admission(self) -> None:
        """Wait for a place in line.

        Raises:
            BusClosedError: The lane takes no events.
            PublishTimeoutError: There was no place in time.

        """
        if self._closed:
            raise BusClosedError("the event bus is not open")
        place = self._loop.create_future()
        self._admissions.append(place)
        try:
            async with asyncio.timeout(self._options.admission_timeout):
                await place
        except TimeoutError:
            raise PublishTimeoutError(f"{self._options.max_waiting} publishers are already waiting") from None
        if self._closed:
            raise BusClosedError("the event bus is closed")

    def _ack(self, batch: Sequence[Slot]) -> None:
        for slot in batch:
            if not slot.done.done():
                slot.done.set_result(slot.event.event_id)

    def _after(self) -> None:
        """A group is done: go on with the next, let callers in, tell who waits for this moment."""
        self.turn()
        if self._admissions:
            free = self._waiting_max - len(self._waiting)
            while self._admissions and free > 0:
                place = self._admissions.popleft()
                if not place.done():
                    place.set_result(None)
                    free -= 1
        if self._settled:
            settled, self._settled = self._settled, []
            for waiter in settled:
                if not waiter.done():
                    waiter.set_result(None)


def _fail(slot: Slot, error: BaseException) -> None:
    if not slot.done.done():
        slot.done.set_exception(error)
