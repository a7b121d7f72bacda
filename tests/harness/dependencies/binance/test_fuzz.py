"""However requests are cut and pipelined on a real socket, the answers are those of the exchange asked one by one.

The oracle is the pure exchange itself, without parser, connection and server, of the same settings and dice at the same
instant. What is drawn: requests, good and bad, query or body, chunked or with a length; where their bytes are cut; over
how many connections they go; and which faults are armed, of those that leave an answer.
"""

import asyncio
import hmac
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dependencies.binance import assembly
from harness.dependencies.binance.arms import Arm
from harness.dependencies.binance.core import Clock
from harness.dependencies.binance.settings import API_KEY, API_SECRET, EGRESS_IP, Limit, Settings
from harness.dependencies.binance.wire import Answer, Request
from harness.tape import Tape

pytestmark = pytest.mark.real

WALL_MS = 1_700_000_012_345
ANSWER_S_MAX = 20.0
SETTINGS = Settings(
    futures_limits=(Limit("REQUEST_WEIGHT", "MINUTE", 1, 60), Limit("ORDERS", "SECOND", 10, 8)),
    strikes=6,
)
"""So low that a run of requests meets 429, -1015 and 418 as well."""


@dataclass(frozen=True)
class Sent:
    """One request, as it is said on the wire and as the exchange is asked."""

    method: str
    path: str
    query: str
    body: str
    chunked: bool

    @property
    def as_bytes(self) -> bytes:
        """On the wire."""
        target = f"{self.path}?{self.query}" if self.query else self.path
        lines = [f"{self.method} {target} HTTP/1.1", "Host: h", f"x-mbx-apikey: {API_KEY}"]
        body = self.body.encode()
        if self.chunked and body:
            lines.append("Transfer-Encoding: chunked")
            half = len(body) // 2
            parts = [part for part in (body[:half], body[half:]) if part]
            body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        else:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode() + body

    @property
    def as_request(self) -> Request:
        """As the exchange is asked."""
        return Request(
            method=self.method,
            path=self.path,
            query=self.query.encode(),
            headers={"x-mbx-apikey": API_KEY},
            body=self.body.encode(),
            ip=EGRESS_IP,
        )


def _signed(params: dict[str, str], *, forged: bool) -> str:
    query = urlencode({**params, "timestamp": WALL_MS})
    signature = hmac.digest(API_SECRET.encode(), query.encode(), "sha256").hex()
    return f"{query}&signature={signature[::-1] if forged else signature}"


SYMBOLS = st.sampled_from(["BTCUSDT", "BTCUSDT", "ETHUSDT", "NOPE"])
SIDES = st.sampled_from(["BUY", "SELL"])
QUANTITIES = st.sampled_from(["0.01", "2", "40", "0"])
NAMES = {"newClientOrderId": st.sampled_from(["a", "b"])}
ORDERS = st.one_of(
    st.fixed_dictionaries(
        {"symbol": SYMBOLS, "side": SIDES, "type": st.just("MARKET"), "quantity": QUANTITIES}, optional=NAMES
    ),
    st.fixed_dictionaries(
        {
            "symbol": SYMBOLS,
            "side": SIDES,
            "type": st.just("LIMIT"),
            "quantity": QUANTITIES,
            "price": st.sampled_from(["58000", "60010", "61000"]),
            "timeInForce": st.sampled_from(["GTC", "IOC"]),
        },
        optional=NAMES,
    ),
)


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    """An order, a question about one, a cancel, a read, or nothing that there is."""
    method, path = draw(
        st.sampled_from(
            [
                ("POST", "/fapi/v1/order"),
                ("POST", "/fapi/v1/order"),
                ("POST", "/fapi/v1/order"),
                ("GET", "/fapi/v1/order"),
                ("DELETE", "/fapi/v1/order"),
                ("POST", "/api/v3/order"),
                ("GET", "/fapi/v1/depth"),
                ("GET", "/fapi/v1/ping"),
                ("PATCH", "/fapi/v1/order"),
                ("GET", "/nothing"),
            ]
        )
    )
    params = (
        draw(ORDERS) if method == "POST" else {"symbol": "BTCUSDT", "origClientOrderId": draw(st.sampled_from("ab"))}
    )
    payload = _signed(params, forged=draw(st.integers(0, 9)) == 9)
    in_body = method != "GET" and draw(st.booleans())
    return Sent(method, path, "" if in_body else payload, payload if in_body else "", chunked=draw(st.booleans()))


ARMS = st.lists(
    st.sampled_from(
        [
            Arm(kind="latency", share=0.3, options={"ms": 2}),
            Arm(kind="unknown_error", share=0.5),
            Arm(kind="throttled", share=0.5),
            Arm(kind="firewall", share=0.3),
            Arm(kind="too_many_requests", share=0.2),
            Arm(kind="no_headers"),
            Arm(kind="price_move"),
            Arm(kind="price_fall"),
            Arm(kind="thin_book"),
            Arm(kind="limits", options={"factor": 2.0}),
        ]
    ),
    max_size=3,
)


class Discarded:
    """Nobody looks at the records, nor listens to streams."""

    def record(self, time_ns: int, name: str, fields: dict[str, Any]) -> None:
        """Must be JSON, if nothing else."""
        json.dumps(fields)

    def flush(self) -> None:
        """Nothing is kept back."""

    def send(self, key: str, text: str) -> None:
        """Nobody listens."""

    def close(self, key: str, code: int) -> None:
        """Nobody listens."""


Told = tuple[int, bytes, dict[str, str]]


def asked_one_by_one(arms: list[Arm], lanes: list[list[Sent]]) -> tuple[list[list[Told]], dict[str, Any]]:
    """What the pure exchange says, lane after lane, and its ledger."""
    discarded = Discarded()
    make = assembly.maker(SETTINGS, Tape(1).stream("x"))
    core = make(lambda name, fields: discarded.record(0, name, fields), discarded)
    for arm in arms:
        core.arm(arm, 0, WALL_MS)
    answers: list[list[Told]] = []
    for lane in lanes:
        answers.append([])
        for sent in lane:
            answer = core.receive(sent.as_request, 0, WALL_MS)
            assert isinstance(answer, Answer)
            answers[-1].append((answer.status, answer.body, dict(answer.headers)))
    return answers, core.ledger()


async def told_over_sockets(
    arms: list[Arm], lanes: list[list[Sent]], cuts: list[int]
) -> tuple[list[list[Told]], dict[str, Any]]:
    """What the server says to the same, a connection a lane, its bytes cut at those places."""
    clock = Clock(lambda: 0, lambda: WALL_MS)
    server = assembly.server(SETTINGS, Tape(1).stream("x"), clock, Discarded(), ip=EGRESS_IP)
    host, port = await server.listen("127.0.0.1", 0)
    try:
        for arm in arms:
            server.arm(arm)
        answers = [await _talk(host, port, lane, cuts) for lane in lanes]
        return answers, server.ledger()
    finally:
        server.close()


async def _talk(host: str, port: int, lane: list[Sent], cuts: list[int]) -> list[Told]:
    reader, writer = await asyncio.open_connection(host, port)
    data = b"".join(sent.as_bytes for sent in lane)
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        writer.write(data[start:end])
        await writer.drain()
        await asyncio.sleep(0)
    async with asyncio.timeout(ANSWER_S_MAX):
        answers = [await _read(reader) for _ in lane]
    writer.close()
    await writer.wait_closed()
    return answers


async def _read(reader: asyncio.StreamReader) -> Told:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    body = await reader.readexactly(int(headers["Content-Length"]))
    told = {name: value for name, value in headers.items() if name.startswith("X-MBX-") or name == "Retry-After"}
    return int(head[0].split()[1]), body, told


@settings(max_examples=60, deadline=None)
@given(
    arms=ARMS,
    lanes=st.lists(st.lists(requests(), min_size=1, max_size=12), min_size=1, max_size=3),
    cuts=st.lists(st.integers(0, 20_000), max_size=12),
)
def test_sockets_change_nothing(arms: list[Arm], lanes: list[list[Sent]], cuts: list[int]) -> None:
    """Status, body and limits' headers are equal, request by request, and so is the ledger; nothing failed inside."""
    expected, ledger = asked_one_by_one(arms, lanes)
    told, served = asyncio.run(told_over_sockets(arms, lanes, cuts))
    assert told == expected
    assert served.pop("internal_errors") == 0
    assert served == ledger
    assert all(status != 500 for lane in told for status, _, _ in lane)
