"""Each armed fault that hits single requests: what the client gets, what took effect, what the record proves."""

import pytest

from harness.dependencies.binance.wire import Answer, Reset, Silence

A = "Unknown error, please check your request or try again later."
BUS = "An unexpected response was received from the message bus. Execution status unknown."
BACKEND = "Timeout waiting for response from backend server. Send status unknown; execution status unknown."


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        ("unknown_error", 503, {"msg": A}),
        ("bus_unknown", 400, {"code": -1006, "msg": BUS}),
        ("backend_timeout", 408, {"code": -1007, "msg": BACKEND}),
    ],
)
@pytest.mark.parametrize("executed", [0, 1])
def test_an_unknown_outcome_is_answered_alike_whether_or_not_it_took_effect(
    desk, told, kind, status, body, executed
) -> None:
    """The client cannot tell; the record can."""
    name = desk.arm(kind, executed=executed)
    assert told(desk.order(newClientOrderId="one")) == (status, body)
    assert desk.venues["futures"].orders == [("new_order", "one")] * executed
    assert desk.last.get("executed", False) == bool(executed)
    assert (desk.last["fault"], desk.last.get("orders", 0), desk.last["client_id"]) == (kind, executed, "one")
    expected = {"fault": kind, "arm": name, "hits": 1} | ({"executed": 1} if executed else {})
    assert desk.disarm(name) == expected
    assert told(desk.order())[0] == 200


@pytest.mark.parametrize("kind", ["unknown_error", "bus_unknown", "backend_timeout"])
def test_an_order_may_take_effect_after_its_answer(desk, kind) -> None:
    """At its time, neither sooner nor later, though nobody asks for anything; the record of the fault tells."""
    name = desk.arm(kind, executed=1, after_ms=700)
    desk.order(newClientOrderId="one")
    assert (desk.last["fault"], desk.last.get("executed"), desk.venues["futures"].orders) == (kind, None, [])
    assert desk.exchange.due_ns() == desk.now_ns + 700_000_000
    desk.wait(699)
    desk.exchange.wake(desk.now_ns, desk.wall_ms)
    assert desk.venues["futures"].orders == []
    desk.wait(1)
    desk.exchange.wake(desk.now_ns, desk.wall_ms)
    assert desk.venues["futures"].orders == [("new_order", "one")]
    assert desk.exchange.due_ns() is None
    assert desk.disarm(name) == {"fault": kind, "arm": name, "hits": 1, "executed": 1, "late": 1}


def test_what_is_due_comes_before_the_next_request(desk) -> None:
    """Whoever asks when it is due finds it done, be the alarm late or not."""
    desk.arm("unknown_error", count=2, executed=1, after_ms=700)
    desk.order(newClientOrderId="one")
    desk.wait(100)
    desk.order(newClientOrderId="two")
    desk.wait(600)
    desk.order(newClientOrderId="three")
    desk.wait(100)
    desk.send("GET", "/fapi/v1/ping")
    assert [client_id for _, client_id in desk.venues["futures"].orders] == ["one", "three", "two"]


@pytest.mark.parametrize(
    ("sent", "due"), [({"recvWindow": 300}, 300), ({"recvWindow": 300, "ago": 200}, 100), ({}, 5_000)]
)
def test_an_order_takes_effect_within_its_window_or_never(desk, sent, due) -> None:
    """However late the fault would have it: the exchange accepts nothing whose window is over."""
    desk.arm("unknown_error", executed=1, after_ms=60_000)
    window = {name: value for name, value in sent.items() if name != "ago"}
    desk.order(timestamp=desk.wall_ms - sent.get("ago", 0), **window)
    assert desk.exchange.due_ns() == desk.now_ns + due * 1_000_000


def test_a_refusal_after_the_answer_is_no_effect(desk) -> None:
    """Nobody hears of it."""
    name = desk.arm("unknown_error", executed=1, after_ms=10)
    desk.order(refuse=-2019)
    desk.wait(10)
    assert desk.disarm(name) == {"fault": "unknown_error", "arm": name, "hits": 1}


def test_half_of_the_unknown_errors_take_effect(desk) -> None:
    """By default; within five standard deviations over 250 orders."""
    name = desk.arm("unknown_error")
    for _ in range(250):
        desk.order()
    effects = desk.disarm(name)
    assert effects["hits"] == 250
    assert abs(effects["executed"] - 125) < 40
    assert effects["executed"] == len(desk.venues["futures"].orders)


def test_a_lost_refusal_is_no_effect(desk, told) -> None:
    """The market refused, the client hears of trouble: nothing was executed, whatever the dice said."""
    name = desk.arm("unknown_error", executed=1)
    assert told(desk.order(refuse=-2019)) == (503, {"msg": A})
    assert desk.disarm(name) == {"fault": "unknown_error", "arm": name, "hits": 1}
    assert "executed" not in desk.last


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("service_unavailable", {"msg": "Service Unavailable."}),
        (
            "throttled",
            {
                "code": -1008,
                "msg": "Request throttled by system-level protection. "
                "Reduce-only/close-position orders are exempt. Please try again.",
            },
        ),
        (
            "internal_error",
            {"code": -1001, "msg": "Internal error; unable to process your request. Please try again."},
        ),
    ],
)
def test_a_failed_503_executes_and_counts_nothing(desk, told, kind, body) -> None:
    """Variants B, C and D: sending again is safe."""
    desk.arm(kind)
    assert told(desk.order()) == (503, body)
    assert desk.venues["futures"].calls == []
    assert "orders" not in desk.last


def test_throttling_spares_what_lowers_risk(desk) -> None:
    """-1008 exempts reduce-only orders, closing ones and cancels."""
    desk.arm("throttled")
    assert desk.order(reduceOnly="true").status == 200
    assert desk.order(closePosition="true").status == 200
    assert desk.signed("DELETE", "/fapi/v1/order", symbol="BTCUSDT").status == 200
    assert desk.order().status == 503


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (-2019, "Margin is insufficient."),
        (-4116, "ClientOrderId is duplicated."),
        (-4164, "Order's notional must be no smaller than 5 (unless you choose reduce only)."),
    ],
)
def test_any_error_of_the_table_can_be_armed(desk, told, code, text) -> None:
    """Not executed, worded as the table has it."""
    desk.arm("reject", code=code)
    assert told(desk.order()) == (400, {"code": code, "msg": text})
    assert desk.venues["futures"].calls == []
    assert desk.last["fault"] == "reject"


def test_an_armed_storm_is_told_like_a_full_window_and_earns_bans(desks, told) -> None:
    """-1003 although hardly anything was used; who goes on is banned as ever."""
    desk = desks(strikes=3)
    desk.wait(50_000)
    name = desk.arm("too_many_requests")
    answer = desk.send("GET", "/fapi/v1/ping")
    assert told(answer)[0] == 429
    assert answer.headers == {"X-MBX-USED-WEIGHT-1M": "1", "Retry-After": "10"}
    assert (desk.last["fault"], desk.last["wait_ns"]) == ("too_many_requests", 10_000_000_000)
    assert desk.order().status == 429
    assert desk.order().status == 418
    assert desk.seen("ban")[0]["earned"] is True
    desk.order()
    assert "fault" not in desk.last
    assert desk.disarm(name) == {"fault": "too_many_requests", "arm": name, "hits": 3}


def test_a_storm_may_say_how_long(desk) -> None:
    """`Retry-After` is in whole seconds, rounded up; the record has what was meant."""
    desk.arm("too_many_requests", retry_after_ms=2_300)
    assert desk.send("GET", "/fapi/v1/ping").headers["Retry-After"] == "3"
    assert desk.last["wait_ns"] == 2_300_000_000


@pytest.mark.parametrize(("status", "retry_after"), [(429, "7"), (400, None)])
def test_an_order_storm_refuses_orders_only(desk, told, status, retry_after) -> None:
    """-1015 at 429, or at 400 without a header; nothing is counted, reads and cancels pass."""
    desk.wait(3_000)
    desk.arm("too_many_orders", status=status)
    answer = desk.order()
    assert told(answer) == (
        status,
        {"code": -1015, "msg": "Too many new orders; current limit is 300 orders per TEN_SECONDS."},
    )
    assert answer.headers.get("Retry-After") == retry_after
    assert (desk.last["scope"], desk.last["wait_ns"], desk.last["fault"]) == (
        "orders",
        7_000_000_000,
        "too_many_orders",
    )
    assert "counts" not in desk.last
    assert desk.signed("DELETE", "/fapi/v1/order", symbol="BTCUSDT").status == 200
    assert desk.venues["futures"].orders == [("cancel_order", "")]


@pytest.mark.parametrize(("status", "last"), [(429, 418), (400, 400)])
def test_only_429s_are_strikes(desks, status, last) -> None:
    """An order storm at 400 earns nobody a ban."""
    desk = desks(strikes=3)
    desk.arm("too_many_orders", status=status)
    assert [desk.order().status for _ in range(3)] == [status, status, last]


def test_a_stale_timestamp_can_be_armed(desk, told) -> None:
    """-1021 whatever the timestamp, to signed requests only."""
    desk.arm("outside_recv_window")
    assert told(desk.order())[1]["code"] == -1021
    assert desk.last["fault"] == "outside_recv_window"
    assert desk.send("GET", "/fapi/v1/ping").status == 200
    assert desk.send("POST", "/fapi/v1/listenKey", headers={"x-mbx-apikey": "harness-emulator-key"}).status == 200


def test_the_firewall_is_in_front_of_everything(desk) -> None:
    """403, HTML, no use headers, no weight."""
    desk.arm("firewall")
    answer = desk.send("GET", "/fapi/v1/ping")
    assert (answer.status, answer.content_type, answer.headers) == (403, "text/html", {})
    assert desk.last == {
        "n": 1,
        "method": "GET",
        "path": "/fapi/v1/ping",
        "ip": "203.0.113.7",
        "market": "futures",
        "status": 403,
        "fault": "firewall",
    }


@pytest.mark.parametrize(("kind", "reaction"), [("silent_before", Silence()), ("reset_before", Reset())])
def test_before_execution_nothing_happens(desk, kind, reaction) -> None:
    """No answer, no effect, no weight."""
    name = desk.arm(kind)
    assert desk.order() == reaction
    assert desk.venues["futures"].calls == []
    assert (desk.last["after_ns"], desk.last["fault"]) == (-1, kind)
    assert not {"status", "weight", "orders", "executed"} & desk.last.keys()
    assert desk.disarm(name) == {"fault": kind, "arm": name, "hits": 1}


@pytest.mark.parametrize(("kind", "reaction"), [("silent_after", Silence()), ("reset_after", Reset())])
def test_after_execution_everything_happens(desk, kind, reaction) -> None:
    """No answer, and yet the order is there and counted."""
    name = desk.arm(kind)
    assert desk.order(newClientOrderId="one") == reaction
    assert desk.venues["futures"].orders == [("new_order", "one")]
    assert (desk.last["after_ns"], desk.last["fault"], desk.last["executed"]) == (-1, kind, True)
    assert (desk.last["orders"], desk.last["order_id"]) == (1, 1)
    assert "status" not in desk.last
    assert desk.disarm(name) == {"fault": kind, "arm": name, "hits": 1, "executed": 1}


def test_who_never_got_the_answer_was_not_told_to_wait(desks, limit) -> None:
    """A 429 that is lost binds nobody."""
    desk = desks(futures_limits=(limit("REQUEST_WEIGHT", "MINUTE", 1, 1),))
    desk.arm("silent_after")
    for _ in range(2):
        desk.send("GET", "/fapi/v1/ping")
    assert desk.last["used"] == 2
    assert not {"wait_ns", "scope", "status"} & desk.last.keys()


def test_a_lost_refusal_tells_nobody_to_wait(desks, limit) -> None:
    """Also not by its kind: -1015 was lost behind trouble, and the headers of that were lost as well."""
    desk = desks(futures_limits=(limit("REQUEST_WEIGHT", "MINUTE", 1, 9), limit("ORDERS", "SECOND", 10, 0)))
    desk.arm("unknown_error", executed=1)
    desk.arm("no_headers")
    assert desk.order().status == 503
    assert not {"wait_ns", "scope"} & desk.last.keys()


def test_a_late_answer_is_executed_on_arrival(desk) -> None:
    """The delay is the answer's, not the order's."""
    desk.arm("latency", ms=500)
    answer = desk.order()
    assert (answer.status, answer.delay_ns) == (200, 500_000_000)
    assert (desk.last["after_ns"], desk.last["fault"]) == (500_000_000, "latency")
    assert desk.venues["futures"].orders


def test_jitter_goes_both_ways(desk) -> None:
    """Within its bounds, and not always the same."""
    desk.arm("latency", ms=500, jitter_ms=100)
    delays = {desk.order().delay_ns // 1_000_000 for _ in range(200)}
    assert min(delays) < 450
    assert max(delays) > 550
    assert delays <= set(range(400, 601))


def test_a_late_reset(desk) -> None:
    """Both together: the reset comes late, and is what decided."""
    desk.arm("latency", ms=500)
    desk.arm("reset_after")
    assert desk.order() == Reset(500_000_000)
    assert (desk.last["fault"], desk.last["after_ns"]) == ("reset_after", -1)


def test_lost_headers_tell_neither_use_nor_wait(desks, limit) -> None:
    """What only they said is unknown; the end of the window is common knowledge."""
    desk = desks(futures_limits=(limit("REQUEST_WEIGHT", "MINUTE", 1, 100), limit("ORDERS", "SECOND", 10, 9)))
    desk.wait(55_000)
    storm = desk.arm("too_many_requests", retry_after_ms=60_000)
    name = desk.arm("no_headers")
    answer = desk.send("GET", "/fapi/v1/ping")
    assert (answer.status, answer.headers) == (429, {})
    assert (desk.last["wait_ns"], desk.last["fault"]) == (5_000_000_000, "too_many_requests")
    desk.disarm(storm)
    assert desk.order().headers == {}
    assert (desk.last["fault"], desk.last["counts"]) == ("no_headers", [[10_000, 1, 9]])
    assert desk.disarm(name) == {"fault": "no_headers", "arm": name, "hits": 2, "requests": 2}


def test_the_price_moves_against_orders_that_it_hits(desk) -> None:
    """The market is told by how much; what came of it is counted."""
    name = desk.arm("price_move", bps=80, symbols=("BTCUSDT",))
    desk.order()
    desk.signed("GET", "/fapi/v1/order", symbol="BTCUSDT")
    desk.signed("POST", "/fapi/v1/order", symbol="ETHUSDT", side="BUY")
    assert [move for _, _, move in desk.venues["futures"].calls] == [80, 0, 0]
    assert [request.get("fault") for request in desk.seen("request")] == ["price_move", None, None]
    assert desk.disarm(name) == {"fault": "price_move", "arm": name, "hits": 1, "fills": 2}


def test_an_arm_is_narrowed_by_what_the_request_says(desk) -> None:
    """Method, path and symbol, the symbol also from the body."""
    desk.arm("firewall", methods=("POST",), paths=("/fapi/v1/*",), symbols=("ETHUSDT",))
    assert desk.order().status == 200
    assert desk.order(symbol="ETHUSDT").status == 403
    assert desk.send("POST", "/fapi/v1/order", body=b"symbol=ETHUSDT").status == 403
    assert isinstance(desk.send("GET", "/fapi/v1/depth", symbol="ETHUSDT"), Answer)
    assert [request["status"] for request in desk.seen("request")] == [200, 403, 403, 200]
