"""Exact arithmetic: no digit is lost without an error, and only `display` rounds."""

from decimal import Decimal, Inexact
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl._portfolio.errors import EntryError
from reference_impl._portfolio.exact import add, average, display, figure, multiply, subtract

FIGURES = st.decimals(min_value=-(10**17), max_value=10**17, places=18)


@given(FIGURES, FIGURES, FIGURES)
def test_sums_and_products_are_those_of_fractions(one, two, three):
    """Of the largest figures with the most places that come in."""
    a, b, c = Fraction(one), Fraction(two), Fraction(three)
    assert Fraction(multiply(multiply(one, two), three)) == a * b * c
    assert Fraction(add(multiply(one, two), three)) == a * b + c
    assert Fraction(subtract(one, multiply(two, three))) == a - b * c


def test_a_digit_that_does_not_fit_is_an_error():
    """It is never dropped."""
    with pytest.raises(Inexact):
        add(Decimal(10) ** 100, Decimal(10) ** -100)


@pytest.mark.parametrize(
    ("text", "shown"), [("0.005", "0.01"), ("-0.005", "-0.01"), ("2.675", "2.68"), ("1.0049", "1.00")]
)
def test_display_rounds_halves_up(text, shown):
    """Two places, halves away from zero: 2.675 is 2.67 to a float."""
    assert str(display(Decimal(text))) == shown


def test_display_has_room():
    """For more digits than the context of the thread has."""
    assert str(display(Decimal("123456789012345678901234567890.125"))) == "123456789012345678901234567890.13"


def test_an_average_is_for_display():
    """Rounded to the places that are asked for."""
    assert average(Decimal(100), Decimal(3)) == Decimal("33.33333333")


@pytest.mark.parametrize(
    ("given_", "number"), [("0.10", "0.10"), (7, "7"), (Decimal("-1.5"), "-1.5"), ("1E+3", "1000")]
)
def test_figures_come_as_they_are(given_, number):
    """Text, whole numbers, decimals."""
    assert figure(given_, "x") == Decimal(number)


@pytest.mark.parametrize(
    "bad", [0.1, True, None, "", "abc", "NaN", "Infinity", "-Infinity", "1e18", "1e-19", "0." + "1" * 19, b"1", [1]]
)
def test_what_is_no_exact_figure_is_refused(bad):
    """A float has been rounded already; so has what has too many digits to be a price."""
    with pytest.raises(EntryError, match="price"):
        figure(bad, "price")
