"""An event loop in a thread, so that plain and async tests alike have servers beside them."""

import asyncio
import contextvars
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final, TypeVar

T = TypeVar("T")

_ANSWER_S_MAX: Final = 30.0


class Background:
    """Runs coroutines in its thread, all in one context: what one sets for those that it starts, the next one finds.

    Processes that it starts die with the thread, so it lives as long as they do.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._context = contextvars.copy_context()
        self._thread = threading.Thread(target=self._loop.run_forever, name="harness", daemon=True)
        self._thread.start()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run this, and return what it returns."""
        answer: Future[T] = Future()
        self._loop.call_soon_threadsafe(self._begin, work, answer)
        return answer.result(_ANSWER_S_MAX)

    def close(self) -> None:
        """End the loop and the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ANSWER_S_MAX)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def _begin(self, work: Coroutine[Any, Any, T], answer: "Future[T]") -> None:
        task = self._loop.create_task(work, context=self._context)

        def ended(done: "asyncio.Task[T]") -> None:
            error = None if done.cancelled() else done.exception()
            if done.cancelled():
                answer.cancel()
            elif error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(done.result())

        task.add_done_callback(ended)


@contextmanager
def background() -> Iterator[Background]:
    """Have a loop in a thread for a while."""
    running = Background()
    try:
        yield running
    finally:
        running.close()
