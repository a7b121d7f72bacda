"""The service `health`: watches all others. It needs none of them, so it does not read the bus either."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from starlette.types import ASGIApp

from reference_impl._stack.paths import HEALTH, Paths
from reference_impl._stack.settings import Settings

DEPENDS_ON: Final[Mapping[str, tuple[str, ...]]] = {"portfolio": ("execution",)}
"""The portfolio reads the exchange through the door of `execution`."""
OPTIONAL: Final = frozenset({"dashboard"})


class HealthWatch:
    """See the module. `parts` are the factories of the patches, by the names of their ports."""

    def __init__(
        self, *, parts: Mapping[str, Callable[..., Any]], settings: Settings, directory: Path, name: str
    ) -> None:
        services = [
            {
                "name": service,
                "url": f"{url}{HEALTH}",
                "critical": service not in OPTIONAL,
                "depends_on": [cause for cause in DEPENDS_ON.get(service, ()) if cause in settings.urls],
            }
            for service, url in settings.urls.items()
        ]
        self.monitor = parts["health"](
            services=services, directory=directory, name=name, **settings.options_of("health")
        )
        self._paths = Paths(name, {"/": self.monitor.app()}, dict)

    def app(self) -> ASGIApp:
        """Return the monitor's page, its API, and `/health` of its own."""
        return self._paths

    async def start(self) -> None:
        """Begin to watch, whatever the others do."""
        await self.monitor.start()
        await self._paths.open()

    async def close(self) -> None:
        """Stop."""
        await self._paths.close()
        await self.monitor.close()
