"""The hosts of `perfect-storm` on which the stack runs: a service each, of parts that record (`storm_record.py`)."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness.dependencies.binance.market.symbols import INSTRUMENTS
from harness.dependencies.binance.settings import API_KEY, API_SECRET
from harness.units import as_seconds, ms
from harness.world.base import Host, HostSpec
from scenarios.ai_models import Workshop
from scenarios.dashboard_below import Below
from scenarios.dashboard_hosts import DASHBOARD, TOKEN
from scenarios.ess_http import OPERATORS
from scenarios.ports.stack import Parts
from scenarios.serving import serving
from scenarios.storm_books import RecordedAi, RecordedBoard, RecordedMonitor, RecordedPortfolio
from scenarios.storm_policy import RecordedPolicy
from scenarios.storm_record import RecordedBus, until_up
from scenarios.storm_trading import RecordedAdapter, RecordedExecutor, RecordedStop

MONITOR: Final = "monitor"
STRATEGIES: Final = ("strategy",)
SERVICES: Final = (*STRATEGIES, "execution", "portfolio", DASHBOARD)
SYMBOLS: Final = tuple(INSTRUMENTS["futures"])[:6]
_DOOR_TOKEN: Final = "services-token-for-this-run"  # noqa: S105 - opens nothing but this run
_LAST_S: Final = 1.0
"""How long those who look have for what was shown last."""


def host(
    name: str,
    service: str,
    settings: Mapping[str, Any],
    *,
    removes_at_ns: int = 0,
    removes_ns: int = 0,
    watches: Sequence[str] = (),
    drain_ns: int = 0,
) -> HostSpec:
    """Return a host with that service.

    Of a strategy: from that time on candles do not come, and then a model is gone, for so long each.
    """
    params = {
        "service": service,
        "settings": dict(settings),
        "watches": list(watches),
        "removes_at_ns": removes_at_ns,
        "removes_ns": removes_ns,
    }
    return HostSpec(name=name, program=run, params=params, serves="http", drain_ns=drain_ns)


async def run(host: Host) -> None:
    """Run the service until asked to stop."""
    parts = _Recorders(host)
    service = host.target("stack")(
        service=host.params["service"],
        directory=host.disk,
        settings=_settings(host),
        name=host.name,
        parts=parts.factories(),
    )
    await service.start()
    below = Below(host)
    below.app = _watched(host, service.app())
    async with serving(host, below):
        removing = asyncio.create_task(_remove(host, parts)) if host.params["removes_ns"] else None
        await host.stopping()
        host.log.observe("leaves")
        if removing is not None:
            removing.cancel()
            await asyncio.wait({removing})
        if host.params["service"] == "dashboard":  # its clients are to hear from itself that it goes
            await asyncio.sleep(_LAST_S)
            below.finish()
            await service.close()
            return
    await service.close()


def _settings(host: Host) -> dict[str, Any]:
    """Return what the service is told: what the scenario says, and where everything is in this run."""
    return {
        "redis_url": host.endpoints["redis"],
        "binance_url": host.endpoints["binance"],
        "urls": {name: host.endpoints[name] for name in host.params["watches"]},
        "api_key": API_KEY,
        "api_secret": API_SECRET,
        "operators": dict(OPERATORS),
        "door_token": _DOOR_TOKEN,
        "dashboard_token": TOKEN,
        "symbols": list(SYMBOLS),
        **host.params["settings"],
    }


class _Recorders:
    """Makes the parts of one service. `ai` is the engine, once there is one."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.ai: RecordedAi | None = None
        self.bus: RecordedBus | None = None

    def factories(self) -> Parts:
        """Return the factories, by port."""
        host, target = self._host, self._host.target
        early = host.params["service"] == "strategy"
        return {
            "event_bus": lambda **given: self._join(
                RecordedBus(host, target("event_bus")(**given), leaves_early=early)
            ),
            "binance": lambda **given: RecordedAdapter(host, target("binance")(**given)),
            "executor": lambda **given: RecordedExecutor(host, target("executor"), born=self._born(), **given),
            "ess": lambda **given: RecordedStop(host, target("ess"), **given),
            "policy": lambda **given: RecordedPolicy(
                host, target("policy")(**given), max_age_s=given["max_age"], hard_limit_s=given["hard_limit"]
            ),
            "portfolio": lambda **_: RecordedPortfolio(host),
            "ai": self._engine,
            "health": lambda **given: RecordedMonitor(host, target("health"), **given),
            "dashboard": self._board,
        }

    def _join(self, bus: RecordedBus) -> RecordedBus:
        self.bus = bus
        return bus

    def _born(self) -> Mapping[str, tuple[int, int]]:
        return {} if self.bus is None else self.bus.born

    def _board(self, *, directory: Any, name: str, token: str, **options: Any) -> RecordedBoard:
        made = self._host.target("dashboard")(directory=directory, name=name, token=token, **options)
        return RecordedBoard(self._host, made, options)

    def _engine(self, **given: Any) -> RecordedAi:
        self.ai = RecordedAi(self._host, self._host.target("ai")(executor=Workshop(fit_ns=ms(100)), **given))
        return self.ai


async def _remove(host: Host, parts: _Recorders) -> None:
    """Give the models nothing for a while, then take one of them away for a while."""
    params = host.params
    began_ns = await until_up(host, MONITOR)
    await asyncio.sleep(as_seconds(max(0, began_ns + params["removes_at_ns"] - host.now_ns())))
    assert parts.ai is not None
    parts.ai.fed.clear()
    await asyncio.sleep(as_seconds(params["removes_ns"]))
    parts.ai.fed.set()
    slot = host.draws("slot").choice(("xgb", "lgbm", "tft"))
    await parts.ai.disturb(slot, None)
    await asyncio.sleep(as_seconds(params["removes_ns"]))
    await parts.ai.restore(slot)


def _watched(host: Host, app: Any) -> Any:
    """Return the application; each check of its health is an operation."""

    async def asked(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/health":
            await app(scope, receive, send)
            return
        with host.log.operation("health") as operation:
            await app(scope, receive, send)
            operation.result = {"status": "healthy"}

    return asked
