"""Calling a team's handler so that neither an exception nor a hang of it stops the events behind for ever."""

import asyncio
import logging

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
        self._limit = TimeLimit(options.handler_timeout)

    async def deliver(self, event: DeliveredEvent) -> str | None:
        """Have the event handled; return None, or after the last failed attempt the reason of its failure."""
        backoff: Backoff | None = None
        reason = ""
        for _ in range(self._options.handler_attempts):
            if backoff is not None:
                await asyncio.sleep(backoff.pause())
            try:
                with self._limit:
                    await self._handler(event)
            except Exception as error:  # noqa: BLE001 - whatever a handler raises, the events behind it must go on
                self._counters.handler_failures += 1
                reason = f"{type(error).__name__}: {error}"
                log.warning("event bus: the handler failed on %s (%s)", event.event_id, reason)
                backoff = backoff or Backoff(first=self._options.handler_backoff, cap=_PAUSE_CAP)
            else:
                self._counters.delivered += 1
                return None
        return reason

    def close(self) -> None:
        """Leave no timer behind."""
        self._limit.close()
