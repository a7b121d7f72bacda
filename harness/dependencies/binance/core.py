"""What the shells (HTTP server, WebSocket sessions, control API) need of the exchange; `exchange.Exchange` is it.

The shells own sockets and clocks, the core owns all state. A shell calls the core from one thread, with the time, and
asks after each call when the core wants to be woken (`due_ns`): for what happens by itself, as user streams that are
closed every second, listen keys that run out, or other tenants' load.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol, TypeAlias

from harness.dependencies.binance.arms import Arm
from harness.dependencies.binance.wire import Reaction, Request

Record: TypeAlias = Callable[[str, dict[str, Any]], None]
"""Takes an observation: its name and fields, as listed in control.py."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The time of the run, for records and delays, and the exchange's own clock, for windows and timestamps."""

    now_ns: Callable[[], int]
    wall_ms: Callable[[], int]


class Core(Protocol):
    """The exchange, as its shells see it."""

    def receive(self, request: Request, now_ns: int, wall_ms: int) -> Reaction:
        """Take one HTTP request and say what becomes of it."""

    def arm(self, arm: Arm, now_ns: int, wall_ms: int) -> str:
        """Arm a fault; return what names it. Raises `WorldError` for options that it does not take."""

    def disarm(self, name: str, now_ns: int, wall_ms: int) -> None:
        """End it, after an `exchange_fault` record. Raises `WorldError` if there is none of that name."""

    def ledger(self) -> dict[str, Any]:
        """Return all the truth there is, as plain JSON values."""

    def refill(self, symbol: str, now_ns: int, wall_ms: int) -> None:
        """Bring back all depth of that symbol's book. Raises `WorldError` for an unknown symbol."""

    def set_price(self, symbol: str, price: Decimal, now_ns: int, wall_ms: int) -> None:
        """Move the middle of that symbol's book there. Raises `WorldError` for an unknown symbol, or no price."""

    def stream_opened(self, session: str, path: str, query: str, now_ns: int, wall_ms: int) -> bool:
        """A WebSocket was asked for at that path; return whether there is such a stream (else: 404)."""

    def stream_said(self, session: str, text: str, now_ns: int, wall_ms: int) -> None:
        """The client of that session sent a text message (SUBSCRIBE and the like)."""

    def stream_closed(self, session: str, now_ns: int, wall_ms: int) -> None:
        """That session's socket is gone, whoever closed it."""

    def due_ns(self) -> int | None:
        """Return at what time of the run something happens by itself; None if nothing will."""

    def wake(self, now_ns: int, wall_ms: int) -> None:
        """Do what is due."""
