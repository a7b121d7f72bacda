"""`asyncio.timeout` for something that is done again and again: one timer stays armed, instead of one for each time.

The timer is set to the end of the first use and not touched by later ones. When it fires, it cancels what is overdue,
or is set anew for what has begun since, or, when nothing is going on, is left out until the next use.
"""

import asyncio
from types import TracebackType


class TimeLimit:
    """A context manager that cancels its body after `seconds`, which then raises `TimeoutError`. Not reentrant."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._deadline = 0.0
        self._cancelling = 0
        self._expired = False
        self._began: float | None = None

    def since(self, began: float) -> "TimeLimit":
        """Have the next use count from `began` (loop time): its body was begun before it was entered."""
        self._began = began
        return self

    def __enter__(self) -> None:
        """Begin."""
        assert self._task is None, "in use already"
        self._task = task = asyncio.current_task()
        assert task is not None, "not in a task"
        loop = self._loop or task.get_loop()
        self._loop = loop
        self._cancelling = task.cancelling()
        began, self._began = self._began, None
        self._deadline = (loop.time() if began is None else began) + self._seconds
        if self._timer is None:
            self._timer = loop.call_at(self._deadline, self._look)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; a cancellation that came from here, and from nobody else, becomes `TimeoutError`."""
        task, self._task = self._task, None
        if self._expired:
            self._expired = False
            assert task is not None, "never entered"
            if task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
                raise TimeoutError from error

    def close(self) -> None:
        """Drop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._task is None or self._expired:
            return
        assert self._loop is not None, "never entered"
        if self._loop.time() >= self._deadline:
            self._expired = True
            self._task.cancel()
        else:
            self._timer = self._loop.call_at(self._deadline, self._look)
