"""What a signal is, and what is none. Pure.

Signals come from a model, by way of JSON, so nothing about them is believed. What is not exactly a signal is refused
with a reason, and the text of the refusal names the field but never repeats a value: that may be a megabyte long.
"""

from collections.abc import Collection
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

Side: TypeAlias = Literal["BUY", "SELL"]
Key: TypeAlias = tuple[str, str]
"""Symbol and side: of each pair there is one live signal at most."""
Malformation: TypeAlias = Literal[
    "not_a_mapping",
    "missing_field",
    "unknown_field",
    "bad_id",
    "unknown_symbol",
    "bad_side",
    "bad_confidence",
    "bad_ttl",
    "bad_exit",
    "bad_amount",
    "duplicate",
    "exits_full",
]

ID_MAX: Final = 64
"""Characters. A client order id of Binance has 36 at most."""
TTL_MIN_S: Final = 0.001
TTL_MAX_S: Final = 3_600.0
AMOUNT_MAX: Final = 10**15
_SECOND: Final = 1_000_000_000
_SIDES: Final = frozenset(get_args(Side))
_KNOWN: Final = frozenset({"id", "symbol", "side", "confidence", "ttl_s", "exit", "quantity", "price"})


class MalformedSignalError(ValueError):
    """What was offered is no signal that can be taken in; only the count has changed. `reason` is a short code."""

    def __init__(self, reason: Malformation, text: str) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason: Malformation = reason


class Signal(msgspec.Struct, frozen=True):
    """One wish of the model to trade. A struct, as one is made for each offer of a flood.

    `confidence` is in [0, 1]; `ttl_ns` counts from the moment at which the signal was offered. `exit`: it lowers risk.
    `quantity` and `price` are the caller's, for its own execution.
    """

    id: str
    symbol: str
    side: Side
    confidence: float
    ttl_ns: int
    exit: bool = False
    quantity: Decimal | None = None
    price: Decimal | None = None

    @property
    def key(self) -> Key:
        """Symbol and side."""
        return self.symbol, self.side


def parse(raw: object, symbols: Collection[str]) -> Signal:
    """Return the signal that `raw` is. Raises `MalformedSignalError` for all that is none."""
    if not isinstance(raw, dict) or not raw.keys() <= _KNOWN:
        raise _no_signal(raw)
    try:
        name, symbol, side = raw["id"], raw["symbol"], raw["side"]
        confidence, ttl_s = raw["confidence"], raw["ttl_s"]
    except KeyError as error:
        raise MalformedSignalError("missing_field", f"a signal has a field {error.args[0]}") from None
    if not isinstance(name, str) or not 0 < len(name) <= ID_MAX:
        raise MalformedSignalError("bad_id", f"id is a text of 1 to {ID_MAX} characters")
    if not isinstance(symbol, str) or symbol not in symbols:
        raise MalformedSignalError("unknown_symbol", "symbol is not one of those that are traded")
    if not isinstance(side, str) or side not in _SIDES:
        raise MalformedSignalError("bad_side", "side is BUY or SELL")
    if not _is_number(confidence) or not 0 <= confidence <= 1:
        raise MalformedSignalError("bad_confidence", f"confidence is a number in [0, 1], this is {_type(confidence)}")
    if not _is_number(ttl_s) or not TTL_MIN_S <= ttl_s <= TTL_MAX_S:
        raise MalformedSignalError("bad_ttl", f"ttl_s is a number in [{TTL_MIN_S}, {TTL_MAX_S:g}] seconds")
    leaving = raw.get("exit", False)
    if not isinstance(leaving, bool):
        raise MalformedSignalError("bad_exit", f"exit is true or false, not {_type(leaving)}")
    chosen: Side = "BUY" if side == "BUY" else "SELL"
    if "quantity" not in raw and "price" not in raw:
        return Signal(name, symbol, chosen, float(confidence), round(ttl_s * _SECOND), leaving)
    amounts = _amount(raw, "quantity"), _amount(raw, "price")
    return Signal(name, symbol, chosen, float(confidence), round(ttl_s * _SECOND), leaving, *amounts)


def _no_signal(raw: object) -> MalformedSignalError:
    if not isinstance(raw, dict):
        return MalformedSignalError("not_a_mapping", f"a signal is a dict, not {_type(raw)}")
    return MalformedSignalError("unknown_field", f"a signal has no fields but {', '.join(sorted(_KNOWN))}")


def _is_number(value: object) -> bool:
    """A number that compares; `True` is an int in Python, but no number to anybody who emits a confidence."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _amount(raw: dict[Any, Any], field: str) -> Decimal | None:
    """Return an amount exactly as written; a signaling NaN cannot even be compared, so ask first."""
    value = raw.get(field)
    if value is None:
        return None
    if isinstance(value, Decimal):
        fits = value.is_finite() and 0 < value <= AMOUNT_MAX
    else:
        fits = _is_number(value) and 0 < value <= AMOUNT_MAX
    if not fits:
        raise MalformedSignalError("bad_amount", f"{field} is a positive number of at most {AMOUNT_MAX:.0e}")
    return Decimal(str(value))


def _type(value: object) -> str:
    return type(value).__name__[:ID_MAX]
