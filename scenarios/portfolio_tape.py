"""The trades of the portfolio scenarios, and the ways in which they arrive. Pure: a seed gives them.

Trades are what a busy account has: orders that fill in parts, positions that are added to, reduced, closed to the last
lot and flipped, fees in USDT and in BNB, funding, a deposit, a withdrawal. Ids have gaps, as on a symbol the exchange
numbers everybody's trades. Ticks and steps are those of `harness/dependencies/binance/market/symbols.py`: 60000.1 and
0.0100007 are no floats, and millions of lots of 1000PEPE are where an error in the last place of one shows.

They arrive in batches: some shuffled, some after later ones, some with trades missing that come later (one gap is
filled only near the end), and again and again one that came before.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, TypeAlias

from harness.dependencies.binance.market.futures import MAKER, TAKER
from harness.dependencies.binance.market.symbols import INSTRUMENTS

SYMBOLS: Final = ("BTCUSDT", "XRPUSDT", "1000PEPEUSDT", "ETHUSDT", "DOGEUSDT")

Fill: TypeAlias = list[str | int]
"""Symbol, trade id, time in ms, signed amount, price, fee, fee asset: as the history keeps it."""
Flow: TypeAlias = list[str | int]
"""Type of income, id, time in ms, amount, asset."""

_BNB: Final = Decimal(600)
_BNB_DISCOUNT: Final = Decimal("0.9")
"""Fees of USD-M futures paid in BNB are 10 % lower (Binance's fee schedule)."""
_FUNDING_RATE: Final = Decimal("0.0001")
"""Binance's base rate, 0.01 % in 8 hours."""
_PLACES: Final = Decimal("0.00000001")
_START_MS: Final = 1_767_225_600_000
"""2026-01-01: any day does."""
_PARTS_MAX: Final = 4
_FUNDING_EVERY: Final = 60
"""Orders between two funding payments."""

# Of ten orders:
_CLOSE: Final = range(1)
_FLIP: Final = range(1, 3)
_MAKER: Final = range(3)
_IN_BNB: Final = range(3)
# Of a hundred batches:
_GAP: Final = range(12)
_SHUFFLED: Final = range(12, 30)
_OVERTAKEN: Final = range(30, 42)
_AGAIN: Final = range(16)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What arrives at once, and the prices of the moment."""

    fills: list[Fill]
    flows: list[Flow]
    marks: dict[str, str]
    rates: dict[str, str]


@dataclass(slots=True)
class _Market:
    """One symbol: its price in ticks, what is held in steps, the last trade id."""

    symbol: str
    ticks: int
    held: int = 0
    trade_id: int = 0
    tick: Decimal = field(init=False)
    step: Decimal = field(init=False)

    def __post_init__(self) -> None:
        instrument = INSTRUMENTS["futures"][self.symbol]
        self.tick, self.step = instrument.tick, instrument.step

    @property
    def price(self) -> Decimal:
        return self.ticks * self.tick


class _Account:
    """Makes trades, one order after the other."""

    def __init__(self, dice: random.Random, symbols: tuple[str, ...]) -> None:
        self._dice = dice
        listed = INSTRUMENTS["futures"]
        self.markets = [_Market(one, int(listed[one].price / listed[one].tick)) for one in symbols]
        self._time_ms = _START_MS
        self._orders = 0
        self._flow_id = 700

    def prices(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return marks and rates of the moment; a mark lies off the last trade, as an index price does."""
        marks = {one.symbol: _text(one.price + one.tick * 3 / 2) for one in self.markets}
        return marks, {"BNB": _text(_BNB + Decimal(self._orders % 700) / 100)}

    def flow(self, kind: str, amount: Decimal, asset: str = "USDT") -> Flow:
        """Return a transfer, or a funding payment."""
        self._flow_id += 1
        return [kind, self._flow_id, self._time_ms, _text(amount), asset]

    def funding(self) -> list[Flow]:
        """Return what every open position pays, or is paid."""
        held = [
            (one.held * one.step * one.price * -_FUNDING_RATE).quantize(_PLACES) for one in self.markets if one.held
        ]
        return [self.flow("FUNDING_FEE", amount) for amount in held if amount]

    def order(self) -> list[Fill]:
        """Return the trades of the next order."""
        dice, market = self._dice, self._dice.choice(self.markets)
        self._orders += 1
        self._time_ms += 1 + dice.randrange(60_000)
        market.ticks = max(market.ticks // 2, market.ticks + dice.randrange(-40, 41))
        lots = self._lots(market)
        market.held += lots
        parts = _split(dice, lots)
        rate = MAKER if dice.randrange(10) in _MAKER else TAKER
        asset = "BNB" if dice.randrange(10) in _IN_BNB else "USDT"
        fills = [self._fill(market, part, number, rate, asset) for number, part in enumerate(parts)]
        market.ticks += len(parts) - 1
        return fills

    def _lots(self, market: _Market) -> int:
        """Return the order's size in steps: a flip, the end of a position, or anything."""
        dice = self._dice
        way = dice.randrange(10)
        if market.held and way in _CLOSE:
            return -market.held
        if market.held and way in _FLIP:
            return -market.held - (1 if market.held > 0 else -1) * (1 + dice.randrange(2 * abs(market.held)))
        most = max(7, int(Decimal(3_000) / market.price / market.step))
        return (1 + dice.randrange(most)) * (1 if dice.randrange(2) else -1)

    def _fill(self, market: _Market, lots: int, number: int, rate: Decimal, asset: str) -> Fill:
        market.trade_id += 1 + self._dice.randrange(40)
        price = (market.ticks + number) * market.tick
        amount = lots * market.step
        fee = abs(amount) * price * rate
        if asset == "BNB":
            fee = fee * _BNB_DISCOUNT / _BNB
        fee = fee.quantize(_PLACES, ROUND_HALF_UP)
        return [market.symbol, market.trade_id, self._time_ms, _text(amount), _text(price), _text(fee), asset]


def deliveries(seed: int, *, trades: int, batch: int, symbols: tuple[str, ...] = SYMBOLS) -> list[Delivery]:
    """Return all deliveries of that many trades, in the order in which they arrive."""
    dice = random.Random(f"portfolio/{seed}")  # noqa: S311 - dice, not secrets
    return list(_arrivals(dice, list(_batches(dice, trades, batch, symbols))))


def _batches(dice: random.Random, trades: int, batch: int, symbols: tuple[str, ...]) -> Iterator[Delivery]:
    """Yield what happens, in order."""
    account = _Account(dice, symbols)
    flows = [account.flow("TRANSFER", Decimal(100_000)), account.flow("TRANSFER", Decimal("12.5"), "BNB")]
    made, since_funding = 0, 0
    fills: list[Fill] = []
    while made < trades:
        fills += account.order()[: trades - made - len(fills)]
        since_funding += 1
        if since_funding == _FUNDING_EVERY:
            since_funding = 0
            flows += account.funding()
            flows += [account.flow("TRANSFER", Decimal("-100.1"))]
        if len(fills) >= batch or made + len(fills) == trades:
            yield Delivery(fills, flows, *account.prices())
            made += len(fills)
            fills, flows = [], []


def _arrivals(dice: random.Random, batches: list[Delivery]) -> Iterator[Delivery]:
    """Yield the batches as an unreliable feed has them."""
    later: dict[int, list[Delivery]] = {}
    came: list[Delivery] = []
    last = len(batches) - 1
    for number, one in enumerate(batches):
        fills = list(one.fills)
        way = dice.randrange(100)
        if way in _GAP or number == last // 5:
            wait = last * 7 // 10 if number == last // 5 else 3 + dice.randrange(25)
            dice.shuffle(fills)
            missing, fills = fills[: len(fills) // 2], fills[len(fills) // 2 :]
            later.setdefault(min(last, number + wait), []).append(Delivery(missing, [], {}, {}))
        elif way in _SHUFFLED:
            dice.shuffle(fills)
        arriving = [Delivery(fills, one.flows, {}, {})]
        if way in _OVERTAKEN and number < last:
            later.setdefault(min(last, number + 1 + dice.randrange(3)), []).append(one)
            arriving = []
        for late in [*arriving, *later.pop(number, ())]:
            if late.fills or late.flows:
                came.append(Delivery(late.fills, late.flows, one.marks, one.rates))
                yield came[-1]
        if came and dice.randrange(100) in _AGAIN:
            again = dice.choice(came[-12:])
            yield Delivery(again.fills, again.flows, one.marks, one.rates)


def _split(dice: random.Random, lots: int) -> list[int]:
    """Return an order's parts, none of them empty."""
    size, sign = abs(lots), 1 if lots > 0 else -1
    cuts = sorted({dice.randrange(1, size) for _ in range(dice.randrange(_PARTS_MAX))}) if size > 1 else []
    return [sign * (end - start) for start, end in zip([0, *cuts], [*cuts, size], strict=True)]


def _text(amount: Decimal) -> str:
    return format(amount, "f")
