"""The portfolio itself: acks, bad entries, values, deaths, damaged snapshots, full disks, impatient callers."""

import asyncio
import threading
from dataclasses import fields
from decimal import Decimal

import pytest

from reference_impl.portfolio import (
    Applied,
    ClosedError,
    ConflictError,
    EntryError,
    Portfolio,
    PriceError,
    StorageError,
    UnfinishedError,
    Valuation,
    make,
)


async def test_what_a_trade_does(opened, trade, income):
    """Position, realised, fees in their own asset, deposits, funding; and what it is worth."""
    portfolio = await opened()
    await portfolio.apply_income([income(1, "1000"), income(1, "-0.25", kind="FUNDING_FEE")])
    applied = await portfolio.apply(
        [
            trade("BTCUSDT", 5, "0.003", "60000.1", fee="0.01", asset="BNB"),
            trade("BTCUSDT", 9, "-0.001", "60001.3", fee="0.03"),
        ]
    )
    assert applied == Applied(2, 0)
    figures = portfolio.figures()
    position = figures.positions["BTCUSDT"]
    assert (position.amount, position.cost, position.realised) == (
        Decimal("0.002"),
        Decimal("120.0002"),
        Decimal("0.0012"),
    )
    assert figures.fees == {"BNB": Decimal("0.01"), "USDT": Decimal("0.03")}
    assert (figures.deposits, figures.funding) == ({"USDT": Decimal(1000)}, {"USDT": Decimal("-0.25")})
    value = portfolio.value({"BTCUSDT": "60010"}, {"BNB": "600.5"})
    assert value.unrealised == Decimal("0.0198")
    assert value.fees == Decimal("6.035")
    assert value.equity == Decimal(1000) + Decimal("0.0012") + Decimal("0.0198") - Decimal("6.035") - Decimal("0.25")
    assert value.shown() == {
        "deposits": "1000.00",
        "realised": "0.00",
        "unrealised": "0.02",
        "fees": "6.04",
        "funding": "-0.25",
        "equity": "993.74",
    }


async def test_equity_needs_a_price_of_everything(opened, trade):
    """What is missing is named; what is flat needs none."""
    portfolio = await opened()
    await portfolio.apply([trade("ETHUSDT", 1, "1", "10", fee="0.1", asset="BNB")])
    with pytest.raises(PriceError, match="ETHUSDT has no mark price"):
        portfolio.value({}, {"BNB": "1"})
    with pytest.raises(PriceError, match="BNB has no rate in USDT"):
        portfolio.value({"ETHUSDT": "10"})
    with pytest.raises(EntryError, match="mark price of ETHUSDT"):
        portfolio.value({"ETHUSDT": "nan"}, {"BNB": "1"})
    await portfolio.apply([trade("ETHUSDT", 2, "-1", "10", fee="-0.1", asset="BNB")])
    assert portfolio.value({}).equity == 0


@pytest.mark.parametrize(
    "change",
    [
        {"symbol": None},
        {"symbol": "BTCUSDC"},
        {"symbol": "USDT"},
        {"id": "7"},
        {"id": -1},
        {"id": True},
        {"id": 1 << 63},
        {"time": 1.5},
        {"side": "buy"},
        {"price": "0"},
        {"price": 0.1},
        {"qty": "-1"},
        {"qty": "nan"},
        {"commission": None},
        {"commissionAsset": "US DT"},
        {"positionSide": "LONG"},
    ],
    ids=str,
)
async def test_a_bad_trade_is_refused_with_its_batch(opened, trade, change):
    """Nothing of it is taken, and the good one can come again."""
    portfolio = await opened()
    good = trade("BTCUSDT", 1, "1", "10")
    with pytest.raises(EntryError):
        await portfolio.apply([good, {**trade("BTCUSDT", 2, "1", "10"), **change}])
    assert portfolio.figures().positions == {}
    assert await portfolio.apply([good]) == Applied(1, 0)


@pytest.mark.parametrize(
    "change", [{"incomeType": "COMMISSION"}, {"tranId": None}, {"income": 1.5}, {"asset": ""}], ids=str
)
async def test_a_bad_income_is_refused(opened, income, change):
    """Commissions come with their trades: taken here, they would count twice."""
    portfolio = await opened()
    with pytest.raises(EntryError):
        await portfolio.apply_income([income(1, "1"), {**income(2, "1"), **change}])
    assert portfolio.figures().deposits == {}


async def test_another_trade_under_a_known_id_is_refused(opened, trade):
    """One of the sources is wrong, and a person must say which."""
    portfolio = await opened()
    await portfolio.apply([trade("BTCUSDT", 1, "1", "10")])
    with pytest.raises(ConflictError) as raised:
        await portfolio.apply([trade("BTCUSDT", 1, "2", "10")])
    assert raised.value.reason == "conflict"
    assert portfolio.figures().positions["BTCUSDT"].amount == 1


async def test_nothing_is_nothing(opened):
    """An empty batch is no error."""
    portfolio = await opened()
    assert await portfolio.apply([]) == Applied(0, 0)


async def test_before_and_after(tmp_path, opened, trade):
    """A portfolio that is not open says so; closing twice, and reading after it, are no errors."""
    portfolio = make(directory=tmp_path, name="x")
    with pytest.raises(ClosedError):
        await portfolio.apply([trade("BTCUSDT", 1, "1", "10")])
    await portfolio.start()
    with pytest.raises(ClosedError, match="once"):
        await portfolio.start()
    await portfolio.apply([trade("BTCUSDT", 1, "1", "10")])
    await portfolio.close()
    await portfolio.close()
    with pytest.raises(ClosedError):
        await portfolio.snapshot()
    assert portfolio.figures().positions["BTCUSDT"].amount == 1
    assert "1 entries" in repr(portfolio)


@pytest.mark.parametrize("options", [{"window": 0}, {"snapshot_every": 0}, {"quote": ""}])
def test_options_that_cannot_work(tmp_path, options):
    """Are refused at once."""
    with pytest.raises(ValueError, match="positive"):
        Portfolio(tmp_path / "x", **options)


async def test_a_second_one_on_the_same_journal_is_refused(opened):
    """While the first is open."""
    await opened()
    with pytest.raises(StorageError, match="locked"):
        await opened()


def batches(trade, count=40):
    """Trades of two symbols, four a batch, some of them late."""
    made = [
        trade("BTCUSDT" if number % 3 else "XRPUSDT", 1 + number, "0.3" if number % 5 else "-0.7", f"0.{1 + number}")
        for number in range(4 * count)
    ]
    made[5], made[-5] = made[-5], made[5]
    return [made[start : start + 4] for start in range(0, len(made), 4)]


@pytest.mark.parametrize(
    "damage", ["none", "removed", "empty", "cut", "garbled", "other journal", "ahead", "senseless"]
)
async def test_a_start_needs_no_snapshot(tmp_path, opened, trade, caplog, damage):
    """Whatever has become of it, the figures are those before; and a bad one is told of."""
    first = await opened(window=3)
    work = batches(trade)
    for batch in work[:20]:
        await first.apply(batch)
    await first.snapshot()
    for batch in work[20:]:
        await first.apply(batch)
    figures, path = first.figures(), tmp_path / "p.portfolio.snapshot"
    first._saved_seq = first.accounts.seq  # so that closing writes no other one
    await first.close()
    content = path.read_bytes()
    state = dict(first.snapshots.decode(content))
    changed = {
        "none": content,
        "empty": b"",
        "cut": content[:99],
        "garbled": content[:50] + b"?" + content[51:],
        "other journal": first.snapshots.encode({**state, "journal": "x"}),
        "ahead": first.snapshots.encode({**state, "seq": 10**6}),
        "senseless": first.snapshots.encode({**state, "ledgers": {"BTCUSDT": {"lots": [["x", "1"]]}}}),
    }
    path.unlink() if damage == "removed" else path.write_bytes(changed[damage])
    second = await opened(window=3)
    assert second.figures() == figures
    assert bool(second.snapshots.problem) == (damage not in {"none", "removed"}) == ("not used" in caplog.text)


async def test_snapshots_are_written_by_themselves(tmp_path, opened, trade):
    """After so many entries, and when it is closed; one that fails costs nothing but time."""
    portfolio = await opened(snapshot_every=10)
    for batch in batches(trade, 3):
        await portfolio.apply(batch)
    assert (tmp_path / "p.portfolio.snapshot").exists()
    (tmp_path / "p.portfolio.snapshot").unlink()
    (tmp_path / "p.portfolio.snapshot.new").mkdir()
    for batch in batches(trade, 20)[3:]:
        await portfolio.apply(batch)
    with pytest.raises(StorageError, match="snapshot"):
        await portfolio.snapshot()
    figures = portfolio.figures()
    await portfolio.close()
    assert (await opened()).figures() == figures


async def test_a_caller_that_gives_up_parts_nothing(opened, trade):
    """The batch that it waited for is taken as a whole, in the journal and in the figures, or not at all."""
    portfolio = await opened()
    entered, go_on = threading.Event(), threading.Event()
    add = portfolio.journal.add

    def slow(entries):
        entered.set()
        go_on.wait(10)
        return add(entries)

    portfolio.journal.add = slow
    task = asyncio.ensure_future(portfolio.apply([trade("BTCUSDT", 1, "1", "10")]))
    await asyncio.to_thread(entered.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    assert await portfolio.apply([trade("BTCUSDT", 1, "1", "10"), trade("BTCUSDT", 2, "1", "10")]) == Applied(1, 1)
    assert portfolio.figures().positions["BTCUSDT"].amount == 2


async def test_a_journal_that_cannot_be_read_ends_it(opened, trade):
    """The figures would be behind what was acked: it says so instead of going on, and a new start has them all."""
    portfolio = await opened(window=1)
    for number in range(20, 30):
        await portfolio.apply([trade("BTCUSDT", number, "1", "10")])

    def broken(*_):
        raise StorageError("the journal cannot be read: disk I/O error")

    portfolio.journal.trades = broken
    with pytest.raises(Exception, match="disk I/O") as raised:
        await portfolio.apply([trade("BTCUSDT", 1, "1", "10")])
    assert not hasattr(raised.value, "reason")  # it would say that the batch was not taken
    assert isinstance(raised.value, UnfinishedError)
    with pytest.raises(ClosedError):
        await portfolio.apply([trade("BTCUSDT", 31, "1", "10")])
    await portfolio.close()
    assert (await opened()).figures().positions["BTCUSDT"].amount == 11


async def test_a_start_that_fails_leaves_the_journal_free(tmp_path, opened, trade):
    """The next one is not told that it is locked."""
    first = await opened()
    await first.apply([trade("BTCUSDT", 1, "1", "10")])
    await first.close()
    (tmp_path / "p.portfolio.snapshot").unlink()
    second = make(directory=tmp_path, name="p")

    def broken(*_):
        raise StorageError("the journal cannot be read: disk I/O error")

    second.journal.since = broken
    with pytest.raises(StorageError, match="disk I/O"):
        await second.start()
    assert (await opened()).figures().positions["BTCUSDT"].amount == 1


async def test_who_reads_meanwhile_sees_all_of_a_batch_or_nothing(opened, trade):
    """While a late trade has the journal read, position and fees are those before it."""
    portfolio = await opened(window=1)
    for number in range(20, 30):
        await portfolio.apply([trade("BTCUSDT", number, "1", "10", fee="1")])
    before, entered, go_on = portfolio.figures(), threading.Event(), threading.Event()
    trades = portfolio.journal.trades

    def slow(*args):
        entered.set()
        go_on.wait(10)
        return trades(*args)

    portfolio.journal.trades = slow
    late = [trade("BTCUSDT", 1, "1", "10", fee="1"), trade("XRPUSDT", 1, "1", "10", fee="1")]
    task = asyncio.ensure_future(portfolio.apply(late))
    await asyncio.to_thread(entered.wait, 10)
    assert portfolio.figures() == before
    go_on.set()
    await task
    assert (portfolio.figures().positions["BTCUSDT"].amount, portfolio.figures().fees["USDT"]) == (11, 12)


async def test_many_callers_at_once(opened, trade):
    """Each gets its own answer, and each trade counts once."""
    portfolio = await opened()
    work = batches(trade, 30)
    found = await asyncio.gather(*(portfolio.apply(batch) for batch in [*work, *work]))
    assert sum(one.new for one in found) == sum(one.repeated for one in found) == 120


def test_a_valuation_has_the_parts_of_the_equation():
    """The plan's equation, and no more."""
    assert [one.name for one in fields(Valuation)] == [
        "deposits",
        "realised",
        "unrealised",
        "fees",
        "funding",
        "equity",
    ]
