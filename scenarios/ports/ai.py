"""Patch 4: an AI engine that predicts, learns what came of it, and reports its live metrics over HTTP."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from harness.ports import Port


class Candle(Protocol):
    """One candle; prices are floats."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class Prediction(Protocol):
    """What one source expects of the next candle."""

    @property
    def id(self) -> str:
        """Unique in the life of the engine's directory; outcomes name it."""

    @property
    def source(self) -> str:
        """Who says so: a model's slot (`xgb`, `lgbm`, `tft`), `ensemble`, `meta-strategy`, `rl-sizing`, or others."""

    @property
    def version(self) -> str:
        """Which model of that source. A source in another version begins with no record."""

    @property
    def direction(self) -> Literal[1, -1]:
        """Up or down."""

    @property
    def confidence(self) -> float:
        """From 0.5 to 1."""

    @property
    def size(self) -> int:
        """How much to put on it, in percent."""


class Executor(Protocol):
    """Runs a function off the event loop. The harness's may be slow, and may never return.

    `fit` is the training of one model, which takes its time; `prepare` anything else that only computes.
    """

    async def __call__(
        self, task: Literal["prepare", "fit", "predict", "disk"], function: Callable[..., Any], /, *args: Any
    ) -> Any:
        """Run it and return (or raise) what it does."""


class AiEngine(Protocol):
    """Patch 4. The factory is `make(*, directory, name, executor, models, **options) -> AiEngine`.

    `directory` survives a kill, `name` is stable over restarts. Whatever would hold up the event loop goes through
    `executor`. `models` is the line-up, `small` by default. Options in use: `window` (predictions in a figure),
    `stale_after_s`, `predict_limit_s` (of one model's prediction), `stuck_after` (equal answers that make a model
    stuck), `folds` (of an evaluation with each training).

    The figure of a source is over the newest `window` of its predictions, in its present version, that have an outcome:
    newest by when they were predicted. The first outcome of a prediction counts. A prediction is a hit if the price
    moved its way. `rl-sizing` reports the mean of size x direction x return.

    A model is unavailable from its first failed prediction (raised, not a number, too late) until it predicts again,
    and from `stuck_after` equal answers until it gives another.
    """

    async def start(self) -> None:
        """Open what an earlier life left in the directory."""

    async def train(self, history: Sequence[Any]) -> None:
        """Fit all models on these candles. What was fitted before serves meanwhile."""

    async def on_candle(self, candle: Any) -> Sequence[Prediction]:
        """Predict what comes after this candle; what is returned survives a kill.

        A candle that was given before gives the predictions that were made then.
        """

    async def on_outcomes(self, outcomes: Mapping[str, int]) -> int:
        """Take what came of predictions, by id, in millionths of the price; what is returned from survives a kill."""

    def app(self) -> Any:
        """Return the ASGI application with `/api/dashboard/ml_metrics` and `/api/ai/metrics/...`."""

    async def disturb(self, slot: str, wrap: Callable[[Any], Any] | None) -> None:
        """Take that model away (None), or put `wrap(model)` in its place, until `restore`; without retraining.

        A model has a `version` and `predict(...)`, which returns the probability of a rise. Whatever surrounds it in
        the engine (time limits, checks) must go on surrounding what `wrap` returns.
        """

    async def restore(self, slot: str) -> None:
        """Undo `disturb`."""

    async def swap(self, slot: str) -> str:
        """Put another model, of another version, in its place for good; return its version."""

    async def close(self) -> None:
        """Stop; no task is left."""


PORT = Port(
    name="ai",
    shape=AiEngine,
    keywords=(
        "directory",
        "name",
        "executor",
        "models",
        "window",
        "predict_limit_s",
        "stale_after_s",
        "stuck_after",
        "folds",
    ),
    trial="scenarios.trials.ai:talk",
)
