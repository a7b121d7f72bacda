"""What a call that is tried again tells in the end, where the adapter's own tests cannot choose the moment."""

import time

import pytest

from reference_impl._binance.channel import Call
from reference_impl._binance.faults import BinanceError
from reference_impl._binance.outcome import Outcome
from reference_impl._binance.reader import Reader

CALL = Call(method="GET", path="/fapi/v2/account", params={})


class Scripted:
    """A channel whose calls come to what a list says."""

    def __init__(self, *script: Outcome | BinanceError) -> None:
        self.script = list(script)

    async def call(self, call: Call, deadline: float) -> Outcome:
        step = self.script.pop(0)
        if isinstance(step, BinanceError):
            raise step
        return step


def reader(*script: Outcome | BinanceError) -> Reader:
    """Return a reader that never pauses."""
    return Reader(Scripted(*script), lambda low, high: 0.0)  # type: ignore[arg-type]


async def reason_of(*script: Outcome | BinanceError) -> str:
    """Return the reason that a read ends with."""
    with pytest.raises(BinanceError) as caught:
        await reader(*script).read(CALL, time.monotonic() + 60)
    return caught.value.reason


async def test_what_took_the_time_is_told() -> None:
    """No permit in time for another try: the reason is what made it necessary."""
    refused = Outcome("clock", code=-1021, status=400)
    assert await reason_of(refused, BinanceError("deadline", "no permit")) == "unavailable"
    assert await reason_of(Outcome("unknown"), BinanceError("deadline", "no permit")) == "unreachable"


async def test_without_anything_before_it_is_the_deadline() -> None:
    """And what the limiter knows better stays as it says."""
    assert await reason_of(BinanceError("deadline", "no permit")) == "deadline"
    assert await reason_of(Outcome("unknown"), BinanceError("banned", "no permit")) == "banned"
