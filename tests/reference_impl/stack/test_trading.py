"""What `execution` decides, without I/O."""

from dataclasses import dataclass
from decimal import Decimal

import pytest

from reference_impl._stack.trading import Account, Sized, sized, still_meant

TOLD = {
    "totalMarginBalance": "95000",
    "totalUnrealizedProfit": "-1900",
    "positions": [
        {"symbol": "BTCUSDT", "positionAmt": "0.5", "notional": "30000"},
        {"symbol": "ETHUSDT", "positionAmt": "-2", "notional": "-6000"},
        {"symbol": "SOLUSDT", "positionAmt": "0", "notional": "0"},
    ],
}


@dataclass(frozen=True)
class Limits:
    """A policy's, as far as sizes go by it."""

    risk_bps: int = 200
    leverage: int = 30


def size(**changes: object) -> Sized:
    """Return the size of an entry of 100 % confidence at a price of 100, but for the changes."""
    given = {
        "side": "BUY",
        "leaving": False,
        "confidence": 1.0,
        "price": Decimal(100),
        "account": Account(equity=Decimal(10_000)),
        "symbol": "BTCUSDT",
        "limits": Limits(),
        "stop_bps": 1_000,
        "notional_max": 50_000,
    }
    return sized(**(given | changes))  # type: ignore[arg-type]


def test_the_account_is_read_from_what_the_exchange_tells():
    """Drawdown from the highest, loss from present equity; what is not held is left out, and shorts are worth too."""
    account = Account(highest=Decimal(100_000)).after(TOLD)
    assert (account.drawdown, account.loss, account.gross) == (0.05, 0.02, Decimal(36_000))
    assert account.held == {"BTCUSDT": Decimal("0.5"), "ETHUSDT": Decimal(-2)}


def test_an_account_without_equity_has_no_figures():
    """They are no numbers, which stops orders, and not zero, which would let them out."""
    account = Account().after({**TOLD, "totalMarginBalance": "0", "positions": []})
    assert account.drawdown != account.drawdown
    assert account.loss != account.loss


def test_a_signal_has_what_is_left_of_its_ttl():
    """What it spent on the bus is gone; a stamp of the future takes nothing away, and adds nothing."""
    signal = {"id": "a", "ttl_s": 5.0}
    assert still_meant(signal, published_s=100.0, now_s=103.0) == {"id": "a", "ttl_s": 2.0}
    assert still_meant(signal, published_s=104.0, now_s=103.0) == signal
    assert still_meant(signal, published_s=100.0, now_s=105.0) is None


@pytest.mark.parametrize("ttl", [None, "5", True, 0])
def test_a_ttl_that_is_none_is_left_to_the_executor(ttl: object):
    """It refuses it, and counts that."""
    assert still_meant({"id": "a", "ttl_s": ttl}, published_s=0.0, now_s=0.0) == {"id": "a", "ttl_s": ttl}


def test_an_entry_risks_the_policys_share():
    """2 % of 10,000 at a stop of 10 % is 2,000, so 20 at 100; less for one that is less sure."""
    assert size().quantity == Decimal(20)
    assert size(confidence=0.5).quantity == Decimal(10)


def test_an_entry_stays_within_the_leverage_and_the_largest_order():
    """What is held already counts towards the leverage, whichever way."""
    account = Account(equity=Decimal(10_000), gross=Decimal(99_500))
    assert size(account=account, limits=Limits(leverage=10)).quantity == Decimal(5)
    full = Account(equity=Decimal(10_000), gross=Decimal(100_000))
    assert size(account=full, limits=Limits(leverage=10)) == Sized(Decimal(0), reason="no_room")
    assert size(notional_max=300).quantity == Decimal(3)


def test_nothing_is_bought_at_an_unknown_price():
    """Nobody could say how much that would be."""
    assert size(price=None) == Sized(Decimal(0), reason="no_price")


@pytest.mark.parametrize(("side", "held", "quantity"), [("SELL", "0.5", "0.5"), ("BUY", "-2", "2")])
def test_an_exit_closes_what_is_held_against_it(side: str, held: str, quantity: str):
    """All of it, reduce-only, whatever the confidence and the price."""
    account = Account(held={"BTCUSDT": Decimal(held)})
    wanted = size(side=side, leaving=True, confidence=0.0, price=None, account=account)
    assert wanted == Sized(Decimal(quantity), reduce_only=True)


@pytest.mark.parametrize(("side", "held"), [("SELL", "-2"), ("BUY", "0.5"), ("BUY", "0")])
def test_an_exit_never_opens_anything(side: str, held: str):
    """With nothing held against it there is nothing to do."""
    account = Account(held={"BTCUSDT": Decimal(held)})
    assert size(side=side, leaving=True, account=account) == Sized(Decimal(0), reason="nothing_held")
