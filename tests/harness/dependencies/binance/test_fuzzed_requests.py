"""Requests that nobody would send, through the whole emulator: it never fails inside, and its books stay right.

Everything is real but the sockets and the clock: parser, gate, markets, streams. What a client may send is drawn, from
plausible orders to bytes at random, signed or not; faults are armed and disarmed in between.
"""

import asyncio
import hmac
import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dependencies.binance import assembly
from harness.dependencies.binance.arms import KINDS, Arm
from harness.dependencies.binance.connection import Connection
from harness.dependencies.binance.core import Clock
from harness.dependencies.binance.gate.routes import METHODS
from harness.dependencies.binance.settings import API_KEY, API_SECRET, Limit, Settings
from harness.errors import WorldError
from harness.tape import Tape

LIMITS = tuple(
    Limit(kind, interval, number, 10**9)  # type: ignore[arg-type]
    for kind, interval, number in (("REQUEST_WEIGHT", "MINUTE", 1), ("ORDERS", "SECOND", 10), ("ORDERS", "MINUTE", 1))
)
WALL_MS = 1_700_000_000_000

odd = st.sampled_from(
    ["", "0", "-1", "1e9", "NaN", "Infinity", "9" * 40, "0.0000000001", "\x00", "true", "é", "+", "%", "[]"]
)
values: dict[str, st.SearchStrategy[str]] = {
    "symbol": st.sampled_from(["BTCUSDT", "ETHUSDT", "btcusdt", "NOPE"]),
    "side": st.sampled_from(["BUY", "SELL", "HOLD"]),
    "type": st.sampled_from(["MARKET", "LIMIT", "STOP", "LIMIT_MAKER"]),
    "quantity": st.sampled_from(["0.001", "0.5", "12", "100000", "0.0005"]),
    "quoteOrderQty": st.sampled_from(["100", "0.001"]),
    "price": st.sampled_from(["60000", "61234.5", "1", "3000.01", "1000000"]),
    "timeInForce": st.sampled_from(["GTC", "IOC", "FOK", "GTX", "GTD", "X"]),
    "reduceOnly": st.sampled_from(["true", "false", "maybe"]),
    "newOrderRespType": st.sampled_from(["ACK", "RESULT", "FULL"]),
    "newClientOrderId": st.sampled_from(["a", "b", "x" * 36, "x" * 37, "a b"]),
    "origClientOrderId": st.sampled_from(["a", "b", "never"]),
    "orderId": st.sampled_from(["1", "2", "999999", "abc"]),
    "limit": st.sampled_from(["5", "100", "1000", "100000"]),
    "leverage": st.sampled_from(["1", "20", "200"]),
    "listenKey": st.sampled_from(["x", "y"]),
    "batchOrders": st.sampled_from(
        ['[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":"0.001"}]', "[1]", "{}"]
    ),
    "recvWindow": st.sampled_from(["5000", "60000", "70000"]),
    "timestamp": st.sampled_from(["0", "x", str(WALL_MS * 1000)]),
}
oddities = st.lists(
    st.sampled_from(sorted(values)).flatmap(lambda name: st.tuples(st.just(name), values[name] | odd)), max_size=3
)
new_orders = st.one_of(
    st.fixed_dictionaries(
        {
            "symbol": st.sampled_from(["BTCUSDT", "ETHUSDT"]),
            "side": st.sampled_from(["BUY", "SELL"]),
            "type": st.just("MARKET"),
            "quantity": st.sampled_from(["0.001", "0.5", "3", "40"]),
        }
    ),
    st.fixed_dictionaries(
        {
            "symbol": st.just("BTCUSDT"),
            "side": st.sampled_from(["BUY", "SELL"]),
            "type": st.just("LIMIT"),
            "timeInForce": st.sampled_from(["GTC", "IOC", "FOK"]),
            "price": st.sampled_from(["58900", "59990", "60010", "61200"]),
            "quantity": st.sampled_from(["0.002", "0.5", "20"]),
            "newClientOrderId": st.sampled_from(["a", "b", "c"]),
        }
    ),
)
questions = st.fixed_dictionaries(
    {"symbol": st.just("BTCUSDT")},
    optional={"origClientOrderId": st.sampled_from(["a", "b", "c"]), "limit": st.just("10")},
)
ORDERS = ("/fapi/v1/order", "/api/v3/order")
paths = st.sampled_from(ORDERS) | st.sampled_from([*METHODS, "/", "/fapi/v9/order", "/api/v3/", "/sapi/v1/x"])
methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """One request as bytes: mostly a plausible one, signed in time; often with something odd about it."""
    path = draw(paths)
    known = path in METHODS and draw(st.integers(0, 9)) < 9
    method = draw(st.sampled_from(sorted(METHODS[path]))) if known else draw(methods)
    asked = draw(new_orders if method == "POST" and path in ORDERS else questions)
    if draw(st.integers(0, 3)) == 3:
        asked = {**asked, **dict(draw(oddities))}
    payload = urlencode({"timestamp": WALL_MS, "recvWindow": 60_000, **asked})
    if draw(st.integers(0, 9)) < 9:
        payload += f"&signature={hmac.digest(API_SECRET.encode(), payload.encode(), 'sha256').hex()}"
    else:
        payload += draw(odd)
    in_body = draw(st.booleans())
    body = payload.encode() if in_body else b""
    target = path if in_body else f"{path}?{payload}"
    headers = f"X-MBX-APIKEY: {API_KEY}\r\nContent-Length: {len(body)}\r\n"
    return f"{method} {target} HTTP/1.1\r\nHost: h\r\n{headers}\r\n".encode() + body


arms = st.builds(
    Arm,
    kind=st.sampled_from(KINDS),
    share=st.sampled_from([0.0, 0.5, 1.0]),
    count=st.integers(0, 3),
    symbols=st.sampled_from([(), ("BTCUSDT",), ("NOPE",)]),
    options=st.sampled_from([{}, {}, {"executed": 1.0}, {"ms": 0}, {"factor": 0.1}, {"code": -2019}, {"status": 400}]),
)
actions = st.lists(
    st.one_of(*[requests()] * 6, arms, st.just("disarm"), st.integers(1, 2_000)), min_size=15, max_size=60
)


class Discarding(asyncio.Transport):
    """A client that reads everything at once."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        """Nothing is on its way."""

    resume_reading = pause_reading


class Records:
    """All that was recorded."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, dict[str, Any]]] = []

    def record(self, _time_ns: int, name: str, fields: dict[str, Any]) -> None:
        self.kept.append((name, fields))

    def flush(self) -> None:
        """Nothing is kept back."""


@settings(max_examples=150, deadline=None)
@given(drawn=actions)
def test_nothing_that_is_sent_makes_it_fail(drawn: list[Any]) -> None:
    """No request is an internal error, each is answered (unless a fault prevents it) and recorded once, in JSON."""

    async def run() -> None:
        passed_ns = 0
        records = Records()
        clock = Clock(lambda: passed_ns, lambda: WALL_MS + passed_ns // 1_000_000)
        server = assembly.server(
            Settings(futures_limits=LIMITS, spot_limits=LIMITS), Tape(1).stream("x"), clock, records, ip="203.0.113.7"
        )
        armed: list[str] = []
        sent = 0
        for action in drawn:
            if isinstance(action, bytes):
                client = Connection(server)
                client.connection_made(Discarding())
                client.data_received(action)
                sent += 1
                told = client.transport.written  # type: ignore[attr-defined]
                assert told.startswith(b"HTTP/1.1 ") or armed
                client.connection_lost(None)
            elif isinstance(action, Arm):
                try:
                    armed.append(server.arm(action))
                except WorldError as refused:
                    assert str(refused)  # noqa: PT017 - options are drawn without regard to kinds
            elif isinstance(action, int):
                passed_ns += action * 1_000_000
            elif armed:
                server.disarm(armed.pop())
        ledger = server.ledger()
        assert ledger["internal_errors"] == 0
        json.dumps([ledger, records.kept])
        told_of = [fields for name, fields in records.kept if name == "request"]
        assert len(told_of) == server.counters.requests <= sent
        _check_books(ledger, records)

    asyncio.run(run())


def _check_books(ledger: dict[str, Any], records: Records) -> None:
    """What was filled, by the records of fills, is what the records of orders say was executed."""
    filled: dict[tuple[Any, ...], Decimal] = {}
    for name, fields in records.kept:
        if name == "fill":
            key = (fields["symbol"], fields["order_id"])
            filled[key] = filled.get(key, Decimal(0)) + Decimal(fields["quantity"])
    executed = {
        (fields["symbol"], fields["order_id"]): Decimal(fields.get("executed_quantity", "0"))
        for name, fields in records.kept
        if name == "order"
    }
    assert {key: quantity for key, quantity in executed.items() if quantity} == filled
    assert ledger["requests"] == len([name for name, _ in records.kept if name == "request"])
