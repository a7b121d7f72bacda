"""A market as the pipeline sees it; `market.venue.Venue` is one, tests of the pipeline put smaller ones in."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from harness.dependencies.binance.market.outcome import Outcome
from harness.dependencies.binance.settings import Limit


class Venue(Protocol):
    """One market: symbols, books, orders, the account; see market/venue.py. All symbols are meant if none is given."""

    limits: tuple[Limit, ...]

    def call(self, endpoint: str, params: Mapping[str, str], wall_ms: int, *, move_bps: int = 0) -> Outcome:
        """Carry out one request. Raises `Reject`."""

    def thin(self, symbols: Sequence[str], factor: float, refill_ms: int, wall_ms: int) -> None:
        """Let books have `factor` of their depth, and levels take `refill_ms` to come back."""

    def restore(self, symbols: Sequence[str], wall_ms: int) -> None:
        """End that."""

    def refill(self, symbols: Sequence[str], wall_ms: int) -> None:
        """Bring back all depth. Raises `WorldError` for an unknown symbol."""

    def fall(self, symbols: Sequence[str], share: float, wall_ms: int) -> None:
        """Let prices be that share below what they were before they fell; 0: there they are again."""

    def set_price(self, symbol: str, price: Decimal, wall_ms: int) -> None:
        """Move the middle of the book. Raises `WorldError` for an unknown symbol, or no price."""

    def advance(self, wall_ms: int) -> None:
        """Let time do its work: orders expire, countdowns end."""

    def ledger(self) -> dict[str, Any]:
        """Return all the truth there is, as plain JSON values."""
