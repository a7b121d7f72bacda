"""The adapter as the plan sketches it, known holes included.

Market orders without a client order id; an error of the network is retried after 1, 2 and 4 s, whatever became of the
order; less than 90 % filled, and the rest is sent again; slippage over the threshold is noticed after the fill. A token
bucket counts requests, 1,200 in 60 s, however much they weigh; -1003 and -1015 double a pause of 1 s up to 300 s, and
any success ends it. Requests are signed before the wait, by the wall clock. Nothing is written down.
"""

import asyncio
import time
import uuid
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import httpx

from reference_impl._binance.report import ExecutionReport, Status
from reference_impl._binance.signing import Signer
from reference_impl._binance.symbols import Side, worst_price

_PAUSES: Final = (1.0, 2.0, 4.0)
_ENOUGH: Final = Decimal("0.9")
_ORDER: Final = "/fapi/v1/order"
_LIMIT_CODES: Final = (-1003, -1015)
_OK: Final = 400


class PlannedError(Exception):
    """Whatever the exchange refused, as text; there is nothing to tell reasons apart by."""


_ALL_AT_ONCE = httpx.Limits(max_connections=None, max_keepalive_connections=20)
"""No queue for connections: httpcore searches it anew at each answer, which takes a minute for the 2,000 requests."""


class TokenBucket:
    """The plan's limiter: tokens that come back evenly, and a pause that doubles."""

    def __init__(self, max_requests: int = 1_200, window_seconds: int = 60) -> None:
        self._capacity = float(max_requests)
        self._rate = max_requests / window_seconds
        self._tokens = float(max_requests)
        self._at = time.monotonic()
        self._pause = 0.0

    async def wait(self) -> None:
        """Return when there is a token, and after the pause."""
        if self._pause:
            await asyncio.sleep(self._pause)
        now = time.monotonic()
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * self._rate)
        self._at = now
        self._tokens -= 1
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / self._rate)

    def refused(self) -> None:
        """Double the pause."""
        self._pause = min(300.0, self._pause * 2 or 1.0)

    def succeeded(self) -> None:
        """Forget it."""
        self._pause = 0.0


class PlannedAdapter:
    """The plan's `BinanceAdapter`; deadlines and intents are accepted and ignored."""

    def __init__(self, base_url: str, api_key: str, api_secret: str) -> None:
        self._signer = Signer(api_secret)
        self._client = httpx.AsyncClient(
            base_url=base_url, headers={"X-MBX-APIKEY": api_key}, timeout=10.0, limits=_ALL_AT_ONCE
        )
        self._bucket = TokenBucket()

    async def start(self) -> None:
        """Nothing is left from an earlier life."""

    async def execute_order(
        self,
        symbol: str,
        side: Side,
        quantity: Decimal,
        *,
        intent: str | None = None,
        decision_price: Decimal | None = None,
        max_slippage_bps: int = 50,
        reduce_only: bool = False,
        deadline_s: float = 30.0,
    ) -> ExecutionReport:
        """Send market orders until 90 % are filled, or the retries are used up."""
        del deadline_s
        filled = quote = Decimal(0)
        reason = ""
        orders = 0
        for pause in (*_PAUSES, None):
            answer = await self._order(symbol, side, quantity - filled, reduce_only=reduce_only)
            orders += 1
            executed = Decimal(answer["executedQty"])
            if executed:
                price = await self._price(symbol, answer["orderId"])
                filled, quote = filled + executed, quote + executed * price
                if decision_price and _beyond(side, price, worst_price(side, decision_price, max_slippage_bps)):
                    reason = "slippage"
                    break
            if filled >= quantity * _ENOUGH or pause is None:
                break
            await asyncio.sleep(pause)
        status: Status = "filled" if filled >= quantity * _ENOUGH else "partial" if filled else "abandoned"
        return ExecutionReport(
            intent=intent or uuid.uuid4().hex,
            status=status,
            filled=filled,
            missing=quantity - filled,
            average_price=quote / filled if filled else None,
            reason=reason or ("" if filled >= quantity else "attempts"),
            attempts=orders,
        )

    async def place_limit(
        self, symbol: str, side: Side, quantity: Decimal, price: Decimal, *, deadline_s: float = 30.0
    ) -> str:
        """Send a limit order; the exchange chooses its client order id."""
        del deadline_s
        params = {"symbol": symbol, "side": side, "type": "LIMIT", "timeInForce": "GTC"}
        answer = await self._request("POST", _ORDER, {**params, "quantity": quantity, "price": price}, signed=True)
        client_order_id: str = answer["clientOrderId"]
        return client_order_id

    async def cancel_order(self, symbol: str, client_order_id: str, *, deadline_s: float = 30.0) -> Decimal:
        """Cancel it."""
        del deadline_s
        params = {"symbol": symbol, "origClientOrderId": client_order_id}
        return Decimal((await self._request("DELETE", _ORDER, params, signed=True))["executedQty"])

    async def get(self, path: str, params: Mapping[str, Any], *, signed: bool = False, deadline_s: float = 30.0) -> Any:
        """Return the decoded answer."""
        del deadline_s
        return await self._request("GET", path, params, signed=signed)

    async def reconcile(self, *, deadline_s: float = 30.0) -> Mapping[str, ExecutionReport]:
        """Nothing is ever unknown to who does not ask."""
        del deadline_s
        return {}

    async def close(self) -> None:
        """Close the client."""
        await self._client.aclose()

    async def _order(self, symbol: str, side: Side, quantity: Decimal, *, reduce_only: bool) -> Any:
        params = {
            "symbol": symbol,
            "side": side,
            "type": "MARKET",
            "quantity": quantity,
            "newOrderRespType": "RESULT",
            "reduceOnly": reduce_only or None,
        }
        return await self._request("POST", _ORDER, params, signed=True)

    async def _price(self, symbol: str, order_id: int) -> Decimal:
        answer = await self._request("GET", _ORDER, {"symbol": symbol, "orderId": order_id}, signed=True)
        return Decimal(answer["avgPrice"])

    async def _request(self, method: str, path: str, params: Mapping[str, Any], *, signed: bool) -> Any:
        for pause in (*_PAUSES, None):
            try:
                return await self._once(method, path, params, signed=signed)
            except httpx.TransportError:
                if pause is None:
                    raise
                await asyncio.sleep(pause)
        return None

    async def _once(self, method: str, path: str, params: Mapping[str, Any], *, signed: bool) -> Any:
        while True:
            now_ms = int(time.time() * 1_000)
            query: Any = params
            if signed:
                query = self._signer.sign(params, timestamp_ms=now_ms, recv_window_ms=5_000)
            await self._bucket.wait()
            response = await self._client.request(method, path, params=query)
            if response.status_code < _OK:
                self._bucket.succeeded()
                return response.json()
            code = response.json()["code"]
            if code not in _LIMIT_CODES:
                raise PlannedError(response.text)
            self._bucket.refused()


def _beyond(side: Side, price: Decimal, worst: Decimal) -> bool:
    return price > worst if side == "BUY" else price < worst


def planned(*, base_url: str, api_key: str, api_secret: str, directory: Path, name: str, **_: Any) -> PlannedAdapter:
    """Make the planned adapter; it has no use for a directory."""
    del directory, name
    return PlannedAdapter(base_url, api_key, api_secret)
