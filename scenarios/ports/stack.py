"""The whole stack: services that put the parts behind the other ports together."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from harness.ports import Port

Parts: TypeAlias = Mapping[str, Callable[..., Any]]
"""The factories behind the other ports, by their names."""
ServiceName: TypeAlias = Literal["execution", "strategy", "portfolio", "dashboard", "health"]


class Service(Protocol):
    """One service of the stack, made of parts; the harness hands in parts that record what is done to them."""

    def app(self) -> Any:
        """Return the ASGI application; `GET /health` answers `{"status": "healthy"}`."""

    async def start(self) -> None:
        """Begin; succeeds whatever the others do."""

    async def close(self) -> None:
        """Stop cleanly."""


class MakeService(Protocol):
    """The factory. `name` is stable over restarts, `directory` survives them.

    `settings` are those of `reference_impl/_stack/settings.py`: where the others are (`redis_url`, `binance_url`,
    `urls` by service), what opens them, and `options` of the parts by port. All orders go out through the gate of the
    part behind `ess`, and every part is used as its port says.
    """

    def __call__(
        self, *, service: ServiceName, directory: Path, settings: Mapping[str, Any], name: str, parts: Parts
    ) -> Service:
        """Return a service, not started."""


PORT = Port(
    name="stack",
    shape=Service,
    keywords=("service", "directory", "settings", "name", "parts"),
    trial="scenarios.trials.stack:talk",
    dependencies=("redis", "binance"),
)
