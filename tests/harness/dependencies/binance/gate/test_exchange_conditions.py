"""Armed faults of the exchange as a whole: bans, other tenants, limits, thin books, streams."""

import json
from decimal import Decimal

import pytest

from harness.errors import WorldError


def test_an_imposed_ban_turns_everybody_away_until_it_ends(desk, told) -> None:
    """418 for known and new addresses, for its length; not earned, and it starts no escalation."""
    desk.send("GET", "/fapi/v1/ping")
    until_ms = desk.wall_ms + 30_000
    name = desk.arm("ban", ms=30_000)
    status, body = told(desk.send("GET", "/fapi/v1/ping"))
    assert (status, body["msg"].split(".")[3]) == (418, f"7) banned until {until_ms}")
    assert (desk.last["fault"], desk.last["wait_ns"]) == ("ban", 30_000_000_000)
    desk.wait(10_000)
    assert desk.send("GET", "/fapi/v1/ping", ip="203.0.113.9").status == 418
    until_ns = desk.now_ns + 20_000_000_000
    assert desk.seen("ban") == [
        {"ip": "203.0.113.7", "length_ns": 30_000_000_000, "until_ns": until_ns},
        {"ip": "203.0.113.9", "length_ns": 20_000_000_000, "until_ns": until_ns},
    ]
    desk.wait(20_000)
    assert desk.send("GET", "/fapi/v1/ping").status == 200
    assert desk.disarm(name) == {"fault": "ban", "arm": name, "hits": 2}


def test_disarming_a_ban_lifts_it(desk) -> None:
    """And leaves the longest of the others."""
    desk.send("GET", "/fapi/v1/ping")
    long, short = desk.arm("ban", ms=60_000), desk.arm("ban", ms=5_000)
    assert desk.send("GET", "/fapi/v1/ping").headers["Retry-After"] == "60"
    desk.disarm(short)
    assert desk.send("GET", "/fapi/v1/ping").status == 418
    assert desk.last["wait_ns"] == 60_000_000_000
    desk.disarm(long)
    assert desk.send("GET", "/fapi/v1/ping").status == 200
    assert [ban["length_ns"] for ban in desk.seen("ban")] == [60_000_000_000]


def test_ignoring_an_imposed_ban_earns_one(desks) -> None:
    """It outlasts the imposed one."""
    desk = desks(strikes=4)
    name = desk.arm("ban", ms=30_000)
    for _ in range(4):
        desk.send("GET", "/fapi/v1/ping")
    assert [ban.get("earned", False) for ban in desk.seen("ban")] == [False, True]
    desk.disarm(name)
    assert desk.send("GET", "/fapi/v1/ping").status == 418
    assert "fault" not in desk.last


def test_other_tenants_use_the_same_windows(desk) -> None:
    """Their use is in the headers, in the record, and in what is refused; it ends when they are disarmed."""
    desk.send("GET", "/fapi/v1/ping")
    name = desk.arm("tenant", weight_per_s=30, orders_per_s=2.5)
    desk.wait(4_000)
    answer = desk.order()
    assert answer.headers == {
        "X-MBX-USED-WEIGHT-1M": "121",
        "X-MBX-ORDER-COUNT-10S": "11",
        "X-MBX-ORDER-COUNT-1M": "11",
    }
    assert (desk.last["used"], desk.last["others"]) == (121, 120)
    desk.wait(55_000)
    assert desk.send("GET", "/fapi/v1/ping", ip="203.0.113.8").status == 200
    desk.wait(1_000)
    assert desk.disarm(name) == {"fault": "tenant", "arm": name, "requests": 2, "weight": 1800, "orders": 150}
    desk.wait(30_000)
    desk.send("GET", "/fapi/v1/ping")
    assert desk.last["used"] == 1


def test_tenants_add_up(desk) -> None:
    """Two of them use twice as much."""
    first = desk.arm("tenant", weight_per_s=10)
    desk.arm("tenant", weight_per_s=20)
    desk.send("GET", "/fapi/v1/ping")
    desk.wait(1_000)
    desk.disarm(first)
    desk.wait(1_000)
    desk.send("GET", "/fapi/v1/ping")
    assert (desk.last["others"], desk.last["used"]) == (50, 52)


def test_lowered_limits_are_in_force_and_said(desk) -> None:
    """By the record, to the market (which tells exchangeInfo), and by refusals; disarming restores them."""
    name = desk.arm("limits", factor=0.01)
    said = desk.seen("exchange")
    assert [each["limits"]["futures"][0] for each in said] == [
        ["REQUEST_WEIGHT", 60_000, 2400],
        ["REQUEST_WEIGHT", 60_000, 24],
    ]
    assert [limit.limit for limit in desk.venues["futures"].limits] == [24, 3, 12]
    desk.send("GET", "/fapi/v1/depth", limit=1000)
    assert desk.last["limit"] == 24
    assert desk.send("GET", "/fapi/v1/depth").status == 429
    assert desk.disarm(name) == {"fault": "limits", "arm": name, "requests": 2}
    assert desk.send("GET", "/fapi/v1/depth").status == 200
    assert desk.seen("exchange")[-1]["limits"] == said[0]["limits"]


def test_a_thin_book_is_the_market_s_and_its_effect_is_counted(desk) -> None:
    """Factor and refill time go there; orders that met it count their fills."""
    name = desk.arm("thin_book", factor=0.1, refill_ms=700, symbols=("BTCUSDT",))
    assert desk.venues["futures"].thinned == desk.venues["spot"].thinned == [(("BTCUSDT",), 0.1, 700)]
    desk.venues["futures"].worse = True
    desk.order()
    desk.order(symbol="ETHUSDT")
    assert desk.disarm(name) == {"fault": "thin_book", "arm": name, "fills": 2}
    assert desk.venues["futures"].thinned[-1] == (("BTCUSDT",), 1.0, 0)


def test_what_another_arm_still_wants_stays_thin(desk) -> None:
    """Ending one of two leaves the other in force."""
    first = desk.arm("thin_book", factor=0.1, symbols=("BTCUSDT",))
    desk.arm("thin_book", factor=0.2)
    desk.disarm(first)
    assert desk.venues["futures"].thinned[-2:] == [(("BTCUSDT",), 1.0, 0), ((), 0.2, 5000)]


def test_prices_fall_in_steps_stay_down_and_come_back(desk) -> None:
    """A step every tenth of a second, the last one in time; told is who asked for prices once they were down."""

    def wake() -> None:
        desk.exchange.wake(desk.now_ns, desk.wall_ms)

    wake()
    name = desk.arm("price_fall", bps=2_000, over_ms=250, symbols=("BTCUSDT",))
    for wait_ms in (100, 100, 50):
        desk.wait(wait_ms)
        assert desk.exchange.due_ns() == desk.now_ns
        wake()
        desk.send("GET", "/fapi/v1/depth", symbol="BTCUSDT")
    falls = desk.venues["futures"].falls
    assert falls == desk.venues["spot"].falls
    assert falls == [(("BTCUSDT",), share) for share in (0.0, 0.08, 0.16, 0.2)]
    assert desk.exchange.due_ns() is None
    desk.send("GET", "/fapi/v1/depth", symbol="ETHUSDT")
    desk.send("GET", "/fapi/v1/time")
    desk.signed("GET", "/fapi/v2/account")
    assert desk.disarm(name) == {"fault": "price_fall", "arm": name, "told": 2}
    assert falls[-1] == (("BTCUSDT",), 0.0)


def test_another_fall_goes_on(desk) -> None:
    """What is left in force when one of two ends is put on again."""
    first = desk.arm("price_fall", bps=1_000, over_ms=1)
    desk.arm("price_fall", bps=500, over_ms=1)
    desk.wait(1)
    desk.disarm(first)
    assert desk.venues["futures"].falls[-2:] == [((), 0.0), ((), 0.05)]


def test_streams_are_closed_again_and_again(desk) -> None:
    """At once, and whenever the shell wakes it in time; each close counts."""
    desk.exchange.wake(desk.now_ns, desk.wall_ms)
    assert desk.exchange.stream_opened("one", "/private/ws/x", "", desk.now_ns, desk.wall_ms)
    name = desk.arm("stream_disconnect", every_ms=400)
    assert desk.sockets.closed == [("one", 1006)]
    assert desk.exchange.due_ns() == desk.now_ns + 400_000_000
    desk.exchange.stream_opened("two", "/private/ws/x", "", desk.now_ns, desk.wall_ms)
    desk.wait(399)
    desk.exchange.wake(desk.now_ns, desk.wall_ms)
    assert len(desk.sockets.closed) == 1
    desk.wait(1)
    desk.exchange.wake(desk.now_ns, desk.wall_ms)
    assert desk.sockets.closed == [("one", 1006), ("two", 1006)]
    assert desk.disarm(name) == {"fault": "stream_disconnect", "arm": name, "streams": 2}
    assert desk.exchange.due_ns() is None
    again = desk.arm("stream_disconnect")
    assert desk.disarm(again) == {"fault": "stream_disconnect", "arm": again}


def test_listen_keys_run_out_at_once_and_new_ones_soon(desk) -> None:
    """With the event and the close; after it keys live as long as ever."""
    streams = desk.exchange._streams
    key = streams.create("futures", desk.wall_ms)
    desk.exchange.stream_opened("one", f"/private/ws/{key}", "", desk.now_ns, desk.wall_ms)
    name = desk.arm("listen_key_expiry", ms=300)
    assert desk.sockets.sent[-1][1]["e"] == "listenKeyExpired"
    assert desk.sockets.closed == [("one", 1000)]
    again = streams.create("futures", desk.wall_ms)
    desk.exchange.stream_opened("two", f"/private/ws/{again}", "", desk.now_ns, desk.wall_ms)
    assert desk.exchange.due_ns() == desk.now_ns + 300_000_000
    desk.wait(300)
    desk.exchange.wake(desk.now_ns, desk.wall_ms)
    assert desk.disarm(name) == {"fault": "listen_key_expiry", "arm": name, "streams": 2}
    streams.create("futures", desk.wall_ms)
    assert desk.exchange.due_ns() == desk.now_ns + 3_600_000_000_000


def test_the_control_api_acts_where_the_symbol_is_traded(desk) -> None:
    """In both markets or one; nowhere is an error."""
    desk.exchange.refill("BTCUSDT", desk.now_ns, desk.wall_ms)
    desk.exchange.set_price("ETHUSDT", Decimal(5), desk.now_ns, desk.wall_ms)
    assert desk.venues["futures"].calls == [("refill", ("BTCUSDT",), 0), ("set_price", "ETHUSDT", 5)]
    assert desk.venues["spot"].calls == [("refill", ("BTCUSDT",), 0)]
    with pytest.raises(WorldError, match="DOGE"):
        desk.exchange.set_price("DOGE", Decimal(5), desk.now_ns, desk.wall_ms)


def test_a_fault_that_cannot_begin_is_not_armed(desk) -> None:
    """The error goes to whoever armed it, and nothing is left behind."""

    def refuse(*args):
        raise WorldError("no")

    desk.venues["spot"].thin = refuse
    with pytest.raises(WorldError, match="no"):
        desk.arm("thin_book")
    assert desk.exchange._armed.by_name == {}
    assert json.dumps(desk.exchange.ledger())
