"""Limits as a client meets them: 429 and 418, -1015, what is told and what is counted; caused, not armed."""

import json

import pytest

WEBSOCKET = "Please use the websocket for live updates to avoid polling the API."
READ = ("GET", "/fapi/v1/ticker/24hr")


@pytest.fixture
def narrow(desks, limit):
    """Futures: 100 of weight a minute; 3 orders in 10 s, 5 a minute. Three strikes earn a ban."""
    limits = (
        limit("REQUEST_WEIGHT", "MINUTE", 1, 100),
        limit("ORDERS", "SECOND", 10, 3),
        limit("ORDERS", "MINUTE", 1, 5),
    )
    return lambda **more: desks(futures_limits=limits, spot_limits=limits, strikes=3, bans_ms=(1_000, 5_000), **more)


def test_over_the_limit_is_429_until_the_window_ends(narrow, told) -> None:
    """The text, the header, the record; and then the window is new."""
    desk = narrow()
    desk.wait(20_500)
    assert [desk.send(*READ).status for _ in range(2)] == [200, 200]
    answer = desk.send(*READ)
    assert told(answer) == (
        429,
        {
            "code": -1003,
            "msg": f"Too many requests; current limit of IP(203.0.113.7) is 100 requests per minute. {WEBSOCKET}",
        },
    )
    assert answer.headers == {"X-MBX-USED-WEIGHT-1M": "120", "Retry-After": "40"}
    seen = {name: desk.last[name] for name in ("status", "code", "weight", "used", "limit", "wait_ns", "scope")}
    assert seen == {
        "status": 429,
        "code": -1003,
        "weight": 40,
        "used": 120,
        "limit": 100,
        "wait_ns": 39_500_000_000,
        "scope": "ip",
    }
    desk.wait(39_499)
    assert desk.send("GET", "/fapi/v1/ping").status == 429
    desk.wait(1)
    assert desk.send("GET", "/fapi/v1/ping").status == 200


def test_spot_words_it_its_own_way(narrow, told) -> None:
    """Clients match on the numbers in these texts."""
    desk = narrow()
    for _ in range(2):
        answer = desk.send("GET", "/api/v3/ticker/24hr")
    assert told(answer)[1]["msg"] == (
        "Too much request weight used; current limit is 100 request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API."
    )


def test_markets_and_addresses_are_counted_apart(narrow) -> None:
    """A full window of futures leaves spot and others alone."""
    desk = narrow()
    for _ in range(3):
        desk.send(*READ)
    assert desk.send("GET", "/api/v3/ping").status == 200
    assert desk.send("GET", "/fapi/v1/ping", ip="203.0.113.8").status == 200


def test_who_goes_on_is_banned_and_who_goes_on_then_for_longer(narrow, told) -> None:
    """429, 429, 418; then three requests during the ban earn the next length; afterwards the exchange answers."""
    desk = narrow()
    desk.send("GET", "/fapi/v1/ping")
    statuses = [desk.send(*READ).status for _ in range(5)]
    assert statuses == [200, 200, 429, 429, 418]
    until_ms = desk.wall_ms + 1_000
    answer = desk.send("GET", "/fapi/v1/ping")
    assert told(answer) == (
        418,
        {
            "code": -1003,
            "msg": f"Way too many requests; IP(203.0.113.7) banned until {until_ms}. "
            "Please use the websocket for live updates to avoid bans.",
        },
    )
    assert answer.headers["Retry-After"] == "1"
    assert (desk.last["wait_ns"], desk.last["scope"], desk.last.get("weight")) == (1_000_000_000, "ip", None)
    assert [desk.send("GET", "/api/v3/ping").status for _ in range(2)] == [418, 418]
    assert desk.seen("ban") == [
        {
            "ip": "203.0.113.7",
            "length_ns": 1_000_000_000,
            "until_ns": desk.now_ns + 1_000_000_000,
            "earned": True,
            "strikes": 3,
        },
        {
            "ip": "203.0.113.7",
            "length_ns": 5_000_000_000,
            "until_ns": desk.now_ns + 5_000_000_000,
            "earned": True,
            "strikes": 3,
        },
    ]
    desk.wait(4_999)
    assert desk.send("GET", "/robots.txt").status == 418
    desk.wait(60_000)
    assert desk.send("GET", "/fapi/v1/ping").status == 200


def test_orders_over_the_limit_are_refused_and_change_nothing(narrow, told) -> None:
    """-1015 names the window; the counters stay, and the market never hears of it."""
    desk = narrow()
    desk.wait(3_000)
    for _ in range(3):
        assert desk.order().status == 200
    answer = desk.order(newClientOrderId="late")
    assert told(answer) == (
        429,
        {"code": -1015, "msg": "Too many new orders; current limit is 3 orders per TEN_SECONDS."},
    )
    assert answer.headers["Retry-After"] == "7"
    assert "X-MBX-ORDER-COUNT-10S" not in answer.headers
    assert (desk.last["scope"], desk.last["wait_ns"]) == ("orders", 7_000_000_000)
    assert "counts" not in desk.last
    assert len(desk.venues["futures"].orders) == 3
    desk.wait(7_000)
    answers = [desk.order() for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert told(answers[-1])[1]["msg"] == "Too many new orders; current limit is 5 orders per MINUTE."
    assert answers[-1].headers["Retry-After"] == "50"


def test_reads_and_cancels_pass_while_orders_are_full(narrow) -> None:
    """The order limit is for new orders."""
    desk = narrow()
    for _ in range(4):
        desk.order()
    assert desk.signed("GET", "/fapi/v1/openOrders", symbol="BTCUSDT").status == 200
    assert desk.signed("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=1).status == 200


def test_order_refusals_are_strikes_as_well(narrow) -> None:
    """They are 429s like the others."""
    desk = narrow()
    assert [desk.order().status for _ in range(6)] == [200, 200, 200, 429, 429, 418]


def test_spot_names_the_window_of_orders_otherwise(narrow, told) -> None:
    """`10 SECOND`, as spot does."""
    desk = narrow()
    for _ in range(4):
        answer = desk.signed("POST", "/api/v3/order", symbol="BTCUSDT")
    assert told(answer)[1]["msg"] == "Too many new orders; current limit is 3 orders per 10 SECOND."


def test_without_the_header_the_record_says_what_could_be_known(narrow) -> None:
    """Futures do not document `Retry-After`; the end of the window is common knowledge."""
    desk = narrow(retry_after=False)
    desk.wait(30_000)
    answer = [desk.send(*READ) for _ in range(3)][-1]
    assert answer.status == 429
    assert "Retry-After" not in answer.headers
    assert desk.last["wait_ns"] == 30_000_000_000


def test_a_batch_takes_five_slots_of_the_short_window(narrow) -> None:
    """So it does not fit into three."""
    desk = narrow()
    assert desk.signed("POST", "/fapi/v1/batchOrders", batchOrders="[]").status == 429
    assert desk.venues["futures"].calls == []


def test_short_windows_have_short_names(desks, short_limits, told) -> None:
    """For runs in real time: 5 s windows are told as such."""
    desk = desks(futures_limits=short_limits)
    for _ in range(5):
        answer = desk.send(*READ)
    assert answer.headers == {"X-MBX-USED-WEIGHT-5S": "200"}
    answer = desk.send(*READ)
    assert "is 200 requests per 5 seconds." in told(answer)[1]["msg"]
    desk.wait(5_000)
    for _ in range(151):
        answer = desk.order()
    assert json.loads(answer.body)["msg"] == "Too many new orders; current limit is 150 orders per FIVE_SECONDS."
