"""What a model in a flood emits: entries of all confidences, exits, the short-lived, repetitions, and poison.

Half of the confidences are multiples of 0.1, so that many are equal. The universe has 120 symbols, as a queue of 100
with one live signal for each symbol and side is never full with fewer than 51. The emulated exchange lists twelve of
them; the others are traded on one of those that stands for them.
"""

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

from harness.dependencies.binance.market.symbols import INSTRUMENTS, Instrument
from harness.tape import Stream
from harness.units import as_seconds, ms, seconds

_LISTED: Final = INSTRUMENTS["futures"]
_UNLISTED: Final = 108
SYMBOLS: Final = (*_LISTED, *(f"X{number:03d}USDT" for number in range(_UNLISTED)))
SIDES: Final = ("BUY", "SELL")
BURST: Final = 10
"""Signals that may be offered at one instant, in any order; so none of the last ones is repeated."""
_REMEMBERED: Final = 60
"""So many of the last ids may be repeated."""

Poison: TypeAlias = Callable[[dict[str, Any]], object]


def _with(**fields: object) -> Poison:
    return lambda raw: {**raw, **fields}


def _without(field: str) -> Poison:
    return lambda raw: {name: value for name, value in raw.items() if name != field}


POISONS: Final[Mapping[str, Poison]] = MappingProxyType(
    {
        **{f"no {field}": _without(field) for field in ("id", "symbol", "side", "confidence", "ttl_s")},
        "nan confidence": _with(confidence=math.nan),
        "infinite confidence": _with(confidence=math.inf),
        "confidence above 1": _with(confidence=1.0000001),
        "negative confidence": _with(confidence=-0.5),
        "true confidence": _with(confidence=True),
        "confidence as text": _with(confidence="0.99"),
        "null confidence": _with(confidence=None),
        "a list of confidences": _with(confidence=[0.9]),
        "complex confidence": _with(confidence=1j),
        "huge confidence": _with(confidence=10**400),
        "unknown symbol": _with(symbol="NOSUCHUSDT"),
        "lower-case symbol": lambda raw: {**raw, "symbol": str(raw["symbol"]).lower()},
        "huge symbol": _with(symbol="X" * 100_000),
        "a list of symbols": _with(symbol=["BTCUSDT"]),
        "unknown side": _with(side="HOLD"),
        "null side": _with(side=None),
        "no ttl left": _with(ttl_s=0),
        "negative ttl": _with(ttl_s=-1.0),
        "nan ttl": _with(ttl_s=math.nan),
        "endless ttl": _with(ttl_s=math.inf),
        "ttl of years": _with(ttl_s=1e9),
        "true ttl": _with(ttl_s=True),
        "ttl as text": _with(ttl_s="5"),
        "exit as text": _with(exit="yes"),
        "exit as a number": _with(exit=1),
        "empty id": _with(id=""),
        "number for an id": _with(id=4711),
        "huge id": _with(id="i" * 100_000),
        "unknown field": _with(leverage=125),
        "nan quantity": _with(quantity=math.nan),
        "signaling nan price": _with(price=Decimal("sNaN")),
        "negative price": _with(price=-1),
        "null": lambda _: None,
        "text": lambda _: "BUY BTCUSDT",
        "a list": lambda raw: [raw],
    }
)
"""Ways of being malformed: what each makes of a good signal."""


class Offer(NamedTuple):
    """What is offered, and what the history says of it: `flaw` tells why it must be refused, if so."""

    raw: object
    value: dict[str, Any]


class Mix:
    """Draws one signal after the other. Shares are per mille of all."""

    def __init__(self, draws: Stream, shares: Mapping[str, int]) -> None:
        self._draws = draws
        self._poison = shares["poison"]
        self._repeated = self._poison + shares["repeated"]
        self._exits = self._repeated + shares["exits"]
        self._recent: list[dict[str, Any]] = []
        self._poisons = tuple(POISONS)

    def next(self, number: int) -> Offer:
        """Return the next signal; `number` is new."""
        kind = self._draws.below(1_000)
        if self._repeated <= kind < self._exits:
            return self.offer(number, self._exit(number))
        raw = self._entry(number)
        if kind < self._poison:
            flaw = self._poisons[number % len(self._poisons)]
            return _offer(number, raw, POISONS[flaw](raw), flaw)
        if kind < self._repeated and len(self._recent) > BURST:
            raw = self._draws.choice(self._recent[BURST:])
            return _offer(number, raw, dict(raw), "repeated id")
        return self.offer(number, raw)

    def offer(self, number: int, raw: dict[str, Any]) -> Offer:
        """Return a good signal to be offered, and remember it."""
        self._recent = [raw, *self._recent[: _REMEMBERED - 1]]
        return _offer(number, raw, raw, "")

    def _entry(self, number: int) -> dict[str, Any]:
        draws = self._draws
        symbol, side = SYMBOLS[draws.below(len(SYMBOLS))], SIDES[draws.below(2)]
        percent = draws.below(2_001)
        confidence = percent % 11 / 10 if percent % 2 else percent / 2_000
        ttl_ms = draws.between(100, 500) if draws.below(5) == 0 else draws.between(4_000, 12_000)
        return _raw(number, symbol, side, confidence, ttl_ms)

    def _exit(self, number: int) -> dict[str, Any]:
        draws = self._draws
        symbol, side = SYMBOLS[draws.below(len(_LISTED))], SIDES[draws.below(2)]
        return _raw(number, symbol, side, draws.below(101) / 100, draws.between(5_000, 12_000)) | {"exit": True}


def instrument(symbol: str) -> Instrument:
    """Return the listed instrument on which a symbol of the universe is traded."""
    return _LISTED[SYMBOLS[SYMBOLS.index(symbol) % len(_LISTED)]]


def key(number: int) -> str:
    """Return the harness's own name of an offer, which is also the id of a good signal."""
    return f"s-{number:06d}"


def again(number: int, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return an earlier offer as a new signal."""
    ttl_ms = int(value["ttl_ns"]) // ms(1)
    return _raw(number, value["symbol"], value["side"], value["confidence"], ttl_ms) | {"exit": value["exit"]}


def _raw(number: int, symbol: str, side: str, confidence: float, ttl_ms: int) -> dict[str, Any]:
    name = key(number)
    return {"id": name, "symbol": symbol, "side": side, "confidence": confidence, "ttl_s": as_seconds(ms(ttl_ms))}


def _offer(number: int, meant: dict[str, Any], raw: object, flaw: str) -> Offer:
    value = {
        "key": key(number),
        "id": meant["id"],
        "symbol": meant["symbol"],
        "side": meant["side"],
        "confidence": meant["confidence"],
        "ttl_ns": seconds(meant["ttl_s"]),
        "exit": bool(meant.get("exit")),
        "flaw": flaw,
    }
    return Offer(raw, value)
