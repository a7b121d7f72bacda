"""What one service is told: where the others are, how to get in, and the figures it goes by."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

SYMBOLS: Final = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Of one service; what it does not need may be left out. Spans are seconds, secrets are not shown by `repr`.

    - `urls`: base URLs of services by name, as they are reached from here.
    - `operators`: bearer tokens of people, by their names. `door_token`: the services' own, for reads of the exchange
      through `execution`. `dashboard_token`: of who may look.
    - `arm_as`: on whose behalf `execution` arms a new emergency stop at the start of the day; empty: a person has to.
    - `deposit`: what the account began with, in the quote asset, booked by `portfolio` once.
    - `stop_bps`: how far a price may run before an entry is given up for lost, in basis points: with the policy's risk
      of a trade it makes the size. `notional_max`: of one order, in the quote asset.
    - options of the patches, by the name of the port.
    """

    redis_url: str = ""
    binance_url: str = ""
    urls: Mapping[str, str] = field(default_factory=dict)
    api_key: str = field(default="", repr=False)
    api_secret: str = field(default="", repr=False)
    operators: Mapping[str, str] = field(default_factory=dict, repr=False)
    door_token: str = field(default="", repr=False)
    dashboard_token: str = field(default="", repr=False)
    symbols: tuple[str, ...] = SYMBOLS
    arm_as: str = ""
    deposit: str = "0"
    stop_bps: int = 1_000
    notional_max: int = 5_000
    slippage_bps: int = 50
    account_every_s: float = 1.0
    prices_every_s: float = 1.0
    reconcile_every_s: float = 10.0
    tell_every_s: float = 1.0
    ask_every_s: float = 2.0
    candle_s: float = 1.0
    price_age_max_s: float = 3.0
    signal_ttl_s: float = 5.0
    market_seed: int = 1
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        spans = {one.name: getattr(self, one.name) for one in fields(self) if one.name.endswith("_s")}
        for name, value in spans.items():
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} must be a positive number of seconds, not {value!r}")
        if not self.symbols or self.stop_bps < 1 or self.notional_max < 1:
            raise ValueError("there must be symbols, and stop_bps and notional_max must be positive")

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Return settings from a mapping, such as JSON. Raises `ValueError` for names that it does not know."""
        if unknown := sorted(set(given) - {one.name for one in fields(cls)}):
            raise ValueError(f"unknown settings: {', '.join(unknown)}")
        chosen = dict(given)
        if "symbols" in chosen:
            chosen["symbols"] = tuple(chosen["symbols"])
        return cls(**chosen)

    def options_of(self, port: str) -> Mapping[str, Any]:
        """Return the options of the patch behind that port."""
        return self.options.get(port, {})
