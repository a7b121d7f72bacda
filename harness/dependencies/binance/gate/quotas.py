"""All counters and bans of one exchange: weight and guard of each IP, orders of the account, faults on them included.

There is one account, and one record of bans for each IP over both markets. Faults on limits add up: factors of several
arms are multiplied, other tenants' rates are summed.
"""

from collections.abc import Iterator
from typing import Any, Final

from harness.dependencies.binance.gate.guard import Ban, Guard
from harness.dependencies.binance.gate.windows import Counter, OrderBudget, WeightBudget, scaled
from harness.dependencies.binance.settings import Limit, Market, Settings

MARKETS: Final[tuple[Market, ...]] = ("futures", "spot")


class Address:
    """What the exchange keeps of one IP."""

    __slots__ = ("guard", "ip", "weight")

    def __init__(self, ip: str, settings: Settings) -> None:
        self.ip = ip
        self.guard = Guard(
            strikes=settings.strikes, strike_window_ms=settings.strike_window_ms, bans_ms=settings.bans_ms
        )
        self.weight = {
            market: WeightBudget(settings.limits(market), plain_header=market == "spot") for market in MARKETS
        }


class Quotas:
    """The counters. `factor` scales all limits, `weight_per_s` and `orders_per_s` are other tenants' use."""

    __slots__ = ("_imposed_until_ms", "_settings", "addresses", "factor", "orders", "orders_per_s", "weight_per_s")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._imposed_until_ms = 0
        self.addresses: dict[str, Address] = {}
        self.orders = {market: OrderBudget(settings.limits(market)) for market in MARKETS}
        self.factor = 1.0
        self.weight_per_s = 0.0
        self.orders_per_s = 0.0

    def meet(self, ip: str, wall_ms: int) -> tuple[Address, Ban | None]:
        """Return what is known of a new IP, and the ban that is imposed on it at once, if one is."""
        address = self.addresses[ip] = Address(ip, self._settings)
        for budget in address.weight.values():
            for counter in budget.counters:
                counter.scale(self.factor)
                counter.share(self.weight_per_s, wall_ms)
        until_ms = self._imposed_until_ms
        return address, address.guard.impose(until_ms, wall_ms) if until_ms > wall_ms else None

    def scale(self, factor: float) -> None:
        """Multiply all declared limits by `factor`."""
        self.factor = factor
        for _, counter in self._counters():
            counter.scale(factor)

    def share(self, weight_per_s: float, orders_per_s: float, wall_ms: int) -> None:
        """Let other tenants use so much from now on, on every IP and in each market."""
        self.weight_per_s, self.orders_per_s = weight_per_s, orders_per_s
        for is_weight, counter in self._counters():
            counter.share(weight_per_s if is_weight else orders_per_s, wall_ms)

    def impose(self, until_ms: int, wall_ms: int) -> list[tuple[str, Ban]]:
        """Ban all IPs, those that come later included, until then; 0 ends imposed bans. Returns what bans that adds."""
        adds = until_ms > max(self._imposed_until_ms, wall_ms)
        self._imposed_until_ms = until_ms
        bans = [(ip, address.guard.impose(until_ms, wall_ms)) for ip, address in self.addresses.items()]
        return bans if adds else []

    def imposed(self, wall_ms: int) -> bool:
        """Whether an imposed ban is in force."""
        return wall_ms < self._imposed_until_ms

    def limits(self, market: Market) -> tuple[Limit, ...]:
        """Return the limits in force, as exchangeInfo says them."""
        return tuple(scaled(limit, self.factor) for limit in self._settings.limits(market))

    def as_json(self, wall_ms: int) -> dict[str, Any]:
        """Return all counters and bans, brought to the present."""
        for _, counter in self._counters():
            counter.roll(wall_ms)
        return {
            "orders": {market: [one.as_json() for one in budget.counters] for market, budget in self.orders.items()},
            "ips": {
                ip: {
                    "weight": {
                        market: [one.as_json() for one in budget.counters] for market, budget in address.weight.items()
                    },
                    "banned_until_ms": address.guard.until_ms,
                    "bans_earned": address.guard.level,
                }
                for ip, address in self.addresses.items()
            },
        }

    def _counters(self) -> Iterator[tuple[bool, Counter]]:
        """Yield every counter, and whether it is one of weight."""
        for address in self.addresses.values():
            for budget in address.weight.values():
                for counter in budget.counters:
                    yield True, counter
        for orders in self.orders.values():
            for counter in orders.counters:
                yield False, counter
