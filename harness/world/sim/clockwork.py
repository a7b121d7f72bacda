"""Virtual time: an asyncio loop whose clock jumps, and that knows whose callback it runs.

Time is an int of nanoseconds and moves only when nothing is ready: it jumps to the next entry of one heap that holds
timers and segments alike. One turn of the loop is: poll sockets again, jump if idle, collect what is due, let the
schedule order the batch, run it. Computing takes no virtual time, so programs that never wait are caught by a budget
of turns at one instant.
"""

import asyncio
import contextlib
import contextvars
import gc
import math
from asyncio import selector_events
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar, cast

from harness.errors import BudgetError, DeadlockError
from harness.units import SECOND
from harness.world.sim.blocked import describe_tasks
from harness.world.sim.handles import ready_handle, timer_handle
from harness.world.sim.identity import SimFuture, SimTask
from harness.world.sim.incarnation import HOST, Incarnation
from harness.world.sim.schedule import Schedule
from harness.world.sim.trace import JUMP, STEP, Trace

if TYPE_CHECKING:
    from harness.world.sim.doom import Doom
    from harness.world.sim.endpoint import Endpoint

T = TypeVar("T")

_CANCELLED_MIN: Final = 100
_COLLECT_EVERY_STEPS: Final = 100_000
"""The collector runs by count of steps: finalizers then run at the same moment in every run of a seed."""
_PAUSE_EVERY_STEPS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits of one run. `turns_at_one_instant` ends programs that spin without ever waiting."""

    steps: int = 200_000_000
    time_ns: int = 30 * 24 * 3600 * SECOND
    turns_at_one_instant: int = 200_000


class _NoSelector:
    """Stands where asyncio's transports look for a selector when they describe themselves."""

    def get_key(self, fd: int) -> NoReturn:
        raise KeyError(fd)

    def get_map(self) -> dict[int, Any]:
        return {}

    def close(self) -> None:
        pass


class ClockworkLoop(selector_events.BaseSelectorEventLoop):
    """Time, callbacks, tasks and turns. `heap` entries are `(when_ns, sequence, kernel function or None, item)`."""

    # What asyncio's loop has and its stubs do not say.
    _ready: deque[Any]
    _closed: bool
    _stopping: bool
    _timer_cancelled_count: int
    _task_factory: Callable[..., asyncio.Task[Any]] | None
    _exception_handler: Callable[..., object] | None
    _check_closed: Callable[[], None]
    _transports: Mapping[int, Any]

    def __init__(self, schedule: Schedule, trace: Trace, budget: Budget) -> None:
        super().__init__(cast("Any", _NoSelector()))
        self.now = 0
        self.steps = 0
        self.sequence = 0
        self.heap: list[tuple[int, int, Callable[[Any], None] | None, Any]] = []
        self.polled: list[Endpoint] = []
        self.trace = trace
        self.budget = budget
        self.run_blocking: Callable[[object, Callable[[], Any]], asyncio.Future[Any]] | None = None
        self.exit: Callable[[Incarnation, BaseException], bool] = _never
        """Ends the process of a host that called `sys.exit` in a task of its own; False if it was nothing like that."""
        self.report: Callable[[dict[str, Any]], None] | None = None
        self.interrupted: Callable[[], bool] | None = None
        self.blamed: Incarnation | None = None
        self.doomed: list[Doom] = []
        """Hosts that are to be killed at one of their next steps."""
        self._schedule = schedule
        self._turns = 0
        self._steps_max = budget.steps
        self._collect_at = _COLLECT_EVERY_STEPS
        self._pause_at = min(_PAUSE_EVERY_STEPS, self._steps_max + 1)
        self._tasks: list[tuple[asyncio.Task[Any], Incarnation]] = []
        self._tasks_max = 1000

    # --- time and callbacks -------------------------------------------------------------------------------------

    def time(self) -> float:
        """Virtual seconds since the run began."""
        return self.now / SECOND

    # asyncio asks whenever it makes a future. `bool()` is False, and a class of C's is called without a Python frame.
    get_debug = staticmethod(bool)

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Like asyncio's."""
        if self._closed:
            self._check_closed()
        handle = ready_handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Like asyncio's; never early: `time() >= when` holds in the callback.

        Nor at once: what is due already comes a nanosecond later. Code that rounds a wait down to nothing, and looks
        again, finds time gone by on any real machine; here it would go round in one instant for ever (aiolimiter does).
        """
        if when is None:
            raise TypeError("when cannot be None")
        if self._closed:
            self._check_closed()
        try:
            when_ns = int(when * SECOND)
        except OverflowError:
            when_ns = 1 << 62  # float("inf"): asyncio accepts it and never fires
        if when_ns / SECOND < when:
            when_ns += 1
        handle = timer_handle(when, callback, args, self, context)
        self.sequence = sequence = self.sequence + 1
        heappush(self.heap, (max(self.now + 1, when_ns), sequence, None, handle))
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Like asyncio's."""
        if delay is None:
            raise TypeError("delay must not be None")
        if math.isnan(delay):
            raise ValueError("a delay must be a number")
        return self.call_at(self.now / SECOND + delay, callback, *args, context=context)

    def call_at_ns(
        self, when_ns: int, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Like `call_at`, in exact nanoseconds."""
        handle = timer_handle(when_ns / SECOND, callback, args, self, context)
        self.after_kernel(when_ns, None, handle)
        return handle

    def after_kernel(self, when_ns: int, act: Callable[[Any], None] | None, item: object) -> None:
        """Have the kernel do `act(item)` at `when_ns`: no host's step, so neither freeze nor kill stops it."""
        self.sequence = sequence = self.sequence + 1
        heappush(self.heap, (max(self.now, when_ns), sequence, act, item))

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        if handle._scheduled:  # type: ignore[attr-defined]
            self._timer_cancelled_count += 1

    # --- one turn -----------------------------------------------------------------------------------------------

    def _run_once(self) -> None:  # noqa: C901, PLR0912, PLR0915 - the hottest loop there is, in one piece
        """Take turns until the loop is to stop. asyncio asks for one turn a call; here calls would cost most of it."""
        ready, heap, trace = self._ready, self.heap, self.trace
        buffer, rows, next_ready = trace.buffer, trace.rows, ready.popleft
        time_max, turns_max = self.budget.time_ns, self.budget.turns_at_one_instant
        while True:
            if self.polled:  # see which of the sockets that were ready in the last turn still are, as `select` would
                polled, self.polled = self.polled, []
                for sock in polled:
                    sock.fired = False
                    # Nearly every one was read empty; what `poll` goes by is looked at here to save its call.
                    if (
                        sock.received
                        or sock.writer is not None
                        or sock.end_of_file
                        or sock.error
                        or sock.dead
                        or sock.accepting
                    ):
                        sock.poll()
            if ready or self._stopping:
                self._turns += 1
                if self._turns > turns_max:
                    self._raise_spinning()
                now = self.now
            else:
                head = heap[0] if heap and self._timer_cancelled_count <= _CANCELLED_MIN else None
                if head is None or (head[2] is None and head[3]._cancelled) or head[0] > time_max:
                    now = self._next_time()
                else:
                    now = head[0]
                if now > self.now:
                    self.now = now
                    self._turns = 0
                    buffer += JUMP(b"t", now)
            # The kernel acts, and timers become ready, in the order of their times.
            while heap and heap[0][0] <= now:
                _, _, act, item = heappop(heap)
                if act is not None:
                    act(item)
                elif item._cancelled:
                    self._timer_cancelled_count -= 1
                else:
                    item._scheduled = False
                    ready.append(item)
            count = len(ready)
            if count > 1:
                self._schedule.merge(ready)
                count = len(ready)
            while count:  # what becomes ready meanwhile waits for the next turn
                count -= 1
                handle = next_ready()
                if handle._cancelled:
                    continue
                context, callback, args = handle._context, handle._callback, handle._args
                owner = getattr(callback, "__self__", None)
                if owner.__class__ is SimTask:
                    host, step = owner.sim_host, owner.sim_step
                else:
                    host = context.get(HOST) or HOST.get()  # a context without a host: its work is the run's own
                    step = host.plain_step
                if host.parked is not None:
                    host.parked.append(handle)
                    continue
                buffer += step
                if rows is not None:
                    trace.row(now, f"step {host.label} {_name_of(callback, owner)}")
                self.steps += 1
                try:
                    if not args:  # hardly any have more than one, and unpacking costs a list and a tuple
                        context.run(callback)
                    else:
                        context.run(callback, *args)
                except BaseException as error:  # noqa: BLE001 - asyncio reports whatever a callback raises
                    self._failed(host, callback, error)
                if self.doomed:
                    self.doomed[:] = [doom for doom in self.doomed if not doom.stepped(host)]
            # From 3.12 on an error's traceback leads back to this frame: it may not lead on to the task that failed.
            handle = context = callback = args = owner = head = None
            if self.steps >= self._pause_at:
                self._pause()
            if self._stopping:
                return

    def _failed(self, host: Incarnation, callback: Callable[..., object], error: BaseException) -> None:
        """Report what a callback raised; what ends programs ends its host's process, or the run."""
        if isinstance(error, SystemExit | KeyboardInterrupt | BudgetError):
            if not self.exit(host, error):
                raise error
            return
        name = _name_of(callback, getattr(callback, "__self__", None))
        self.call_exception_handler({"message": f"Exception in callback {name}", "exception": error, "host": host})

    def _pause(self) -> None:
        """Do what is due every so many steps: hash the trace, collect garbage, look at budget and interrupts."""
        steps = self.steps
        if self.interrupted is not None and self.interrupted():
            raise KeyboardInterrupt
        self.trace.flush_if_full()
        if steps >= self._collect_at:
            self._collect_at = steps + _COLLECT_EVERY_STEPS
            gc.collect(1)  # what survives is not looked at again before the teardown: each object costs once
        if steps > self._steps_max:
            raise BudgetError(f"more than {self.budget.steps} steps; {describe_tasks(self)}")
        self._pause_at = min(steps + _PAUSE_EVERY_STEPS, self._collect_at, self._steps_max + 1)

    def _next_time(self) -> int:
        """Return when the next timer or segment is due."""
        heap = self.heap
        if self._timer_cancelled_count > _CANCELLED_MIN and self._timer_cancelled_count * 2 > len(heap):
            self._drop_cancelled()
        while True:
            if not heap:
                raise DeadlockError(f"nothing is runnable and no timer is armed; {describe_tasks(self)}")
            when, _, act, item = heap[0]
            if act is not None or not item._cancelled:
                break
            heappop(heap)
            self._timer_cancelled_count -= 1
        if when > self.budget.time_ns and when > self.now:
            raise BudgetError(f"past {self.budget.time_ns / SECOND:g} simulated s; {describe_tasks(self)}")
        return when

    def _drop_cancelled(self) -> None:
        heap = self.heap
        heap[:] = [entry for entry in heap if entry[2] is not None or not entry[3]._cancelled]
        heapify(heap)
        self._timer_cancelled_count = 0

    def _raise_spinning(self) -> NoReturn:
        names = sorted({_name_of(h._callback, getattr(h._callback, "__self__", None)) for h in self._ready})
        raise BudgetError(
            f"{self._turns} turns of the loop at one instant, t = {self.now / SECOND:g} s, without waiting: "
            f"{', '.join(names[:5])}"
        )

    # --- tasks and futures --------------------------------------------------------------------------------------

    def create_future(self) -> "asyncio.Future[Any]":
        """Return a future whose hash does not depend on its address."""
        return SimFuture(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: contextvars.Context | None = None
    ) -> "asyncio.Task[T]":
        """Like asyncio's; the loop keeps a strong reference until the task is done."""
        self._check_closed()
        if context is not None and HOST not in context:
            context.run(HOST.set, HOST.get())
        if self._task_factory is not None:
            task = super().create_task(coro, name=name, context=context)
        else:
            task = SimTask(coro, loop=self, name=name, context=context)
        host = HOST.get() if context is None else context[HOST]
        if task.__class__ is SimTask:
            task.sim_host, task.sim_step = host, STEP(host.code, task.sim_number)
        tasks = self._tasks
        tasks.append((task, host))
        if len(tasks) > self._tasks_max:
            self.prune()
        return task

    def prune(self) -> None:
        """Let go of tasks that are done, so that an error nobody fetched is reported."""
        done = [entry for entry in self._tasks if entry[0].done()]
        self._tasks[:] = [entry for entry in self._tasks if not entry[0].done()]
        done.reverse()
        while done:
            self.blamed = done[-1][1]
            done.pop()  # the error of a task that nobody else refers to is reported here
        self.blamed = None
        self._tasks_max = 1000 + 2 * len(self._tasks)

    def tasks(self) -> list[tuple[asyncio.Task[Any], Incarnation]]:
        """Return the tasks that are not done, and whose they are, in order of creation."""
        return [entry for entry in self._tasks if not entry[0].done()]

    def own(self, tasks: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
        """Return those of `tasks` that are not another host's."""
        here = HOST.get(None)
        return tasks.difference(task for task, host in self._tasks if host is not here)

    def allow_steps(self, count: int) -> None:
        """Set the budget to `count` more steps and any amount of time: for the teardown."""
        self._steps_max = self.steps + count
        self._pause_at = min(self._pause_at, self._steps_max + 1)
        self._turns = 0
        self.budget = Budget(steps=self._steps_max, time_ns=1 << 62)

    def end_transports(self) -> None:
        """Tell every transport that is left, dead hosts' too, that its connection is over."""
        left = [transport for transport in list(self._transports.values()) if transport._sock is not None]
        for transport in left:
            with contextlib.suppress(Exception):
                transport.abort()
        with contextlib.suppress(Exception):
            self.run_until_complete(asyncio.sleep(1))
        for transport in left:
            if transport._sock is not None:  # its last callback was parked
                with contextlib.suppress(Exception):
                    transport._call_connection_lost(None)

    def clear(self) -> None:
        """Forget everything that is scheduled."""
        self._ready.clear()
        self.heap.clear()
        self.polled.clear()
        self._tasks.clear()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report an error that nobody handled."""
        if self._exception_handler is not None or self.report is None:
            super().call_exception_handler(context)
        else:
            self.report(context)

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> "asyncio.Future[T]":  # type: ignore[override]
        """Run `func` inline after a drawn delay, as thread work that takes a while."""
        self._check_closed()
        assert self.run_blocking is not None
        return self.run_blocking(executor, partial(func, *args) if args else func)


def _name_of(callback: Any, owner: Any) -> str:
    if isinstance(owner, asyncio.Task):
        return f"task {owner.get_name()}"
    return str(getattr(callback, "__qualname__", None) or type(callback).__name__)


def _never(_host: Incarnation, _error: BaseException) -> bool:
    return False
