"""What the portfolio costs: a million trades, in order and late, on one core. Prints; holds targets.

Targets: 1,000,000 trades taken, durable and exact, in <= 60 s of processor time and <= 200 MB; a trade costs the same
at the thousandth as at the millionth; a start takes a moment with a snapshot, and reads the journal without one.

Processor time, as other work on the machine must not decide. The trades are made beforehand, in chunks, and not
counted; memory is that of a process of its own. The truth is what the sums of `fractions.Fraction` say.
"""

import asyncio
import json
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reference_impl.portfolio import Portfolio, make

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]

TRADES = 1_000_000
PAGE = 1_000
MARKETS = {"BTCUSDT": (600_000, 1, 3), "XRPUSDT": (5_000, 4, 1), "DOGEUSDT": (12_000, 5, 0), "SOLUSDT": (15_000, 2, 2)}
"""Price in ticks, places of prices and of quantities, as the exchange has them."""


class Market:
    """Trades of one account that now and then closes or flips what it holds, and what they come to."""

    def __init__(self) -> None:
        self._dice = Random(5)
        self._ids = dict.fromkeys(MARKETS, 0)
        self._held = dict.fromkeys(MARKETS, 0)
        self._ticks = {symbol: ticks for symbol, (ticks, _, _) in MARKETS.items()}
        self.cash = Fraction(0)
        self.fees = Fraction(0)

    def page(self) -> list[dict[str, Any]]:
        """Return the next trades, in order."""
        return [self._trade(number) for number in range(PAGE)]

    def position(self, symbol: str) -> Fraction:
        """Return what is held."""
        return Fraction(self._held[symbol], 10 ** MARKETS[symbol][2])

    def _trade(self, number: int) -> dict[str, Any]:
        dice = self._dice
        symbol = dice.choice(list(MARKETS))
        _, price_places, lot_places = MARKETS[symbol]
        self._ids[symbol] += dice.randrange(1, 50)
        self._ticks[symbol] = max(10, self._ticks[symbol] + dice.randrange(-9, 10))
        held = self._held[symbol]
        lots = -2 * held if held and dice.randrange(20) == 0 else dice.choice([-1, 1]) * dice.randrange(1, 5_000)
        self._held[symbol] += lots
        fee = dice.randrange(1, 10**9)
        amount, price = Fraction(lots, 10**lot_places), Fraction(self._ticks[symbol], 10**price_places)
        self.cash -= amount * price
        self.fees += Fraction(fee, 10**8)
        return {
            "symbol": symbol,
            "id": self._ids[symbol],
            "time": 1_700_000_000_000 + number,
            "side": "BUY" if lots > 0 else "SELL",
            "qty": _decimal(abs(lots), lot_places),
            "price": _decimal(self._ticks[symbol], price_places),
            "commission": _decimal(fee, 8),
            "commissionAsset": "USDT",
        }


def _decimal(units: int, places: int) -> str:
    digits = str(units).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}" if places else digits


def is_exact(portfolio: Portfolio, market: Market) -> bool:
    """Whether position, fees, and realised less open cost, are the very figures."""
    figures = portfolio.figures()
    cash = sum((Fraction(one.realised) - Fraction(one.cost) for one in figures.positions.values()), Fraction(0))
    positions = all(Fraction(figures.positions[symbol].amount) == market.position(symbol) for symbol in MARKETS)
    return positions and (cash, Fraction(figures.fees["USDT"])) == (market.cash, market.fees)


async def take(directory: Path, trades: int, page_out_of_order: int = 0) -> dict[str, Any]:
    """Take so many trades; return figures. Every so many pages, one comes after the one behind it."""
    market, portfolio = Market(), make(directory=directory, name="bench")
    await portfolio.start()
    spent, marks = 0.0, []
    kept: list[dict[str, Any]] = []
    for number in range(trades // PAGE):
        page = market.page()
        if page_out_of_order and number % page_out_of_order == 1 and number + 1 < trades // PAGE:
            kept = page
            continue
        for batch in filter(None, (page, kept)):
            began = time.process_time()
            await portfolio.apply(batch)
            spent += time.process_time() - began
        kept = []
        marks.append(((number + 1) * PAGE, spent))
    exact = is_exact(portfolio, market)
    began = time.process_time()
    await portfolio.close()
    return {"spent": spent, "marks": marks, "exact": exact, "closing": time.process_time() - began}


async def begin(directory: Path) -> dict[str, Any]:
    """Start on what is there; return how long that took."""
    portfolio = make(directory=directory, name="bench")
    began = time.process_time()
    await portfolio.start()
    took = time.process_time() - began
    await portfolio.close()
    return {"took": took}


def in_a_process(job: str, directory: Path, *args: int) -> dict[str, Any]:
    """Do one of these in a process of its own; return what it says, and the most memory that it had."""
    command = [sys.executable, __file__, job, str(directory), *map(str, args)]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def cost(marks: list[list[float]], start: int, end: int) -> float:
    """Microseconds a trade between two counts."""
    spent = {int(count): at for count, at in [(0, 0.0), *marks]}
    return 1e6 * (spent[end] - spent[start]) / (end - start)


def test_a_million_trades(tmp_path: Path) -> None:
    """Taken in pages of a thousand, each durable before the next; then a start with a snapshot, and without."""
    found = in_a_process("take", tmp_path, TRADES)
    marks = found["marks"]
    first = cost(marks, 0, 10_000)
    print(f"\n{TRADES:,} trades: {found['spent']:.1f} s of processor time, {found['memory_mb']} MB")
    for start, end in ((0, 10_000), (10_000, 100_000), (100_000, 500_000), (500_000, TRADES)):
        each = cost(marks, start, end)
        print(f"  trades {start:>9,} to {end:>9,}: {each:5.1f} us each, {each / first:.2f} of the first")
    with_snapshot = in_a_process("begin", tmp_path)
    (tmp_path / "bench.portfolio.snapshot").unlink()
    without = in_a_process("begin", tmp_path)
    print(f"  a start with a snapshot {1e3 * with_snapshot['took']:.0f} ms, without {without['took']:.1f} s")
    print(
        f"  memory of a start without: {without['memory_mb']} MB; writing the snapshot {1e3 * found['closing']:.0f} ms"
    )
    assert found["exact"]
    assert found["spent"] <= 60
    assert max(found["memory_mb"], without["memory_mb"]) <= 200
    assert cost(marks, 900_000, TRADES) <= 2 * first
    assert with_snapshot["took"] < without["took"] / 10


def test_pages_that_come_late(tmp_path: Path) -> None:
    """One page in five comes after the next one: behind what was sealed, so that the journal is read."""
    in_order = in_a_process("take", tmp_path / "a", TRADES // 5)
    late = in_a_process("take", tmp_path / "b", TRADES // 5, 5)
    print(f"\n{TRADES // 5:,} trades, one page in five late: {late['spent'] / in_order['spent']:.2f} of in order")
    marks = late["marks"]
    print(f"  the last fifth costs {cost(marks, 160_000, 200_000) / cost(marks, 0, 40_000):.2f} of the first")
    assert late["exact"]
    assert late["spent"] <= 4 * in_order["spent"]


def memory_mb() -> int:
    """Return the most memory this process has had."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024


def main(job: str, directory: str, *args: str) -> None:
    """Do a job and print what it says."""
    folder = Path(directory)
    folder.mkdir(exist_ok=True)
    said: Any = asyncio.run(take(folder, *map(int, args)) if job == "take" else begin(folder))
    print(json.dumps({**said, "memory_mb": memory_mb()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
