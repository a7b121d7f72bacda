"""A history is ordered by time, stable within an instant, and knows whether it is whole."""

import pytest

from harness.errors import HistoryError
from harness.history.events import SCHEMA, Observation, RunEnded, RunStarted
from harness.history.history import History

HEADER = RunStarted(0, "harness", 1, SCHEMA, "0", "s", "full", "sim", 7, {}, [])
END = RunEnded(9, "harness", 1, None, 3)


def seen(time_ns, number=0):
    """An observation with a number to tell it by."""
    return Observation(time_ns, "h", 1, "seen", {"number": number})


def test_events_are_ordered_by_time_and_keep_their_order_within_an_instant():
    """As recorders of several processes deliver them, and as a sim world records an instant."""
    recorded = [HEADER, seen(5, 1), seen(3, 2), seen(5, 3), seen(4, 4), END]
    history = History.of(recorded)
    assert history.events == (HEADER, seen(3, 2), seen(4, 4), seen(5, 1), seen(5, 3), END)
    assert (history.header, history.truncated, history.end_ns) == (HEADER, False, 9)


@pytest.mark.parametrize(
    ("events", "torn", "truncated"),
    [([HEADER, END], False, False), ([HEADER], False, True), ([HEADER, END], True, True)],
)
def test_a_history_without_its_end_or_torn_is_truncated(events, torn, truncated):
    """Nothing may pass on it."""
    assert History.of(events, torn=torn).truncated is truncated


@pytest.mark.parametrize("headers", [0, 2])
def test_a_history_has_one_header(headers):
    """None, or two histories in one, cannot be judged."""
    with pytest.raises(HistoryError, match=f"one run_started event, not {headers}"):
        History.of([HEADER] * headers + [END])


@pytest.mark.parametrize(
    ("start", "end", "times"),
    [(2, 4, [2, 2, 3]), (2, None, [2, 2, 3, 4, 9]), (0, 1, [0]), (4, 4, []), (10, None, [])],
)
def test_between_is_half_open(start, end, times):
    """From the first instant, up to but not including the second."""
    history = History.of([HEADER, seen(2), seen(2), seen(3), seen(4), END])
    assert [event.time_ns for event in history.between(start, end)] == times


def test_what_was_computed_once_is_not_computed_again():
    """And belongs to this history alone; equality does not see it."""
    one, other = History.of([HEADER, END]), History.of([HEADER, END])
    assert one.once("key", lambda: 1) == 1
    assert one.once("key", lambda: 2) == 1
    assert other.once("key", lambda: 3) == 3
    assert one == other
