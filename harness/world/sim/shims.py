"""Libraries that bring their own threads, taught to run their work in virtual time.

anyio's `to_thread.run_sync` (FastAPI's sync endpoints) and aiosqlite start worker threads; here their work goes through
`Machine.run_blocking`. A `ThreadPoolExecutor` used directly cannot be helped and is an escape with a hint.

The harness imports none of them: what is loaded already is patched when a run begins, what is imported during it is
patched then, and everything is put back when it ends.
"""

import asyncio
import contextlib
import contextvars
import sys
from _thread import get_ident
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final

from harness.world.sim.active import RUN
from harness.world.sim.escapes import escape
from harness.world.sim.identity import number_hash
from harness.world.sim.imports import watched

_POOL_HINT: Final = "use loop.run_in_executor or asyncio.to_thread, which run in virtual time"
_FROM_THREAD_HINT: Final = "a sync function cannot wait for the loop it blocks; make the caller async"


def _submit(self: object, function: Callable[..., Any], /, *_args: Any, **_kwargs: Any) -> Any:
    raise escape(f"submitted {function!r} to a {type(self).__name__}", _POOL_HINT, sys._getframe(1))


def _threads(module: ModuleType, put: "_Put") -> None:
    put(module.ThreadPoolExecutor, "submit", _submit)


def _processes(module: ModuleType, put: "_Put") -> None:
    put(module.ProcessPoolExecutor, "submit", _submit)


def _anyio(module: ModuleType, put: "_Put") -> None:
    """Run sync work inline; limiter, shielding and context as anyio has them."""

    async def run_sync_in_worker_thread(
        cls: Any,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        abandon_on_cancel: bool = False,  # anyio's own signature
        limiter: Any = None,
    ) -> Any:
        await cls.checkpoint()
        async with limiter or cls.current_default_thread_limiter():
            with module.CancelScope(shield=not abandon_on_cancel) as scope:
                parent = scope._parent_scope
                watched = scope if abandon_on_cancel or parent is None else parent
                context = contextvars.copy_context()
                context.run(module.set_current_async_library, None)

                loop = asyncio.get_running_loop()

                def call() -> Any:
                    # What `anyio.from_thread` looks at; a real worker thread has its own.
                    with module.claim_worker_thread(module.AsyncIOBackend, loop):
                        module.threadlocals.current_cancel_scope = watched
                        try:
                            return context.run(func, *args)
                        finally:
                            del module.threadlocals.current_cancel_scope

                return await RUN.machine.run_blocking(None, call)

    def run_async_from_thread(_cls: Any, func: Callable[..., Any], *_args: Any, **_token: Any) -> Any:
        raise escape(f"anyio.from_thread.run({func!r})", _FROM_THREAD_HINT, sys._getframe(1))

    def run_sync_from_thread(_cls: Any, *work: Any, **_token: Any) -> Any:
        function, args = work
        return contextvars.copy_context().run(function, *args)

    put(module.AsyncIOBackend, "run_sync_in_worker_thread", classmethod(run_sync_in_worker_thread))
    put(module.AsyncIOBackend, "run_async_from_thread", classmethod(run_async_from_thread))
    put(module.AsyncIOBackend, "run_sync_from_thread", classmethod(run_sync_from_thread))
    put(module.CancelScope, "__hash__", number_hash)


class _Worker:
    """Stands in for the `SimpleQueue` that feeds an aiosqlite connection's thread: a worker of one, in virtual time.

    The machine runs the work of an executor with one worker in order, and never after the death of its host.
    """

    _max_workers = 1

    def put_nowait(self, item: tuple["asyncio.Future[Any] | None", Callable[[], Any]]) -> None:
        waiting, function = item
        if get_ident() != RUN.thread:
            # A connection that outlived its run is closed by its finalizer; there is no time any more to do it in.
            function()
            return
        done = RUN.machine.run_blocking(self, function)
        done.add_done_callback(lambda done: _hand_over(done, waiting))


def _hand_over(done: "asyncio.Future[Any]", waiting: "asyncio.Future[Any] | None") -> None:
    if done.cancelled():
        return
    error = done.exception()
    if waiting is None or waiting.done():
        return
    if error is None:
        waiting.set_result(done.result())
    else:
        waiting.set_exception(error)


class _NoThread:
    """Stands in for the thread of an aiosqlite connection: its queue does the work."""

    def __init__(self, **_kwargs: object) -> None:
        pass

    def start(self) -> None:
        """Do nothing: there is nothing to start."""


def _aiosqlite(module: ModuleType, put: "_Put") -> None:
    put(module, "SimpleQueue", _Worker)
    put(module, "Thread", _NoThread)


def _fakeredis(module: ModuleType, put: "_Put") -> None:
    put(module.BaseFakeSocket, "__hash__", number_hash)  # subscribers and blocked clients are kept in sets


_Put = Callable[[Any, str, Any], None]
_SHIMS: Final[dict[str, Callable[[ModuleType, _Put], None]]] = {
    "aiosqlite.core": _aiosqlite,
    "anyio._backends._asyncio": _anyio,
    "concurrent.futures.process": _processes,
    "concurrent.futures.thread": _threads,
    "fakeredis._socket._base": _fakeredis,
}


class _Patches:
    """Replaced attributes, to be put back in reverse order."""

    __slots__ = ("_before",)

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, bool, Any]] = []

    def put(self, owner: Any, name: str, value: Any) -> None:
        own = vars(owner)
        self._before.append((owner, name, name in own, own.get(name)))
        setattr(owner, name, value)

    def undo(self) -> None:
        while self._before:
            owner, name, had, value = self._before.pop()
            if had:
                setattr(owner, name, value)
            else:
                delattr(owner, name)


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Apply the shims for the length of one run: now to what is loaded, later to what is imported."""
    patches = _Patches()

    def loaded(module: ModuleType) -> None:
        shim = _SHIMS.get(module.__name__)
        if shim is not None:
            shim(module, patches.put)

    for name in _SHIMS:
        module = sys.modules.get(name)
        if module is not None:
            loaded(module)
    try:
        with watched(loaded):
            yield
    finally:
        patches.undo()
