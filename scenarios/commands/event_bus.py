"""An event bus that is a program of its own, as the port `event_bus`."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scenarios.commands.program import CommandError, Program, told
from scenarios.ports.event_bus import EventBus, Handler

_STATS_EVERY_S: Final = 0.2
_NO_CONTENT: Final = 204
_BAD_REQUEST: Final = 400


@dataclass(frozen=True, slots=True)
class _Event:
    event_id: str
    event_type: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Stats:
    mode: Literal["direct", "fallback", "resync"] = "direct"
    buffered: int = 0
    dropped: int = 0


class CommandBus:
    """Asks the program to publish, and hands on what it delivers."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._handlers: dict[str, Handler] = {}
        self._overflow: Callable[[Sequence[str]], None] | None = None
        self._stats = _Stats()
        self._sampling: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the program."""
        await self._program.start(
            [
                Route("/deliver", self._delivered, methods=["POST"]),
                Route("/overflow", self._overflowed, methods=["POST"]),
            ]
        )
        self._sampling = asyncio.create_task(self._sample(), name="stats of the program")

    async def publish_event(self, event_type: str, payload: Mapping[str, Any]) -> str:
        """`POST /publish`."""
        answer = await self._program.ask("/publish", {"type": event_type, "payload": payload})
        if not isinstance(answer, dict) or not isinstance(answer.get("id"), str):
            raise CommandError(f"/publish: answered {answer!r}, without the event's `id`")
        return str(answer["id"])

    async def subscribe(self, group: str, event_types: Sequence[str], handler: Handler) -> None:
        """`POST /subscribe`; from then on it delivers."""
        self._handlers[group] = handler
        await self._program.ask("/subscribe", {"group": group, "types": list(event_types)})

    async def resync_from_fallback(self) -> int:
        """`POST /resync`."""
        answer = await self._program.ask("/resync", {})
        return int(answer["count"])

    def on_overflow(self, callback: Callable[[Sequence[str]], None]) -> None:
        """Have it told of what the program reports."""
        self._overflow = callback

    def stats(self) -> _Stats:
        """Return the newest answer to `GET /stats`."""
        return self._stats

    async def close(self) -> None:
        """End the program."""
        if self._sampling is not None:
            self._sampling.cancel()
            await asyncio.wait({self._sampling})
        await self._program.close()

    async def _sample(self) -> None:
        """Ask for the figures over and over; a program that has none has no buffer."""
        while True:
            with contextlib.suppress(CommandError, TypeError):
                self._stats = _Stats(**await self._program.ask("/stats"))
            await asyncio.sleep(_STATS_EVERY_S)

    async def _delivered(self, request: Request) -> Response:
        event = await told(request, "group", "id", "type", "payload")
        handler = self._handlers.get(event["group"])
        if handler is None:
            return Response(f"nobody subscribed as {event['group']!r}", status_code=_BAD_REQUEST)
        await handler(_Event(event["id"], event["type"], event["payload"]))
        return Response(status_code=_NO_CONTENT)

    async def _overflowed(self, request: Request) -> Response:
        if self._overflow is not None:
            self._overflow([str(one) for one in (await told(request, "ids"))["ids"]])
        return Response(status_code=_NO_CONTENT)


def make(*, redis_url: str, directory: Path, name: str, command: Sequence[str]) -> EventBus:
    """Return the bus that this command is."""
    return CommandBus(Program(command, name=name, directory=directory, addresses={"REDIS_URL": redis_url}))
