"""Comparing with the exchange: gaps are filled, and every other difference is named."""

import pytest

from reference_impl.portfolio import Difference, EntryError, StorageError, UnfinishedError


@pytest.fixture
async def account(opened, income, exchange):
    """A portfolio and an exchange that agree on a deposit."""
    there = exchange(balance="1000", marks={"BTCUSDT": "11", "XRPUSDT": "0.5"})
    portfolio = await opened()
    await portfolio.apply_income([income(1, "1000")])
    return portfolio, there


async def test_gaps_are_filled_and_named(account, trade):
    """The books agree afterwards; what was compared once is not asked for again."""
    portfolio, there = account
    there.trades = [trade("BTCUSDT", number, "0.3", "10.1", fee="0.001") for number in (3, 9, 11)]
    there.trades.append(trade("XRPUSDT", 4, "-2", "0.5"))
    await portfolio.apply(there.trades[1:2])
    found = await portfolio.reconcile(there.get)
    assert found.backfilled == (("BTCUSDT", 3), ("BTCUSDT", 11), ("XRPUSDT", 4))
    assert (found.agreed, found.differences, found.through) == (True, (), {"BTCUSDT": 11, "XRPUSDT": 4})
    there.asked.clear()
    again = await portfolio.reconcile(there.get)
    assert (again.backfilled, again.agreed) == ((), True)
    assert {params["fromId"] for _, params in there.asked if params} == {12, 5}


async def test_more_than_a_page(account, trade):
    """Pages are read until there is no more."""
    portfolio, there = account
    there.trades = [trade("BTCUSDT", number, "1" if number % 2 else "-1", "10") for number in range(2_500)]
    found = await portfolio.reconcile(there.get, symbols=["BTCUSDT"])
    assert (len(found.backfilled), found.agreed) == (2_500, True)
    assert portfolio.figures().positions["BTCUSDT"].amount == 0


async def test_the_exchange_trades_on_meanwhile(account, trade):
    """A trade made between two answers is no difference: it is compared once the exchange has told of it."""
    portfolio, there = account
    there.trades = [trade("BTCUSDT", 1, "1", "10")]
    left = [trade("BTCUSDT", 2, "1", "10"), trade("BTCUSDT", 3, "1", "10")]
    there.between = lambda: left and there.trades.append(left.pop(0))
    found = await portfolio.reconcile(there.get)
    assert (found.settled, found.differences, len(found.backfilled)) == (True, (), 3)


async def test_a_trade_that_comes_by_a_stream_meanwhile(account, trade):
    """Booked after the exchange was asked about trades: no difference, but another round."""
    portfolio, there = account
    there.trades = [trade("BTCUSDT", 1, "1", "10")]
    streamed = trade("BTCUSDT", 2, "1", "10")
    get = there.get

    async def meanwhile(path, params, **options):
        answer = await get(path, params, **options)
        if path.endswith("userTrades") and len(there.asked) == 4:  # both sides have agreed on the first by then
            there.trades.append(streamed)
            await portfolio.apply([streamed])
        return answer

    found = await portfolio.reconcile(meanwhile)
    assert (found.settled, found.differences, found.through) == (True, (), {"BTCUSDT": 2})
    assert len(there.asked) == 8


async def test_an_exchange_that_never_stands_still(account, trade):
    """Is not compared, and that is said."""
    portfolio, there = account
    there.trades = [trade("BTCUSDT", 1, "1", "10")]
    there.between = lambda: there.trades.append(trade("BTCUSDT", 1 + len(there.trades), "1", "10"))
    found = await portfolio.reconcile(there.get)
    assert (found.settled, found.agreed, found.differences) == (False, False, ())


@pytest.mark.parametrize("trade_id", [2, 99])
async def test_a_trade_that_the_exchange_does_not_know(account, trade, trade_id):
    """Whether its id lies among theirs or beyond them; and the position that it makes."""
    portfolio, there = account
    there.trades = [trade("BTCUSDT", number, "1", "10") for number in (1, 3)]
    await portfolio.apply([trade("BTCUSDT", trade_id, "0.5", "10")])
    found = await portfolio.reconcile(there.get)
    assert found.differences == (
        Difference(kind="unknown_trade", name=f"BTCUSDT {trade_id}", ours="0.5 at 10, fee 0 USDT", theirs=""),
        Difference(kind="position", name="BTCUSDT", ours="2.5", theirs="2"),
    )
    assert not found.agreed


async def test_a_trade_with_other_figures(account, trade):
    """Both versions are named."""
    portfolio, there = account
    there.trades = [trade("BTCUSDT", 1, "1", "10", fee="0.01")]
    await portfolio.apply([trade("BTCUSDT", 1, "1", "10", fee="0.02")])
    (changed, equity) = (await portfolio.reconcile(there.get)).differences
    assert (changed.kind, changed.name) == ("changed_trade", "BTCUSDT 1")
    assert (changed.ours, changed.theirs) == ("1 at 10, fee 0.02 USDT", "1 at 10, fee 0.01 USDT")
    assert (equity.kind, equity.ours, equity.theirs) == ("equity", "1000.98", "1000.99000000")


async def test_money_that_nobody_told_of(account, trade):
    """All trades agree, and the account is worth less: a withdrawal, say."""
    portfolio, there = account
    there.balance -= 1
    there.trades = [trade("BTCUSDT", 1, "1", "10")]
    found = await portfolio.reconcile(there.get)
    assert found.differences == (Difference(kind="equity", name="USDT", ours="1001", theirs="1000.00000000"),)


async def test_the_last_printed_place_is_no_difference(account, trade):
    """The exchange rounds each sum that it prints to eight places."""
    portfolio, there = account
    there.trades = [trade("BTCUSDT", 1, "0.001", "10.123456789")]
    assert (await portfolio.reconcile(there.get)).agreed


async def test_fees_in_another_asset_need_its_rate(account, trade):
    """Without one, equity cannot be compared; the trades are taken by then."""
    portfolio, there = account
    there.trades = [trade("BTCUSDT", 1, "1", "10", fee="0", asset="BNB")]
    with pytest.raises(UnfinishedError, match="rate of BNB"):
        await portfolio.reconcile(there.get)
    assert (await portfolio.reconcile(there.get, rates={"BNB": "600"})).agreed


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {"positions": None, "totalMarginBalance": "1"},
        {"positions": ["x"], "totalMarginBalance": "1"},
        {"positions": [], "totalMarginBalance": "x"},
        {"positions": [{"symbol": "BTCUSDT", "positionAmt": "1", "notional": None}], "totalMarginBalance": "1"},
    ],
    ids=str,
)
async def test_an_account_that_is_none(account, answer):
    """Is a typed error."""
    portfolio, there = account
    there.account = lambda: answer
    with pytest.raises(EntryError):
        await portfolio.reconcile(there.get)


async def test_trades_that_are_none(account, trade):
    """An answer that is no list, or an entry that makes no sense: nothing of it is taken."""
    portfolio, there = account
    there.trades = [trade("BTCUSDT", 1, "1", "10"), {**trade("BTCUSDT", 2, "1", "10"), "price": "x"}]
    there.account = lambda: {
        "positions": [{"symbol": "BTCUSDT", "positionAmt": "1", "notional": "1"}],
        "totalMarginBalance": "1",
    }
    with pytest.raises(EntryError, match="price"):
        await portfolio.reconcile(there.get)
    assert portfolio.figures().positions == {}


async def test_what_the_adapter_raises_is_raised(account, trade):
    """With its reason, which says that nothing was taken: and nothing was."""
    portfolio, there = account
    there.trades = [trade("BTCUSDT", 1, "1", "10")]
    banned = _BannedError("not now")

    async def refusing(path, params, **options):
        if path.endswith("userTrades"):
            raise banned
        return await there.get(path, params, **options)

    with pytest.raises(_BannedError) as raised:
        await portfolio.reconcile(refusing)
    assert raised.value is banned
    assert portfolio.figures().positions == {}


async def test_an_error_after_trades_were_taken_bears_no_reason(account, trade):
    """It names them; they stay, and the next comparison goes on from there."""
    portfolio, there = account
    there.trades = [trade("BTCUSDT", number, "1", "10") for number in range(1_500)]
    pages = 0

    async def breaking(path, params, **options):
        nonlocal pages
        pages += path.endswith("userTrades")
        if pages == 2:
            raise _BannedError("not now")
        return await there.get(path, params, **options)

    with pytest.raises(Exception, match="not now") as raised:
        await portfolio.reconcile(breaking)
    assert not hasattr(raised.value, "reason")
    assert isinstance(raised.value, UnfinishedError)
    assert isinstance(raised.value.__cause__, _BannedError)
    assert raised.value.backfilled == tuple(("BTCUSDT", number) for number in range(1_000))
    assert portfolio.figures().positions["BTCUSDT"].amount == 1_000
    found = await portfolio.reconcile(there.get)
    assert (len(found.backfilled), found.agreed) == (500, True)


async def test_an_error_right_after_trades_were_taken(account, trade, monkeypatch):
    """The disk is full when it is to be noted how far the comparison came: the trades are taken by then."""
    portfolio, there = account
    there.trades = [trade("BTCUSDT", 1, "1", "10")]
    there.account = lambda: {
        "positions": [{"symbol": "BTCUSDT", "positionAmt": "1", "notional": "11"}],
        "totalMarginBalance": "1001",
    }

    def full(symbol, trade_id):
        raise StorageError(f"no space to note {trade_id} of {symbol}")

    monkeypatch.setattr(portfolio.journal, "verify", full)
    with pytest.raises(Exception, match="no space") as raised:
        await portfolio.reconcile(there.get)
    assert not hasattr(raised.value, "reason")
    assert portfolio.figures().positions["BTCUSDT"].amount == 1


class _BannedError(Exception):
    """As the adapter's errors: typed by a reason."""

    reason = "banned"
