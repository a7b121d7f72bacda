"""The order of signals, and the size of what holds it."""

import random

import pytest

from reference_impl._executor.queue import Entry, SignalQueue
from reference_impl._executor.signals import Signal
from reference_impl._executor.window import SECOND_NS, SlidingWindow


def entry(number: int, confidence: float = 0.5, symbol: str = "", *, exit_: bool = False, deadline: int = 100) -> Entry:
    """One of those that wait."""
    return Entry(Signal(f"s{number}", symbol or f"S{number}", "BUY", confidence, 1, exit_), number, deadline)


def test_best_and_worst_are_the_ends_of_one_order():
    """Taken from the front or the back, equal confidences included, it is the same order."""
    entries = [entry(number, (number * 7 % 5) / 4) for number in range(40)]
    order = sorted(entries, key=lambda one: (-one.signal.confidence, one.number))
    for pick, expected in ((SignalQueue.best, order), (SignalQueue.worst, order[::-1])):
        queue = SignalQueue()
        for one in entries:
            one.live = True
            queue.put(one)
        found = []
        while (one := pick(queue)) is not None:
            found.append(one)
            queue.remove(one)
        assert found == expected
        assert len(queue) == 0


def test_exits_are_apart_and_in_turn():
    """They are no entries, and one that takes another's place keeps the turn."""
    queue = SignalQueue()
    for one in (entry(1, symbol="A", exit_=True), entry(2, symbol="B", exit_=True), entry(3, symbol="A", exit_=True)):
        queue.put(one)
    assert (queue.best(), queue.worst(), len(queue)) == (None, None, 2)
    assert [one.number for one in queue] == [3, 2]
    assert queue.first_exit().number == 3


def test_an_exit_takes_the_place_of_an_entry():
    """And the entry is gone from everywhere."""
    queue = SignalQueue()
    queue.put(entry(1, symbol="A"))
    queue.put(entry(2, symbol="A", exit_=True))
    assert (len(queue), queue.best(), queue.live(("A", "BUY")).number) == (1, None, 2)


def test_what_is_kept_in_memory_is_bounded_by_what_lives():
    """Ten thousand signals through a queue of ten: what is dead does not pile up."""
    dice = random.Random(1)
    queue = SignalQueue()
    for number in range(10_000):
        if len(queue) == 10:
            queue.remove(dice.choice(list(queue)))
        queue.put(entry(number, dice.random(), deadline=dice.randrange(10**6)))
        for heap in (queue._best, queue._worst, queue._deadlines):
            assert len(heap._ranked) <= 2 * 10 + 65


def test_soonest_is_who_goes_stale_first():
    """Exits as well as entries."""
    queue = SignalQueue()
    queue.put(entry(1, deadline=30))
    queue.put(entry(2, exit_=True, deadline=20))
    assert queue.soonest().number == 2
    queue.remove(queue.soonest())
    assert queue.soonest().number == 1


@pytest.mark.parametrize("most", [1, 2, 5])
def test_no_window_of_a_second_holds_more_starts(most):
    """Started whenever it is free, at random moments, with as many as possible at once."""
    dice = random.Random(most)
    window = SlidingWindow(most, 0)
    assert window.free_at == SECOND_NS
    now, starts = 0, []
    for _ in range(500):
        now += dice.choice([0, 1, SECOND_NS // 3, SECOND_NS])
        if now >= window.free_at:
            window.add(now)
            starts.append(now)
    assert len(starts) > 100
    assert all(starts[at + most] - starts[at] >= SECOND_NS for at in range(len(starts) - most))
