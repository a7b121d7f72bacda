"""The oracle of portfolios: the definitions by hand, and beside the dullest way of computing them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.invariants.portfolio_oracle import Ledger, Position

F = Fraction


def standing(method, *trades):
    """What trades (amount, price), numbered as they are written, come to."""
    position = Position(method)
    for number, (amount, price) in enumerate(trades):
        position.take((number, F(amount), F(price)))
    return tuple(position.standing())


@pytest.mark.parametrize(
    ("trades", "fifo", "average"),
    [
        ([(3, 10), (1, 14)], (4, 44, 0), (4, 44, 0)),
        ([(3, 10), (1, 14), (-2, 12)], (2, 24, 4), (2, 22, 2)),
        ([(1, 1), (1, 1), (1, 2), (-1, 1)], (2, 3, 0), (2, F(8, 3), F(-1, 3))),
        ([(3, 10), (-5, 11)], (-2, -22, 3), (-2, -22, 3)),
        ([(-3, 10), (-1, 14), (4, 9)], (0, 0, 8), (0, 0, 8)),
        ([(-3, 10), (-1, 14), (5, 9)], (1, 9, 8), (1, 9, 8)),
    ],
    ids=["added to", "reduced", "a third", "flipped", "closed", "short flipped"],
)
def test_by_hand(trades, fifo, average):
    """Amount, cost and realised profit; when it is flat, both conventions have realised the same."""
    assert standing("fifo", *trades) == fifo
    assert standing("average", *trades) == average


TRADES = st.lists(st.tuples(st.integers(-5, 5).filter(bool), st.integers(1, 20), st.integers(0, 10**6)), max_size=150)


@given(TRADES, st.randoms(use_true_random=False), st.sampled_from(["fifo", "average"]))
def test_order_of_arrival_is_none_of_its_business(made, dice, method):
    """Shuffled, and asked in between: as if they had come in order."""
    trades = [(number, F(amount, 10), F(price, 10)) for number, (amount, price, _) in enumerate(made)]
    in_order, shuffled = Position(method), Position(method)
    for trade in trades:
        in_order.take(trade)
    dice.shuffle(trades)
    for trade in trades:
        shuffled.take(trade)
        if dice.randrange(4) == 0:
            shuffled.standing()
    assert shuffled.standing() == in_order.standing()
    assert shuffled.spent == in_order.spent


@given(TRADES)
def test_unit_by_unit(made):
    """Each unit that is sold against the oldest unit held: nothing is left to get wrong."""
    units, realised = [], F(0)
    for amount, price, _ in made:
        for _ in range(abs(amount)):
            sign = 1 if amount > 0 else -1
            if units and units[0][0] != sign:
                held, paid = units.pop(0)
                realised += held * (price - paid)
            else:
                units.append((sign, price))
    cost = sum(sign * paid for sign, paid in units)
    assert standing("fifo", *[(amount, price) for amount, price, _ in made]) == (
        sum(sign for sign, _ in units),
        cost,
        realised,
    )


@given(TRADES, st.sampled_from(["fifo", "average"]))
def test_money_is_conserved(made, method):
    """What was spent is what is still open less what was realised, in either convention."""
    position = Position(method)
    for number, (amount, price, _) in enumerate(made):
        position.take((number, F(amount), F(price)))
    amount, cost, realised = position.standing()
    assert (position.amount, position.spent) == (amount, cost - realised)


def test_a_copy_goes_its_own_way():
    """Before and after it was asked."""
    position = Position("fifo")
    position.take((1, F(1), F(10)))
    position.standing()
    other = position.copy()
    other.take((2, F(-1), F(12)))
    other.take((0, F(1), F(11)))
    assert tuple(position.standing()) == (1, 10, 0)
    assert tuple(other.standing()) == (1, 10, 1)


def test_a_ledger_sums_up_by_asset():
    """Fees, transfers and funding."""
    ledger = Ledger()
    ledger.trade("X", (1, F(1), F(2)), F(1, 3), "BNB")
    ledger.trade("X", (2, F(1), F(2)), F(1, 3), "BNB")
    ledger.flow("TRANSFER", F(5), "USDT")
    ledger.flow("FUNDING_FEE", F(-1), "USDT")
    assert (ledger.fees, ledger.deposits, ledger.funding) == ({"BNB": F(2, 3)}, {"USDT": 5}, {"USDT": -1})
