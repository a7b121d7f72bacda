"""The way of a request: what is checked in which order, what is answered, and that each is recorded once."""

import json

import pytest

from harness.dependencies.binance.wire import Answer


def test_a_signed_order_reaches_the_market_and_is_recorded(desk, told) -> None:
    """The plain case: answered, counted on the order limits, weighing nothing."""
    answer = desk.order(newClientOrderId="one")
    assert told(answer) == (200, {"endpoint": "new_order"})
    assert answer.headers == {
        "X-MBX-USED-WEIGHT-1M": "0",
        "X-MBX-ORDER-COUNT-10S": "1",
        "X-MBX-ORDER-COUNT-1M": "1",
    }
    assert desk.seen("request") == [
        {
            "n": 1,
            "method": "POST",
            "path": "/fapi/v1/order",
            "ip": "203.0.113.7",
            "market": "futures",
            "status": 200,
            "limit": 2400,
            "window_ms": 60_000,
            "orders": 1,
            "counts": [[10_000, 1, 300], [60_000, 1, 1200]],
            "symbol": "BTCUSDT",
            "order_id": 1,
            "client_id": "one",
            "side": "BUY",
            "quantity": "1",
            "executed": True,
        }
    ]
    assert desk.venues["futures"].calls[0][1].keys() >= {"symbol", "quantity", "timestamp"}
    assert "signature" not in desk.venues["futures"].calls[0][1]


def test_the_limits_are_said_before_anything_else(desk) -> None:
    """Readers of a history need limits and window edges before the first request."""
    assert desk.exchange.due_ns() == 0
    desk.exchange.wake(desk.now_ns, desk.wall_ms)
    assert desk.exchange.due_ns() is None
    assert desk.records == [
        (
            "exchange",
            {
                "limits": {
                    "futures": [
                        ["REQUEST_WEIGHT", 60_000, 2400],
                        ["ORDERS", 10_000, 300],
                        ["ORDERS", 60_000, 1200],
                    ],
                    "spot": [
                        ["REQUEST_WEIGHT", 60_000, 6000],
                        ["ORDERS", 10_000, 100],
                        ["ORDERS", 86_400_000, 200_000],
                    ],
                },
                "strikes": 10,
                "bans_ms": [120_000, 300_000, 1_800_000, 7_200_000, 86_400_000, 259_200_000],
                "wall_ms": desk.wall_ms,
            },
        )
    ]
    desk.send("GET", "/fapi/v1/ping")
    assert [name for name, _ in desk.records] == ["exchange", "request"]


def test_an_unsigned_read_needs_nobody(desk, told) -> None:
    """Public data is for everybody, and costs its weight."""
    answer = desk.send("GET", "/fapi/v1/depth", symbol="BTCUSDT", limit=1000)
    assert told(answer) == (200, {"endpoint": "depth"})
    assert answer.headers == {"X-MBX-USED-WEIGHT-1M": "20"}
    assert (desk.last["weight"], desk.last["used"]) == (20, 20)


def test_spot_tells_its_use_twice(desk) -> None:
    """Spot has a plain header as well; its limits are its own."""
    desk.send("GET", "/fapi/v1/ping")
    answer = desk.send("GET", "/api/v3/exchangeInfo")
    assert answer.headers == {"X-MBX-USED-WEIGHT": "20", "X-MBX-USED-WEIGHT-1M": "20"}


def test_an_order_that_the_market_refuses_is_counted_and_not_told_so(desk, told) -> None:
    """A rejected order may lack the count: the worse for a client that counts by headers."""
    answer = desk.order(refuse=-2019)
    assert told(answer) == (400, {"code": -2019, "msg": "Margin is insufficient."})
    assert answer.headers == {"X-MBX-USED-WEIGHT-1M": "0"}
    assert desk.last["counts"] == [[10_000, 1, 300], [60_000, 1, 1200]]
    assert "executed" not in desk.last
    assert desk.order().headers["X-MBX-ORDER-COUNT-10S"] == "2"


def test_a_spot_order_weighs_something_only_if_it_fails(desk) -> None:
    """Documented: 0 on success."""
    desk.signed("POST", "/api/v3/order", symbol="BTCUSDT")
    assert desk.last.get("weight", 0) == 0
    answer = desk.signed("POST", "/api/v3/order", symbol="BTCUSDT", refuse=-2010)
    assert (answer.status, desk.last["weight"], answer.headers["X-MBX-USED-WEIGHT-1M"]) == (400, 1, "1")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/fapi/v1/nothing", 404, -5000),
        ("PATCH", "/fapi/v1/order", 405, -5000),
        ("POST", "/api/v3/ping", 405, -5000),
        ("GET", "/api/v9/ping", 404, -5000),
    ],
)
def test_a_path_or_a_method_that_does_not_exist_costs_weight(desk, told, method, path, status, code) -> None:
    """A client that probes paths uses its limits like everybody."""
    answer = desk.send(method, path)
    assert told(answer) == (status, {"code": code, "msg": f"Path {path}, Method {method} is invalid"})
    assert desk.last["weight"] == 1


def test_outside_of_the_apis_a_web_server_answers(desk) -> None:
    """Not JSON, and nobody's weight."""
    answer = desk.send("GET", "/robots.txt")
    assert (answer.status, answer.content_type, answer.body[:6]) == (404, "text/html", b"<html>")
    assert desk.last == {"n": 1, "method": "GET", "path": "/robots.txt", "ip": "203.0.113.7", "status": 404}


def test_limits_come_before_the_signature(desk, told) -> None:
    """A request that cannot be authenticated costs its weight all the same."""
    assert told(desk.send("GET", "/fapi/v2/account"))[1]["code"] == -2014
    assert desk.last["weight"] == 5


def test_limits_come_before_malformed_parameters(desk, told) -> None:
    """So does one that says a thing twice."""
    answer = desk.send("GET", "/fapi/v1/klines", body=b"symbol=A&symbol=B")
    assert told(answer) == (400, {"code": -1101, "msg": "Duplicate values for a parameter detected."})
    assert desk.last["weight"] == 5


def test_only_spot_takes_microseconds(desk, told) -> None:
    """Of a timestamp in microseconds futures say that it is from the future."""
    now_us = desk.wall_ms * 1_000
    assert desk.signed("GET", "/api/v3/account", timestamp=now_us).status == 200
    assert told(desk.signed("GET", "/fapi/v2/account", timestamp=now_us))[1]["code"] == -1021


def test_a_batch_is_recorded_with_its_slots(desk) -> None:
    """Those of the short window; the counters have both."""
    desk.signed("POST", "/fapi/v1/batchOrders", batchOrders="[]")
    assert (desk.last["orders"], desk.last["weight"]) == (5, 5)
    assert desk.last["counts"] == [[10_000, 5, 300], [60_000, 1, 1200]]


def test_order_counts_are_told(desk) -> None:
    """`rateLimit/order` says the counters that the exchange judges by."""
    desk.order()
    answer = desk.signed("GET", "/fapi/v1/rateLimit/order")
    assert json.loads(answer.body) == [
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300, "count": 1},
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200, "count": 1},
    ]


def test_cancels_and_reducing_orders_are_marked(desk) -> None:
    """Invariants give them precedence."""
    for send in (
        lambda: desk.order(reduceOnly="true"),
        lambda: desk.order(closePosition="TRUE"),
        lambda: desk.signed("DELETE", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="one"),
        lambda: desk.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT"),
    ):
        send()
        assert desk.last["risk"] is True
    desk.order(reduceOnly="false")
    assert "risk" not in desk.last


def test_the_ledger_holds_counters_and_markets(desk) -> None:
    """All the truth there is, as JSON."""
    desk.order(newClientOrderId="one")
    desk.send("GET", "/fapi/v1/depth")
    ledger = json.loads(json.dumps(desk.exchange.ledger()))
    assert ledger["requests"] == 2
    assert ledger["markets"]["futures"]["orders"] == [["new_order", "one"]]
    assert ledger["quotas"]["orders"]["futures"] == [[10_000, 1, 300], [60_000, 1, 1200]]
    assert ledger["quotas"]["ips"]["203.0.113.7"]["weight"]["futures"] == [[60_000, 10, 2400]]


def test_streams_are_passed_on_with_the_time(desk) -> None:
    """A listen key that was asked for over REST is heard over a WebSocket, and runs out when it must."""
    desk.exchange.wake(desk.now_ns, desk.wall_ms)
    key = desk.exchange._streams.create("futures", desk.wall_ms)
    assert desk.exchange.stream_opened("one", f"/private/ws/{key}", "", desk.now_ns, desk.wall_ms)
    desk.exchange.stream_said("one", '{"method":"LIST_SUBSCRIPTIONS","id":3}', desk.now_ns, desk.wall_ms)
    assert desk.sockets.sent == [("one", {"result": [key], "id": 3})]
    assert desk.exchange.due_ns() == desk.now_ns + 3_600_000 * 1_000_000
    desk.wait(3_600_000)
    desk.exchange.wake(desk.now_ns, desk.wall_ms)
    assert desk.sockets.closed == [("one", 1000)]
    desk.exchange.stream_closed("one", desk.now_ns, desk.wall_ms)


def test_an_answer_is_an_answer(desk) -> None:
    """Without faults nothing else comes of a request, and at once."""
    answer = desk.send("GET", "/fapi/v1/ping")
    assert isinstance(answer, Answer)
    assert (answer.delay_ns, answer.content_type) == (0, "application/json")
