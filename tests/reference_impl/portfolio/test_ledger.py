"""One symbol's trades in any order: within the window, behind the seal, and the checkpoints behind that."""

import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl._portfolio.book import Book
from reference_impl._portfolio.ledger import Ledger

SIZE = 4


def trades_of(count, seed=0):
    """So many trades with gaps between their ids."""
    dice = random.Random(seed)
    trade_id = 0
    made = []
    for _ in range(count):
        trade_id += dice.randrange(1, 5)
        amount = Decimal(dice.choice([-3, -2, -1, 1, 2, 3])) / 10
        made.append((trade_id, amount, Decimal(100 + dice.randrange(9)) / 10))
    return made


def outcome(book):
    """What can be compared."""
    return book.amount, book.cost, book.realised, list(book.lots)


def truth(trades):
    """A book that took them in order."""
    book = Book()
    for _, amount, price in sorted(trades):
        book.take(amount, price)
    return outcome(book)


def arrive(trades, batch=3, size=SIZE):
    """A ledger to which they come in this order, renewed as the portfolio does it."""
    ledger, known = Ledger(size), []
    for start in range(0, len(trades), batch):
        some = trades[start : start + batch]
        known += some
        base = ledger.behind(min(some)[0])
        if base is None:
            ledger.add(some)
        else:
            ledger = ledger.renewed(base, [one for one in sorted(known) if one[0] > base])
    return ledger


@given(st.integers(0, 60), st.integers(0, 10**6), st.integers(1, 7))
def test_any_order_gives_one_book(count, seed, batch):
    """That of the trades in order, whatever had to be taken again."""
    trades = trades_of(count, seed)
    shuffled = list(trades)
    random.Random(seed).shuffle(shuffled)
    assert outcome(arrive(shuffled, batch).head) == truth(trades)


def test_in_order_nothing_is_taken_again():
    """The cost of a trade does not depend on what went before: head and sealed take each once."""
    taken = 0

    class Counting(Book):
        def take(self, amount, price):
            nonlocal taken
            taken += 1
            super().take(amount, price)

    class CountingLedger(Ledger):
        book_type = Counting

    ledger = CountingLedger(SIZE)
    for trade in trades_of(500):
        ledger.add([trade])
    assert taken <= 2 * 500
    assert len(ledger.window) < 2 * SIZE


def test_a_late_trade_within_the_window_needs_no_journal():
    """It is put in its place."""
    trades = trades_of(30)
    late = trades.pop(-3)
    ledger = arrive(trades)
    assert ledger.behind(late[0]) is None
    ledger.add([late])
    assert outcome(ledger.head) == truth([*trades, late])


def test_a_trade_behind_the_seal_needs_the_journal():
    """From a trade before it on; without a checkpoint, from the first."""
    trades = trades_of(60)
    late = trades.pop(30)
    ledger = arrive(trades)
    base = ledger.behind(late[0])
    assert 0 < base < late[0]
    assert ledger.behind(trades[0][0]) == -1


@pytest.mark.parametrize("age", [20, 100, 1_000, 3_000])
def test_being_late_costs_about_as_much_as_it_is_late(age):
    """The checkpoint that it begins at is not much further back than the trade belongs."""
    trades = trades_of(5_000)
    late = trades.pop(-age)
    ledger = arrive(trades, batch=1)
    base = ledger.behind(late[0])
    base = -1 if base is None else base
    again = [one for one in trades if one[0] > base]
    assert len(again) <= 2 * age + 4 * SIZE
    renewed = ledger.renewed(base, sorted([*again, late]))
    assert outcome(renewed.head) == truth([*trades, late])


def test_there_are_few_checkpoints():
    """A handful for each doubling."""
    ledger = arrive(trades_of(20_000), batch=50)
    assert len(ledger._checkpoints) <= 60


@pytest.mark.parametrize("count", [0, 3, 50])
def test_saved_and_loaded(count):
    """The same, and it goes on the same."""
    trades = trades_of(count + 20)
    ledger = arrive(trades[:count])
    other = Ledger.from_json(ledger.as_json(), SIZE)
    for one in trades[count:]:
        other.add([one])
    assert outcome(other.head) == truth(trades)
