"""The host program of test_binance_faults.py: unmodified httpx and websockets, which tell what they meet.

Each observation `met` {what, outcome, began_ns, ms, used, orders} is one request (read, order, rest, query, cancel) or
the end of one user data stream (`stream`). An outcome is the status, with the error's code or `html`; `wait` if there
was a `Retry-After`, `told` if the headers told the use; or the name of the exception. A stream's is `closed` and its
code, after `expired` if that was said before.
"""

import asyncio
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlencode

import httpx
import websockets

from harness.dependencies.binance.settings import API_KEY, API_SECRET
from harness.units import MILLISECOND
from harness.world.base import Host

TIMEOUT_S = 1.0
PAUSE_S = 0.02
ORDER = "/fapi/v1/order"


def signed(**params: Any) -> bytes:
    """The query of a signed request, made now."""
    query = urlencode({**params, "timestamp": int(time.time() * 1_000)})
    signature = hmac.new(API_SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
    return f"{query}&signature={signature}".encode()


def outcome_of(answer: httpx.Response) -> str:
    """Name it."""
    words = [str(answer.status_code)]
    if answer.status_code != httpx.codes.OK:
        is_json = answer.headers["Content-Type"] == "application/json"
        words.append(str(answer.json().get("code", "-")) if is_json else "html")
    words += ["wait"] * ("Retry-After" in answer.headers)
    words += ["told"] * any(name.startswith("x-mbx-") for name in answer.headers)
    return " ".join(words)


def highest(answer: httpx.Response, prefix: str) -> int:
    """The highest of the headers that begin so."""
    return max((int(value) for name, value in answer.headers.items() if name.startswith(prefix)), default=0)


class Probes:
    """Requests of one client, one after the other."""

    def __init__(self, host: Host, client: httpx.AsyncClient) -> None:
        self.host = host
        self.client = client
        self.sent = 0

    async def send(self, what: str, method: str, path: str, query: bytes) -> httpx.Response | None:
        """Send one request, observe what came of it, and return the answer."""
        began_ns = self.host.now_ns()
        fields: dict[str, Any] = {}
        answer = None
        try:
            answer = await self.client.request(method, httpx.URL(path, query=query), headers={"X-MBX-APIKEY": API_KEY})
        except httpx.TransportError as error:
            fields["outcome"] = type(error).__name__
        else:
            fields["outcome"] = outcome_of(answer)
            fields["used"] = highest(answer, "x-mbx-used-weight-")
            fields["orders"] = highest(answer, "x-mbx-order-count-")
        took_ms = (self.host.now_ns() - began_ns) // MILLISECOND
        self.host.log.observe("met", what=what, began_ns=began_ns, ms=took_ms, **fields)
        return answer

    async def round(self) -> None:
        """A read, an order at the market, one that rests, a query, and a cancel."""
        self.sent += 1
        market = {"symbol": "BTCUSDT", "side": ("BUY", "SELL")[self.sent % 2], "type": "MARKET"}
        await self.send("read", "GET", "/fapi/v1/depth", b"symbol=BTCUSDT&limit=5")
        await self.send("order", "POST", ORDER, signed(**market, quantity="0.2", newOrderRespType="RESULT"))
        name = f"rests-{self.sent}"
        rests = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "30000"}
        placed = await self.send("rest", "POST", ORDER, signed(**rests, quantity="0.01", newClientOrderId=name))
        await self.send("query", "GET", ORDER, signed(symbol="BTCUSDT", origClientOrderId=name))
        if placed is not None and placed.status_code == httpx.codes.OK:
            await self.send("cancel", "DELETE", ORDER, signed(symbol="BTCUSDT", origClientOrderId=name))


async def listen(host: Host, client: httpx.AsyncClient) -> None:
    """Open a user data stream, hear it to its end, again and again."""
    url = host.endpoints["binance"].replace("http", "ws", 1)
    while True:
        began_ns = host.now_ns()
        try:
            answer = await client.post("/fapi/v1/listenKey", headers={"X-MBX-APIKEY": API_KEY})
            outcome = await heard(f"{url}/private/ws/{answer.json()['listenKey']}")
        except (httpx.TransportError, KeyError, ValueError, OSError, websockets.WebSocketException) as error:
            outcome = type(error).__name__
        took_ms = (host.now_ns() - began_ns) // MILLISECOND
        host.log.observe("met", what="stream", outcome=outcome, began_ns=began_ns, ms=took_ms)
        await asyncio.sleep(PAUSE_S)


async def heard(url: str) -> str:
    """Hear a stream to its end; return how it ended."""
    expired = ""
    async with websockets.connect(url, open_timeout=TIMEOUT_S, close_timeout=TIMEOUT_S, proxy=None) as stream:
        try:
            async for message in stream:
                if json.loads(message)["e"] == "listenKeyExpired":
                    expired = "expired "
        except websockets.ConnectionClosed:
            pass
        return f"{expired}closed {stream.close_code}"


async def probe(host: Host) -> None:
    """Send rounds of requests, and hear streams, until asked to finish."""
    url = host.endpoints["binance"]
    async with (
        httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False) as client,
        asyncio.TaskGroup() as group,
    ):
        listener = group.create_task(listen(host, client))
        stopping = group.create_task(host.stopping())
        probes = Probes(host, client)
        while not stopping.done():
            await probes.round()
            await asyncio.sleep(PAUSE_S)
        listener.cancel()
