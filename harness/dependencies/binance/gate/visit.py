"""One request on its way through the exchange: what was found out about it so far, and what its observation says."""

from typing import TYPE_CHECKING, Any

from harness.dependencies.binance.arms import Kind
from harness.dependencies.binance.gate.params import Params
from harness.dependencies.binance.gate.routes import ROUTES, Route, market_of
from harness.dependencies.binance.gate.windows import Counter, OrderBudget
from harness.dependencies.binance.wire import Request
from harness.units import MILLISECOND

if TYPE_CHECKING:
    from harness.dependencies.binance.market.venue import Outcome
    from harness.dependencies.binance.settings import Market


class Visit:
    """A request. `wait_ms` is what it was told to wait, `implied_ms` what it can tell without `Retry-After`."""

    __slots__ = (
        "after_ns",
        "code",
        "counter",
        "fault",
        "headers",
        "implied_ms",
        "market",
        "n",
        "now_ns",
        "order_budget",
        "orders",
        "outcome",
        "params",
        "request",
        "risk",
        "route",
        "scope",
        "side_fault",
        "status",
        "symbol",
        "wait_ms",
        "wall_ms",
        "weight",
    )

    def __init__(self, n: int, request: Request, params: Params, now_ns: int, wall_ms: int) -> None:
        self.n = n
        self.request = request
        self.params = params
        self.now_ns = now_ns
        self.wall_ms = wall_ms
        self.symbol = params.values.get("symbol", "")
        route: Route | None = ROUTES.get((request.method, request.path))
        self.route = route
        self.market: Market | None = market_of(request.path) if route is None else route.market
        self.risk = route is not None and route.security == "TRADE" and route.lowers_risk(params.values)
        self.status = 0
        self.code = 0
        self.weight = 0
        self.counter: Counter | None = None
        self.orders = 0
        self.order_budget: OrderBudget | None = None
        self.wait_ms = 0
        self.implied_ms = 0
        self.scope = ""
        self.fault: Kind | None = None
        self.side_fault: Kind | None = None
        self.after_ns = 0
        self.outcome: Outcome | None = None
        self.headers: dict[str, str] = {}

    def blame(self, kind: Kind) -> None:
        """Say which armed fault decided what becomes of it; the first one stays."""
        if self.fault is None:
            self.fault = kind

    def tell(self, wait_ms: int, scope: str, *, implied_ms: int, retry_after: bool) -> None:
        """Let the answer say how long to wait, by `Retry-After` (whole seconds, rounded up) or by its kind alone."""
        self.scope = scope
        self.implied_ms = min(wait_ms, implied_ms)
        self.wait_ms = self.implied_ms
        if retry_after:
            self.wait_ms = wait_ms
            self.headers["Retry-After"] = str(-(-wait_ms // 1_000))

    def strip(self) -> None:
        """Take the headers away, and with them what only they told."""
        self.headers = {}
        self.wait_ms = self.implied_ms

    def lose(self) -> None:
        """The answer never gets out: nobody was told anything."""
        self.wait_ms = self.implied_ms = 0
        self.scope = ""
        self.status = 0
        self.code = 0
        self.after_ns = -1

    @property
    def executed(self) -> bool:
        """Whether it took effect on orders."""
        return self.outcome is not None and self.outcome.executed

    def as_fields(self) -> dict[str, Any]:
        """Return the fields of the `request` observation; those that say nothing are left out."""
        request = self.request
        fields: dict[str, Any] = {"n": self.n, "method": request.method, "path": request.path, "ip": request.ip}
        if self.market:
            fields["market"] = self.market
        for name in ("status", "code", "weight", "after_ns", "scope"):
            if value := getattr(self, name):
                fields[name] = value
        if self.counter is not None:
            self._add_counter(self.counter, fields)
        if self.order_budget is not None:
            fields["orders"] = self.orders
            fields["counts"] = [counter.as_json() for counter in self.order_budget.counters]
        if self.wait_ms:
            fields["wait_ns"] = self.wait_ms * MILLISECOND
        if fault := self.fault or self.side_fault:
            fields["fault"] = fault
        if self.symbol:
            fields["symbol"] = self.symbol
        if self.route is not None and self.route.security in ("TRADE", "USER_DATA"):
            self._add_order(fields)
        return fields

    def _add_counter(self, counter: Counter, fields: dict[str, Any]) -> None:
        if used := counter.used:
            fields["used"] = used
        if others := counter.others:
            fields["others"] = others
        fields["limit"] = counter.limit
        fields["window_ms"] = counter.window_ms

    def _add_order(self, fields: dict[str, Any]) -> None:
        values, outcome = self.params.values, self.outcome
        client_id = values.get("newClientOrderId") or values.get("origClientOrderId")
        order_id = 0
        if outcome is not None:
            client_id = outcome.client_id or client_id
            order_id = outcome.order_id
            if outcome.executed:
                fields["executed"] = True
        if order_id:
            fields["order_id"] = order_id
        if client_id:
            fields["client_id"] = client_id
        if side := values.get("side"):
            fields["side"] = side
        if quantity := values.get("quantity"):
            fields["quantity"] = quantity
        if self.risk:
            fields["risk"] = True
