"""The lots of one symbol: first in, first out."""

from decimal import Decimal

import pytest

from reference_impl._portfolio.book import Book


def booked(*trades):
    """A book after these trades, (amount, price)."""
    book = Book()
    for amount, price in trades:
        book.take(Decimal(amount), Decimal(price))
    return book


@pytest.mark.parametrize(
    ("trades", "amount", "cost", "realised", "lots"),
    [
        ([("2", "10"), ("3", "11")], "5", "53", "0", 2),
        ([("2", "10"), ("3", "11"), ("-4", "12")], "1", "11", "6", 1),
        ([("2", "10"), ("-2", "9.9")], "0", "0", "-0.2", 0),
        ([("-2", "10"), ("0.5", "9")], "-1.5", "-15", "0.5", 1),
        ([("2", "10"), ("-5", "12")], "-3", "-36", "4", 1),
        ([("-2", "10"), ("-1", "12"), ("5", "11")], "2", "22", "-1", 1),
        ([("1", "10"), ("2", "10"), ("-1", "10")], "2", "20", "0", 1),
        ([("0.1", "0.3"), ("0.2", "0.3"), ("-0.3", "0.1")], "0", "0", "-0.06", 0),
    ],
    ids=[
        "added to",
        "reduced",
        "closed",
        "short reduced",
        "flipped",
        "short flipped",
        "one lot a price",
        "float-hostile",
    ],
)
def test_positions(trades, amount, cost, realised, lots):
    """What is held, what that cost, what the rest brought."""
    book = booked(*trades)
    assert (book.amount, book.cost, book.realised) == (Decimal(amount), Decimal(cost), Decimal(realised))
    assert len(book.lots) == lots


def test_a_flip_opens_at_its_own_price():
    """Not at that of the position that it closed."""
    assert list(booked(("1", "10"), ("-3", "20")).lots) == [(Decimal(-2), Decimal(20))]


def test_a_copy_goes_its_own_way():
    """Neither sees what the other takes."""
    book = booked(("1", "10"))
    other = book.copy()
    other.take(Decimal(-2), Decimal(11))
    assert (book.amount, book.realised, len(book.lots)) == (1, 0, 1)
    assert (other.amount, other.realised) == (-1, 1)


def test_nothing_is_rounded_by_the_context_of_the_thread():
    """Figures of more than its 28 digits stay whole."""
    book = booked(("123456789012345.123456789012345678", "0.000000000000000001"), ("-1", "123456789012345678"))
    assert book.realised == Decimal("123456789012345677.999999999999999999")
    assert len(str(book.cost).replace(".", "").strip("0")) > 28
