"""Patch 9: how an order is tried again, in figures. What is decided by them is `_binance.execution`, a pure machine.

The rules, and why:

- An order is sent once under one client id. The exchange holds client ids unique among *open* orders only, so the same
  id sent again after a fill opens a second position.
- An outcome that is unknown (no answer, a reset, 503 "Unknown error", -1006, -1007) is asked about, by client id, until
  it is known; nothing else is sent for the intent meanwhile. "Order does not exist" is believed only once the order's
  `recvWindow` has surely passed on the exchange's own clock: until then it may still arrive and be executed.
- What surely failed is sent again after a pause of full jitter; what was refused for a limit, when the limiter says so;
  what was refused for good, never.
- What is missing after a partial fill is tried again, fitted to lot size and minimum notional, until 90 % are filled.
- Both the number of orders and the time are bounded. An order is begun only with time left to learn what became of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

Dice: TypeAlias = Callable[[float, float], float]
"""`random.uniform`, or anything like it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The figures. Durations are seconds, unless they go to the exchange.

    - `sends_max`: orders sent for one intent, over all its attempts and lives.
    - `enough`: the share that counts as filled (the plan's 90 %).
    - `recv_window_ms`: how long after its timestamp an order may still be accepted. Short, as that is how long an
      unknown outcome can stay unknown; long enough for a slow way and for connecting.
    - `settle_ms`: added to it before "does not exist" is believed, for an order that was accepted in its last instant
      and is not yet shown by queries.
    - `failed_pause`: first pause after a failure; it doubles (200, 400, 800 ms, as the documentation asks for).
    - `book_pause`: the same after an order ended short, so that the book comes back meanwhile.
    - `ask_pause`: the same between queries.
    - `pause_max`: no pause is longer.
    - `settle_time`: an order, but for the first, is begun only with so much time left.
    - `price_asks`: so often the price of a fill is asked for, before a report goes without it.
    """

    sends_max: int = 8
    enough: Decimal = Decimal("0.9")
    recv_window_ms: int = 2_000
    settle_ms: int = 500
    failed_pause: float = 0.2
    book_pause: float = 0.25
    ask_pause: float = 0.1
    pause_max: float = 4.0
    settle_time: float = 3.5
    price_asks: int = 5


def full_jitter(first: float, times: int, most: float, dice: Dice) -> float:
    """Return a pause between 0 and `first * 2 ** times`, at most `most`: clients that failed together spread out."""
    return dice(0.0, _ceiling(first, times, most))


def equal_jitter(first: float, times: int, most: float, dice: Dice) -> float:
    """Return a pause from the upper half of the same range: for what surely takes time, as a book that comes back."""
    ceiling = _ceiling(first, times, most)
    return dice(ceiling / 2, ceiling)


def _ceiling(first: float, times: int, most: float) -> float:
    return min(most, first * 2.0 ** min(times, 30))
