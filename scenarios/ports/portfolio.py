"""Patch 5: a portfolio whose profit and loss stays exact."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

from harness.ports import Port

Number: TypeAlias = Any
"""A figure whose `str` is an exact decimal (`-0.1`), or a fraction (`1/3`): that text is what is judged."""


class PositionFigures(Protocol):
    """One symbol."""

    @property
    def amount(self) -> Number:
        """What is held; negative when short."""

    @property
    def cost(self) -> Number:
        """What the part that is still open came to, signed like the amount: unrealised = amount * mark - cost."""

    @property
    def realised(self) -> Number:
        """What the closed part came to, before fees."""


class Figures(Protocol):
    """Everything: positions by symbol, sums by asset."""

    @property
    def positions(self) -> Mapping[str, PositionFigures]:
        """Of each symbol that was ever traded."""

    @property
    def fees(self) -> Mapping[str, Number]:
        """What trades cost, in the assets that it was paid in."""

    @property
    def deposits(self) -> Mapping[str, Number]:
        """What was transferred in, less what was transferred out."""

    @property
    def funding(self) -> Mapping[str, Number]:
        """What funding paid; negative if it was paid."""


class Valuation(Protocol):
    """What it is all worth in the quote asset."""

    deposits: Number
    realised: Number
    unrealised: Number
    fees: Number
    funding: Number
    equity: Number


class Applied(Protocol):
    """What became of a batch."""

    @property
    def new(self) -> int:
        """Entries that were taken."""

    @property
    def repeated(self) -> int:
        """Entries that had been taken before."""


class Reconciliation(Protocol):
    """What a comparison with the exchange came to."""

    @property
    def backfilled(self) -> Sequence[tuple[str, int]]:
        """Trades (symbol, id) that were missing, and were taken."""

    @property
    def differences(self) -> Sequence[Any]:
        """What differs all the same; each `str` names it."""

    @property
    def settled(self) -> bool:
        """Whether the exchange stood still long enough to be compared."""

    @property
    def through(self) -> Mapping[str, int]:
        """The last trade id that was compared, by symbol; -1 without any."""


class Portfolio(Protocol):
    """Patch 5. The factory is `make(*, directory: Path, name: str, **options) -> Portfolio`.

    `directory` survives a kill, `name` is stable over restarts; what a snapshot is saved in has `snapshot` in its name.
    An error that a method raises bears a `reason`, a short text, if it is certain that nothing was changed.
    """

    method: Literal["fifo", "average"]
    """What a sale is held to have cost: the oldest purchases, or the average of what is held."""

    async def start(self) -> None:
        """Know what was known: whatever was acked in earlier lives."""

    async def apply(self, trades: Sequence[Mapping[str, Any]]) -> Applied:
        """Take trades, entries of `GET /fapi/v1/userTrades`: in any order, twice, late. Acked once it returns."""

    async def apply_income(self, incomes: Sequence[Mapping[str, Any]]) -> Applied:
        """Take transfers and funding, entries of `GET /fapi/v1/income`, by the same rules."""

    def figures(self) -> Figures:
        """Return every figure, exactly."""

    def value(self, marks: Mapping[str, str], rates: Mapping[str, str]) -> Valuation:
        """Return what it is worth at these mark prices by symbol, and rates of other assets in the quote asset."""

    async def snapshot(self) -> None:
        """Save the state, for a quicker start."""

    async def reconcile(
        self, get: Any, *, symbols: Sequence[str], rates: Mapping[str, str], deadline_s: float
    ) -> Reconciliation:
        """Compare with the exchange through the `get` of a `BinanceAdapter`, and take what was missed.

        What `get` raises bears a `reason`, too: after trades were taken it must not be passed on as it is.
        """

    async def close(self) -> None:
        """Stop cleanly: nothing acked is lost."""


PORT = Port(
    name="portfolio",
    shape=Portfolio,
    keywords=(
        "directory",
        "name",
    ),
    trial="scenarios.trials.portfolio:talk",
)
