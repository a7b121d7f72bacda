"""Calling a team's handler so that neither an exception nor a hang of it stops the events behind for ever."""

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Generator
from types import CoroutineType, coroutine
from typing import Any

from reference_impl._event_bus.backoff import Backoff
from reference_impl._event_bus.counters import Counters
from reference_impl._event_bus.model import DeliveredEvent, Handler, Options
from reference_impl._event_bus.timelimit import TimeLimit

log = logging.getLogger(__name__)

_PAUSE_CAP = 1.0


class Handling:
    """A handler with a time limit and a bounded number of attempts."""

    def __init__(self, handler: Handler, options: Options, counters: Counters) -> None:
        self._handler = handler
        self._options = options
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._limit = TimeLimit(options.handler_timeout)

    def begin(self, event: DeliveredEvent) -> Coroutine[Any, Any, str | None] | None:
        """Have the event handled; return None if that is done, else a coroutine to await.

        It returns None once the event is handled, or after the last failed attempt the reason of its failure.
        Most handlers never wait. Such a one costs neither a frame nor a time limit, which could not interrupt it.
        """
        began = self._loop.time()
        try:
            running = self._handler(event)
        except Exception as error:  # noqa: BLE001 - as in _finish
            return self._finish(event, began, _raising(error))
        if not isinstance(running, CoroutineType):
            return self._finish(event, began, running)
        try:
            waits_for = running.send(None)
        except StopIteration:
            self._counters.delivered += 1
            return None
        except Exception as error:  # noqa: BLE001 - as in _finish
            return self._finish(event, began, _raising(error))
        return self._finish(event, began, resume(running, waits_for))

    async def _finish(self, event: DeliveredEvent, began: float, first: Awaitable[None]) -> str | None:
        """See the first attempt through, and make the others if it fails."""
        backoff = Backoff(first=self._options.handler_backoff, cap=_PAUSE_CAP)
        reason = ""
        for attempt in range(self._options.handler_attempts):
            if attempt:
                await asyncio.sleep(backoff.pause())
                began = self._loop.time()
            try:
                with self._limit.since(began):
                    await (self._handler(event) if attempt else first)
            except Exception as error:  # noqa: BLE001 - whatever a handler raises, the events behind it must go on
                self._counters.handler_failures += 1
                reason = f"{type(error).__name__}: {error}"
                log.warning("event bus: the handler failed on %s (%s)", event.event_id, reason)
            else:
                self._counters.delivered += 1
                return None
        return reason

    def close(self) -> None:
        """Leave no timer behind."""
        self._limit.close()


async def _raising(error: Exception) -> None:
    raise error


@coroutine
def resume(running: Coroutine[Any, Any, None], waits_for: object) -> Generator[Any, Any, None]:
    """Go on with a coroutine whose first step was taken by hand, and yielded `waits_for`; as `yield from` would."""
    try:
        while True:
            try:
                sent = yield waits_for
            except GeneratorExit:
                running.close()
                raise
            except BaseException as error:  # noqa: BLE001 - a cancellation, say: it is the coroutine's to answer
                waits_for = running.throw(error)
            else:
                waits_for = running.send(sent)
    except StopIteration:
        return
