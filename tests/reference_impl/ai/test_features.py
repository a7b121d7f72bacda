"""Rows and labels: of the right candles, and of no later one."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl._ai.candles import generate
from reference_impl._ai.features import LOOKBACK, WIDTH, Table, row, rows, table

CANDLES = generate(3, LOOKBACK + 40)


@given(st.integers(0, 39), st.floats(0.5, 2.0))
def test_no_row_sees_a_later_candle(at, factor):
    """Whatever the future is, the rows up to now are the same to the last bit."""
    now = LOOKBACK + at
    changed = [
        dataclasses.replace(one, close=one.close * factor, high=one.high * 3, volume=1.0) if number >= now else one
        for number, one in enumerate(CANDLES)
    ]
    assert rows(changed)[: now - LOOKBACK + 1] == rows(CANDLES)[: now - LOOKBACK + 1]


def test_a_row_is_of_the_newest_candles():
    """More of the past changes nothing, and each number is finite."""
    assert row(CANDLES) == row(CANDLES[-LOOKBACK:]) == rows(CANDLES)[-1]
    assert len(row(CANDLES)) == WIDTH


def test_labels_are_of_the_next_candle():
    """The last candle has a row but no outcome, so the table lacks it."""
    made = table(CANDLES)
    assert made.rows == rows(CANDLES)[:-1]
    first = LOOKBACK - 1
    for at, label in enumerate(made.labels):
        assert label == int(CANDLES[first + at + 1].close > CANDLES[first + at].close)


@pytest.mark.parametrize("count", [0, 1, LOOKBACK - 1])
def test_too_few_candles(count):
    """No row can be made, and none is."""
    assert rows(CANDLES[:count]) == ()
    assert table(CANDLES[:count]) == Table((), ())
    with pytest.raises(ValueError, match=f"not {count}"):
        row(CANDLES[:count])


def test_rows_and_labels_belong_together():
    """A table with a label missing is refused."""
    with pytest.raises(ValueError, match="1 rows with 0 labels"):
        Table((CANDLES and row(CANDLES),), ())
