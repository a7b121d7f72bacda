"""Orders through the whole adapter, with the exchange's answers mocked under httpx."""

from decimal import Decimal

import httpx
import pytest

from reference_impl.binance_adapter import BinanceError, RejectedError, RetryPolicy, UnsettledError

FAST = RetryPolicy(recv_window_ms=300, settle_ms=50, failed_pause=0.01, book_pause=0.01, ask_pause=0.01)


@pytest.fixture
async def adapter(market, make_adapter):
    """An adapter whose windows and pauses are short, so that tests in real time are."""
    made = make_adapter(policy=FAST)
    await made.start()
    return made


async def test_an_order_is_sent_as_immediate_limit_within_the_slippage(market, adapter):
    """One order at the decision price plus the slippage, fitted to tick and lot, and a report of what was filled."""
    report = await adapter.execute_order(
        "BTCUSDT", "BUY", Decimal("1.2345"), intent="i", decision_price=Decimal("100.03"), max_slippage_bps=20
    )
    sent = market.sent[0]
    assert (sent["type"], sent["timeInForce"], sent["newOrderRespType"]) == ("LIMIT", "IOC", "RESULT")
    assert (Decimal("100.2"), Decimal("1.234")) == (Decimal(sent["price"]), Decimal(sent["quantity"]))
    assert ("filled", Decimal("1.234"), Decimal("0.0005")) == (report.status, report.filled, report.missing)
    assert (Decimal(100), 1) == (report.average_price, report.attempts)
    assert len(market.sent) == 1


async def test_without_a_decision_price_the_touch_is_taken(market, adapter):
    """A sell may then fill down to the best bid less the slippage."""
    await adapter.execute_order("BTCUSDT", "SELL", Decimal(1), max_slippage_bps=50)
    assert Decimal("99.5") == Decimal(market.sent[0]["price"])


async def test_what_is_missing_is_tried_again(market, adapter):
    """Partial fills are added up, and no more than the rest is sent each time."""
    market.depth = [Decimal("0.5"), Decimal("0.2"), Decimal(10)]
    report = await adapter.execute_order("BTCUSDT", "BUY", Decimal(1), decision_price=Decimal(100))
    assert [f"{Decimal(sent['quantity']).normalize():f}" for sent in market.sent] == ["1", "0.5", "0.3"]
    assert ("filled", Decimal(1), Decimal(0), "", 3) == (
        report.status,
        report.filled,
        report.missing,
        report.reason,
        report.attempts,
    )
    assert len({sent["newClientOrderId"] for sent in market.sent}) == 3


@pytest.mark.parametrize("executed", [True, False])
@pytest.mark.parametrize("kind", [httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError])
async def test_a_lost_answer_never_executes_twice(market, adapter, answers, kind, executed):
    """The order is asked about; if it exists it is the fill, if it cannot exist any more another one is sent."""
    market.faults = [answers.lose(kind, executed=executed)]
    report = await adapter.execute_order("BTCUSDT", "BUY", Decimal(1), decision_price=Decimal(100))
    assert (Decimal(1), Decimal(1), "filled") == (market.filled, report.filled, report.status)
    assert (1 if executed else 2) == len(market.sent)


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [(503, None, "Unknown error, please check"), (400, -1006, "message bus"), (408, -1007, "Timeout"), (502, None, "")],
)
@pytest.mark.parametrize("executed", [True, False])
async def test_an_unknown_outcome_is_asked_about(market, adapter, answers, status, code, text, executed):
    """What the exchange itself does not know is found out by client order id."""
    fault = answers.execute_then if executed else answers.refuse
    market.faults = [fault(status, code, text)]
    report = await adapter.execute_order("BTCUSDT", "BUY", Decimal(1), decision_price=Decimal(100))
    assert (Decimal(1), "filled") == (market.filled, report.status)
    assert ("GET", "/fapi/v1/order") in market.requests


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (503, None, "Service Unavailable."),
        (503, -1008, "Request throttled"),
        (503, -1001, "Internal error; unable to process your request. Please try again."),
        (400, -1021, "Timestamp"),
    ],
)
async def test_what_failed_for_certain_is_sent_again(market, adapter, answers, status, code, text):
    """Nothing is asked before: it was not executed."""
    market.faults = [answers.refuse(status, code, text)]
    report = await adapter.execute_order("BTCUSDT", "BUY", Decimal(1), decision_price=Decimal(100))
    assert ("filled", 2, Decimal(1)) == (report.status, len(market.sent), market.filled)
    assert market.sent[0]["newClientOrderId"] != market.sent[1]["newClientOrderId"]


@pytest.mark.parametrize("code", [-2019, -2010, -4164, -1111, -1121, -4003, -2022, -2014, -2015, -1022])
async def test_a_terminal_error_is_sent_once(market, adapter, answers, code):
    """It is reported with its code, also to who asks again."""
    market.faults = [answers.refuse(400, code)]
    first = await adapter.execute_order("BTCUSDT", "BUY", Decimal(1), intent="i", decision_price=Decimal(100))
    assert ("rejected", str(code), Decimal(0)) == (first.status, first.reason, first.filled)
    assert first == await adapter.execute_order("BTCUSDT", "BUY", Decimal(1), intent="i", decision_price=Decimal(100))
    assert len(market.sent) == 1


async def test_a_price_that_ran_away_is_abandoned(market, adapter):
    """No order is sent beyond the limit, and their number is bounded."""
    market.price = Decimal(101)
    report = await adapter.execute_order("BTCUSDT", "BUY", Decimal(1), decision_price=Decimal(100), max_slippage_bps=50)
    assert (report.status, report.reason, report.attempts, len(market.sent)) == ("abandoned", "slippage", 8, 8)


async def test_dust_is_reported_and_not_sent(market, adapter):
    """A rest under the minimum notional is named as such."""
    market.depth = [Decimal("0.08"), Decimal(1)]
    report = await adapter.execute_order("BTCUSDT", "BUY", Decimal("0.1"), decision_price=Decimal(100))
    assert ("partial", "min_notional", Decimal("0.02")) == (report.status, report.reason, report.missing)
    assert len(market.sent) == 1


async def test_an_intent_is_not_done_twice(market, adapter):
    """Asked for again, the earlier report is returned; another order under its name is refused."""
    first = await adapter.execute_order("BTCUSDT", "BUY", Decimal(1), intent="i", decision_price=Decimal(100))
    assert first == await adapter.execute_order("BTCUSDT", "BUY", Decimal(1), intent="i")
    with pytest.raises(BinanceError, match="another order"):
        await adapter.execute_order("BTCUSDT", "SELL", Decimal(1), intent="i")
    assert Decimal(1) == market.filled


async def test_what_stays_unknown_is_found_out_later(market, adapter, answers):
    """The call ends by its deadline with `unknown`; `reconcile` tells what the order came to."""
    market.faults = [answers.lose(httpx.ReadError, executed=True)]
    market.query_faults = [answers.lose(httpx.ConnectError, executed=False)] * 200
    report = await adapter.execute_order(
        "BTCUSDT", "BUY", Decimal(1), intent="i", decision_price=Decimal(100), deadline_s=0.5
    )
    assert ("unknown", Decimal(0), Decimal(1)) == (report.status, report.filled, report.missing)
    assert (await adapter.reconcile(deadline_s=0.1))["i"].status == "unknown"
    market.query_faults.clear()
    settled = await adapter.reconcile(deadline_s=5.0)
    assert ("filled", Decimal(1), Decimal(100)) == (
        settled["i"].status,
        settled["i"].filled,
        settled["i"].average_price,
    )
    assert await adapter.reconcile() == {}


async def test_a_new_life_finds_what_the_old_one_left(market, make_adapter, answers):
    """Killed between sending and the answer: the journal knows the order's name, and the exchange its fate."""
    first = make_adapter(policy=FAST)
    await first.start()
    market.faults = [answers.lose(httpx.ReadError, executed=True)]
    market.query_faults = [answers.lose(httpx.ConnectError, executed=False)] * 50
    await first.execute_order("BTCUSDT", "BUY", Decimal(1), intent="i", decision_price=Decimal(100), deadline_s=0.4)
    await first.close()
    market.query_faults.clear()
    second = make_adapter(policy=FAST)
    await second.start()
    reports = await second.reconcile(deadline_s=5.0)
    assert ("filled", Decimal(1)) == (reports["i"].status, reports["i"].filled)
    again = await second.execute_order("BTCUSDT", "BUY", Decimal(1), intent="i", decision_price=Decimal(100))
    assert (reports["i"], Decimal(1)) == (again, market.filled)


async def test_an_adapter_that_was_replaced_sends_nothing(market, make_adapter):
    """Two of one name and directory: the later one trades, the earlier one says why it does not."""
    first, second = make_adapter(policy=FAST), make_adapter(policy=FAST)
    await first.start()
    await second.start()
    refused = await first.execute_order("BTCUSDT", "BUY", Decimal(1), intent="i", decision_price=Decimal(100))
    assert (refused.status, refused.reason, market.sent) == ("abandoned", "journal", [])
    report = await second.execute_order("BTCUSDT", "BUY", Decimal(1), intent="i", decision_price=Decimal(100))
    assert (report.status, len(market.sent)) == ("filled", 1)


async def test_an_order_rests_until_cancelled(market, adapter):
    """Cancelling tells what had been executed, also when there is nothing left to cancel."""
    market.price = Decimal(101)
    client_id = await adapter.place_limit("BTCUSDT", "BUY", Decimal(1), Decimal("100.07"))
    assert (market.orders[client_id]["status"], market.sent[0]["price"].rstrip("0") + "0") == ("NEW", "100.0")
    assert Decimal(0) == await adapter.cancel_order("BTCUSDT", client_id)
    assert Decimal(0) == await adapter.cancel_order("BTCUSDT", client_id)
    assert market.orders[client_id]["status"] == "CANCELED"


async def test_a_cancel_whose_answer_is_lost_is_asked_about(market, adapter, answers):
    """The order is cancelled once; the second cancel finds nothing, and the query tells."""
    market.price = Decimal(101)
    client_id = await adapter.place_limit("BTCUSDT", "BUY", Decimal(1), Decimal(100))
    market.query_faults = [answers.lose(httpx.ReadError, executed=True)]
    assert Decimal(0) == await adapter.cancel_order("BTCUSDT", client_id)
    assert market.orders[client_id]["status"] == "CANCELED"


async def test_an_order_that_may_rest_unseen_is_withdrawn(market, adapter, answers, eventually):
    """Who was told `unknown` finds no order in the book later."""
    market.price = Decimal(101)
    market.faults = [answers.lose(httpx.ReadError, executed=True)]
    market.query_faults = [answers.lose(httpx.ReadError, executed=False)] * 200
    with pytest.raises(UnsettledError) as caught:
        await adapter.place_limit("BTCUSDT", "BUY", Decimal(1), Decimal(100), deadline_s=0.4)
    market.query_faults.clear()
    client_id = caught.value.client_order_id
    await eventually(lambda: market.orders[client_id]["status"] == "CANCELED")


async def test_a_refused_order_is_not_placed(market, adapter, answers):
    """The exchange's code is in the error."""
    market.faults = [answers.refuse(400, -2019, "Margin is insufficient.")]
    with pytest.raises(RejectedError) as caught:
        await adapter.place_limit("BTCUSDT", "BUY", Decimal(1), Decimal(100))
    assert (caught.value.reason, caught.value.code) == ("rejected", -2019)
