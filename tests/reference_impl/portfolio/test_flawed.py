"""Each variant is the reference but for its defect: it shows in the situation that it is about, and nowhere else."""

import shutil
from decimal import Decimal

import pytest

from reference_impl.flawed.portfolio import VARIANTS
from reference_impl.portfolio import make

MARKS = {"BTCUSDT": "60002.3"}
RATES = {"BNB": "600"}


async def opened(name, directory, label="p"):
    """One of them, or the reference."""
    portfolio = VARIANTS[name](directory=directory, name=label) if name else make(directory=directory, name=label)
    await portfolio.start()
    return portfolio


async def outcome(name, directory, work):
    """Everything that it says after that work."""
    portfolio = await opened(name, directory)
    for batch in work:
        await portfolio.apply(batch)
    value = portfolio.value(MARKS, RATES)
    figures = portfolio.figures()
    await portfolio.close()
    return value, figures


def plain(trade, fees=("0.01", "USDT")):
    """Bought and sold in order, in figures that floats can hold."""
    return [[trade("BTCUSDT", 1, "2", "60000", *fees)], [trade("BTCUSDT", 2, "-1", "60002.5", *fees)]]


SHOWS = {
    "rounds_each_trade": lambda trade: [
        [trade("BTCUSDT", 1, "0.001", "60000.1")],
        [trade("BTCUSDT", 2, "-0.001", "60001")],
    ],
    "double_counts_redelivery": lambda trade: [plain(trade)[0], plain(trade)[0]],
    "wrong_on_flip": lambda trade: [plain(trade)[0], [trade("BTCUSDT", 2, "-3", "60001")]],
    "fee_asset_ignored": lambda trade: plain(trade, ("0.01", "BNB")),
    "counts_in_order_of_arrival": lambda trade: [plain(trade)[0], [trade("BTCUSDT", 9, "1", "7")], plain(trade)[1]][
        ::-1
    ],
    "drops_what_is_late": lambda trade: plain(trade)[::-1],
}


@pytest.mark.parametrize("name", SHOWS)
async def test_the_defect_shows(tmp_path, trade, name):
    """In the situation that it is about."""
    work = SHOWS[name](trade)
    assert await outcome(name, tmp_path / "flawed", work) != await outcome(None, tmp_path / "reference", work)


@pytest.mark.parametrize("name", sorted(set(VARIANTS) - {"planned", "values_at_last_trade"}))
async def test_it_shows_nowhere_else(tmp_path, trade, name):
    """Two trades in order, once, at round figures: any would pass a test of that."""
    work = plain(trade)
    assert await outcome(name, tmp_path / "flawed", work) == await outcome(None, tmp_path / "reference", work)


async def test_values_at_the_last_trade(tmp_path, trade):
    """The mark is elsewhere by now."""
    portfolio = await opened("values_at_last_trade", tmp_path)
    await portfolio.apply(plain(trade)[0])
    assert portfolio.value(MARKS).unrealised == 0
    await portfolio.close()


async def test_the_plan_adds_up_floats(tmp_path, trade):
    """A tenth, three times; shown with two places, nobody sees it."""
    portfolio = await opened("planned", tmp_path)
    for number in range(3):
        await portfolio.apply([trade("BTCUSDT", number, "0.1", "1")])
    assert portfolio.figures().positions["BTCUSDT"].amount != Decimal("0.3")
    assert portfolio.value(MARKS).shown()["realised"] == "0.00"
    await portfolio.close()


@pytest.mark.parametrize(
    ("name", "lost"),
    [("acks_before_commit", True), ("planned", True), (None, False)],
    ids=["lazy", "planned", "reference"],
)
async def test_acked_and_lost(tmp_path, trade, name, lost):
    """What a death leaves on the disk lacks what was acked."""
    portfolio = await opened(name, tmp_path / "alive")
    (tmp_path / "alive").mkdir(exist_ok=True)
    for number in range(1, 4):
        await portfolio.apply([trade("BTCUSDT", number, "1", "1")])
    shutil.copytree(tmp_path / "alive", tmp_path / "dead")
    figures = portfolio.figures()
    await portfolio.close()
    again = await opened(name, tmp_path / "dead")
    assert (again.figures() != figures) is lost
    await again.close()


@pytest.mark.parametrize(
    ("name", "believed"), [("snapshot_not_atomic", True), (None, False)], ids=["flawed", "reference"]
)
async def test_half_a_snapshot_is_believed(tmp_path, trade, name, believed):
    """And what was in the other half is gone."""
    portfolio = await opened(name, tmp_path)
    await portfolio.apply([trade("BTCUSDT", 1, "1", "1"), trade("XRPUSDT", 1, "1", "1")])
    figures = portfolio.figures()
    await portfolio.close()
    path = tmp_path / "p.portfolio.snapshot"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.8)])
    again = await opened(name, tmp_path)
    assert (again.figures() != figures) is believed
    await again.close()


async def test_ids_forgotten_on_restart(tmp_path, trade):
    """Known in one life, new in the next."""
    for life in range(2):
        portfolio = await opened("forgets_ids_on_restart", tmp_path)
        for _ in range(2):
            await portfolio.apply([trade("BTCUSDT", 1, "1", "1")])
        assert portfolio.figures().positions["BTCUSDT"].amount == 1 + life
        await portfolio.close()


async def test_reconciled_without_backfill(tmp_path, trade, exchange):
    """The gap is known by then, and stays."""
    portfolio = await opened("reconciles_without_backfill", tmp_path)
    there = exchange(marks=MARKS)
    there.trades = [trade("BTCUSDT", 1, "1", "1")]
    found = await portfolio.reconcile(there.get)
    assert (found.backfilled, [one.kind for one in found.differences]) == ((), ["position"])
    await portfolio.close()
