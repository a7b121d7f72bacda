"""The service `dashboard`: shows people what the bus tells, live, and how models and services say that they are.

An event is acknowledged to the bus once the dashboard's `publish` has returned, which for critical ones means that they
are on disk: a dashboard that dies in between gets them again, and one that was down is told all that it missed. Models
and services are asked over HTTP now and then; of who does not answer the last word stays, with its time.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
from starlette.types import ASGIApp

from reference_impl._stack import topics
from reference_impl._stack.paths import Paths
from reference_impl._stack.running import Tasks
from reference_impl._stack.settings import Settings
from reference_impl._stack.showing import Shown, events_of, models_of, services_of

GROUP: Final = "dashboard"
METRICS: Final = "/api/dashboard/ml_metrics"
HEALTH: Final = "/api/health"
_ASK_S: Final = 1.0
_ASKED: Final = (("strategy", METRICS, models_of), ("health", HEALTH, services_of))


class DashboardService:
    """See the module. `parts` are the factories of the patches, by the names of their ports."""

    def __init__(
        self, *, parts: Mapping[str, Callable[..., Any]], settings: Settings, directory: Path, name: str
    ) -> None:
        self.settings = settings
        self.bus = parts["event_bus"](redis_url=settings.redis_url, directory=directory, name=name)
        self.board = parts["dashboard"](
            directory=directory, name=name, token=settings.dashboard_token, **settings.options_of("dashboard")
        )
        self.tasks = Tasks()
        self.shown = 0
        self._told: dict[tuple[str, str], Any] = {}
        self._client = httpx.AsyncClient(timeout=_ASK_S, trust_env=False, verify=False)  # noqa: S501 - plain HTTP
        self._paths = Paths(name, {"/": self.board.app()}, self._details)

    def app(self) -> ASGIApp:
        """Return the page, its feed, and `/health`."""
        return self._paths

    async def start(self) -> None:
        """Begin: whoever looks before the bus has told anything sees what was shown last."""
        await self.bus.start()
        await self.board.start()
        await self._paths.open()
        for service, path, read in _ASKED:
            if service in self.settings.urls:
                url = self.settings.urls[service] + path
                self.tasks.every(self.settings.ask_every_s, partial(self._ask, url, read), f"asking {service}")
        await self.bus.subscribe(GROUP, topics.SHOWN, self.on_event)

    async def close(self) -> None:
        """Take nothing more off the bus, then send everybody away who looks."""
        await self.tasks.end()
        await self.bus.close()
        await self.board.close()
        await self._paths.close()
        await self._client.aclose()

    async def on_event(self, event: Any) -> None:
        """Show it; returning acknowledges it."""
        await self._show(events_of(event.event_type, event.payload))

    async def _show(self, events: Iterator[Shown]) -> None:
        for topic, key, value in events:
            await self.board.publish(topic, key, value)
            self.shown += 1

    async def _ask(self, url: str, read: Callable[[Any], Iterator[Shown]]) -> None:
        answer = await self._client.get(url)
        await self._show(one for one in read(answer.json()) if self._is_news(one))

    def _is_news(self, one: Shown) -> bool:
        """Whether it differs from what was shown last: a client is sent fifty events a second, and no more."""
        place = (one.topic, one.key)
        if self._told.get(place) == one.value:
            return False
        self._told[place] = one.value
        return True

    def _details(self) -> Mapping[str, Any]:
        return {"bus": self.bus.stats().mode, "shown": self.shown}
