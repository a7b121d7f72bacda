"""The rules of a symbol (exchangeInfo's filters), and how quantities and prices are fitted to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final, Literal, Self, TypeAlias

Side: TypeAlias = Literal["BUY", "SELL"]

_ZERO: Final = Decimal(0)
_BPS: Final = Decimal(10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolRules:
    """Filters of one symbol; a zero means that there is no such rule."""

    tick: Decimal = _ZERO
    step: Decimal = _ZERO
    min_quantity: Decimal = _ZERO
    max_quantity: Decimal = _ZERO
    min_notional: Decimal = _ZERO

    @classmethod
    def parse(cls, symbol: Mapping[str, Any]) -> Self:
        """Return the rules of an entry of exchangeInfo's `symbols`. Raises `ValueError` for filters that are broken."""
        filters = {entry["filterType"]: entry for entry in symbol["filters"]}
        lot, price = filters.get("LOT_SIZE", {}), filters.get("PRICE_FILTER", {})
        notional = filters.get("MIN_NOTIONAL", filters.get("NOTIONAL", {}))
        try:
            return cls(
                tick=Decimal(price.get("tickSize", "0")),
                step=Decimal(lot.get("stepSize", "0")),
                min_quantity=Decimal(lot.get("minQty", "0")),
                max_quantity=Decimal(lot.get("maxQty", "0")),
                min_notional=Decimal(notional.get("notional", notional.get("minNotional", "0"))),
            )
        except ArithmeticError as error:
            raise ValueError(f"filters of {symbol.get('symbol')} are no numbers") from error

    def price(self, side: Side, price: Decimal) -> Decimal:
        """Fit a limit price to the tick, never to the worse side: it stays within what the caller allowed."""
        return _fit(price, self.tick, ROUND_FLOOR if side == "BUY" else ROUND_CEILING)

    def quantity(self, quantity: Decimal) -> Decimal:
        """Fit a quantity to the step, never upwards, and to the biggest order there may be."""
        fitted = _fit(quantity, self.step, ROUND_FLOOR)
        return min(fitted, self.max_quantity) if self.max_quantity else fitted

    def refuses(self, quantity: Decimal, price: Decimal, *, reduce_only: bool) -> str:
        """Return what forbids an order of a fitted quantity: `lot_size`, `min_notional`, or nothing.

        Reduce-only orders are exempt from the minimum notional (the text of -4164 says so).
        """
        if quantity <= 0 or quantity < self.min_quantity:
            return "lot_size"
        if not reduce_only and quantity * price < self.min_notional:
            return "min_notional"
        return ""


def worst_price(side: Side, decision_price: Decimal, max_slippage_bps: int) -> Decimal:
    """Return the price that no fill may be worse than."""
    slippage = decision_price * max_slippage_bps / _BPS
    return decision_price + slippage if side == "BUY" else decision_price - slippage


def _fit(value: Decimal, unit: Decimal, rounding: str) -> Decimal:
    if not unit:
        return value
    return (value / unit).to_integral_value(rounding) * unit
