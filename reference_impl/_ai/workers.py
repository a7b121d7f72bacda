"""Where work is done that would hold up the event loop: fitting, predicting, the disk.

An engine takes its executor as a parameter. `Threads` is the one for production. A thread of its own for each call, a
daemon: one that hangs in a prediction holds up neither other calls nor the end of the process, as a pool's would. Only
a training is waited for at the end of the process, as native code that is cut off in the middle aborts it.
XGBoost, LightGBM and PyTorch release the interpreter's lock while they compute; the small models do not, but the
interpreter takes turns every 5 ms.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeAlias

Task: TypeAlias = Literal["prepare", "fit", "predict", "disk"]


class Executor(Protocol):
    """Runs a function elsewhere and returns (or raises) what it did. May never return, if the function does not."""

    async def __call__(self, task: Task, function: Callable[..., Any], /, *args: Any) -> Any:
        """Run it."""


class Threads:
    """A daemon thread for each call."""

    async def __call__(self, task: Task, function: Callable[..., Any], /, *args: Any) -> Any:
        """Run it; its thread goes on if the caller does not wait any more."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()

        def finish(result: Any, error: BaseException | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

        def work() -> None:
            result: Any = None
            failure: BaseException | None = None
            try:
                result = function(*args)
            except StopIteration as error:  # a future cannot hold one
                failure = RuntimeError(f"{type(error).__name__} raised on a worker thread")
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever awaits
                failure = error
            try:
                loop.call_soon_threadsafe(finish, result, failure)
            except RuntimeError:
                return  # the loop has ended: nobody waits any more

        threading.Thread(target=work, name=f"ai-{task}", daemon=task != "fit").start()
        return await done
