"""Patches 2 and 9: orders on Binance USD-M futures that are never executed twice, and never without an answer.

```python
adapter = BinanceAdapter("https://fapi.binance.com", api_key, api_secret, directory="state", name="trader")
await adapter.start()
report = await adapter.execute_order(
    "BTCUSDT", "BUY", Decimal("0.5"), intent="signal-4711", decision_price=Decimal("64250.0"), max_slippage_bps=20
)
await adapter.close()
```

`execute_order` sends LIMIT IOC orders at the worst price that the caller allows, so that no fill can be worse, asks
what became of those whose answers were lost, and tries again what is missing. Its report says what the exchange
confirmed.

What it promises:

- *No overfill*: what is sent while an order's fate is open is nothing; see `_binance.execution` for the argument.
- *No lost order*: intents and orders are in a journal (`_binance.journal`) before they are sent. After a kill, `start`
  finds what is unfinished and asks about it in the background; `reconcile` waits for that, and reports. An `intent`
  that is asked for again is gone on with, or its earlier report returned; never done twice.
- *Bounded*: at most 8 orders per intent, and every call ends by its deadline. What is unknown by then is reported as
  `unknown` and found out in the background.
- *Within the limits*: every request has a permit of the one `BinanceRateLimiter` (patch 2), and is signed after it was
  waited for, with the exchange's own time, which no step of the local wall clock can upset.
- *No secret* is in a log line, an error or a repr; signed queries are not logged.

How: `_binance.execution` decides (pure), `driver` carries out, `channel` speaks HTTP, `outcome` knows the error codes,
`executions` has one task per intent. The figures of the retry policy: `reference_impl.retry`.
"""

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from reference_impl._binance.channel import Call, Channel
from reference_impl._binance.driver import Driver
from reference_impl._binance.exchange_info import ExchangeInfo
from reference_impl._binance.execution import Execution
from reference_impl._binance.executions import Executions
from reference_impl._binance.faults import BinanceError, RejectedError, UnsettledError
from reference_impl._binance.journal import Journal
from reference_impl._binance.order_calls import cancel, placed, touch, withdraw
from reference_impl._binance.permits import Limiter
from reference_impl._binance.reader import Reader
from reference_impl._binance.report import ExecutionReport, Order
from reference_impl._binance.signing import Signer
from reference_impl._binance.symbols import Side, worst_price
from reference_impl.rate_limiter import BinanceRateLimiter
from reference_impl.retry import RetryPolicy

__all__ = [
    "BinanceAdapter",
    "BinanceError",
    "ExecutionReport",
    "RejectedError",
    "RetryPolicy",
    "UnsettledError",
    "make",
]

log = logging.getLogger(__name__)

_READ_WINDOW_MS: Final = 5_000
_PREFIX: Final = "/fapi/"
_FUTURES_WEIGHT: Final = 2_400
"""Of weight a minute, as documented: what is assumed until exchangeInfo was read. With less, a restart late in a busy
minute would wait for the next one before it could even ask."""


class BinanceAdapter:
    """One account on one exchange. Belongs to one event loop; not thread-safe.

    Args:
        base_url: Such as `https://fapi.binance.com`.
        api_key: The account's.
        api_secret: The account's; HMAC.
        directory: Where the journal is.
        name: Stable over restarts, and one adapter's in that directory: of two, the one that was started later goes on
            with what the other began, and that one sends no more orders, for the reason `journal`.
        limiter: One that is shared with others on the same IP; by default one of its own.
        policy: The figures of the retry policy.
        order_timeout: Seconds to wait for the answer to an order before asking about it.
        read_timeout: Seconds to wait for any other answer before asking again.

    """

    channel_type: type[Channel] = Channel
    driver_type: type[Driver] = Driver
    execution_type: type[Execution] = Execution
    journal_type: type[Journal] = Journal
    limiter_type: type[BinanceRateLimiter] = BinanceRateLimiter

    def __init__(
        self,
        base_url: str,
        api_key: str,
        api_secret: str,
        *,
        directory: str | Path,
        name: str = "binance",
        limiter: Limiter | None = None,
        policy: RetryPolicy | None = None,
        order_timeout: float = 5.0,
        read_timeout: float = 5.0,
    ) -> None:
        self.name = name
        self._limiter: Limiter = limiter if limiter is not None else self.limiter_type(max_requests=_FUTURES_WEIGHT)
        self._owns_limiter = limiter is None
        self._policy = policy or RetryPolicy()
        self._read_timeout = read_timeout
        self._dice = random.uniform
        self._channel = self.channel_type(base_url, api_key, Signer(api_secret), self._limiter)
        self._reader = Reader(self._channel, self._dice)
        self._info = ExchangeInfo(self._reader, self._limiter)
        self._journal = self.journal_type(Path(directory) / f"{name}.intents")
        driver = self.driver_type(self._channel, self._journal, self._policy, order_timeout)
        self._executions = Executions(
            self._channel, self._journal, driver, self._policy, self.execution_type, self._dice
        )
        self._withdrawals: set[asyncio.Task[None]] = set()
        self._state: Literal["new", "open", "closed"] = "new"

    def __repr__(self) -> str:
        return f"<BinanceAdapter {self.name}, {self._state}>"

    async def start(self) -> None:
        """Read the journal, and begin to find out what an earlier life left unfinished; waits for no answer.

        Raises `BinanceError`: `journal` if it cannot be read or written, `closed` if the adapter was started before.
        """
        if self._state != "new":
            raise BinanceError("closed", "an adapter is started once")
        await self._journal.open()
        self._state = "open"
        self._executions.resume()

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
        """Buy or sell at once, no worse than `decision_price` and the slippage; report, also when not done.

        Without a decision price it is the best price in the book at the time of the call. `intent` names what is
        wanted; asked for again, what is missing is gone on with, or the earlier report returned. If the call is
        cancelled, nothing more is sent, and what was on its way is broken off; `reconcile` tells what became of it.

        Raises `BinanceError` if nothing was sent and nothing is known: `rejected` for an unknown symbol or an intent
        that was another order, `closed`, or what kept the exchange's rules or price from being read.
        """
        self._check_open()
        deadline = time.monotonic() + deadline_s
        name = intent or uuid.uuid4().hex
        wanted = Order(
            intent=name, symbol=symbol, side=side, quantity=quantity, limit=Decimal(0), reduce_only=reduce_only
        )
        if (known := self._executions.earlier(wanted)) is not None:
            return known
        await self._info.ready(deadline)
        rules = self._info.rules(symbol)
        price = decision_price or await touch(self._reader, symbol, side, deadline)
        order = Order(
            intent=name,
            symbol=symbol,
            side=side,
            quantity=quantity,
            limit=worst_price(side, price, max_slippage_bps),
            reduce_only=reduce_only,
        )
        return await self._executions.execute(order, rules, deadline)

    async def place_limit(
        self, symbol: str, side: Side, quantity: Decimal, price: Decimal, *, deadline_s: float = 30.0
    ) -> str:
        """Leave an order resting in the book; return its client order id.

        Raises `BinanceError`. After `unknown` (`UnsettledError`) the order is withdrawn in the background, should it
        turn out to exist, and so it is if the call is cancelled; any other reason says that there is none.
        """
        self._check_open()
        deadline = time.monotonic() + deadline_s
        await self._info.ready(deadline)
        order = Order(intent=uuid.uuid4().hex, symbol=symbol, side=side, quantity=quantity, limit=price, resting=True)
        machine, end = await self._executions.place(
            order, self._info.rules(symbol), deadline, withdraw=partial(self._withdraw, symbol)
        )
        try:
            return placed(machine, end)
        except UnsettledError as error:
            self._withdraw(symbol, error.client_order_id)
            raise

    async def cancel_order(self, symbol: str, client_order_id: str, *, deadline_s: float = 30.0) -> Decimal:
        """Cancel it; return how much of it had been executed. One that is not open any more is no error.

        Raises `BinanceError` if that could not be found out by the deadline.
        """
        self._check_open()
        return await cancel(self._reader, symbol, client_order_id, time.monotonic() + deadline_s)

    async def get(self, path: str, params: Mapping[str, Any], *, signed: bool = False, deadline_s: float = 30.0) -> Any:
        """Return the decoded answer of a GET of the futures API, such as `/fapi/v1/depth`. Raises `BinanceError`."""
        self._check_open()
        if not path.startswith(_PREFIX):
            raise RejectedError(f"{path} is not of the futures API, whose limits are kept here")
        deadline = time.monotonic() + deadline_s
        await self._info.ready(deadline)
        window_ms = _READ_WINDOW_MS if signed else None
        call = Call(method="GET", path=path, params=params, window_ms=window_ms, timeout=self._read_timeout)
        return await self._reader.read(call, deadline)

    async def reconcile(self, *, deadline_s: float = 30.0) -> Mapping[str, ExecutionReport]:
        """Wait until what is unknown is known, or the deadline.

        Return the report of each intent that `start` found unfinished or that was `unknown`: once when it is known, and
        each time while it is not.
        """
        self._check_open()
        return await self._executions.reconcile(time.monotonic() + deadline_s)

    async def close(self) -> None:
        """Stop; no task is left. Executions that are going on raise `closed`, and are taken up by the next life."""
        if self._state == "closed":
            return
        started, self._state = self._state == "open", "closed"
        await self._executions.close()
        for task in self._withdrawals:
            task.cancel()
        if self._withdrawals:
            await asyncio.wait(self._withdrawals)
        await self._info.close()
        await self._channel.close()
        if self._owns_limiter:
            self._limiter.close()
        if started:
            await self._journal.close()

    def _check_open(self) -> None:
        if self._state != "open":
            raise BinanceError("closed", f"the adapter is {self._state}")

    def _withdraw(self, symbol: str, client_order_id: str) -> None:
        task = asyncio.create_task(
            withdraw(self._reader, symbol, client_order_id, self._policy), name="binance-withdrawal"
        )
        self._withdrawals.add(task)
        task.add_done_callback(self._withdrawals.discard)


def make(*, base_url: str, api_key: str, api_secret: str, directory: Path, name: str, **options: Any) -> BinanceAdapter:
    """Return an adapter, not started. `directory` must survive a kill; `options` are those of `BinanceAdapter`."""
    return BinanceAdapter(base_url, api_key, api_secret, directory=directory, name=name, **options)
