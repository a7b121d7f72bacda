"""Calls that may be repeated without harm, as reads and cancels: tried again until there is an answer, or no time."""

import asyncio
import time
from typing import Any, Final

from reference_impl._binance.channel import Call, Channel
from reference_impl._binance.faults import BinanceError, Reason, RejectedError
from reference_impl._binance.outcome import Outcome
from reference_impl.retry import Dice, full_jitter

_PAUSE: Final = 0.2
_PAUSE_MAX: Final = 4.0


class Reader:
    """Repeats calls with pauses of full jitter."""

    def __init__(self, channel: Channel, dice: Dice) -> None:
        self._channel = channel
        self._dice = dice

    async def read(self, call: Call, deadline: float) -> Any:
        """Return the decoded answer of a call. Raises `BinanceError`, by the deadline."""
        return (await self.settle(call, deadline)).data

    async def settle(self, call: Call, deadline: float, *, absent: bool = False) -> Outcome:
        """Return what came of a call: `done`, or `absent` where that is to be returned and not raised.

        Raises `BinanceError`: `rejected`, `blocked`, what the limiter says, or, by the deadline, what was in the way.
        """
        times = 0
        trouble: Reason | None = None
        while True:
            outcome, latest = await self._try(call, deadline, trouble)
            if trouble is None or time.monotonic() < deadline:
                trouble = latest  # what the deadline cut short says nothing of the exchange
            if outcome.kind == "done" or (absent and outcome.kind == "absent"):
                return outcome
            if outcome.kind in ("rejected", "absent", "duplicate"):
                raise RejectedError(f"{call.method} {call.path}: {outcome.text}", code=outcome.code)
            if outcome.kind == "blocked":
                raise BinanceError("blocked", f"{call.method} {call.path}: the firewall refused it")
            if outcome.kind == "limited":
                pause = 0.0  # the limiter knows how long, and spreads who waits
            else:
                pause = full_jitter(_PAUSE, times, _PAUSE_MAX, self._dice)
                times += 1
            if time.monotonic() + pause >= deadline:
                raise BinanceError(trouble, f"{call.method} {call.path}: {outcome.text}", code=outcome.code)
            await asyncio.sleep(pause)

    async def _try(self, call: Call, deadline: float, trouble: Reason | None) -> tuple[Outcome, Reason]:
        """Call once; return with what came of it the reason to give if there is no time for more."""
        try:
            outcome = await self._channel.call(call, deadline)
        except BinanceError as error:
            if error.reason == "deadline" and trouble is not None:  # what took the time is known from before
                raise BinanceError(trouble, str(error)) from error
            if error.reason not in ("unreachable", "unavailable"):
                raise
            return Outcome("unreachable", text=str(error)), error.reason
        if outcome.kind == "limited":
            return outcome, "rate_limited"
        return outcome, "unavailable" if outcome.status else "unreachable"
