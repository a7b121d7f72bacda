"""The exchange's figures: limits, punishment, and what Binance does not publish and is assumed here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, TypeAlias

from harness.errors import UsageError

Market: TypeAlias = Literal["futures", "spot"]
LimitType: TypeAlias = Literal["REQUEST_WEIGHT", "ORDERS"]
Interval: TypeAlias = Literal["SECOND", "MINUTE", "HOUR", "DAY"]

_INTERVAL_MS: Final[dict[Interval, int]] = {"SECOND": 1_000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000}


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `limit` (of weight, or orders) in each window of `number` intervals; windows are clock-aligned (UTC)."""

    type: LimitType
    interval: Interval
    number: int
    limit: int

    @property
    def window_ms(self) -> int:
        """Length of a window."""
        return self.number * _INTERVAL_MS[self.interval]

    @property
    def suffix(self) -> str:
        """How headers name the window: `1M`, `10S`, `1D`."""
        return f"{self.number}{self.interval[0]}"

    def as_json(self) -> dict[str, Any]:
        """Return the entry of exchangeInfo's `rateLimits`."""
        return {"rateLimitType": self.type, "interval": self.interval, "intervalNum": self.number, "limit": self.limit}


FUTURES_LIMITS: Final = (
    Limit("REQUEST_WEIGHT", "MINUTE", 1, 2_400),
    Limit("ORDERS", "SECOND", 10, 300),
    Limit("ORDERS", "MINUTE", 1, 1_200),
)
SPOT_LIMITS: Final = (
    Limit("REQUEST_WEIGHT", "MINUTE", 1, 6_000),
    Limit("ORDERS", "SECOND", 10, 100),
    Limit("ORDERS", "DAY", 1, 200_000),
)
SHORT_FUTURES_LIMITS: Final = (
    Limit("REQUEST_WEIGHT", "SECOND", 5, 200),
    Limit("ORDERS", "SECOND", 5, 150),
    Limit("ORDERS", "SECOND", 10, 300),
)
"""The same rates in windows of seconds, for runs in real time that must be short; exchangeInfo says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one emulated exchange is like. Durations are milliseconds, as in Binance's API.

    - `strikes`: so many requests that are refused within one `strike_window_ms` earn an IP ban. Unpublished; assumed.
      Refused with 429 for weight (-1003) or orders (-1015; not where it is answered at 400), or sent in spite of a ban,
      and then they earn the next longer one.
    - `bans_ms`: length of the first, second, ... earned ban; the last for all that follow. Documented: 2 min to 3 days.
    - `retry_after`: whether 429 and 418 bear `Retry-After` (documented for spot, not for futures).
    - `refill_ms`: how long a level of the book takes to come back after it was taken. An assumption.
    - `balance`: of the account at the start, in USDT.
    """

    futures_limits: tuple[Limit, ...] = FUTURES_LIMITS
    spot_limits: tuple[Limit, ...] = SPOT_LIMITS
    strikes: int = 10
    strike_window_ms: int = 60_000
    bans_ms: tuple[int, ...] = (120_000, 300_000, 1_800_000, 7_200_000, 86_400_000, 259_200_000)
    retry_after: bool = True
    refill_ms: int = 200
    balance: int = 10_000_000

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Self:
        """Return the settings that a scenario's options give. `windows="short"` takes the short limits.

        Raises `UsageError` for unknown options.
        """
        known = (*cls.__dataclass_fields__, "windows")
        if unknown := sorted(set(options) - set(known)):
            raise UsageError(f"unknown options of binance: {', '.join(unknown)}; known: {', '.join(known)}")
        chosen = dict(options)
        windows = chosen.pop("windows", "real")
        if windows not in ("real", "short"):
            raise UsageError(f"windows of binance are real or short, not {windows!r}")
        if windows == "short":
            chosen.setdefault("futures_limits", SHORT_FUTURES_LIMITS)
        return cls(**chosen)

    def limits(self, market: Market) -> tuple[Limit, ...]:
        """Return that market's limits."""
        return self.futures_limits if market == "futures" else self.spot_limits


API_KEY: Final = "harness-emulator-key"
API_SECRET: Final = "harness-emulator-secret"  # noqa: S105 - opens nothing but an emulator on loopback
EGRESS_IP: Final = "203.0.113.7"
"""All hosts of a scenario reach the exchange from one address, as from behind one NAT (RFC 5737's example range)."""
