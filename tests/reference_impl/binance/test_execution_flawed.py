"""Each flawed variant works while nothing fails, and shows its one defect when something does."""

import asyncio
import contextlib
from decimal import Decimal

import httpx
import pytest

from reference_impl.flawed import binance_execution as flawed
from reference_impl.retry import RetryPolicy

FAST = RetryPolicy(recv_window_ms=300, settle_ms=50, failed_pause=0.01, book_pause=0.01, ask_pause=0.01)
ONE = Decimal(1)
REFERENCE_LIKE = sorted(set(flawed.VARIANTS) - {"planned"})


@pytest.fixture
async def open_adapter(market, make_adapter):
    """A function that starts a flawed adapter."""

    async def start(variant):
        adapter = make_adapter(flawed.VARIANTS[variant], policy=FAST)
        await adapter.start()
        return adapter

    return start


async def buy(adapter, quantity=ONE, deadline_s=10.0):
    return await adapter.execute_order(
        "BTCUSDT", "BUY", quantity, intent="i", decision_price=Decimal(100), deadline_s=deadline_s
    )


@pytest.mark.parametrize("variant", REFERENCE_LIKE)
async def test_a_flawed_variant_works_while_nothing_fails(market, open_adapter, variant):
    """A defect that shows without a fault would prove nothing about the faults."""
    report = await buy(await open_adapter(variant))
    assert (report.status, report.filled, market.filled) == ("filled", ONE, ONE)


def test_every_variant_is_a_name_of_its_module():
    """Scenarios name variants as `module:attribute`."""
    assert {name: getattr(flawed, name) for name in flawed.VARIANTS} == flawed.VARIANTS


@pytest.mark.parametrize("variant", ["retry_with_new_id_after_timeout", "retry_same_id_after_fill"])
async def test_a_lost_answer_is_executed_twice(market, open_adapter, answers, variant):
    """Sent again without asking."""
    market.faults = [answers.lose(httpx.ReadError, executed=True)]
    filled = []
    execute = market.execute

    def counted(params):
        answer = execute(params)
        filled.append(Decimal(market.orders[params["newClientOrderId"]]["executedQty"]))
        return answer

    market.execute = counted
    await buy(await open_adapter(variant))
    assert sum(filled) == 2


async def test_believes_first_absence(market, open_adapter, answers):
    """An order that is executed after the first question is sent once more."""
    late = []

    def not_yet(request, act):
        late.append(act)
        return answers.refuse(503, None, "Unknown error, please check your request or try again later.")(request, act)

    market.faults = [not_yet]
    report = await buy(await open_adapter("believes_first_absence"))
    assert (report.filled, len(market.sent)) == (ONE, 2)
    late[0]()
    assert market.filled == 2


async def test_retries_full_quantity(market, open_adapter):
    """After a partial fill it asks for everything again."""
    market.depth = [Decimal("0.5"), Decimal(10)]
    await buy(await open_adapter("retries_full_quantity"))
    assert market.filled == Decimal("1.5")


async def test_retries_terminal(market, open_adapter, answers):
    """The same order meets the same refusal."""
    market.faults = [answers.refuse(400, -2019)] * 3
    await buy(await open_adapter("retries_terminal"))
    assert len(market.sent) == 4


async def test_ignores_lot_size(market, open_adapter):
    """A rest is sent as it is."""
    await buy(await open_adapter("ignores_lot_size"), Decimal("1.2345"))
    assert Decimal(market.sent[0]["quantity"]) == Decimal("1.2345")


async def test_trusts_ack_as_fill(market, open_adapter, answers):
    """An order that was only accepted is reported as filled."""
    market.price = Decimal(200)

    def acknowledge(request, act):
        order = act().json()
        return httpx.Response(200, json={**order, "status": "NEW", "executedQty": "0"})

    market.faults = [acknowledge]
    report = await buy(await open_adapter("trusts_ack_as_fill"))
    assert (report.status, market.filled, market.sent[0]["newOrderRespType"]) == ("filled", 0, "ACK")


async def test_ignores_slippage(market, open_adapter):
    """It fills at a price that the caller ruled out."""
    market.price = Decimal(102)
    assert (await buy(await open_adapter("ignores_slippage"))).average_price == Decimal(102)


async def test_retries_without_end(market, open_adapter):
    """The reference stops after 8 orders."""
    market.price = Decimal(200)
    await buy(await open_adapter("retries_without_end"), deadline_s=1.5)
    assert len(market.sent) > FAST.sends_max


async def test_gives_no_reason(market, open_adapter):
    """Something is missing, and the report does not say why."""
    market.price = Decimal(200)
    report = await buy(await open_adapter("gives_no_reason"), deadline_s=1.5)
    assert (report.status, report.missing, report.reason) == ("abandoned", ONE, "")


async def test_forgets_on_restart(market, open_adapter):
    """The same intent is executed again by the next life."""
    first = await open_adapter("forgets_on_restart")
    await buy(first)
    await first.close()
    await buy(await open_adapter("forgets_on_restart"))
    assert len(market.sent) == 2


@pytest.mark.parametrize(("variant", "posts"), [("gives_no_reason", 1), ("signs_before_waiting", 2)])
async def test_signs_before_waiting(market, open_adapter, monkeypatch, variant, posts):
    """A wait that is longer than the window: the order is refused for its timestamp, of before the wait."""
    adapter = await open_adapter(variant)
    await adapter.get("/fapi/v2/account", {}, signed=True)
    acquire, waits = adapter._limiter.acquire, [0.4]

    async def late(*args, orders=0, **options):
        permit = await acquire(*args, orders=orders, **options)
        if orders and waits:
            await asyncio.sleep(waits.pop())  # the wait itself is what is tested
        return permit

    monkeypatch.setattr(adapter._limiter, "acquire", late)
    report = await buy(adapter)
    assert (report.status, market.filled) == ("filled", ONE)
    assert market.requests.count(("POST", "/fapi/v1/order")) == posts


async def test_planned_executes_a_lost_answer_twice(market, make_adapter, answers):
    """The network's errors are retried without asking what became of the order."""
    market.faults = [answers.lose(httpx.ReadError, executed=True)]
    sent = []

    def execute(params):
        sent.append(params)
        return httpx.Response(200, json={"orderId": 1, "executedQty": params["quantity"]})

    market.execute = execute
    market.query_faults = [lambda request, act: httpx.Response(200, json={"avgPrice": "100"})] * 2
    market.offset_ms = 0
    adapter = make_adapter(flawed.planned)
    with contextlib.suppress(KeyError, ValueError), pytest.MonkeyPatch.context() as patch:
        patch.setattr(flawed.planned.__globals__["time"], "time", flawed.planned.__globals__["time"].monotonic)
        patch.setitem(flawed.planned.__globals__, "_PAUSES", (0.0, 0.0, 0.0))
        report = await buy(adapter)
        assert report.status == "filled"
    assert len(sent) == 2
    assert all("newClientOrderId" not in params for params in sent)


async def test_a_cancelled_call_is_sent_for_all_the_same(market, make_adapter, eventually):
    """What is missing after a partial fill, though nobody waits for it any more."""
    market.depth = [Decimal("0.5"), Decimal(10)]
    policy = RetryPolicy(book_pause=0.2, ask_pause=0.01)
    adapter = make_adapter(flawed.sends_on_when_cancelled, policy=policy)
    await adapter.start()
    task = asyncio.create_task(buy(adapter))
    await eventually(lambda: len(market.orders) == 1)
    task.cancel()
    await eventually(lambda: len(market.sent) == 2)
    assert task.cancelled()
