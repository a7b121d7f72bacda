"""Trades by hand, portfolios that are closed at the end, and an exchange that answers from a list."""

from decimal import Decimal

import pytest

from reference_impl.portfolio import make

_PAGE_MAX = 1_000


def trade(symbol, trade_id, amount, price, fee="0", asset="USDT"):
    """An entry of `userTrades`; a negative amount is a sale."""
    return {
        "symbol": symbol,
        "id": trade_id,
        "time": 1_700_000_000_000 + trade_id,
        "side": "SELL" if str(amount).startswith("-") else "BUY",
        "qty": str(amount).removeprefix("-"),
        "price": str(price),
        "commission": str(fee),
        "commissionAsset": asset,
        "positionSide": "BOTH",
    }


def income(flow_id, amount, kind="TRANSFER", asset="USDT"):
    """An entry of `income`."""
    return {"incomeType": kind, "tranId": flow_id, "time": 1_700_000_000_000, "income": str(amount), "asset": asset}


class Exchange:
    """Answers what an adapter's `get` would, from trades; `marks` price its positions."""

    def __init__(self, balance="0", marks=None):
        self.trades = []
        self.balance = Decimal(balance)
        self.marks = marks or {}
        self.asked = []
        self.between = lambda: None
        """Called after each page of trades: what the exchange does meanwhile."""

    async def get(self, path, params, *, signed=False, deadline_s=30.0):
        """As `BinanceAdapter.get`."""
        assert signed
        self.asked.append((path, dict(params)))
        if path == "/fapi/v2/account":
            return self.account()
        found = [one for one in self.trades if one["symbol"] == params["symbol"] and one["id"] >= params["fromId"]]
        found = sorted(found, key=lambda one: one["id"])[: min(params["limit"], _PAGE_MAX)]
        self.between()
        return found

    def account(self):
        """The account as it is."""
        held, worth = {}, self.balance
        for one in self.trades:
            amount = Decimal(one["qty"]) * (1 if one["side"] == "BUY" else -1)
            held[one["symbol"]] = held.get(one["symbol"], 0) + amount
            worth -= amount * Decimal(one["price"]) + Decimal(one["commission"])
        notional = {symbol: amount * Decimal(self.marks[symbol]) for symbol, amount in held.items()}
        return {
            "totalMarginBalance": format(worth + sum(notional.values()), ".8f"),
            "positions": [
                {"symbol": symbol, "positionAmt": str(amount), "notional": str(notional[symbol])}
                for symbol, amount in held.items()
            ],
        }


@pytest.fixture(name="trade")
def _trade():
    """Makes an entry of `userTrades`."""
    return trade


@pytest.fixture(name="income")
def _income():
    """Makes an entry of `income`."""
    return income


@pytest.fixture
def exchange():
    """The class."""
    return Exchange


@pytest.fixture
async def opened(tmp_path):
    """A function that opens a portfolio of the test's directory; all are closed at the end."""
    portfolios = []

    async def start(name="p", **options):
        portfolio = make(directory=tmp_path, name=name, **options)
        portfolios.append(portfolio)
        await portfolio.start()
        return portfolio

    yield start
    for portfolio in portfolios:
        await portfolio.close()
