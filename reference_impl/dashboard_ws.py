"""Patch 6: a live feed for dashboards in which no client costs another anything, and no event is missed silently.

```python
server = DashboardServer("feed.sqlite3", token=os.environ["DASHBOARD_TOKEN"])
await server.start()
app = server.app()         # WebSocket /ws, the page at /, figures at /api/feed
await server.publish("portfolio.equity", "", {"equity": "10250.40", ...})
await server.publish("ess.state", "", {"state": "TRIPPED", ...})     # returns once it is durable
await server.close()
```

`await serve(server, listen("127.0.0.1", 8010))` serves it with settings that fit.

What it promises:

- *Every event has a number*, never used twice, also over crashes. Every frame says through which number it goes and how
  many were left out because a newer value of the same key came instead, so a client sees a gap at once: what it was
  sent and what was left out make up everything.
- *State* (all topics but those below): the newest value of each key arrives, whatever a client's speed.
- *Critical* events (`ess.*`, `order.*`) arrive all, in order, also over a reconnect and a restart, as far back as
  `critical_retained`; they go first.
- *A rate*: at most 50 events in any second to a client, at most 10 in a frame (the plan's figures).
- *Nobody waits for another's client.* Who stalls, falls silent, floods, or falls behind in critical events is dropped,
  with the reason as closing code. What is held for a client is bounded by the number of keys, not of events.
- *Coming back*: with what it has, a client gets what is newer; if that is not known any more, or too much, a snapshot
  and what is newer than that. What is gone for good it is told.
- *Only with a token*, compared in constant time, in the first frame or a header, never in a URL.

A crash may lose the latest values of state topics of up to `store_interval`, never a critical event whose `publish` has
returned. When the store fails, events are shown all the same, and `publish` of a critical one raises.

The wire format is in `_dashboard.frames` and `_dashboard.session`; `_dashboard.topics` are the topics that the page
shows.

How: `_dashboard.feed` decides everything and is pure: `position` is what one client has, `critical` the log, `window`
the rate. `hub` and `session` carry frames; `storing` and `store` write.
"""

import asyncio
import socket
import sqlite3
import time
from pathlib import Path
from typing import Any, Final

import uvicorn
from fastapi import FastAPI, WebSocket

from reference_impl._dashboard.errors import FeedClosedError, FeedError, KeysFullError, PublishError, StorageError
from reference_impl._dashboard.feed import Feed
from reference_impl._dashboard.frames import SNAPSHOT_CHARS
from reference_impl._dashboard.hub import Hub
from reference_impl._dashboard.model import Options, is_critical
from reference_impl._dashboard.routes import make_app
from reference_impl._dashboard.store import Store
from reference_impl._dashboard.storing import Storing
from reference_impl._http.tokens import Tokens

__all__ = [
    "DashboardServer",
    "FeedClosedError",
    "FeedError",
    "KeysFullError",
    "Options",
    "PublishError",
    "StorageError",
    "make",
]

_WRITE_BUFFER: Final = 65_536
"""asyncio's: a connection takes no more frames once so many bytes wait."""
_SEND_BUFFER: Final = 32_768
"""The kernel's, for each connection: left to itself it grows to megabytes, and who reads slowly sees the past."""


class DashboardServer:
    """A feed and its clients. Belongs to one event loop; not thread-safe.

    Args:
        store_path: The SQLite file; one server at a time may use it.
        token: What clients must know: at least 16 printable ASCII characters.
        options: See `Options`.

    Raises:
        ValueError: The token or an option makes no sense.

    """

    feed_type: type[Feed] = Feed
    hub_type: type[Hub] = Hub
    store_type: type[Store] = Store
    storing_type: type[Storing] = Storing

    def __init__(self, store_path: str | Path, *, token: str, **options: Any) -> None:
        self._options = Options(**options)
        self._tokens = Tokens({"dashboard": token})
        self._store = self.store_type(Path(store_path), self._options.critical_retained)
        self._feed: Feed | None = None
        self._hub: Hub | None = None
        self._storing: Storing | None = None
        self._closed = False

    async def start(self) -> None:
        """Open the store. Clients that come before are told to come again.

        Raises:
            StorageError: The store cannot be opened.
            FeedClosedError: The server was started or closed before.

        """
        if self._closed or self._feed is not None:
            raise FeedClosedError("a server is started once")
        try:
            restored = await asyncio.to_thread(self._store.open)
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"the store cannot be opened: {error}") from error
        self._feed = self.feed_type(self._options, restored)
        self._hub = self.hub_type(self._feed, self._options, self._knows)
        self._storing = self.storing_type(
            self._store, self._feed, restored.reserved, self._options, self._hub.published
        )
        self._storing.start()

    def app(self) -> FastAPI:
        """Return the application; it serves this feed, and neither starts nor ends it."""
        return make_app(serve=self._serve, has_token=self._has_token, figures=self.figures)

    async def publish(self, topic: str, key: str, value: Any) -> int:
        """Publish an event; return its number. That of a critical topic is durable then.

        Raises:
            PublishError: It cannot be carried. Nothing was published.
            KeysFullError: Its key would be one too many. Nothing was published.
            StorageError: A critical event is shown, but would not survive a restart; or, when the disk has taken
                nothing for very long, nothing was published.
            FeedClosedError: The feed is not open. Nothing was published.

        """
        feed, hub, storing = self._feed, self._hub, self._storing
        if feed is None or hub is None or storing is None or self._closed:
            raise FeedClosedError("the feed is not open")
        storing.check_room()
        event = feed.publish(topic, key, value, time.time_ns(), time.monotonic_ns())
        hub.published()
        if is_critical(topic):
            await storing.stored(event)
        else:
            storing.changed(event)
        return event.seq

    def figures(self) -> dict[str, Any]:
        """Return how the feed and each of its clients is."""
        feed, hub = self._feed, self._hub
        if feed is None or hub is None:
            return {"epoch": None, "seq": 0, "clients": []}
        queued_max = _WRITE_BUFFER + 2 * max(SNAPSHOT_CHARS, self._options.batch_events * self._options.value_bytes_max)
        return {
            "epoch": feed.epoch,
            "seq": feed.seq,
            "limits": {**self._options.shown, "queued_bytes_max": queued_max},
            "counters": dict(hub.counters),
            "store_failures": self._storing.failures if self._storing is not None else 0,
            "keys": len(feed.latest),
            "clients": [
                {
                    "id": session.number,
                    "through": session.position.through,
                    "pending": len(session.position.pending),
                    "critical_behind": feed.behind(session.position),
                    "queued_bytes": session.queued_bytes,
                }
                for session in hub.sessions.values()
                if session.position is not None
            ],
        }

    async def close(self) -> None:
        """Stop: clients are told to come again (1012), everything is stored, no task is left. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._hub is not None and self._storing is not None:
            await self._hub.close()
            await self._storing.close()

    async def _serve(self, websocket: WebSocket, trusted: bool) -> None:
        if self._hub is None:
            await websocket.close()
        else:
            await self._hub.serve(websocket, trusted=trusted)

    def _knows(self, token: str | None) -> bool:
        return token is not None and self._has_token([b"Bearer " + token.encode()])

    def _has_token(self, authorization: list[bytes]) -> bool:
        return self._tokens.operator(authorization) is not None


def make(
    *,
    directory: Path,
    name: str,
    token: str,
    server_type: type[DashboardServer] = DashboardServer,
    **options: Any,
) -> DashboardServer:
    """Make a server whose store is in `directory`. Options are the fields of `Options`."""
    return server_type(Path(directory) / f"{name}.dashboard.sqlite3", token=token, **options)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket whose connections hold little for a slow reader."""
    sock = socket.create_server((host, port), backlog=1_024)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    return sock


async def serve(server: DashboardServer, sock: socket.socket, *, frame_bytes_max: int = 65_536) -> None:
    """Serve a server that was started, until told to stop by a signal; then close it."""
    config = uvicorn.Config(
        server.app(),
        ws="websockets-sansio",
        ws_max_size=frame_bytes_max,
        ws_per_message_deflate=False,  # 64 KiB and more for each client, and time, for frames of 1 kB
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    try:
        await uvicorn.Server(config).serve([sock])
    finally:
        await server.close()
