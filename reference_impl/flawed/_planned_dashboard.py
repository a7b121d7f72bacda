"""The dashboard's feed as the plan sketches it: a list of connections, a batch for each, and a rate that clears it."""

import asyncio
import json
import time
import uuid
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

BATCH_EVENTS: Final = 10
BATCH_S: Final = 0.1
EVENTS_PER_SECOND: Final = 50


class _Client:
    def __init__(self, websocket: WebSocket, seq: int) -> None:
        self.websocket = websocket
        self.batch: list[dict[str, Any]] = []
        self.after = seq
        self.second = 0.0
        self.sent = 0


class PlannedDashboardServer:
    """Sends to one client after the other; who is over the rate has its batch cleared. Keeps nothing."""

    def __init__(self, *, directory: Path, name: str, token: str, **_: Any) -> None:
        del directory, name
        self._token = token
        self._epoch = uuid.uuid4().hex
        self._seq = 0
        self._latest: dict[tuple[str, str], dict[str, Any]] = {}
        self._clients: list[_Client] = []
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.create_task(self._flush_often())

    def app(self) -> FastAPI:
        """Return the application."""
        app = FastAPI()

        @app.websocket("/ws")
        async def feed(websocket: WebSocket) -> None:
            await websocket.accept()
            hello = json.loads(await websocket.receive_text())
            if hello.get("token") != self._token:
                await websocket.close(4401, "bad token")
                return
            client = _Client(websocket, self._seq)
            limits = {"events_per_second": EVENTS_PER_SECOND, "batch_events": BATCH_EVENTS, "heartbeat": 2.0}
            frame = {"type": "welcome", "epoch": self._epoch, "seq": self._seq, "base": self._seq, "resumed": False}
            state = list(self._latest.values())
            await websocket.send_json({**frame, "limits": limits})
            frame = {"type": "snapshot", "seq": client.after, "critical_from": client.after, "more": False}
            await websocket.send_json({**frame, "state": state})
            self._clients.append(client)
            try:
                while True:
                    ping = json.loads(await websocket.receive_text())
                    await websocket.send_json({"type": "pong", "id": ping.get("id"), "seq": self._seq})
            except (WebSocketDisconnect, ValueError, RuntimeError):
                pass
            finally:
                self._forget(client)

        @app.get("/api/feed")
        async def figures() -> dict[str, Any]:
            return {"epoch": self._epoch, "seq": self._seq, "clients": []}

        return app

    async def publish(self, topic: str, key: str, value: Any) -> int:
        """Append to the batch of every client."""
        self._seq += 1
        event = {"seq": self._seq, "topic": topic, "key": key, "at": time.time_ns(), "value": value}
        self._latest[topic, key] = event
        seq = self._seq
        for client in list(self._clients):
            client.batch.append(event)
            if len(client.batch) >= BATCH_EVENTS:
                await self._flush(client)
        return seq

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _flush_often(self) -> None:
        while True:
            await asyncio.sleep(BATCH_S)
            for client in list(self._clients):
                if client.batch:
                    await self._flush(client)

    async def _flush(self, client: _Client) -> None:
        now = time.monotonic()
        if now - client.second >= 1:
            client.second, client.sent = now, 0
        events, client.batch = client.batch, []
        if client.sent + len(events) > EVENTS_PER_SECOND:
            return  # over the rate: the batch is cleared
        client.sent += len(events)
        frame = {"type": "batch", "after": client.after, "through": events[-1]["seq"], "conflated": 0}
        client.after = events[-1]["seq"]
        try:
            await client.websocket.send_json({**frame, "events": events})
        except (WebSocketDisconnect, RuntimeError):
            self._forget(client)

    def _forget(self, client: _Client) -> None:
        if client in self._clients:
            self._clients.remove(client)
