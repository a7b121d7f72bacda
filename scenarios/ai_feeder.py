"""What an engine is fed, and what is done to its models.

The engine's host gives its target a candle every `tick_ns`, and the outcomes of earlier predictions: some late, some
twice, some twice with another value, in disorder. From the first question on it disturbs the models, one stage after
the other; asked to stop, it goes through those that are left, if that takes no longer than a host may take to stop. A
restarted host finds in its past what was fed, gives again what was not confirmed, and goes on with the stage at hand.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

from harness.history.events import Invoke, Observation, Ok
from harness.tape import Stream
from harness.units import as_seconds
from harness.world.base import Host
from reference_impl._ai.candles import INTERVAL_MS, generate, return_ppm
from scenarios.ai_models import Misbehaving, Workshop
from scenarios.ports.ai import AiEngine

SLOTS: Final = ("xgb", "lgbm", "tft")

ALONE: Final = ("remove", "raise", "hang", "nan", "stuck")
"""Disturbances of one model."""
STAGES: Final = (*ALONE, "swap", "retrain", "remove_all", "slow_disk", "pause")

_CALL_S_MAX: Final = 5.0
_START_MS: Final = 1_700_000_000_000
_CANDLES_MAX: Final = 1_000
"""Candles that one run can feed."""


class Feeder:
    """Feeds one engine, and disturbs its models. `through` is set when every stage has been gone through."""

    def __init__(self, host: Host, target: AiEngine, workshop: Workshop) -> None:
        self._host = host
        self._target = target
        self._workshop = workshop
        self._params = params = host.params
        history = params["history"]
        past = _Past(host)
        plan = past.plan or _plan(host)
        self._slots, self._stages = plan["slots"], plan["stages"]
        self._candles = generate(plan["seed"], history + _CANDLES_MAX, start_ms=_START_MS, interval_ms=INTERVAL_MS)
        self._lateness = host.draws("lateness")
        self._next = past.candles
        self._due: dict[str, tuple[int, int]] = past.unresolved(self._return_of)  # id -> candle when it is given, value
        self._stages_done = past.stages
        self._asked = asyncio.Event()
        self.through = asyncio.Event()
        """Set when every stage has been gone through."""

    def watched(self, app: Any) -> Any:
        """Return the application, through which this learns of the first question."""

        async def asked(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                self._asked.set()
            await app(scope, receive, send)

        return asked

    async def run(self) -> None:
        """Train, then feed and disturb for ever."""
        seen = self._candles[: self._params["history"] + self._next]
        await self._call("train", {"candles": len(seen)}, lambda: self._target.train(seen))
        while not self._asked.is_set():
            await self._tick()
        for stage in self._stages[self._stages_done :]:
            await self._ticks(2)
            await self._stage(stage, self._slots[self._stages_done % len(SLOTS)])
            self._stages_done += 1
            self._host.log.observe("stage", kind=stage)
        self.through.set()
        while True:
            await self._tick()

    async def _stage(self, stage: str, slot: str) -> None:
        ticks = self._params["stage_ticks"]
        if stage == "pause":
            await asyncio.sleep(as_seconds(self._params["pause_ns"]))
        elif stage == "slow_disk":
            self._workshop.disk_ns = self._params["tick_ns"]
            await self._ticks(ticks // 2)
            self._workshop.disk_ns = 0
        elif stage == "retrain":
            seen = self._candles[: self._params["history"] + self._next]
            train = self._call("train", {"candles": len(seen)}, lambda: self._target.train(seen))
            await asyncio.gather(train, self._ticks(ticks))
        elif stage == "swap":
            await self._call("swap", {"slot": slot}, lambda: _version(self._target.swap(slot)))
            await self._ticks(ticks)
        else:
            slots = list(SLOTS) if stage == "remove_all" else [slot]
            how = "remove" if stage == "remove_all" else stage
            for one in slots:
                await self._disturb(one, how)
            await self._ticks(ticks + (self._params["options"]["stuck_after"] if stage == "stuck" else 0))
            for one in slots:
                await self._call("restore", {"slot": one}, partial(self._target.restore, one))

    async def _disturb(self, slot: str, how: str) -> None:
        canary = f"canary-{self._host.name}-{self._stages_done}-{how}"
        wrap: Callable[[Any], Any] | None = None
        if how != "remove":

            def around(model: Any) -> Any:
                return Misbehaving(model, how, canary)  # type: ignore[arg-type]  # the stages' names

            wrap = around
        value = {"slot": slot, "how": how, "canary": canary}
        await self._call("disturb", value, lambda: self._target.disturb(slot, wrap))

    async def _ticks(self, count: int) -> None:
        for _ in range(count):
            await self._tick()

    async def _tick(self) -> None:
        """Give what has come of earlier predictions, then the next candle; then wait for the next turn."""
        began_ns = self._host.now_ns()
        await self._outcomes()
        number = self._next
        candle = self._candles[self._params["history"] + number]

        async def predict() -> dict[str, Any]:
            made = await self._target.on_candle(candle)
            return {
                "made": [[one.id, one.source, one.version, one.direction, one.confidence, one.size] for one in made]
            }

        done = await self._call("predict", {"candle": number}, predict)
        if done is not None:
            self._next = number + 1
            self._plan_outcomes(number, done)
        left_ns = self._params["tick_ns"] - (self._host.now_ns() - began_ns)
        await asyncio.sleep(as_seconds(max(0, left_ns)))

    def _plan_outcomes(self, number: int, done: dict[str, Any]) -> None:
        """Say for each prediction when its outcome is given: mostly with the next candle, some some candles later."""
        value = self._return_of(number)
        for one in done["made"]:
            late = self._lateness.between(1, 6) if self._lateness.below(8) == 0 else 0
            self._due[one[0]] = (number + 1 + late, value)

    async def _outcomes(self) -> None:
        ready = [one for one, (due, _) in self._due.items() if due <= self._next]
        if not ready:
            return
        outcomes = {one: self._due[one][1] for one in reversed(ready)}
        done = await self._call("resolve", {"outcomes": outcomes}, lambda: _counted(self._target.on_outcomes(outcomes)))
        if done is None:
            return
        for one in ready:
            del self._due[one]
        if self._lateness.below(4) == 0:  # given again, and contradicted: the first word counts
            again = {one: -value or 1 for one, value in outcomes.items()}
            await self._call("resolve", {"outcomes": again}, lambda: _counted(self._target.on_outcomes(again)))

    def _return_of(self, number: int) -> int:
        at = self._params["history"] + number
        return return_ppm(self._candles[at], self._candles[at + 1])

    async def _call(
        self, name: str, value: dict[str, Any], call: Callable[[], Awaitable[dict[str, Any] | None]]
    ) -> dict[str, Any] | None:
        """Do one operation; return its result, or None if it failed or took too long."""
        operation = self._host.log.begin(name, value)
        try:
            result = await asyncio.wait_for(call(), _CALL_S_MAX) or {}
        except asyncio.CancelledError:
            operation.info("cancelled")
            raise
        except Exception as error:  # noqa: BLE001 - whatever the target raises is its answer
            operation.info(" ".join(f"{type(error).__name__}: {error}".split())[:200])
            return None
        operation.ok(**result)
        return result


class _Past:
    """What earlier lives of this host have fed."""

    def __init__(self, host: Host) -> None:
        names = {(one.incarnation, one.op): one for one in host.past if isinstance(one, Invoke)}
        ended = {(one.incarnation, one.op): one for one in host.past if isinstance(one, Ok)}
        done = [(names[key], one) for key, one in ended.items()]
        self._predicted = {
            invoked.value["candle"]: [made[0] for made in one.value["made"]]
            for invoked, one in done
            if invoked.name == "predict"
        }
        self._resolved = {
            prediction for invoked, _ in done if invoked.name == "resolve" for prediction in invoked.value["outcomes"]
        }
        self.candles = max(self._predicted, default=-1) + 1
        plans = [one.value for one in host.past if isinstance(one, Observation) and one.name == "plan"]
        self.plan = plans[0] if plans else None
        self.stages = sum(isinstance(one, Observation) and one.name == "stage" for one in host.past)

    def unresolved(self, return_of: Callable[[int], int]) -> dict[str, tuple[int, int]]:
        """Return the predictions whose outcome was not confirmed; all of them are due."""
        return {
            one: (number + 1, return_of(number))
            for number, made in self._predicted.items()
            for one in made
            if one not in self._resolved
        }


async def _counted(call: Awaitable[int]) -> dict[str, Any]:
    return {"counted": await call}


async def _version(call: Awaitable[str]) -> dict[str, Any]:
    return {"version": await call}


def _plan(host: Host) -> dict[str, Any]:
    """Draw what is to be the same in every life of the host, and put it on record for the next."""
    plan = {
        "seed": host.draws("candles").below(1 << 32),
        "slots": _shuffled(host.draws("slots"), SLOTS),
        "stages": _shuffled(host.draws("stages"), host.params["stages"]),
    }
    host.log.observe("plan", **plan)
    return plan


def _shuffled(draws: Stream, items: Sequence[str]) -> list[str]:
    left, order = list(items), []
    while left:
        order.append(left.pop(draws.below(len(left))))
    return order
