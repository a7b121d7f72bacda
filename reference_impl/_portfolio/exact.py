"""Exact arithmetic on decimals, and the one place where figures are rounded.

Inside, nothing divides: sums and products of decimals are decimals. The context has room for all the digits there can
be, and traps `Inexact`, so that a digit that does not fit is an error and never a wrong figure. Room: a figure that
comes in has at most 18 digits before and after the point; a product of three of them, summed up a thousand million
times, needs 117.

Operators (`a + b`, `-a`) follow the context of the thread, whose 28 digits round silently. Hence the functions.
"""

from decimal import ROUND_HALF_UP, Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from typing import Final

from reference_impl._portfolio.errors import EntryError

ZERO: Final = Decimal(0)
DIGITS_MAX: Final = 18
"""Of a figure that comes in: before the point, and after it. Binance prints at most 8 after it."""

_EXACT: Final = Context(prec=120, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
_ROUNDING: Final = Context(prec=120, rounding=ROUND_HALF_UP)
_CENT: Final = Decimal("0.01")

add: Final = _EXACT.add
subtract: Final = _EXACT.subtract
multiply: Final = _EXACT.multiply


def figure(value: object, what: str) -> Decimal:
    """Return a figure that comes in, as it is. Text, integers and decimals: a float is a wrong figure already.

    Raises:
        EntryError: It is none of these, not finite, or has more digits than DIGITS_MAX before or after the point.

    """
    if isinstance(value, float | bool) or not isinstance(value, str | int | Decimal):
        raise EntryError(f"{what} is a decimal as text, not {type(value).__name__} {value!r}"[:200])
    try:
        number = Decimal(value)
    except (InvalidOperation, ValueError):
        raise EntryError(f"{what} is no number: {value!r}"[:200]) from None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        raise EntryError(f"{what} is not finite: {value!r}")
    if exponent < -DIGITS_MAX or number.adjusted() >= DIGITS_MAX:
        raise EntryError(f"{what} has more than {DIGITS_MAX} digits before or after the point: {value!r}"[:200])
    return number


def display(amount: Decimal) -> Decimal:
    """Return an amount of money as it is shown: two places, halves away from zero (the plan's rounding)."""
    return amount.quantize(_CENT, context=_ROUNDING)


def average(cost: Decimal, amount: Decimal, places: int = 8) -> Decimal:
    """Return an average price to be shown."""
    return _ROUNDING.divide(cost, amount).quantize(Decimal(1).scaleb(-places), context=_ROUNDING)
