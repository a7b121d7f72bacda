"""Calls that are cancelled, as an emergency stop does: nothing more is sent for them, and nothing is forgotten."""

import asyncio
from decimal import Decimal

import pytest

from reference_impl.binance_adapter import RetryPolicy
from reference_impl.rate_limiter import BinanceRateLimiter

SLOW = RetryPolicy(recv_window_ms=300, settle_ms=50, failed_pause=30.0, book_pause=30.0, pause_max=30.0, ask_pause=0.01)


class HeldLimiter(BinanceRateLimiter):
    """Gives no permit for an order until told to."""

    def __init__(self, **options):
        super().__init__(**options)
        self.asked = asyncio.Event()
        self.give = asyncio.Event()

    async def acquire(self, weight, *, orders=0, **options):
        """Wait first, if it is for an order."""
        if orders:
            self.asked.set()
            await self.give.wait()
        return await super().acquire(weight, orders=orders, **options)


@pytest.fixture
async def adapter(market, make_adapter):
    """An adapter that pauses long between attempts."""
    made = make_adapter(policy=SLOW)
    await made.start()
    return made


def buy(adapter, quantity="1"):
    """Begin to buy."""
    return asyncio.create_task(
        adapter.execute_order("BTCUSDT", "BUY", Decimal(quantity), intent="i", decision_price=Decimal(100))
    )


async def cancelled(task):
    """Cancel it and return when it is over."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def hangs(after=None):
    """Return a fault: no answer, ever; `after` executes first."""

    def fault(request, act):
        if after is not None:
            act()
        return _never()

    async def _never():
        await asyncio.Event().wait()

    return fault


async def test_between_two_attempts_no_further_one_follows(market, adapter, eventually):
    """What is missing is not sent; the same intent, asked for again, goes on with it."""
    market.depth = [Decimal("0.5"), Decimal(10)]
    task = buy(adapter)
    await eventually(lambda: len(market.orders) == 1)
    await cancelled(task)
    await eventually(lambda: not adapter._executions._tasks)
    assert len(market.sent) == 1
    report = await buy(adapter)
    assert (report.status, report.filled, len(market.sent)) == ("filled", Decimal(1), 2)
    assert Decimal(market.sent[1]["quantity"]) == Decimal("0.5")


async def test_while_it_waits_for_a_permit_nothing_is_sent(market, make_adapter, eventually):
    """Nor when there would be a permit later."""
    limiter = HeldLimiter(max_requests=2_400)
    adapter = make_adapter(policy=SLOW, limiter=limiter)
    await adapter.start()
    task = buy(adapter)
    await limiter.asked.wait()
    await cancelled(task)
    limiter.give.set()
    await eventually(lambda: not adapter._executions._tasks)
    assert market.sent == []
    report = await buy(adapter)
    assert (report.status, report.filled) == ("filled", Decimal(1))
    limiter.close()


@pytest.mark.parametrize("executed", [True, False])
async def test_an_order_on_its_way_is_broken_off_and_asked_about(market, adapter, eventually, executed):
    """The call ends at once, without an answer; what became of the order is found out, and no other one is sent."""
    market.faults = [hangs(after=executed or None)]
    task = buy(adapter)
    await eventually(lambda: len(market.sent) == 1)
    async with asyncio.timeout(1.0):
        await cancelled(task)
    found = (await adapter.reconcile())["i"]
    assert (found.filled, found.reason) == (Decimal(executed), "" if executed else "stopped")
    assert len(market.sent) == 1
    report = await buy(adapter)
    assert (report.status, report.filled, market.filled) == ("filled", Decimal(1), Decimal(1))
    assert len(market.sent) == (1 if executed else 2)


async def test_of_two_callers_of_one_intent_the_last_one_counts(market, adapter, eventually):
    """One that is cancelled takes nothing from the other."""
    market.faults = [hangs(after=True)]
    first, second = buy(adapter), buy(adapter)
    await eventually(lambda: len(market.sent) == 1)
    await cancelled(first)
    assert not second.done()
    assert list(adapter._executions._tasks) == ["i"]
    await cancelled(second)
    await eventually(lambda: not adapter._executions._tasks)
    assert len(market.sent) == 1


async def test_an_order_that_was_to_rest_is_withdrawn(market, adapter, eventually):
    """Cancelled on its way to the book, it may have arrived there: it is cancelled at the exchange, too."""
    market.faults = [hangs(after=True)]
    task = asyncio.create_task(adapter.place_limit("BTCUSDT", "BUY", Decimal(1), Decimal(90)))
    await eventually(lambda: len(market.orders) == 1)
    await cancelled(task)
    await eventually(lambda: [order["status"] for order in market.orders.values()] == ["CANCELED"])
