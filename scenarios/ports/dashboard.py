"""Patch 6: a dashboard's feed over WebSocket, and the publisher's side of it."""

from typing import Any, Protocol

from harness.ports import Port


class DashboardServer(Protocol):
    """Patch 6. The factory is `make(*, directory, name, token, **options) -> DashboardServer`.

    `directory` survives a kill, `name` is stable over restarts, `token` is what clients have to show. Options in use
    are `max_clients`, and `heartbeat`, `hello_timeout` and `stall_timeout` in seconds. What clients and server say to
    each other is in `scenarios/feed_client.py`.
    """

    async def start(self) -> None:
        """Load what was stored; must succeed whatever an earlier life has left."""

    def app(self) -> Any:
        """Return the ASGI application with the WebSocket `/ws`. It is served once `start` has returned."""

    async def publish(self, topic: str, key: str, value: Any) -> int:
        """Publish an event and return its number, which is never given twice, not even after a crash.

        Events of topics that begin with `ess.` or `order.` are critical: each reaches every client, and this returns
        once it is durable. Of the others the latest value of each key counts.
        """

    async def close(self) -> None:
        """Say goodbye to all clients and stop; no task is left."""


PORT = Port(
    name="dashboard",
    shape=DashboardServer,
    keywords=("directory", "name", "token"),
    trial="scenarios.trials.dashboard:talk",
)
