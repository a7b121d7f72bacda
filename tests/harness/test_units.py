"""Durations: whole nanoseconds in, words for people out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.units import as_seconds, human, ms, per_second, seconds


def test_seconds_and_milliseconds_are_whole_nanoseconds() -> None:
    """Fractions that floats cannot hold are rounded, not cut: 0.3 s is not 299,999,999 ns."""
    assert seconds(0.3) == 300_000_000
    assert ms(0.0003) == 300
    assert ms(1_000) == seconds(1)
    assert type(seconds(1.5)) is int


@given(st.integers(min_value=0, max_value=10**7))
def test_seconds_come_back(value: int) -> None:
    """Nanoseconds made of whole milliseconds survive the way to seconds and back."""
    assert ms(value) == seconds(as_seconds(ms(value)))


def test_a_rate_is_a_gap() -> None:
    """A rate is given as the time between two events."""
    assert per_second(50) == ms(20)
    assert per_second(0.5) == seconds(2)


@pytest.mark.parametrize("rate", [0, -1])
def test_a_rate_that_never_comes_is_refused(rate: float) -> None:
    """No rate of 0 or less: a workload that offers nothing proves nothing."""
    with pytest.raises(ValueError, match=f"a rate must be positive, not {rate}"):
        per_second(rate)


@pytest.mark.parametrize(
    ("value_ns", "text"),
    [
        (0, "0 ms"),
        (ms(0.25), "0.25 ms"),
        (ms(250), "250 ms"),
        (seconds(1), "1 s"),
        (seconds(1.5), "1.5 s"),
        (seconds(119), "119 s"),
        (seconds(120), "2 min"),
        (seconds(90 * 60), "90 min"),
    ],
)
def test_a_duration_reads_as_a_person_writes_it(value_ns: int, text: str) -> None:
    """Each size of duration has its unit, with no digits beyond what matters."""
    assert text == human(value_ns)
