"""The stack's services: each starts by itself, with none of the others there, says that it is well, and closes."""

from functools import partial
from typing import Final, get_args

import httpx

from harness.dependencies.binance.settings import API_KEY, API_SECRET
from harness.trial import Trial
from reference_impl.stack import PARTS
from scenarios.ai_models import Workshop
from scenarios.ports.stack import Service, ServiceName

_PORT: Final = 8001
_NOBODY: Final = f"http://127.0.0.1:{_PORT}"
_OTHERS: Final[dict[ServiceName, tuple[ServiceName, ...]]] = {
    "execution": (),
    "strategy": ("execution",),
    "portfolio": ("execution",),
    "dashboard": ("strategy",),
    "health": ("execution", "strategy", "portfolio", "dashboard"),
}


async def talk(trial: Trial) -> None:
    """Start every service in turn, ask how it is, and close it."""
    parts = {**PARTS, "ai": partial(PARTS["ai"], executor=Workshop(fit_ns=0))}
    services: tuple[ServiceName, ...] = get_args(ServiceName)
    for name in services:
        directory = trial.disk / name
        directory.mkdir()
        service: Service = trial.make(
            service=name,
            directory=directory,
            settings={
                "redis_url": trial.endpoints["redis"],
                "binance_url": trial.endpoints["binance"],
                "urls": dict.fromkeys(_OTHERS[name], _NOBODY),
                "api_key": API_KEY,
                "api_secret": API_SECRET,
                "operators": {"trial": "the-token-of-a-trial-operator"},
                "door_token": "the-token-of-the-services-themselves",
                "dashboard_token": "the-token-of-who-may-look",
            },
            name=name,
            parts=parts,
        )
        await trial.call(f"start() of {name}", service.start)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(service.app()), base_url="http://trial") as client:
            answer = await trial.call(f"GET /health of {name}", client.get, "/health")
        trial.equal(f"status of {name}", "healthy", answer.json()["status"])
        await trial.call(f"close() of {name}", service.close)
