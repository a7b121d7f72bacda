"""What the exchange is put together from, as it sees them: one venue a market, and the user streams of both.

`market.venue.Venue` and `streams.UserStreams` are these; tests of the pipeline put smaller ones in.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from harness.dependencies.binance.market.venue import Outcome
from harness.dependencies.binance.settings import Limit


class Market(Protocol):
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

    def set_price(self, symbol: str, price: Decimal, wall_ms: int) -> None:
        """Move the middle of the book. Raises `WorldError` for an unknown symbol, or no price."""

    def ledger(self) -> dict[str, Any]:
        """Return all the truth there is, as plain JSON values."""


class Streams(Protocol):
    """Listen keys and sessions of both markets. Methods that close sessions return how many."""

    lifetime_ms: int
    """How long a listen key lives from now on, unless it is kept alive."""

    def opened(self, session: str, path: str, query: str, wall_ms: int) -> bool:
        """A WebSocket was asked for; return whether there is such a stream."""

    def said(self, session: str, text: str, wall_ms: int) -> None:
        """The client sent a text message."""

    def closed(self, session: str, wall_ms: int) -> None:
        """The socket is gone."""

    def disconnect(self, wall_ms: int) -> int:
        """Close all sessions; listen keys stay."""

    def expire(self, wall_ms: int) -> int:
        """Let all listen keys run out now: `listenKeyExpired`, then the close."""

    def due_ms(self) -> int | None:
        """Return when the next listen key runs out."""

    def advance(self, wall_ms: int) -> int:
        """Let go of the listen keys that ran out."""
