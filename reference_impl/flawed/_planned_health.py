"""The health service as the plan sketches it: a loop over the services, and a dictionary of what it found last."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from reference_impl._health.model import Alert, State


class PlannedHealthService:
    """Asks one after the other, with httpx's own timeouts; 200 is healthy; everything is healthy until then."""

    def __init__(
        self,
        *,
        services: Sequence[Mapping[str, Any]],
        directory: Path,
        name: str,
        on_alert: Callable[[Alert], None] | None = None,
        interval: float = 5.0,
        **_: Any,
    ) -> None:
        del directory, name
        self._urls = {str(service["name"]): str(service["url"]) for service in services}
        self._states = dict.fromkeys(self._urls, State.HEALTHY)
        self._on_alert = on_alert
        self._interval = interval
        self._client = httpx.AsyncClient()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to poll."""
        self._task = asyncio.create_task(self._poll())

    def app(self) -> FastAPI:
        """Return the application."""
        app = FastAPI()

        @app.get("/api/health")
        async def health() -> dict[str, Any]:
            well = all(state is State.HEALTHY for state in self._states.values())
            services = {name: {"state": state} for name, state in self._states.items()}
            return {"status": State.HEALTHY if well else State.CRITICAL, "services": services}

        return app

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._client.aclose()

    async def _poll(self) -> None:
        while True:
            for name, url in self._urls.items():
                self._found(name, await self._check(url))
            await asyncio.sleep(self._interval)

    async def _check(self, url: str) -> State:
        try:
            response = await self._client.get(url)
        except httpx.HTTPError:
            return State.CRITICAL
        return State.HEALTHY if response.is_success else State.CRITICAL

    def _found(self, name: str, state: State) -> None:
        if state is not self._states[name] and self._on_alert is not None:
            kind = "recovered" if state is State.HEALTHY else "down"
            self._on_alert(Alert(id=name, service=name, kind=kind, state=state, reason="", affected=(), at=0.0))
        self._states[name] = state
