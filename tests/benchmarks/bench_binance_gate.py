"""What gate and pipeline of the emulated exchange cost a request, the market left out: CPU time on one core."""

import hmac
import time
from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from harness.dependencies.binance.arms import Arm
from harness.dependencies.binance.exchange import Exchange
from harness.dependencies.binance.market.outcome import Outcome
from harness.dependencies.binance.settings import API_KEY, API_SECRET, Limit, Settings
from harness.dependencies.binance.wire import Answer, Request
from harness.tape import Stream

NOON_MS = 1_700_000_040_000
REQUESTS = 2_000
ROUNDS = 5
BOUNDLESS = (
    Limit("REQUEST_WEIGHT", "MINUTE", 1, 10**12),
    Limit("ORDERS", "SECOND", 10, 10**12),
    Limit("ORDERS", "MINUTE", 1, 10**12),
)


class NoMarket:
    """Implements `parts.Venue` as far as it is asked: everything succeeds at no cost."""

    limits = BOUNDLESS
    outcome = Outcome(b"{}", order_id=8_000_000_001, client_id="one", executed=True)

    def call(self, endpoint, params, wall_ms, *, move_bps=0):
        return self.outcome


class Deaf:
    """Implements `StreamOut`."""

    def send(self, key, text):
        raise AssertionError(text)

    def close(self, key, code):
        raise AssertionError(code)


def order() -> Request:
    """A signed order of the usual length."""
    query = urlencode(
        {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "MARKET",
            "quantity": "0.002",
            "newOrderRespType": "RESULT",
            "newClientOrderId": "x-8600a7fdd6fe8c309c9914c8",
            "recvWindow": 5000,
            "timestamp": NOON_MS,
        }
    )
    signature = hmac.digest(API_SECRET.encode(), query.encode(), "sha256").hex()
    headers = {"host": "127.0.0.1", "x-mbx-apikey": API_KEY, "content-type": "application/x-www-form-urlencoded"}
    return Request(
        method="POST", path="/fapi/v1/order", query=f"{query}&signature={signature}".encode(), headers=headers
    )


def read() -> Request:
    """An unsigned read."""
    return Request(method="GET", path="/fapi/v1/depth", query=b"symbol=BTCUSDT&limit=50", headers={"host": "127.0.0.1"})


@pytest.mark.benchmark
@pytest.mark.parametrize(
    ("make", "armed", "ceiling_us"), [(order, False, 60), (read, False, 25), (order, True, 90), (read, True, 45)]
)
def test_gate_and_pipeline_cost(make: Callable[[], Request], armed: bool, ceiling_us: float) -> None:
    """A signed order, HMAC and record included, and an unsigned read; also while two faults are armed."""
    exchange = Exchange(
        Settings(futures_limits=BOUNDLESS),
        dice=Stream("exchange", 1, {}),
        record=lambda name, fields: None,
        streams=Deaf(),
        venue=lambda market, streams: NoMarket(),
    )
    if armed:
        for kind in ("unknown_error", "latency"):
            exchange.arm(Arm(kind=kind, share=0.1), 0, NOON_MS)
    request = make()
    best = float("inf")
    for _ in range(ROUNDS):
        begin = time.process_time()
        for number in range(REQUESTS):
            reaction = exchange.receive(request, number, NOON_MS)
        best = min(best, time.process_time() - begin)
        assert isinstance(reaction, Answer)
    cost_us = best / REQUESTS * 1e6
    print(f"{make.__name__:6} {'armed' if armed else 'plain'} {cost_us:6.1f} us")
    assert cost_us < ceiling_us
