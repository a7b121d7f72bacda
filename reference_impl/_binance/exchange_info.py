"""exchangeInfo: the rules of symbols, and the limits that the limiter works with.

Nothing is sent before it was read once, as limits differ and guessing them wrong gets the IP banned. After that it is
read again in the background when it is old. In the minutes after a limit was said to be broken that is soon: it may
have been lowered, and the limiter, which believes at once what a refusal says of a limit, learns only here that it has
grown back.
"""

import asyncio
import logging
import time
from typing import Any, Final

from reference_impl._binance.channel import Call
from reference_impl._binance.faults import BinanceError, RejectedError
from reference_impl._binance.permits import Limiter
from reference_impl._binance.reader import Reader
from reference_impl._binance.symbols import SymbolRules
from reference_impl._binance.weights import EXCHANGE_INFO

log = logging.getLogger(__name__)

_MAX_AGE: Final = 300.0
_MAX_AGE_IN_DOUBT: Final = 60.0
_IN_DOUBT: Final = 300.0
"""Seconds for which a limit that was broken is a cause to read it more often."""
_PATIENCE: Final = 30.0


class ExchangeInfo:
    """What is known of the exchange."""

    def __init__(self, reader: Reader, limiter: Limiter) -> None:
        self._reader = reader
        self._limiter = limiter
        self._rules: dict[str, SymbolRules] = {}
        self._taken = float("-inf")
        self._reading: asyncio.Task[BinanceError | None] | None = None

    async def ready(self, deadline: float) -> None:
        """Return when it was read once. Raises `BinanceError`, by the deadline."""
        now = time.monotonic()
        if self._taken > float("-inf"):
            in_doubt = now - self._limiter.limited_at < _IN_DOUBT
            if now - self._taken > (_MAX_AGE_IN_DOUBT if in_doubt else _MAX_AGE):
                self._read(now + _PATIENCE)
            return
        while True:
            of_another = self._reading is not None and not self._reading.done()
            task = self._read(deadline)
            await asyncio.wait([task], timeout=max(0.0, deadline - time.monotonic()))
            if self._taken > float("-inf"):
                return
            error = task.result() if task.done() and not task.cancelled() else None
            if not (of_another and error is not None and time.monotonic() < deadline):
                reason = error.reason if error is not None else "deadline"
                raise BinanceError(reason, "exchangeInfo could not be read") from error
            # It was read by the deadline of another call, which may have been earlier: once more, by this one's.

    def rules(self, symbol: str) -> SymbolRules:
        """Return the rules of a symbol. Raises `RejectedError` for one that is not traded."""
        try:
            return self._rules[symbol]
        except KeyError:
            raise RejectedError(f"no symbol {symbol}", code=-1121) from None

    async def close(self) -> None:
        """Leave no task."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def _read(self, deadline: float) -> "asyncio.Task[BinanceError | None]":
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._fetch(deadline), name="binance-exchange-info")
        return self._reading

    async def _fetch(self, deadline: float) -> BinanceError | None:
        try:
            data = await self._reader.read(Call(method="GET", path=EXCHANGE_INFO), deadline)
            self._take(data)
        except BinanceError as error:
            return error
        except (KeyError, TypeError, ValueError) as error:
            log.warning("exchangeInfo makes no sense: %r", error)
            return BinanceError("unavailable", "exchangeInfo makes no sense")
        return None

    def _take(self, data: Any) -> None:
        rules = {symbol["symbol"]: SymbolRules.parse(symbol) for symbol in data["symbols"]}
        self._limiter.use_limits(data["rateLimits"])
        self._rules = rules
        self._taken = time.monotonic()
