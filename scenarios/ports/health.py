"""Patch 10: a monitor that polls every service's health endpoint and says how they are."""

from collections.abc import Sequence
from typing import Any, Protocol

from harness.ports import Port


class Alert(Protocol):
    """What the monitor tells people."""

    @property
    def id(self) -> str:
        """Names the news: the same if the same is told again after a crash, and never the same for other news."""

    @property
    def service(self) -> str:
        """The service that it is about."""

    @property
    def kind(self) -> str:
        """`recovered` says that all is well again; anything else, such as `down`, that it is not."""

    @property
    def affected(self) -> Sequence[str]:
        """The services that suffer with it, and of which nothing is told by itself."""


class HealthMonitor(Protocol):
    """Patch 10. The factory is `make(*, services, directory, name, on_alert, **options) -> HealthMonitor`.

    `services` are mappings with `name`, `url` of the health endpoint, `critical` and `depends_on`. `on_alert` is called
    with each `Alert` in the event loop. `directory` survives a kill, `name` is stable over restarts. Options in use are
    `interval` and `timeout`, in seconds.
    """

    async def start(self) -> None:
        """Begin to check; must succeed whatever the services do."""

    def app(self) -> Any:
        """Return the ASGI application. `GET /api/health` answers JSON: `services` by name, each with its `state`.

        States are HEALTHY, DEGRADED, CRITICAL and UNKNOWN. It is served once `start` has returned.
        """

    async def close(self) -> None:
        """Stop; no task is left."""


PORT = Port(
    name="health",
    shape=HealthMonitor,
    keywords=(
        "services",
        "directory",
        "name",
        "on_alert",
        "interval",
        "timeout",
    ),
    trial="scenarios.trials.health:talk",
    command="scenarios.commands.health:make",
)
