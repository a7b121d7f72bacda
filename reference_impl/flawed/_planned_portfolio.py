"""The portfolio as the plan sketches it, known holes included.

Floats, an average price, trades as they arrive, however often. The state is in memory, and in a file that is written
over in place when a snapshot is asked for. Two decimals, half up, for display: that is the part of the plan that a test
of 2,000 trades looks at.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, Literal


@dataclass(slots=True)
class PlannedPosition:
    """One symbol."""

    amount: float = 0.0
    entry: float = 0.0
    realised: float = 0.0

    @property
    def cost(self) -> float:
        """What is open, at the average price."""
        return self.amount * self.entry

    def take(self, amount: float, price: float) -> None:
        """Take a trade."""
        if self.amount * amount >= 0:
            self.entry = (self.cost + amount * price) / (self.amount + amount)
        else:
            closed = min(abs(amount), abs(self.amount))
            self.realised += closed * (price - self.entry) * (1 if self.amount > 0 else -1)
            if abs(amount) > abs(self.amount):
                self.entry = price
        self.amount += amount


@dataclass(frozen=True, slots=True)
class PlannedApplied:
    """Everything is new."""

    new: int
    repeated: int = 0


@dataclass(slots=True)
class PlannedFigures:
    """The state."""

    positions: dict[str, PlannedPosition] = field(default_factory=dict)
    fees: dict[str, float] = field(default_factory=dict)
    deposits: dict[str, float] = field(default_factory=dict)
    funding: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedValue:
    """Equity and its parts."""

    deposits: float
    realised: float
    unrealised: float
    fees: float
    funding: float
    equity: float

    def shown(self) -> dict[str, str]:
        """Return them as the plan shows them."""
        cent = Decimal("0.01")
        return {name: str(Decimal(value).quantize(cent, ROUND_HALF_UP)) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class PlannedReconciliation:
    """Positions that differ."""

    differences: tuple[str, ...]
    backfilled: tuple[tuple[str, int], ...] = ()
    settled: bool = True
    through: Mapping[str, int] = field(default_factory=dict)


class PlannedPortfolio:
    """The plan's portfolio."""

    method: Literal["average"] = "average"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._figures = PlannedFigures()

    async def start(self) -> None:
        """Read the snapshot, if there is one that can be read."""
        try:
            saved = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return
        positions = {symbol: PlannedPosition(**one) for symbol, one in saved.pop("positions").items()}
        self._figures = PlannedFigures(positions=positions, **saved)

    async def apply(self, trades: Iterable[Mapping[str, Any]]) -> PlannedApplied:
        """Take trades."""
        new = 0
        for trade in trades:
            quantity = float(trade["qty"]) * (1 if trade["side"] == "BUY" else -1)
            self._figures.positions.setdefault(trade["symbol"], PlannedPosition()).take(quantity, float(trade["price"]))
            _add(self._figures.fees, trade["commissionAsset"], trade["commission"])
            new += 1
        return PlannedApplied(new)

    async def apply_income(self, incomes: Iterable[Mapping[str, Any]]) -> PlannedApplied:
        """Take transfers and funding."""
        new = 0
        for income in incomes:
            sums = self._figures.deposits if income["incomeType"] == "TRANSFER" else self._figures.funding
            _add(sums, income["asset"], income["income"])
            new += 1
        return PlannedApplied(new)

    def figures(self) -> PlannedFigures:
        """Return the state."""
        return self._figures

    def value(self, marks: Mapping[str, Any], rates: Mapping[str, Any] | None = None) -> PlannedValue:
        """Return what it is worth."""
        held, known = self._figures, rates or {}
        realised = sum(one.realised for one in held.positions.values())
        unrealised = sum(one.amount * float(marks[symbol]) - one.cost for symbol, one in held.positions.items())
        deposits, fees, funding = (
            sum(amount * float(known.get(asset, 1)) for asset, amount in sums.items())
            for sums in (held.deposits, held.fees, held.funding)
        )
        equity = deposits + realised + unrealised - fees + funding
        return PlannedValue(deposits, realised, unrealised, fees, funding, equity)

    async def snapshot(self) -> None:
        """Write the state over what was there."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(asdict(self._figures)))

    async def reconcile(
        self, get: Any, *, symbols: Sequence[str] = (), rates: Mapping[str, Any] | None = None, deadline_s: float = 30.0
    ) -> PlannedReconciliation:
        """Compare positions."""
        del symbols, rates
        account = await get("/fapi/v2/account", {}, signed=True, deadline_s=deadline_s)
        theirs = {one["symbol"]: float(one["positionAmt"]) for one in account["positions"]}
        ours = {symbol: one.amount for symbol, one in self._figures.positions.items()}
        return PlannedReconciliation(tuple(symbol for symbol, one in ours.items() if theirs.get(symbol, 0.0) != one))

    async def close(self) -> None:
        """Save."""
        await self.snapshot()


def _add(sums: dict[str, float], asset: str, amount: Any) -> None:
    sums[asset] = sums.get(asset, 0.0) + float(amount)


def planned(*, directory: Path, name: str, **options: Any) -> PlannedPortfolio:
    """Make the plan's portfolio; options are accepted and ignored."""
    del options
    return PlannedPortfolio(Path(directory) / f"{name}.portfolio.snapshot")
