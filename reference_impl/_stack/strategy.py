"""The service `strategy`: lets models predict, tells them what came of it, and emits signals on what they expect.

One engine for one symbol. A signal is only emitted while the exchange's price is known and fresh: what nobody could
execute at a known price is not said. The metrics of patch 4 are served by this service.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from starlette.types import ASGIApp

from reference_impl._ai.candles import Candle, return_ppm
from reference_impl._stack import topics
from reference_impl._stack.market import Market
from reference_impl._stack.paths import Paths
from reference_impl._stack.running import Tasks
from reference_impl._stack.settings import Settings

_TRUSTED: Final = "ensemble"
_CONFIDENT: Final = 0.5
"""Below this nobody can say which way it goes."""


@dataclass(slots=True)
class Outcomes:
    """Predictions that wait for what comes of them. Pure."""

    before: Candle | None = None
    waiting: tuple[str, ...] = ()

    def due(self, candle: Candle) -> dict[str, int]:
        """Return what came of those made with the last candle, by their ids."""
        if self.before is None:
            return {}
        moved = return_ppm(self.before, candle)
        return dict.fromkeys(self.waiting, moved)

    def made(self, candle: Candle, ids: tuple[str, ...]) -> None:
        """Take note of those made with this one."""
        self.before, self.waiting = candle, ids


def signal_of(prediction: Any, symbol: str, ttl_s: float) -> dict[str, Any] | None:
    """Return the signal that follows from what the ensemble expects; None if it does not know."""
    if prediction.confidence <= _CONFIDENT:
        return None
    return {
        "id": f"ai-{symbol}-{prediction.id}"[:64],
        "symbol": symbol,
        "side": "BUY" if prediction.direction > 0 else "SELL",
        "confidence": prediction.confidence,
        "ttl_s": ttl_s,
    }


class StrategyService:
    """See the module. `parts` are the factories of the patches, by the names of their ports."""

    def __init__(
        self, *, parts: Mapping[str, Callable[..., Any]], settings: Settings, directory: Path, name: str
    ) -> None:
        self.settings = settings
        self.name = name
        self.symbol = settings.symbols[0]
        self.bus = parts["event_bus"](redis_url=settings.redis_url, directory=directory, name=name)
        self.ai = parts["ai"](directory=directory, name=name, **settings.options_of("ai"))
        self.market = Market(settings.market_seed)
        self.tasks = Tasks()
        self.emitted = 0
        self.outcomes = Outcomes()
        self._priced_at = float("-inf")
        app = self.ai.app()
        self._paths = Paths(name, {"/api/dashboard": app, "/api/ai": app}, self._details)

    def app(self) -> ASGIApp:
        """Return the metrics of patch 4, and `/health`."""
        return self._paths

    async def start(self) -> None:
        """Begin; the models are trained beside it, and say so."""
        await self.bus.start()
        await self.ai.start()
        self.tasks.start(self._work(), "models")
        await self.bus.subscribe(self.name, [topics.PRICES], self.on_prices)

    async def close(self) -> None:
        """Stop."""
        await self.tasks.end()
        await self.ai.close()
        await self.bus.close()

    async def on_prices(self, event: Any) -> None:
        """Note that the exchange's price is known; one that waited behind an outage is not news."""
        age_s = max(0.0, time.time() - event.timestamp)
        if self.symbol in event.payload["prices"]:
            self._priced_at = max(self._priced_at, time.monotonic() - age_s)

    async def _work(self) -> None:
        await self.ai.train(self.market.past())
        self.tasks.every(self.settings.candle_s, self.step, "candles")

    async def step(self) -> None:
        """Take the next candle: tell what came of the last predictions, predict, and emit a signal."""
        candle = self.market.next()
        due = self.outcomes.due(candle)
        if due:
            await self.ai.on_outcomes(due)
        made = await self.ai.on_candle(candle)
        self.outcomes.made(candle, tuple(one.id for one in made))
        if time.monotonic() - self._priced_at > self.settings.price_age_max_s:
            return
        ensemble = next((one for one in made if one.source == _TRUSTED), None)
        signal = None if ensemble is None else signal_of(ensemble, self.symbol, self.settings.signal_ttl_s)
        if signal is not None:
            await self.bus.publish_event(topics.SIGNAL, signal)
            self.emitted += 1

    def _details(self) -> Mapping[str, Any]:
        return {"symbol": self.symbol, "candles": self.market.number, "emitted": self.emitted}
