"""Patch 4: an AI engine whose metrics are its own models' live results, or say that there are none.

```python
engine = AiEngine(Path("ai.sqlite3"))
await engine.start()
await engine.train(candles)
predictions = await engine.on_candle(candle)
await engine.on_outcomes({prediction.id: return_ppm, ...})
app = engine.app()  # GET /api/dashboard/ml_metrics, /api/ai/metrics/{ensemble,meta-strategy,rl-sizing}
```

What it promises:

- *Causal*: a figure is the hit rate of the newest `window` predictions that have an outcome, exactly. Outcomes may come
  late, twice or in any order, and nothing else moves a figure (`_ai.rolling`).
- *Absent is absent*: a model that is missing, not trained, raising, hanging, out of range, not a number or stuck has no
  figure, and a reason, as soon as it fails once, and a figure again as soon as it predicts again (`_ai.slots`,
  `_ai.guard`). Without any model the answer is 503. The other models and the ensemble of them go on.
- *Fresh*: every figure carries when its newest outcome came; older than `stale_after_s` it says `stale`.
- *Bounded*: an answer reads what is in memory, and waits for nothing. Fitting, predicting and the disk are done by the
  executor that is passed in; each prediction has `predict_limit_s`, and each model a circuit breaker.
- *Durable*: what `on_candle` and `on_outcomes` have returned for is on disk, and counted again after a crash. Both may
  be called again with the same, and change nothing then (`_ai.ledger`).
- *Discreet*: an answer holds codes and numbers. No exception's text, no path, no setting gets into one.

Candles and calls come from one feeder, in order. The metrics are served without authentication, as dashboards read
them; put them behind your own gate if they must not be public.
"""

import asyncio
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from reference_impl._ai import figures
from reference_impl._ai.candles import Candle
from reference_impl._ai.decisions import decide
from reference_impl._ai.features import LOOKBACK, Row, row, table
from reference_impl._ai.guard import STUCK_AFTER, Guard
from reference_impl._ai.ledger import Ledger
from reference_impl._ai.lineups import Name, lineup
from reference_impl._ai.model import EngineError
from reference_impl._ai.rolling import WINDOW, Prediction, Rolling
from reference_impl._ai.slots import Slot, Wrap
from reference_impl._ai.workers import Executor, Task, Threads
from reference_impl.dashboard_api import application

if TYPE_CHECKING:
    from fastapi import FastAPI

log = logging.getLogger(__name__)

T = TypeVar("T")

ROWS_SEEN: Final = 24
"""How many rows a model is shown for one prediction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Settings; times in seconds. `folds` of the walk-forward evaluation with each training, 0 for none."""

    models: Name = "installed"
    window: int = WINDOW
    stale_after_s: float = 600.0
    predict_limit_s: float = 0.5
    fit_limit_s: float = 600.0
    stuck_after: int = STUCK_AFTER
    folds: int = 3


class AiEngine:
    """The engine; belongs to one event loop."""

    def __init__(
        self,
        path: Path,
        *,
        executor: Executor | None = None,
        options: Options | None = None,
        clock: "Clock | None" = None,
    ) -> None:
        self.options = chosen = options or Options()
        self._executor = executor or Threads()
        self._clock = clock or Clock()
        self._ledger = Ledger(path)
        self._choices = lineup(chosen.models)
        self.slots = {
            name: Slot(
                name=name,
                factory=choice.usual,
                limit_s=chosen.predict_limit_s,
                fit_limit_s=chosen.fit_limit_s,
                new_guard=lambda: Guard(stuck_after=chosen.stuck_after),
            )
            for name, choice in self._choices.items()
        }
        self.rolling = Rolling(window=chosen.window)
        self._history: tuple[Candle, ...] = ()
        self._seen: deque[Candle] = deque(maxlen=LOOKBACK)
        self._rows: deque[Row] = deque(maxlen=ROWS_SEEN)
        self._feeding = asyncio.Lock()
        self._saving: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Count again what earlier lives stored. Raises `EngineError` (`disk`) if that cannot be read."""
        await self._on_disk(self._ledger.open, self.rolling)

    async def train(self, history: Sequence[Candle]) -> None:
        """Fit every model on these candles, the newest last; what is fitted already serves until then.

        A model that cannot be fitted is reported as such. Candles that come next must follow these.
        """
        self._history = tuple(history)
        if not self._seen:
            for candle in history[-(LOOKBACK + ROWS_SEEN - 1) :]:
                self._see(candle)
        await self._fit(*self.slots.values())

    async def on_candle(self, candle: Candle) -> tuple[Prediction, ...]:
        """Predict what comes after this candle, and return the predictions once they are on disk.

        For a candle that was seen before it returns what was predicted then. Raises `EngineError`: `too_few_candles`
        before there is enough history, `out_of_order`, or `disk`.
        """
        async with self._feeding:
            known = await self._on_disk(self._ledger.predictions_of, candle.open_ms)
            last_ms = self._seen[-1].open_ms if self._seen else -1
            if candle.open_ms > last_ms:
                self._see(candle)
            if known:
                return tuple(known)
            if candle.open_ms < last_ms:
                raise EngineError("out_of_order")
            if not self._rows:
                raise EngineError("too_few_candles")
            seen = tuple(self._rows)
            asked = (slot.ask(seen, self._clock.monotonic_s, self._executor) for slot in self.slots.values())
            members = [member for member in await asyncio.gather(*asked) if member is not None]
            predictions = decide(candle.open_ms, members, seen[-1], self.rolling)
            await self._save(self._store(predictions))
            return predictions

    async def on_outcomes(self, outcomes: Mapping[str, int]) -> int:
        """Take what came of predictions, in millionths of the price; return how many were new and counted.

        Raises `EngineError` (`disk`): then none of them counts yet, and all may be given again.
        """
        async with self._feeding:
            fresh = {one: ppm for one, ppm in outcomes.items() if one in self.rolling.waiting}
            if fresh:
                await self._save(self._resolve(fresh))
            return len(fresh)

    async def disturb(self, slot: str, wrap: Wrap | None) -> None:
        """Take a model away (None), or put something around it, until `restore`."""
        place = self.slots[slot]
        place.wrap, place.removed = wrap, wrap is None
        place.fill()

    async def restore(self, slot: str) -> None:
        """Undo `disturb`."""
        place = self.slots[slot]
        place.wrap, place.removed = None, False
        place.fill()

    async def swap(self, slot: str) -> str:
        """Fit the alternative model of that place and let it take it; return its version.

        Raises `EngineError` (`not_fitted`) if that is not possible; the old model then stays.
        """
        place, choice = self.slots[slot], self._choices[slot]
        usual = place.factory is choice.usual
        place.factory = choice.other if usual else choice.usual
        before = place.base
        await self._fit(place)
        if place.base is before or place.base is None:
            place.factory = choice.usual if usual else choice.other
            raise EngineError("not_fitted")
        return place.base.version

    def view(self) -> figures.View:
        """Return what reports are made of, as it is now."""
        return figures.View(
            slots=[figures.SlotView(one.name, one.key, one.reason, one.evaluation) for one in self.slots.values()],
            rolling=self.rolling,
            now_ms=self._clock.wall_ms(),
            stale_after_ms=round(self.options.stale_after_s * 1000),
        )

    def app(self) -> "FastAPI":
        """Return the metrics API over this engine."""
        return application(self.view)

    async def close(self) -> None:
        """Finish what is being saved, and close the file. A model that hangs is not waited for."""
        for slot in self.slots.values():
            await slot.close()
        if self._saving:
            await asyncio.wait(self._saving)
        await self._executor("disk", self._ledger.close)

    def _see(self, candle: Candle) -> None:
        self._seen.append(candle)
        if len(self._seen) == LOOKBACK:
            self._rows.append(row(tuple(self._seen)))

    async def _fit(self, *slots: Slot) -> None:
        """Fit one after the other: together they would only take the interpreter, and the cores, from who answers."""
        data = await self._executor("prepare", table, self._history)
        for slot in slots:
            await slot.fit(data, self.options.folds, self._executor)

    async def _store(self, predictions: Sequence[Prediction]) -> None:
        await self._on_disk(self._ledger.store, predictions)
        for one in predictions:
            self.rolling.predicted(one)

    async def _resolve(self, outcomes: Mapping[str, int]) -> None:
        at_ms = self._clock.wall_ms()
        await self._on_disk(self._ledger.resolve, list(outcomes.items()), at_ms)
        for one, return_ppm in outcomes.items():
            self.rolling.resolve(one, return_ppm, at_ms)

    async def _save(self, saving: Coroutine[Any, Any, None]) -> None:
        """Carry it through even if the caller gives up, so that memory and disk never differ."""
        task = asyncio.create_task(saving)
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)
        await asyncio.shield(task)

    async def _on_disk(self, function: Callable[..., T], *args: Any) -> T:
        task: Task = "disk"
        try:
            done: T = await self._executor(task, function, *args)
        except (sqlite3.Error, OSError) as error:
            log.error("the ledger failed: %s", type(error).__name__)  # noqa: TRY400 - the text may hold a path
            raise EngineError("disk") from error
        return done


class Clock:
    """Wall clock, for what is reported; monotonic clock, for time limits."""

    def wall_ms(self) -> int:
        """Unix milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()


def make(*, directory: Path, name: str, executor: Executor | None = None, **options: Any) -> AiEngine:
    """Make an engine whose file is in `directory`. Options are the fields of `Options`."""
    return AiEngine(Path(directory) / f"{name}.ai.sqlite3", executor=executor, options=Options(**options))
