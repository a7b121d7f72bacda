"""The portfolio: figures are exact, a trade counts once, and what was acked is known to the next life."""

from decimal import Decimal
from fractions import Fraction

from harness.trial import Trial
from scenarios.portfolio_books import income, trade
from scenarios.ports.portfolio import Portfolio

_TRADES = [
    trade(["BTCUSDT", 1, 1_700_000_000_000, "0.3", "100.1", "0.1", "USDT"]),
    trade(["BTCUSDT", 2, 1_700_000_001_000, "-0.1", "110.1", "0.2", "USDT"]),
]
_INCOME = [income(["TRANSFER", 1, 1_700_000_000_000, "1000", "USDT"])]


async def talk(trial: Trial) -> None:
    """Buy and sell, give a trade twice, close and open again."""
    books: Portfolio = trial.make(directory=trial.disk, name="trial")
    await trial.call("start()", books.start)
    trial.equal("method", True, books.method in ("fifo", "average"))  # noqa: FBT003
    applied = await trial.call("apply()", books.apply, _TRADES)
    trial.equal("apply().new", len(_TRADES), applied.new)
    again = await trial.call("apply() of the same", books.apply, _TRADES)
    trial.equal("new and repeated of what was there", (0, len(_TRADES)), (again.new, again.repeated))
    await trial.call("apply_income()", books.apply_income, _INCOME)
    await trial.call("snapshot()", books.snapshot)
    _figures(trial, books)
    value = books.value({"BTCUSDT": "120.1"}, {})
    equity = Fraction(1000) + Fraction("0.1") * 10 + Fraction("0.2") * 20 - Fraction("0.3")
    trial.equal("value().equity", equity, Fraction(str(value.equity)))
    await trial.call("close()", books.close)
    reopened: Portfolio = trial.make(directory=trial.disk, name="trial")
    await trial.call("start() of the next life", reopened.start)
    _figures(trial, reopened)
    await trial.call("close()", reopened.close)


def _figures(trial: Trial, books: Portfolio) -> None:
    figures = books.figures()
    held = figures.positions["BTCUSDT"]
    trial.equal("amount held", Decimal("0.2"), Decimal(str(held.amount)))
    trial.equal("realised", Decimal(1), Decimal(str(held.realised)))
    trial.equal("fees", Decimal("0.3"), Decimal(str(figures.fees["USDT"])))
    trial.equal("deposits", Decimal(1000), Decimal(str(figures.deposits["USDT"])))
