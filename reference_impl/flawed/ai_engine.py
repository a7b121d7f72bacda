"""AI engines with one known defect each: what the scenario of patch 4 must catch.

`planned` answers as the plan's sketch does. All others are the reference with one seam replaced.
"""

import asyncio
import dataclasses
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from fastapi import FastAPI

from reference_impl._ai.candles import Candle
from reference_impl._ai.figures import Figure, Report, View, iso
from reference_impl._ai.ledger import Ledger
from reference_impl._ai.rolling import Key, Record, Resolved, Rolling
from reference_impl._ai.slots import Slot
from reference_impl._ai.workers import Executor
from reference_impl.ai_engine import AiEngine, Options
from reference_impl.dashboard_api import READERS, Reader, application

Factory: TypeAlias = Callable[..., Any]

_NEVER: Final = 1e6
"""Seconds."""
_SCORES: Final = {"xgb": 0.873, "lgbm": 0.851, "tft": 0.892, "ensemble": 0.91}
"""Numbers that look good on a dashboard."""


class _Planned(AiEngine):
    """The endpoint of the plan: attributes that may be there, else 0.0; and what went wrong, in full."""

    def app(self) -> FastAPI:
        app = FastAPI(docs_url=None, redoc_url=None)

        @app.get("/api/dashboard/ml_metrics")
        async def metrics() -> dict[str, Any]:
            try:
                models: dict[str, Any] = {name: {"accuracy": self._accuracy(slot)} for name, slot in self.slots.items()}
                models["ensemble"] = {"confidence": getattr(self, "ensemble_confidence", 0.0)}
                return {"status": "ok", "models": models, "timestamp": iso(self.view().now_ms)}
            except Exception as error:  # noqa: BLE001 - as planned
                return {"status": "error", "message": str(error), "models": {}}

        for name in ("ensemble", "meta-strategy", "rl-sizing"):
            key = name.replace("-", "_")
            app.add_api_route(f"/api/ai/metrics/{name}", _constantly({"status": "ok", key: {"accuracy": 0.0}}))
        return app

    @staticmethod
    def _accuracy(slot: Slot) -> float:
        """What the model scored when it was trained, or nothing in the shape of a number."""
        known = slot.evaluation
        return known.accuracy if known else 0.0


def _constantly(body: dict[str, Any]) -> Callable[[], Any]:
    async def answer() -> dict[str, Any]:
        return body

    return answer


class _Retouched(AiEngine):
    """Changes each figure before it is told."""

    def retouch(self, source: str, figure: Figure) -> Figure:
        raise NotImplementedError

    def app(self) -> FastAPI:
        return application(self.view, {path: self._retouched(reader) for path, reader in READERS.items()})

    def _retouched(self, reader: Reader) -> Reader:
        def read(view: View) -> Report:
            report = reader(view)
            body = dict(report.body)
            if "models" in body:
                body["models"] = {name: self.retouch(name, figure) for name, figure in body["models"].items()}
            for source in ("ensemble", "meta_strategy", "rl_sizing"):
                if source in body:
                    body[source] = self.retouch(source, body[source])
            return Report(report.http_status, body)

        return read


class _HardCoded(_Retouched):
    def retouch(self, source: str, figure: Figure) -> Figure:
        """Tell what looks good."""
        known = source in _SCORES and figure["accuracy"] is not None
        return {**figure, "accuracy": _SCORES[source]} if known else figure


class _ZeroWhenMissing(_Retouched):
    def retouch(self, source: str, figure: Figure) -> Figure:
        """Fill in a zero for what is not known."""
        del source
        if figure["reason"] is None:
            return figure
        zeroes = dict.fromkeys({"accuracy", "confidence", "mean_reward_ppm"} & figure.keys(), 0.0)
        return {**figure, **zeroes, "status": "ok", "reason": None}


class _Random(_Retouched):
    def retouch(self, source: str, figure: Figure) -> Figure:
        """Make something up that moves."""
        del source
        made_up = random.uniform(0.5, 0.9)  # noqa: S311 - that is the defect
        return figure if figure["accuracy"] is None else {**figure, "accuracy": made_up}


class _NeverStale(_Retouched):
    def retouch(self, source: str, figure: Figure) -> Figure:
        """Call everything fresh."""
        del source
        return {**figure, "stale": False, "status": "ok" if figure["status"] == "stale" else figure["status"]}


class _Cached(AiEngine):
    def app(self) -> FastAPI:
        """Compute each answer once, when there is first something to tell."""
        kept: dict[str, Report] = {}

        def caching(path: str, reader: Reader) -> Reader:
            def read(view: View) -> Report:
                report = kept.get(path) or reader(view)
                if report.body["status"] == "ok":
                    kept[path] = report
                return report

            return read

        return application(self.view, {path: caching(path, reader) for path, reader in READERS.items()})


class _LastKnown(AiEngine):
    def __init__(self, path: Path, **more: Any) -> None:
        super().__init__(path, **more)
        self._keys: dict[str, Key | None] = {}

    def view(self) -> View:
        """Go on telling a model's figure when the model does not predict any more."""
        view = super().view()
        for one in view.slots:
            self._keys[one.name] = one.key or self._keys.get(one.name)
        slots = [dataclasses.replace(one, key=self._keys[one.name], reason=None) for one in view.slots]
        return dataclasses.replace(view, slots=slots)


class _Listening:
    """An executor that remembers what predictions raised."""

    def __init__(self, inner: Executor) -> None:
        self._inner = inner
        self.heard = ""

    async def __call__(self, task: Any, function: Callable[..., Any], /, *args: Any) -> Any:
        try:
            return await self._inner(task, function, *args)
        except Exception as error:
            self.heard = str(error)
            raise


class _Leaks(_Retouched):
    def __init__(self, path: Path, **more: Any) -> None:
        super().__init__(path, **more)
        self._executor = self._listening = _Listening(self._executor)

    def retouch(self, source: str, figure: Figure) -> Figure:
        """Be helpful: tell what went wrong, in the exception's own words."""
        del source
        return {**figure, "detail": self._listening.heard} if figure["reason"] == "raised" else figure


class _Locked(AiEngine):
    """Answers under a lock that something slow holds."""

    def __init__(self, path: Path, **more: Any) -> None:
        super().__init__(path, **more)
        self.lock = asyncio.Lock()

    def app(self) -> Any:
        inner = super().app()

        async def locked(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await inner(scope, receive, send)
                return
            async with self.lock:
                await inner(scope, receive, send)

        return locked


class _BlocksWhileTraining(_Locked):
    async def train(self, history: Sequence[Candle]) -> None:
        """Let nobody see half-trained models."""
        async with self.lock:
            await super().train(history)


class _HangsWithModel(_Locked):
    def __init__(self, path: Path, *, options: Options, **more: Any) -> None:
        super().__init__(path, options=dataclasses.replace(options, predict_limit_s=_NEVER), **more)

    async def on_candle(self, candle: Candle) -> Any:
        """Let nobody see figures while predictions are made; wait for each model for as long as it takes."""
        async with self.lock:
            return await super().on_candle(candle)


class _LastWordCounts(Rolling):
    def resolve(self, prediction_id: str, return_ppm: int, at_ms: int) -> bool:
        """Let a repeated outcome replace the first."""
        if super().resolve(prediction_id, return_ppm, at_ms):
            return True
        for record in self._records.values():
            self._correct(record, prediction_id, return_ppm, at_ms)
        return False

    @staticmethod
    def _correct(record: Record, prediction_id: str, return_ppm: int, at_ms: int) -> None:
        for one in list(record.resolved):
            if one.prediction.id == prediction_id:
                record.resolved.remove(one)
                record.hits -= one.hit
                record.reward -= one.reward
                record.count(Resolved(one.prediction, return_ppm, at_ms))


class _CountsRepeats(AiEngine):
    def __init__(self, path: Path, **more: Any) -> None:
        super().__init__(path, **more)
        self.rolling = _LastWordCounts(window=self.options.window)

    async def on_outcomes(self, outcomes: Mapping[str, int]) -> int:
        """Take every outcome, known or not."""
        counted = await super().on_outcomes(outcomes)
        for one, return_ppm in outcomes.items():
            self.rolling.resolve(one, return_ppm, self._clock.wall_ms())
        return counted


class _ForgetsOnRestart(AiEngine):
    def __init__(self, path: Path, **more: Any) -> None:
        super().__init__(path, **more)
        self._ledger = Ledger(Path(":memory:"))


def _variant(engine: type[AiEngine]) -> Factory:
    def make(*, directory: Path, name: str, executor: Executor | None = None, **options: Any) -> AiEngine:
        return engine(Path(directory) / f"{name}.ai.sqlite3", executor=executor, options=Options(**options))

    return make


planned = _variant(_Planned)
hard_coded_scores = _variant(_HardCoded)
zero_when_missing = _variant(_ZeroWhenMissing)
random_numbers = _variant(_Random)
cached_forever = _variant(_Cached)
never_stale = _variant(_NeverStale)
last_known_when_gone = _variant(_LastKnown)
leaks_exception_text = _variant(_Leaks)
blocks_while_training = _variant(_BlocksWhileTraining)
hangs_with_model = _variant(_HangsWithModel)
counts_repeats = _variant(_CountsRepeats)
forgets_on_restart = _variant(_ForgetsOnRestart)

VARIANTS: Final[Mapping[str, Factory]] = {
    "planned": planned,
    "hard_coded_scores": hard_coded_scores,
    "zero_when_missing": zero_when_missing,
    "random_numbers": random_numbers,
    "cached_forever": cached_forever,
    "never_stale": never_stale,
    "last_known_when_gone": last_known_when_gone,
    "leaks_exception_text": leaks_exception_text,
    "blocks_while_training": blocks_while_training,
    "hangs_with_model": hangs_with_model,
    "counts_repeats": counts_repeats,
    "forgets_on_restart": forgets_on_restart,
}
