"""The instruments on offer: twelve USD-M perpetuals and eight spot pairs, with filters like Binance's own.

Tick, step, precisions and minimum notionals follow the exchange's public `exchangeInfo` of 2025 as its users know it;
they were not compared with a snapshot of it, so a test that depends on one should set its own. Prices at the start
are round figures of the same order of magnitude; what stands in the book per level is an assumption.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from harness.dependencies.binance.settings import Market

BPS: Final = Decimal("0.0001")
ONE: Final = Decimal(1)

LEVEL_NOTIONAL: Final = Decimal(25_000)
"""Of the best level of a book quoted in USDT. A book on one hundredth of that thins out within a retail order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One symbol. Amounts of `quote` are what `min_notional` and `level_notional` are in; `price`: at the start.

    `price_unit` and `quantity_unit` are the last place of amounts as the exchange prints them.
    """

    symbol: str
    market: Market
    base: str
    quote: str
    price: Decimal
    tick: Decimal
    step: Decimal
    max_quantity: Decimal
    market_max_quantity: Decimal
    min_notional: Decimal
    price_precision: int
    quantity_precision: int
    level_notional: Decimal = LEVEL_NOTIONAL
    max_leverage: int = 75

    @property
    def price_unit(self) -> Decimal:
        """The last place of a printed price."""
        return ONE.scaleb(-self.price_precision)

    @property
    def quantity_unit(self) -> Decimal:
        """The last place of a printed quantity."""
        return ONE.scaleb(-self.quantity_precision)


def _perpetual(  # a row of the table below
    base: str, price: str, tick: str, step: str, limits: tuple[int, int], min_notional: int, leverage: int
) -> Instrument:
    tick_size, step_size = Decimal(tick), Decimal(step)
    return Instrument(
        symbol=f"{base}USDT",
        market="futures",
        base=base,
        quote="USDT",
        price=Decimal(price),
        tick=tick_size.normalize(),
        step=step_size,
        max_quantity=Decimal(limits[0]),
        market_max_quantity=Decimal(limits[1]),
        min_notional=Decimal(min_notional),
        price_precision=_places(tick),
        quantity_precision=_places(step),
        max_leverage=leverage,
    )


def _pair(
    base: str, quote: str, price: str, tick: str, step: str, *, most: str, min_notional: str, level: str = "25000"
) -> Instrument:
    return Instrument(
        symbol=f"{base}{quote}",
        market="spot",
        base=base,
        quote=quote,
        price=Decimal(price),
        tick=Decimal(tick),
        step=Decimal(step),
        max_quantity=Decimal(most),
        market_max_quantity=Decimal(most),
        min_notional=Decimal(min_notional),
        price_precision=8,
        quantity_precision=8,
        level_notional=Decimal(level),
    )


def _places(text: str) -> int:
    return len(text.partition(".")[2])


# The places of `tick` as written are `pricePrecision`, as the exchange prints prices of that symbol.
_PERPETUALS: Final = (
    _perpetual("BTC", "60000", "0.10", "0.001", (1_000, 120), 100, 125),
    _perpetual("ETH", "3000", "0.01", "0.001", (10_000, 2_000), 20, 100),
    _perpetual("BNB", "600", "0.010", "0.01", (100_000, 2_000), 5, 75),
    _perpetual("SOL", "150", "0.0100", "0.01", (1_000_000, 80_000), 5, 100),
    _perpetual("XRP", "0.5", "0.0001", "0.1", (10_000_000, 2_000_000), 5, 75),
    _perpetual("DOGE", "0.12", "0.000010", "1", (50_000_000, 30_000_000), 5, 75),
    _perpetual("ADA", "0.45", "0.00010", "1", (2_000_000, 300_000), 5, 75),
    _perpetual("LTC", "80", "0.01", "0.001", (10_000, 5_000), 20, 75),
    _perpetual("LINK", "15", "0.001", "0.01", (200_000, 40_000), 20, 75),
    _perpetual("AVAX", "30", "0.0010", "1", (100_000, 20_000), 5, 75),
    _perpetual("DOT", "6", "0.001", "0.1", (500_000, 60_000), 5, 75),
    _perpetual("1000PEPE", "0.01", "0.0000001", "1", (100_000_000, 75_000_000), 5, 75),
)
_PAIRS: Final = (
    _pair("BTC", "USDT", "60000", "0.01", "0.00001", most="9000", min_notional="5"),
    _pair("ETH", "USDT", "3000", "0.01", "0.0001", most="9000", min_notional="5"),
    _pair("BNB", "USDT", "600", "0.01", "0.001", most="900000", min_notional="5"),
    _pair("SOL", "USDT", "150", "0.01", "0.001", most="90000", min_notional="5"),
    _pair("XRP", "USDT", "0.5", "0.0001", "0.1", most="9222449", min_notional="5"),
    _pair("DOGE", "USDT", "0.12", "0.00001", "1", most="90000000", min_notional="1"),
    _pair("ADA", "USDT", "0.45", "0.0001", "0.1", most="900000", min_notional="5"),
    _pair("ETH", "BTC", "0.05", "0.00001", "0.0001", most="100000", min_notional="0.0001", level="0.5"),
)

INSTRUMENTS: Final[Mapping[Market, Mapping[str, Instrument]]] = {
    "futures": {each.symbol: each for each in _PERPETUALS},
    "spot": {each.symbol: each for each in _PAIRS},
}
"""By market and symbol, in the order of exchangeInfo."""


def text(amount: Decimal) -> str:
    """Return an amount as the API prints it: all its places, never an exponent."""
    return format(amount, "f")
