"""The host programs of test_binance.py: unmodified httpx and websockets, and what they met, told so that it compares.

What differs from run to run (ids, times, ports) is left out or reduced to whether it is there.
"""

import asyncio
import contextlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from harness.dependencies.binance.settings import API_KEY, API_SECRET
from harness.units import MILLISECOND, SECOND
from harness.world.base import Host

ORDER = "/fapi/v1/order"
SYMBOL = "BTCUSDT"
PATIENCE_S = 2.0
"""How long a client waits for an answer; an answer that comes comes much sooner."""


class Trader:
    """Signed requests over one httpx client, each told as an observation `step`."""

    def __init__(self, host: Host, client: httpx.AsyncClient) -> None:
        self._host = host
        self._client = client
        self._offset_ms = 0

    async def synchronise(self) -> None:
        """Learn the exchange's clock."""
        begun_ns = self._host.now_ns()
        told = (await self._client.get("/fapi/v1/time")).json()["serverTime"]
        self._offset_ms = told - begun_ns // MILLISECOND

    async def step(self, name: str, method: str, path: str, **parameters: Any) -> Any:
        """Ask, tell what came of it, and return the JSON, if there was any."""
        begun_ns = self._host.now_ns()
        try:
            answer = await self._client.request(method, self._signed(path, parameters))
        except httpx.TimeoutException:
            self._host.log.observe("step", step=name, outcome="timeout")
            return None
        except httpx.TransportError:
            self._host.log.observe("step", step=name, outcome="broken")
            return None
        kind = answer.headers["content-type"].partition(";")[0]
        body = answer.json() if kind == "application/json" else {}
        told = {key: body[key] for key in ("code", "status", "executedQty", "origQty") if key in body}
        told["headers"] = sorted(key for key in answer.headers if key.startswith("x-mbx") or key == "retry-after")
        late = self._host.now_ns() - begun_ns >= SECOND // 2
        self._host.log.observe("step", step=name, outcome=answer.status_code, kind=kind, late=late, **told)
        return body

    async def order(self, name: str, **parameters: Any) -> Any:
        """Send an order; its final state is asked for."""
        return await self.step(name, "POST", ORDER, symbol=SYMBOL, newOrderRespType="RESULT", **parameters)

    async def listen(self, url: str) -> ClientConnection:
        """Open the user stream."""
        key = (await self._client.post("/fapi/v1/listenKey")).json()["listenKey"]
        return await connect(f"{url.replace('http://', 'ws://')}/private/ws/{key}", proxy=None)

    def _signed(self, path: str, parameters: dict[str, Any]) -> str:
        timestamp = self._host.now_ns() // MILLISECOND + self._offset_ms
        query = urlencode({**parameters, "timestamp": timestamp, "recvWindow": 5_000})
        signature = hmac.digest(API_SECRET.encode(), query.encode(), "sha256").hex()
        return f"{path}?{query}&signature={signature}"


def client_of(host: Host) -> httpx.AsyncClient:
    """Return a client of the exchange, as a team would make one."""
    return httpx.AsyncClient(
        base_url=host.endpoints["binance"], headers={"X-MBX-APIKEY": API_KEY}, timeout=PATIENCE_S, trust_env=False
    )


async def trade(host: Host) -> None:
    """Trade without faults: fill, partial fill, query, duplicate, cancel; and hear of it on the user stream."""
    async with client_of(host) as client:
        trader = Trader(host, client)
        await trader.synchronise()
        async with await trader.listen(host.endpoints["binance"]) as stream:
            await trader.order("filled", side="BUY", type="MARKET", quantity="0.010", newClientOrderId="filled")
            depth = (await client.get("/fapi/v1/depth", params={"symbol": SYMBOL, "limit": 5})).json()
            price, quantity = depth["asks"][0]
            more = f"{float(quantity) * 2:.3f}"
            await trader.order(
                "partly",
                side="BUY",
                type="LIMIT",
                timeInForce="GTC",
                price=price,
                quantity=more,
                newClientOrderId="partly",
            )
            await trader.step("queried", "GET", ORDER, symbol=SYMBOL, origClientOrderId="partly")
            low = f"{float(price) * 0.97:.1f}"
            resting = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": low, "quantity": "0.010"}
            await trader.order("rests", **resting, newClientOrderId="rests")
            await trader.order("duplicate", **resting, newClientOrderId="rests")
            await trader.step("cancelled", "DELETE", ORDER, symbol=SYMBOL, origClientOrderId="rests")
            await trader.step("gone", "DELETE", ORDER, symbol=SYMBOL, origClientOrderId="rests")
            await trader.step("unknown", "GET", ORDER, symbol=SYMBOL, origClientOrderId="never")
            await trader.step("nowhere", "GET", "/fapi/v1/nothing")
            heard = await events(stream)
        host.log.observe("heard", orders=heard)
    await host.stopping()


async def events(stream: ClientConnection) -> list[list[str]]:
    """Return (client id, execution type, status) of all order events up to the cancel."""
    heard: list[list[str]] = []
    async with asyncio.timeout(10):
        async for text in stream:
            event = json.loads(text)
            if event["e"] == "ORDER_TRADE_UPDATE":
                order = event["o"]
                heard.append([order["c"], order["x"], order["X"]])
                if order["X"] == "CANCELED":
                    break
    return heard


async def suffer(host: Host) -> None:
    """Send one request for each fault that was armed for it, and ask afterwards what became of it."""
    async with client_of(host) as client:
        trader = Trader(host, client)
        await trader.synchronise()
        stream = await trader.listen(host.endpoints["binance"]) if host.params["late"] else None
        for step in host.params["steps"]:
            parameters = {"side": "BUY", "type": "MARKET", "quantity": "0.010", "newClientOrderId": step}
            await trader.order(step, **parameters)
            await trader.step(f"{step}, asked", "GET", ORDER, symbol=SYMBOL, origClientOrderId=step)
            if stream is not None:
                await _until_filled(stream)
                await trader.step(f"{step}, asked again", "GET", ORDER, symbol=SYMBOL, origClientOrderId=step)
                await stream.close()
    await host.stopping()


async def _until_filled(stream: ClientConnection) -> None:
    async for text in stream:
        event = json.loads(text)
        if event["e"] == "ORDER_TRADE_UPDATE" and event["o"]["X"] == "FILLED":
            return


async def storm(host: Host) -> None:
    """Read on through 429s until the ban, and once more during it."""
    async with client_of(host) as client:
        trader = Trader(host, client)
        seen: list[int] = []
        while seen[-1:] != [418]:
            seen.append((await client.get("/fapi/v1/depth", params={"symbol": SYMBOL, "limit": 1_000})).status_code)
        host.log.observe("storm", served=seen.count(200), refused=seen.count(429))
        await trader.step("banned", "GET", "/fapi/v1/time")
    await host.stopping()


async def hear(host: Host) -> None:
    """Listen to the user stream until the exchange ends it."""
    async with client_of(host) as client:
        trader = Trader(host, client)
        for end in host.params["ends"]:
            stream = await trader.listen(host.endpoints["binance"])
            host.log.observe("listening", to=end)
            said = [json.loads(text)["e"] async for text in _until_closed(stream)]
            host.log.observe("ended", to=end, said=said)
    await host.stopping()


async def _until_closed(stream: ClientConnection) -> AsyncIterator[str]:
    with contextlib.suppress(ConnectionClosed):
        async for text in stream:
            yield str(text)
