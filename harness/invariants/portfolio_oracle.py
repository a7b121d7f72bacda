"""What entries come to, by the definitions, in exact fractions: an oracle that shares nothing with any target. Pure.

A position's trades are taken in the exchange's order: on one symbol it numbers them as it makes them. A trade against
the position closes what it can; what is left of it opens. What is closed is held to have cost what the oldest open
trades did (`fifo`), or its share of the cost of all that is open (`average`).
"""

from bisect import bisect
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final, Literal, NamedTuple, TypeAlias

Method: TypeAlias = Literal["fifo", "average"]
Trade: TypeAlias = tuple[int, Fraction, Fraction]
"""Trade id, signed amount, price."""
_ZERO: Final = Fraction(0)
_CHECKPOINT_EVERY: Final = 64


class Standing(NamedTuple):
    """What a symbol's trades come to: `cost` is that of what is open, signed like the amount."""

    amount: Fraction = _ZERO
    cost: Fraction = _ZERO
    realised: Fraction = _ZERO


@dataclass(slots=True)
class _Lots:
    """The open trades, oldest first, and what the others realised. For `average` there is one, at the average."""

    method: Method
    lots: list[tuple[Fraction, Fraction]] = field(default_factory=list)
    realised: Fraction = _ZERO

    def take(self, amount: Fraction, price: Fraction) -> None:
        lots = self.lots
        while lots and amount and (lots[0][0] > 0) != (amount > 0):
            held, paid = lots.pop(0)
            closed = min(held, -amount) if held > 0 else max(held, -amount)
            self.realised += closed * (price - paid)
            amount += closed
            if held != closed:
                lots.insert(0, (held - closed, paid))
        if amount:
            lots.append((amount, price))
        if self.method == "average" and len(lots) > 1:
            total = sum((held for held, _ in lots), _ZERO)
            lots[:] = [(total, sum((held * paid for held, paid in lots), _ZERO) / total)]

    def copy(self) -> "_Lots":
        return _Lots(self.method, list(self.lots), self.realised)

    def standing(self) -> Standing:
        amount = sum((held for held, _ in self.lots), _ZERO)
        return Standing(amount, sum((held * paid for held, paid in self.lots), _ZERO), self.realised)


@dataclass(slots=True)
class Position:
    """One symbol, whose trades may come in any order. `spent`: what was paid for purchases less what sales brought.

    Trades are followed when their result is asked for, from the last checkpoint before the first that is new.
    """

    method: Method
    spent: Fraction = _ZERO
    amount: Fraction = _ZERO
    _trades: list[Trade] = field(default_factory=list)
    _lots: _Lots | None = None
    _followed: int = 0
    _checkpoints: list[_Lots] = field(default_factory=list)

    def take(self, trade: Trade) -> None:
        """Take a trade that was not taken before."""
        _, amount, price = trade
        self.spent += amount * price
        self.amount += amount
        at = bisect(self._trades, trade)
        self._trades.insert(at, trade)
        if at < self._followed:
            self._lots = None
            self._followed = at

    def copy(self) -> "Position":
        """Return one that goes its own way."""
        lots = None if self._lots is None else self._lots.copy()
        return replace(self, _trades=list(self._trades), _lots=lots, _checkpoints=list(self._checkpoints))

    def standing(self) -> Standing:
        """Return what all trades come to."""
        if self._lots is None:
            kept = self._followed // _CHECKPOINT_EVERY
            del self._checkpoints[kept:]
            self._lots = self._checkpoints[-1].copy() if kept else _Lots(self.method)
            self._followed = kept * _CHECKPOINT_EVERY
        for _, amount, price in self._trades[self._followed :]:
            self._lots.take(amount, price)
            self._followed += 1
            if self._followed % _CHECKPOINT_EVERY == 0:
                self._checkpoints.append(self._lots.copy())
        return self._lots.standing()


@dataclass(slots=True)
class Ledger:
    """Everything that one portfolio should know, from the entries that it was given."""

    method: Method = "fifo"
    positions: dict[str, Position] = field(default_factory=dict)
    fees: dict[str, Fraction] = field(default_factory=dict)
    deposits: dict[str, Fraction] = field(default_factory=dict)
    funding: dict[str, Fraction] = field(default_factory=dict)

    def trade(self, symbol: str, trade: Trade, fee: Fraction, asset: str) -> None:
        """Take a trade."""
        if symbol not in self.positions:
            self.positions[symbol] = Position(self.method)
        self.positions[symbol].take(trade)
        self.fees[asset] = self.fees.get(asset, _ZERO) + fee

    def flow(self, kind: str, amount: Fraction, asset: str) -> None:
        """Take a transfer or a funding payment."""
        sums = self.deposits if kind == "TRANSFER" else self.funding
        sums[asset] = sums.get(asset, _ZERO) + amount
