"""What `execution` decides: whether a signal is still meant, how much to trade on it, how the account stands. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final, Protocol

_BPS: Final = Decimal(10_000)
_LEAST_TTL_S: Final = 0.001
_PLACES: Final = Decimal("0.00000001")


class Limits(Protocol):
    """What a policy lets be risked; see `_policy.profiles.Limits`."""

    @property
    def risk_bps(self) -> int:
        """Of one trade, in basis points of equity."""

    @property
    def leverage(self) -> int:
        """The most that all positions together may be worth, in equities."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account as the exchange told it last. `drawdown` and `loss`: fractions of the highest and of present equity.

    `held` is signed, by symbol; `gross` is what all positions are worth, whichever way.
    """

    equity: Decimal = Decimal(0)
    highest: Decimal = Decimal(0)
    drawdown: float = float("nan")
    loss: float = float("nan")
    gross: Decimal = Decimal(0)
    held: Mapping[str, Decimal] = field(default_factory=dict)

    def after(self, told: Mapping[str, Any]) -> "Account":
        """Return the account with what `GET /fapi/v2/account` said now; the highest is that of all readings."""
        equity, unrealised = Decimal(told["totalMarginBalance"]), Decimal(told["totalUnrealizedProfit"])
        highest = max(self.highest, equity)
        positions = {one["symbol"]: one for one in told["positions"] if Decimal(one["positionAmt"])}
        return Account(
            equity=equity,
            highest=highest,
            drawdown=float(round(1 - equity / highest, 6)) if highest else float("nan"),
            loss=float(round(-unrealised / equity, 6)) if equity else float("nan"),
            gross=sum((abs(Decimal(one["notional"])) for one in positions.values()), Decimal(0)),
            held={symbol: Decimal(one["positionAmt"]) for symbol, one in positions.items()},
        )


@dataclass(frozen=True, slots=True)
class Sized:
    """How much to trade; nothing is a quantity of zero, and `reason` says why."""

    quantity: Decimal
    reduce_only: bool = False
    reason: str = ""


def still_meant(payload: Mapping[str, Any], *, published_s: float, now_s: float) -> dict[str, Any] | None:
    """Return the signal with what is left of its ttl, None if nothing is: it waited on the bus, behind an outage say.

    Both times are Unix seconds, of two machines: a clock that is ahead by a second takes a second from a ttl. A signal
    that seems to come from the future has its whole ttl. One whose ttl is no number is left for the executor to refuse.
    """
    signal = dict(payload)
    ttl_s = signal.get("ttl_s")
    if isinstance(ttl_s, bool) or not isinstance(ttl_s, int | float):
        return signal
    left_s = ttl_s - max(0.0, now_s - published_s)
    if ttl_s >= _LEAST_TTL_S and left_s < _LEAST_TTL_S:
        return None
    return {**signal, "ttl_s": min(ttl_s, left_s)}


def sized(
    *,
    side: str,
    leaving: bool,
    confidence: float,
    price: Decimal | None,
    account: Account,
    symbol: str,
    limits: Limits,
    stop_bps: int,
    notional_max: int,
) -> Sized:
    """Return how much to trade on a signal.

    An exit closes what is held against it, and never more. An entry risks the policy's share of equity, less the less
    sure the model is, if the price runs `stop_bps` against it; all positions together stay within the leverage.
    """
    held = account.held.get(symbol, Decimal(0))
    if leaving:
        against = held if side == "SELL" else -held
        return Sized(against, reduce_only=True) if against > 0 else Sized(Decimal(0), reason="nothing_held")
    if price is None or price <= 0:
        return Sized(Decimal(0), reason="no_price")
    risked = account.equity * limits.risk_bps / stop_bps * Decimal(str(round(confidence, 4)))
    room = account.equity * limits.leverage - account.gross
    notional = min(risked, room, Decimal(notional_max))
    if notional <= 0:
        return Sized(Decimal(0), reason="no_room")
    return Sized((notional / price).quantize(_PLACES, ROUND_DOWN))
