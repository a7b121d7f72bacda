"""One model's place in the engine: what fills it, whether it works, and asking it within a time limit.

`base` is the model that was fitted for the place. `wrap` puts something around it and `removed` takes it away: that is
how a test (or an operator) takes a model out or replaces it without losing it. Whatever changes, the guard begins anew;
a call to what filled the place before may still be out, and is forgotten.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from reference_impl._ai.decisions import Member
from reference_impl._ai.features import Row, Table
from reference_impl._ai.guard import Guard
from reference_impl._ai.model import Factory, Model, UnavailableError
from reference_impl._ai.rolling import Key
from reference_impl._ai.walk_forward import Evaluation, evaluate
from reference_impl._ai.workers import Executor

log = logging.getLogger(__name__)

Wrap: TypeAlias = Callable[[Any], Any]

_PROBES: Final = 12
_PROBE_EVERY: Final = 7
"""Rows from one probe to the next, so that they are of different moves."""
_PROBE_ROWS: Final = 12
"""Rows that every model is content with (the transformer's steps)."""
_CODES: Final = frozenset({"not_trained", "not_installed", "too_little_data"})
"""Reasons that our own models give; any other is told as `raised`."""


@dataclass(slots=True, kw_only=True)
class Slot:
    """A place for a model. A prediction may take `limit_s`, a training with its evaluation `fit_limit_s`."""

    name: str
    factory: Factory
    limit_s: float
    fit_limit_s: float
    new_guard: Callable[[], Guard]
    base: Model | None = None
    wrap: Wrap | None = None
    removed: bool = False
    evaluation: Evaluation | None = None
    guard: Guard = field(init=False)
    _filled: Any = None
    _probes: Sequence[Sequence[Row]] = ()
    _calls: set["asyncio.Future[Any]"] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.guard = self.new_guard()

    @property
    def reason(self) -> str | None:
        """Why there is no prediction from here; None: there is."""
        return "removed" if self.removed else self.guard.reason

    @property
    def key(self) -> Key | None:
        """Whose record predictions from here count for; None without a model."""
        return None if self._filled is None else (self.name, str(self._filled.version))

    async def fit(self, table: Table, folds: int, executor: Executor) -> None:
        """Make a model, see how good it is, and let it take its place once it is fitted; until then the old one stays.

        What goes wrong is the reason why there is none, if there was none before.
        """
        try:
            fitting = executor("fit", _fitted, self.factory, table, folds)
            model, evaluation = await asyncio.wait_for(fitting, self.fit_limit_s)
        except UnavailableError as error:
            self._not_fitted(error.reason)
        except TimeoutError:
            self._not_fitted("fit_timeout")
        except Exception as error:  # noqa: BLE001 - a model may raise anything, and it is nobody's business outside
            log.warning("fitting %s failed: %s", self.name, type(error).__name__)
            self._not_fitted("fit_failed")
        else:
            self.base, self.evaluation = model, evaluation
            self._probes = [table.rows[:end] for end in range(len(table.rows), _PROBE_ROWS, -_PROBE_EVERY)][:_PROBES]
            self.fill()

    def fill(self) -> None:
        """Put into place what belongs there now."""
        if self.base is None:
            return  # there is still no model, for the same reason
        model: Any = None if self.removed else self.base
        self._filled = self.wrap(model) if model is not None and self.wrap is not None else model
        works = self.guard.reason is None and model is not None
        self.guard = self.new_guard()
        self.guard.reason = None if works else "no_prediction"

    async def ask(self, rows: Sequence[Row], now_s: Callable[[], float], executor: Executor) -> Member | None:
        """Return the model's answer, or None: `reason` then says why. Takes no longer than the limit."""
        model, guard = self._filled, self.guard
        if model is None or not guard.admits(now_s()):
            return None
        call = await self._called(guard, executor("predict", model.predict, rows))
        chance = _heard(guard, call, now_s())
        if guard.reason == "stuck" and await self._varies(model, guard, executor):
            chance = guard.varies()
        if chance is not None:
            return Member(self.name, str(model.version), chance)
        log.warning("no prediction of %s: %s", self.name, guard.reason)
        if self.guard is not guard and self.guard.reason is None:
            self.guard.reason = "no_prediction"  # fitted anew meanwhile: it has yet to show that it works
        return None

    async def _varies(self, model: Any, guard: Guard, executor: Executor) -> bool:
        """Whether the model tells candles of its training apart."""
        call = await self._called(guard, executor("predict", _answers, model, self._probes))
        return call.done() and call.exception() is None and len(call.result()) > 1

    async def _called(self, guard: Guard, calling: Coroutine[Any, Any, Any]) -> "asyncio.Future[Any]":
        """Return a call when it is done, or when its time is up."""
        guard.asked()
        call = asyncio.ensure_future(calling)
        self._calls.add(call)
        call.add_done_callback(lambda done: self._came_back(guard, done))
        await asyncio.wait({call}, timeout=self.limit_s)
        return call

    async def close(self) -> None:
        """Wait for no answer any more; a thread that hangs is left to itself."""
        for call in list(self._calls):
            call.cancel()
        if self._calls:
            await asyncio.wait(self._calls)

    def _not_fitted(self, reason: str) -> None:
        if self.base is None:
            self.guard.reason = reason

    def _came_back(self, guard: Guard, done: "asyncio.Future[Any]") -> None:
        self._calls.discard(done)
        guard.came_back()
        if not done.cancelled():
            done.exception()  # seen, or asyncio would complain of a late one


def _fitted(factory: Factory, table: Table, folds: int) -> tuple[Model, Evaluation | None]:
    evaluation = evaluate(factory, table, folds=folds) if folds else None
    model = factory()
    model.fit(table)
    return model, evaluation


def _answers(model: Any, probes: Sequence[Sequence[Row]]) -> set[Any]:
    """Return what a model says of these rows, each answer once."""
    return {model.predict(rows) for rows in probes}


def _heard(guard: Guard, call: "asyncio.Future[Any]", now_s: float) -> float | None:
    """Tell the guard what came of a call; return the probability if there is one."""
    if not call.done():
        guard.failed("timeout", now_s)
        return None
    error = call.exception()
    if error is not None:
        guard.failed(_code(error), now_s)
        return None
    return guard.answered(call.result(), now_s)


def _code(error: BaseException) -> str:
    reason = error.reason if isinstance(error, UnavailableError) else ""
    return reason if reason in _CODES else "raised"
