"""A small exchange behind respx, independent of the emulator: orders by client id, and a fault for each request."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
import respx

from reference_impl.binance_adapter import BinanceAdapter, make

BASE = "http://exchange.test"
KEY = "key-of-the-account"
SECRET = "secret-of-the-account"

Fault = Callable[[httpx.Request, Callable[[], httpx.Response]], httpx.Response]


class Market:
    """One symbol at one price. `depth` is what an order gets at most; faults are used up, `faults` by orders alone.

    A fault is called with the request and with what executes it.
    """

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.sent: list[dict[str, str]] = []
        self.requests: list[tuple[str, str]] = []
        self.price = Decimal("100.0")
        self.depth = [Decimal(1_000_000)]
        self.faults: list[Fault] = []
        self.query_faults: list[Fault] = []
        self.any_faults: list[Fault] = []
        self.offset_ms = 5_000_000

    @property
    def filled(self) -> Decimal:
        return sum((Decimal(order["executedQty"]) for order in self.orders.values()), Decimal(0))

    def now_ms(self) -> int:
        return int(time.monotonic() * 1_000) + self.offset_ms

    def handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.requests.append((request.method, path))
        params = dict(parse_qsl(request.url.query.decode()))
        if self.any_faults:
            return self.any_faults.pop(0)(request, lambda: httpx.Response(200))
        if path == "/fapi/v1/order":
            return self._order(request, params)
        price = str(self.price)
        known = {
            "/fapi/v1/time": {"serverTime": self.now_ms()},
            "/fapi/v1/exchangeInfo": _INFO,
            "/fapi/v1/depth": {"asks": [[price, "1"]], "bids": [[price, "1"]]},
        }
        if path in known:
            return httpx.Response(200, json=known[path])
        return self._faulty(self.query_faults, request, lambda: httpx.Response(200, json={"path": path, **params}))

    def _order(self, request: httpx.Request, params: dict[str, str]) -> httpx.Response:
        if not -1_000 < self.now_ms() - int(params["timestamp"]) <= int(params["recvWindow"]):
            return error(400, -1021, "Timestamp for this request is outside of the recvWindow.")
        if request.method == "POST":
            self.sent.append(params)
            return self._faulty(self.faults, request, lambda: self.execute(params))
        return self._faulty(self.query_faults, request, lambda: self._show(request.method, params))

    def execute(self, params: dict[str, str]) -> httpx.Response:
        """Match an order; resting ones stay open."""
        quantity, limit = Decimal(params["quantity"]), Decimal(params["price"])
        crosses = limit >= self.price if params["side"] == "BUY" else limit <= self.price
        depth = self.depth.pop(0) if len(self.depth) > 1 else self.depth[0]
        executed = min(quantity, depth) if crosses else Decimal(0)
        rests = params["timeInForce"] == "GTC" and executed < quantity
        status = "FILLED" if executed == quantity else "NEW" if rests else "EXPIRED"
        order = {
            "clientOrderId": params["newClientOrderId"],
            "status": status,
            "executedQty": str(executed),
            "origQty": params["quantity"],
        }
        self.orders[params["newClientOrderId"]] = {**order, "cumQuote": str(executed * self.price)}
        return httpx.Response(200, json=order)

    def _show(self, method: str, params: dict[str, str]) -> httpx.Response:
        order = self.orders.get(params["origClientOrderId"])
        if order is None:
            return error(400, -2013, "Order does not exist.")
        if method == "DELETE":
            if order["status"] != "NEW":
                return error(400, -2011, "Unknown order sent.")
            order["status"] = "CANCELED"
        return httpx.Response(200, json=order)

    @staticmethod
    def _faulty(faults: list[Fault], request: httpx.Request, act: Callable[[], httpx.Response]) -> httpx.Response:
        return faults.pop(0)(request, act) if faults else act()


def error(status: int, code: int | None, text: str) -> httpx.Response:
    return httpx.Response(status, json={"msg": text} if code is None else {"code": code, "msg": text})


_INFO = {
    "rateLimits": [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
    ],
    "symbols": [
        {
            "symbol": "BTCUSDT",
            "filters": [
                {"filterType": "PRICE_FILTER", "tickSize": "0.10", "minPrice": "0.10", "maxPrice": "1000000"},
                {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
                {"filterType": "MIN_NOTIONAL", "notional": "5"},
            ],
        }
    ],
}


class Answers:
    """Faults to put into `Market.faults`."""

    @staticmethod
    def refuse(status: int, code: int | None, text: str = "no") -> Fault:
        """Answer with an error; not executed."""
        return lambda request, act: error(status, code, text)

    @staticmethod
    def execute_then(status: int, code: int | None, text: str) -> Fault:
        """Execute, and answer with an error."""

        def fault(request: httpx.Request, act: Callable[[], httpx.Response]) -> httpx.Response:
            act()
            return error(status, code, text)

        return fault

    @staticmethod
    def lose(kind: type[httpx.TransportError], *, executed: bool) -> Fault:
        """Break the connection, after execution or instead of it."""

        def fault(request: httpx.Request, act: Callable[[], httpx.Response]) -> httpx.Response:
            if executed:
                act()
            raise kind("lost", request=request)

        return fault


@pytest.fixture
def answers() -> type[Answers]:
    """Ways to answer badly."""
    return Answers


@pytest.fixture
def market() -> Iterator[Market]:
    """The exchange, in the way of every request of httpx."""
    exchange = Market()
    with respx.mock(assert_all_called=False, assert_all_mocked=True) as router:
        router.route().mock(side_effect=exchange.handle)
        yield exchange


@pytest.fixture
async def make_adapter(tmp_path: Path) -> AsyncIterator[Callable[..., BinanceAdapter]]:
    """A factory of adapters with one journal's directory; all are closed at the end, and no task is left."""
    made: list[BinanceAdapter] = []

    def factory(factory: Callable[..., Any] = make, **options: Any) -> BinanceAdapter:
        adapter: BinanceAdapter = factory(
            base_url=BASE, api_key=KEY, api_secret=SECRET, directory=tmp_path, name="trader", **options
        )
        made.append(adapter)
        return adapter

    yield factory
    for adapter in made:
        await adapter.close()
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("binance-")] == []


@pytest.fixture
async def adapter(market: Market, make_adapter: Callable[..., BinanceAdapter]) -> BinanceAdapter:
    """A started adapter."""
    made = make_adapter()
    await made.start()
    return made


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """A function that polls for a state that nothing announces, for at most `within` seconds."""

    async def wait(condition: Callable[[], bool], within: float = 8.0) -> None:
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110 - the mocked exchange sets no event
                await asyncio.sleep(0.005)  # paces the polling, synchronises nothing

    return wait
