"""The checks between the wire and the market: limits of the IP, who it is, limits of orders; with the faults on them.

Each check raises `Reject` for a request that does not pass. What a refusal does to the record of the IP (strikes, bans)
happens here as well, so that a storm that was armed earns bans like one that was caused.
"""

from typing import Final

from harness.dependencies.binance.core import Record
from harness.dependencies.binance.gate.armed import Armed
from harness.dependencies.binance.gate.errors import BANNED, BANNED_FROM_SPOT, TOO_MUCH_SPOT_WEIGHT, Reject
from harness.dependencies.binance.gate.guard import Ban
from harness.dependencies.binance.gate.params import authenticate
from harness.dependencies.binance.gate.quotas import Address, Quotas
from harness.dependencies.binance.gate.visit import Visit
from harness.dependencies.binance.gate.windows import Counter
from harness.dependencies.binance.settings import API_KEY, API_SECRET, Limit, Market, Settings
from harness.units import MILLISECOND

_SECRET: Final = API_SECRET.encode()
_NUMBERS: Final = {5: "FIVE", 10: "TEN", 15: "FIFTEEN", 30: "THIRTY"}
_TOO_MANY: Final = 429


class Admission:
    """The checks of one exchange."""

    __slots__ = ("_armed", "_quotas", "_record", "_retry_after")

    def __init__(self, settings: Settings, quotas: Quotas, armed: Armed, record: Record) -> None:
        self._retry_after = settings.retry_after
        self._quotas = quotas
        self._armed = armed
        self._record = record

    def weigh(self, visit: Visit) -> None:
        """Count the request's weight. Raises `Reject`: 418 during a ban, 429 over a limit or in an armed storm."""
        ip, wall_ms, market = visit.request.ip, visit.wall_ms, visit.market
        address = self._quotas.addresses.get(ip) or self._meet(ip, visit)
        if address.guard.banned(wall_ms):
            self._blame_ban(visit)
            self._strike(address, visit)
            raise self._banned(address, visit)
        if market is None:
            return
        budget = address.weight[market]
        weight = 1 if visit.route is None else visit.route.weigh(visit.params.values)
        broken = budget.charge(weight, wall_ms)
        visit.weight = weight
        visit.counter = budget.counters[0] if budget.counters else None
        visit.headers = budget.headers()
        if broken is not None:
            raise self._refuse_weight(address, visit, broken, broken.rest_ms(wall_ms))
        if self._armed.by_kind and visit.counter is not None:
            live = self._armed.hit("too_many_requests", visit.request.method, visit.request.path, visit.symbol)
            if live is not None:
                visit.blame("too_many_requests")
                wait_ms = live.options.get("retry_after_ms", visit.counter.rest_ms(wall_ms))
                raise self._refuse_weight(address, visit, visit.counter, wait_ms)

    def charge_failure(self, visit: Visit) -> None:
        """Count what a request weighs only if the market refuses it."""
        if visit.route is None or not visit.route.failed_weight:
            return
        budget = self._quotas.addresses[visit.request.ip].weight[visit.route.market]
        budget.charge(visit.route.failed_weight, visit.wall_ms)
        visit.weight += visit.route.failed_weight
        self.tell_use(visit)

    def tell_use(self, visit: Visit) -> None:
        """Let the answer's headers tell the use of weight, and nothing else."""
        if visit.market is not None:
            visit.headers = self._quotas.addresses[visit.request.ip].weight[visit.market].headers()

    def authenticate(self, visit: Visit) -> None:
        """Check key, signature and timestamp, as far as the endpoint wants them. Raises `Reject`."""
        route = visit.route
        if route is None or route.security == "NONE":
            return
        signed = route.signed
        authenticate(
            visit.params,
            visit.request.headers,
            visit.wall_ms,
            key=API_KEY,
            secret=_SECRET,
            signed=signed,
            microseconds=route.market == "spot",
        )
        if signed and self._armed.by_kind:
            request = visit.request
            if self._armed.hit("outside_recv_window", request.method, request.path, visit.symbol) is not None:
                visit.blame("outside_recv_window")
                raise Reject(-1021)

    def take_orders(self, visit: Visit) -> None:
        """Take the request's slots of the order limits. Raises `Reject` -1015 if one is full, or in an armed storm."""
        route = visit.route
        if route is None or not any(route.orders):
            return
        wall_ms, market = visit.wall_ms, route.market
        budget = self._quotas.orders[market]
        if self._armed.by_kind and budget.counters:
            live = self._armed.hit("too_many_orders", route.method, route.path, visit.symbol)
            if live is not None:
                visit.blame("too_many_orders")
                shortest = budget.counters[0]
                wait_ms = live.options.get("retry_after_ms", shortest.rest_ms(wall_ms))
                raise self._refuse_order(visit, market, shortest, wait_ms, live.options["status"])
        full = budget.take(route.orders, wall_ms)
        if full is not None:
            raise self._refuse_order(visit, market, full, full.rest_ms(wall_ms), _TOO_MANY)
        visit.orders = route.orders[0]
        visit.order_budget = budget

    def record_ban(self, ip: str, ban: Ban, now_ns: int, wall_ms: int) -> None:
        """Record a ban as it begins."""
        fields = {
            "ip": ip,
            "length_ns": ban.length_ms * MILLISECOND,
            "until_ns": now_ns + (ban.until_ms - wall_ms) * MILLISECOND,
        }
        self._record("ban", fields | ({"earned": True, "strikes": ban.strikes} if ban.earned else {}))

    def _meet(self, ip: str, visit: Visit) -> Address:
        address, ban = self._quotas.meet(ip, visit.wall_ms)
        if ban is not None:
            self.record_ban(ip, ban, visit.now_ns, visit.wall_ms)
        return address

    def _strike(self, address: Address, visit: Visit) -> bool:
        """Count a strike; return whether it earned a ban."""
        ban = address.guard.strike(visit.wall_ms)
        if ban is not None:
            self.record_ban(address.ip, ban, visit.now_ns, visit.wall_ms)
        return ban is not None

    def _blame_ban(self, visit: Visit) -> None:
        if self._quotas.imposed(visit.wall_ms):
            visit.blame("ban")
            for live in self._armed.by_kind.get("ban", ()):
                live.hits += 1

    def _banned(self, address: Address, visit: Visit) -> Reject:
        until_ms = address.guard.until_ms
        rest_ms = until_ms - visit.wall_ms
        visit.tell(rest_ms, "ip", implied_ms=rest_ms, retry_after=self._retry_after)
        return Reject.of(BANNED_FROM_SPOT if visit.market == "spot" else BANNED, ip=address.ip, until_ms=until_ms)

    def _refuse_weight(self, address: Address, visit: Visit, broken: Counter, wait_ms: int) -> Reject:
        if self._strike(address, visit):
            return self._banned(address, visit)
        visit.tell(wait_ms, "ip", implied_ms=broken.rest_ms(visit.wall_ms), retry_after=self._retry_after)
        if visit.market == "spot":
            limit = broken.declared
            return Reject.of(TOO_MUCH_SPOT_WEIGHT, limit=broken.limit, window=f"{limit.number} {limit.interval}")
        return Reject(-1003, ip=address.ip, limit=broken.limit, window=_weight_window(broken.declared))

    def _refuse_order(self, visit: Visit, market: Market, full: Counter, wait_ms: int, status: int) -> Reject:
        address = self._quotas.addresses[visit.request.ip]
        if status == _TOO_MANY and self._strike(address, visit):
            return self._banned(address, visit)
        told = self._retry_after and status == _TOO_MANY
        visit.tell(wait_ms, "orders", implied_ms=full.rest_ms(visit.wall_ms), retry_after=told)
        return Reject(-1015, status=status, limit=full.limit, window=_order_window(full.declared, market))


def _weight_window(limit: Limit) -> str:
    """Name a window as futures' -1003 does: `minute`, `5 seconds`."""
    unit = limit.interval.lower()
    return unit if limit.number == 1 else f"{limit.number} {unit}s"


def _order_window(limit: Limit, market: Market) -> str:
    """Name a window as -1015 does: `TEN_SECONDS`, `MINUTE` (futures), `10 SECOND` (spot)."""
    if market == "spot":
        return f"{limit.number} {limit.interval}"
    if limit.number == 1:
        return limit.interval
    return f"{_NUMBERS.get(limit.number, str(limit.number))}_{limit.interval}S"
