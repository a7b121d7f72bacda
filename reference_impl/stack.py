"""The whole stack: the ten patches, wired into services that talk over Redis, HTTP and WebSockets.

```python
service = make(service="execution", parts=PARTS, settings=Settings(...), directory=Path("state"))
await service.start()                    # whatever the others do
serve(service.app())
await service.close()
```

| service | has | tells |
|---|---|---|
| `strategy` | models (4) | signals |
| `execution` | executor (3), emergency stop (7), policy (8), adapter (2, 9), door to the exchange | orders, prices |
| `portfolio` | exact books (5), read through the door | equity, positions |
| `dashboard` | live page and feed (6) | people |
| `health` | monitor (10) of all others | people |

All but `health` are on the bus (1). Each runs on a host of its own, in any order of starting, and goes on after a kill
from what is in its directory. `python -m reference_impl` runs them all on this machine, for anyone to play with.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

from starlette.types import ASGIApp

from reference_impl import (
    ai_engine,
    binance_adapter,
    dashboard_ws,
    ess,
    event_bus,
    executor,
    health_service,
    policy_store,
    portfolio,
)
from reference_impl._stack.board import DashboardService
from reference_impl._stack.books import PortfolioService
from reference_impl._stack.execution import ExecutionService
from reference_impl._stack.settings import Settings
from reference_impl._stack.strategy import StrategyService
from reference_impl._stack.watch import HealthWatch

__all__ = ["PARTS", "SERVICES", "Service", "Settings", "make"]

Parts = Mapping[str, Callable[..., Any]]

PARTS: Final[Parts] = MappingProxyType(
    {
        "event_bus": event_bus.make,
        "binance": binance_adapter.make,
        "executor": executor.make,
        "ess": ess.make,
        "policy": policy_store.make,
        "portfolio": portfolio.make,
        "ai": ai_engine.make,
        "health": health_service.make,
        "dashboard": dashboard_ws.make,
    }
)
"""The patches themselves, by the names of their ports."""


class Service(Protocol):
    """One service of the stack."""

    def app(self) -> ASGIApp:
        """Return what it serves over HTTP; `/health` says how it is."""

    async def start(self) -> None:
        """Begin; succeeds whatever the others do."""

    async def close(self) -> None:
        """Stop cleanly: no task is left."""


SERVICES: Final[Mapping[str, Callable[..., Service]]] = MappingProxyType(
    {
        "execution": ExecutionService,
        "strategy": StrategyService,
        "portfolio": PortfolioService,
        "dashboard": DashboardService,
        "health": HealthWatch,
    }
)


def make(
    *,
    service: str,
    directory: Path,
    settings: Mapping[str, Any] | Settings,
    name: str = "",
    parts: Parts = PARTS,
    services: Mapping[str, Callable[..., Service]] = SERVICES,
) -> Service:
    """Return that service, not started. `directory` survives a kill; `name` is stable, by default that of the service.

    `parts` are the factories behind each port, so that anything of the same shape can take a patch's place. Raises
    `ValueError` for a service or a setting that there is not.
    """
    if service not in services:
        raise ValueError(f"there is no service {service!r}; there are {', '.join(services)}")
    chosen = settings if isinstance(settings, Settings) else Settings.parse(settings)
    return services[service](parts=parts, settings=chosen, directory=Path(directory), name=name or service)
