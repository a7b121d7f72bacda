"""Threads of hosts: what is handed to an executor runs inline, after the time that a thread would have taken."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from harness.tape import Stream
from harness.units import MILLISECOND
from harness.world.sim.identity import SimFuture
from harness.world.sim.incarnation import HOST, Incarnation

if TYPE_CHECKING:
    from harness.world.sim.loop import SimLoop

T = TypeVar("T")

EXECUTOR_MIN_NS: Final = 20_000
EXECUTOR_MAX_NS: Final = MILLISECOND
_EXECUTOR_SPAN: Final = EXECUTOR_MAX_NS - EXECUTOR_MIN_NS + 1


class Job(SimFuture[T]):
    """A thread's work. `queued` is when a thread will be free to begin it, and the timer at which it is done.

    As with concurrent.futures, cancelling it before then keeps it from being done; later nothing stops it.
    """

    __slots__ = ("queued",)

    queued: tuple[int, asyncio.TimerHandle]

    def cancel(self, msg: Any = None) -> bool:
        """Like a future's."""
        if not super().cancel(msg):
            return False
        queued = getattr(self, "queued", None)
        if queued is not None and self.get_loop().now < queued[0]:  # type: ignore[attr-defined] # a SimLoop
            queued[1].cancel()
        return True


class Threads:
    """The executors of all hosts. `draws` returns a machine's stream, from which the times are drawn.

    Once `over` is set nothing runs any more: dead hosts are let go on for their coroutines' sake, not to do work.
    """

    def __init__(self, loop: "SimLoop", harness: Incarnation, draws: Callable[[str], Stream]) -> None:
        self.over = False
        self._loop = loop
        self._harness = harness
        self._draws = draws
        self._busy_until: dict[object, int] = {}  # by executor

    def run(self, executor: object, call: Callable[[], T]) -> "asyncio.Future[T]":
        """Run `call` inline after a drawn delay; FIFO where `executor` has one worker."""
        loop = self._loop
        host = HOST.get(self._harness)
        took = EXECUTOR_MIN_NS + self._draws(host.machine).below(_EXECUTOR_SPAN)
        begin = now = loop.now
        if getattr(executor, "_max_workers", None) == 1:
            begin = self._busy_until.get(executor, 0)
            begin = max(begin, now)
            self._busy_until[executor] = begin + took
        future: Job[T] = Job(loop=loop)
        # A thread has a context of its own; what it needs of ours is the host.
        timer = loop.call_at_ns(begin + took, self._run_job, future, call, context=host.context.copy())
        if begin > now:
            future.queued = begin, timer
        return future

    def _run_job(self, future: "asyncio.Future[Any]", call: Callable[[], Any]) -> None:
        if self.over:
            future.cancel()
            return
        try:
            result = call()
        except (SystemExit, KeyboardInterrupt):
            raise
        except StopIteration as error:
            failure: BaseException = RuntimeError("StopIteration raised in an executor")
            failure.__cause__ = error
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever awaits the future
            failure = error
        else:
            if not future.done():
                future.set_result(result)
            return
        if not future.done():
            future.set_exception(failure)
