"""A health monitor that is a program of its own, as the port `health`."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scenarios.commands.program import Program, told
from scenarios.ports.health import Alert, HealthMonitor

_VARIABLE: Final = "HARNESS_SERVICE_{}"
_NO_CONTENT: Final = 204
_BAD_GATEWAY: Final = 502


@dataclass(frozen=True, slots=True)
class _Alert:
    id: str
    service: str
    kind: str
    affected: Sequence[str]


class CommandMonitor:
    """Hands on the program's alerts, and questions to it."""

    def __init__(self, program: Program, on_alert: Callable[[Alert], None]) -> None:
        self._program = program
        self._on_alert = on_alert

    async def start(self) -> None:
        """Start the program."""
        await self._program.start([Route("/alert", self._alerted, methods=["POST"])])

    def app(self) -> Any:
        """Return an ASGI application that asks the program."""

        async def ask(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                return
            try:
                said = await self._program.client.get(scope["path"])
                answer = Response(said.content, said.status_code, media_type=said.headers.get("content-type"))
            except httpx.HTTPError as error:
                answer = Response(f"the program does not answer: {error}", _BAD_GATEWAY)
            await answer(scope, receive, send)

        return ask

    async def close(self) -> None:
        """End the program."""
        await self._program.close()

    async def _alerted(self, request: Request) -> Response:
        news = await told(request, "id", "service", "kind")
        self._on_alert(_Alert(str(news["id"]), str(news["service"]), str(news["kind"]), list(news.get("affected", []))))
        return Response(status_code=_NO_CONTENT)


def make(
    *,
    services: Sequence[Mapping[str, Any]],
    directory: Path,
    name: str,
    on_alert: Callable[[Alert], None],
    interval: float,
    timeout: float,
    command: Sequence[str],
) -> HealthMonitor:
    """Return the monitor that this command is."""
    addresses = {_VARIABLE.format(number): one["url"] for number, one in enumerate(services)}
    program = Program(command, name=name, directory=directory, addresses=addresses)
    program.variables |= {
        "HARNESS_SERVICES": json.dumps(list(services)),
        "HARNESS_INTERVAL_S": str(interval),
        "HARNESS_TIMEOUT_S": str(timeout),
    }
    return CommandMonitor(program, on_alert)
