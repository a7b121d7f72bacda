"""One symbol's liquidity: a thousand levels a side around a price, taken by takers, back a while later.

Nobody else trades here, so that every fill is explained by the orders sent and the faults armed. The makers' rules:

- The best bid is the price, the best ask one tick above; further levels are one basis point apart, each of some
  `level_notional`, in a fixed pattern of sizes. All of it follows from the price alone.
- A level that was taken from is whole again `refill_ms` after it was first touched.
- Makers never cross a client's resting order: levels at or through one (`barrier`) are not quoted while it rests. So it
  fills when the price moves to it, and not by time alone.
- A thin book has a share of every level. A retreat moves one side away from whoever takes it, for `refill_ms`.

Time comes in as `now_ms` and works lazily: nothing happens between calls.
"""

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final, Literal, NamedTuple, TypeAlias

from harness.dependencies.binance.market.symbols import BPS, Instrument, text

Side: TypeAlias = Literal["BUY", "SELL"]
"""As in orders. The liquidity that a BUY takes is the asks."""

LEVELS: Final = 1_000
_PATTERN: Final = tuple(Decimal(n) / 4 for n in (4, 6, 5, 8, 7))
_ZERO: Final = Decimal(0)


class Take(NamedTuple):
    """So much of one level."""

    level: int
    price: Decimal
    quantity: Decimal


class _Ladder:
    """One side's levels. `sign` is 1 for asks (prices rise with the index), -1 for bids."""

    __slots__ = ("back_ms", "encoded", "offset", "offset_until_ms", "prices", "quantities", "sign", "taken")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.prices: list[Decimal] = []
        self.quantities: list[Decimal] = []
        self.encoded: list[str] = []
        self.taken: dict[int, Decimal] = {}
        self.back_ms: dict[int, int] = {}
        self.offset = _ZERO
        self.offset_until_ms = 0


class Book:
    """The liquidity of one symbol that is not the client's. `version` counts its changes."""

    __slots__ = ("_asks", "_bids", "_due_ms", "_gap", "_refill_ms", "_usual_refill_ms", "factor", "instrument", "price",
                 "version")  # fmt: skip

    def __init__(self, instrument: Instrument, refill_ms: int) -> None:
        self.instrument = instrument
        self.price = instrument.price
        self.factor: Decimal | None = None
        self.version = 1
        self._usual_refill_ms = self._refill_ms = refill_ms
        self._due_ms = 0
        self._gap = instrument.tick
        self._asks, self._bids = _Ladder(1), _Ladder(-1)
        self.set_price(instrument.price)

    def set_price(self, price: Decimal) -> None:
        """Quote around `price` (rounded down to a tick) from now on, whole; a thin book stays thin."""
        tick = self.instrument.tick
        self.price = max((price / tick).to_integral_value(ROUND_FLOOR), Decimal(2)) * tick
        self.price = self.price.quantize(self.instrument.price_unit)
        steps = (self.price * BPS / tick).to_integral_value(ROUND_FLOOR)
        self._gap = max(steps, Decimal(1)) * tick
        for ladder in (self._asks, self._bids):
            ladder.prices.clear()
            ladder.quantities.clear()
            ladder.encoded.clear()
        self.refill()

    def refill(self) -> None:
        """Bring back at once whatever was taken or moved."""
        for ladder in (self._asks, self._bids):
            ladder.taken.clear()
            ladder.back_ms.clear()
            ladder.offset = _ZERO
        self._due_ms = 0
        self.version += 1

    def thin(self, factor: Decimal, refill_ms: int) -> None:
        """Leave `factor` of every level, and let what is taken stay away for `refill_ms`."""
        self.factor, self._refill_ms = factor, refill_ms
        self.version += 1

    def restore(self) -> None:
        """End `thin`."""
        self.factor, self._refill_ms = None, self._usual_refill_ms
        self.refill()

    def retreat(self, taker: Side, bps: Decimal, now_ms: int) -> None:
        """Move what `taker` would take away from it by `bps`, until the usual refill time has passed."""
        ladder = self._side(taker)
        tick = self.instrument.tick
        self._extend(ladder, 1)
        far = (ladder.prices[0] * bps * BPS / tick).to_integral_value(ROUND_CEILING) * tick
        ladder.offset = min(ladder.sign * far, ladder.offset) if ladder.sign < 0 else max(far, ladder.offset)
        ladder.offset_until_ms = now_ms + self._usual_refill_ms
        self._due_ms = min(self._due_ms or ladder.offset_until_ms, ladder.offset_until_ms)
        self.version += 1

    def advance(self, now_ms: int) -> None:
        """Bring back what is due by `now_ms`."""
        if not self._due_ms or now_ms < self._due_ms:
            return
        due: list[int] = []
        for ladder in (self._asks, self._bids):
            for index in [index for index, back_ms in ladder.back_ms.items() if back_ms <= now_ms]:
                del ladder.taken[index], ladder.back_ms[index]
            due.extend(ladder.back_ms.values())
            if ladder.offset and ladder.offset_until_ms <= now_ms:
                ladder.offset = _ZERO
            if ladder.offset:
                due.append(ladder.offset_until_ms)
        self._due_ms = min(due, default=0)
        self.version += 1

    def best(self, taker: Side, barrier: Decimal | None = None) -> Decimal | None:
        """Return the best price that `taker` gets anything at, or None."""
        plan = self.plan(taker, self.instrument.step, None, barrier)
        return plan[0].price if plan else None

    def plan(
        self,
        taker: Side,
        quantity: Decimal,
        limit: Decimal | None,
        barrier: Decimal | None = None,
        *,
        whole: bool = False,
    ) -> list[Take]:
        """Return what `taker` would take, best first, no worse than `limit`; nothing changes.

        `barrier` is the best price of the client's own resting orders on the taker's side. `whole`: as if the book were
        neither thin, nor taken from, nor moved.
        """
        ladder = self._side(taker)
        found: list[Take] = []
        rising = ladder.sign > 0
        offset = _ZERO if whole else ladder.offset
        index = 0
        while quantity > 0 and index < LEVELS:
            if index == len(ladder.prices) and not self._extend(ladder, index + 50):
                break
            price = ladder.prices[index] + offset
            if limit is not None and (price > limit if rising else price < limit):
                break
            if price <= 0:
                break
            if barrier is None or (price > barrier if rising else price < barrier):
                there = ladder.quantities[index] if whole else self._there(ladder, index)
                if there > 0:
                    some = min(there, quantity)
                    found.append(Take(index, price, some))
                    quantity -= some
            index += 1
        return found

    def take(self, taker: Side, plan: Sequence[Take], now_ms: int) -> None:
        """Carry out a plan made just now."""
        if not plan:
            return
        ladder = self._side(taker)
        back_ms = now_ms + self._refill_ms
        for index, _, quantity in plan:
            ladder.taken[index] = ladder.taken.get(index, _ZERO) + quantity
            ladder.back_ms.setdefault(index, back_ms)
        self._due_ms = min(self._due_ms or back_ms, back_ms)
        self.version += 1

    def depth(self, taker: Side, count: int, own: Sequence[tuple[Decimal, Decimal]], barrier: Decimal | None) -> str:
        """Return up to `count` levels that `taker` sees, best first, as JSON `["price","quantity"],...`.

        `own`: the client's resting orders there, best first; they stand in the book like everyone's.
        """
        ladder = self._side(taker)
        self._extend(ladder, count)
        plain = self.factor is None and not ladder.offset and barrier is None
        if plain and not own and not ladder.taken:
            return ",".join(ladder.encoded[:count])
        rising = ladder.sign > 0
        lines: list[str] = []
        waiting = list(reversed(own))
        index = 0
        while len(lines) < count and (waiting or index < LEVELS):
            known = index < len(ladder.prices) or (index < LEVELS and self._extend(ladder, index + 50))
            price = ladder.prices[index] + ladder.offset if known else None
            if price is not None and (price <= 0 or (barrier and (price <= barrier if rising else price >= barrier))):
                index += 1
                continue
            ours = waiting[-1][0] if waiting else None
            if ours is not None and (price is None or (ours <= price if rising else ours >= price)):
                total = waiting.pop()[1]
                while waiting and waiting[-1][0] == ours:
                    total += waiting.pop()[1]
                if price == ours:
                    total += self._there(ladder, index)
                    index += 1
                lines.append(f'["{text(ours)}","{text(total)}"]')
                continue
            if price is None:
                break
            if plain and index not in ladder.taken:
                lines.append(ladder.encoded[index])
            elif (there := self._there(ladder, index)) > 0:
                lines.append(f'["{text(price)}","{text(there)}"]')
            index += 1
        return ",".join(lines)

    def _side(self, taker: Side) -> _Ladder:
        return self._asks if taker == "BUY" else self._bids

    def _there(self, ladder: _Ladder, index: int) -> Decimal:
        there = ladder.quantities[index]
        if self.factor is not None:
            step = self.instrument.step
            there = (there * self.factor / step).to_integral_value(ROUND_FLOOR) * step
            there = there.quantize(self.instrument.quantity_unit)
        if index in ladder.taken:  # more of it may be gone than a book that has become thin ever had
            there = max(there - ladder.taken[index], _ZERO)
        return there

    def _extend(self, ladder: _Ladder, count: int) -> bool:
        """Know `count` levels, LEVELS at most; False if there are no more. Bids end at one tick."""
        made = self.instrument
        before = len(ladder.prices)
        for index in range(before, min(count, LEVELS)):
            first = self.price + made.tick if ladder.sign > 0 else self.price
            price = (first + ladder.sign * index * self._gap).quantize(made.price_unit)
            if price <= 0:
                break
            worth = made.level_notional * _PATTERN[index % len(_PATTERN)] / price
            quantity = max((worth / made.step).to_integral_value(ROUND_FLOOR), Decimal(1)) * made.step
            quantity = quantity.quantize(made.quantity_unit)
            ladder.prices.append(price)
            ladder.quantities.append(quantity)
            ladder.encoded.append(f'["{text(price)}","{text(quantity)}"]')
        return len(ladder.prices) > before
