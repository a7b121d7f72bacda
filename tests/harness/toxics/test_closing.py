"""The toxics `slow_close`, `timeout` and `limit_data`, exactly, in virtual time."""

import pytest

from harness.toxics.base import Signal


def test_slow_close_delays_the_close_and_nothing_else(wire):
    """Data passes at once; the end comes `delay` later, and is counted."""
    active = wire.add("slow_close", {"delay": 100})
    wire.feed(b"a")
    wire.at(10).finish()
    wire.at(1000)
    assert wire.seen == [(0, b"a"), (110, Signal.END)]
    assert active.effects == {"connections": 1, "ends": 1}


def test_slow_close_without_delay_does_nothing(wire):
    """With 0 the end passes at once and nothing claims to have bitten."""
    active = wire.add("slow_close")
    wire.finish()
    assert (wire.seen, active.effects) == ([(0, Signal.END)], {"connections": 1})


def test_slow_close_delays_a_close_by_another_toxic_too(wire):
    """What `limit_data` closes is closed late."""
    wire.add("limit_data", {"bytes": 1})
    wire.add("slow_close", {"delay": 100})
    wire.feed(b"ab")
    wire.at(1000)
    assert wire.seen == [(0, b"a"), (100, Signal.CLOSE)]


@pytest.mark.parametrize(("delay", "left_ms"), [(30, 50), (200, 200), (0, 50)])
def test_a_new_delay_of_the_close_counts_from_its_arrival(wire, delay, left_ms):
    """A close that waits when the delay changes leaves at its arrival plus the new delay, but not in the past."""
    active = wire.add("slow_close", {"delay": 100})
    wire.finish()
    wire.at(50).change(active, delay=delay)
    wire.at(1000)
    assert wire.seen == [(left_ms, Signal.END)]


def test_removing_slow_close_closes_at_once_what_waits_to_be_closed(wire):
    """The close leaves at removal, once."""
    active = wire.add("slow_close", {"delay": 100})
    wire.finish()
    wire.at(50).remove(active)
    wire.at(1000)
    assert wire.seen == [(50, Signal.END)]


def test_removing_slow_close_closes_no_connection_that_lives(wire):
    """Before the close has arrived there is nothing to let go."""
    active = wire.add("slow_close", {"delay": 100})
    wire.remove(active)
    wire.feed(b"a")
    assert wire.seen == [(0, b"a")]


def test_timeout_drops_data_and_closes_from_the_start_of_the_connection(wire):
    """Data and the end are dropped and counted; they do not put the close off."""
    active = wire.add("timeout", {"timeout": 100})
    wire.at(60).feed(b"abc")
    wire.at(70).finish()
    wire.at(1000)
    assert wire.seen == [(100, Signal.CLOSE)]
    assert active.effects == {"connections": 1, "dropped": 3, "ends": 1, "closed": 1}


def test_timeout_closes_a_silent_connection_too(wire):
    """Nothing has to arrive for the timeout to run."""
    wire.add("timeout", {"timeout": 100})
    assert wire.at(1000).seen == [(100, Signal.CLOSE)]


def test_timeout_0_never_closes(wire):
    """It drops for ever, and asks to be woken no more than once."""
    active = wire.add("timeout")
    wire.feed(b"abc")
    wire.at(10**9)
    assert (wire.seen, wire.pipe.due_ns) == ([], None)
    assert active.effects["dropped"] == 3


def test_removing_timeout_closes_live_connections(wire):
    """There is a hole in what they carried."""
    active = wire.add("timeout")
    wire.at(50).remove(active)
    wire.feed(b"too late")
    assert wire.seen == [(50, Signal.CLOSE)]
    assert active.effects["closed"] == 1


def test_removing_timeout_leaves_a_connection_that_the_dice_spared(wire):
    """Only those that it has taken are closed."""
    active = wire.add("timeout", toxicity=0.0)
    wire.remove(active)
    wire.feed(b"a")
    assert (wire.seen, active.effects) == ([(0, b"a")], {})


@pytest.mark.parametrize(("timeout", "closed_ms"), [(30, 50), (200, 200)])
def test_a_new_timeout_counts_from_the_start_of_the_connection(wire, timeout, closed_ms):
    """Later or earlier than the old one, or at once if that has passed."""
    active = wire.add("timeout", {"timeout": 100})
    wire.at(50).change(active, timeout=timeout)
    wire.at(1000)
    assert wire.seen == [(closed_ms, Signal.CLOSE)]


def test_limit_data_closes_after_exactly_that_many_bytes(wire):
    """The chunk that reaches the limit is cut there; the rest is dropped; then the connection is over."""
    active = wire.add("limit_data", {"bytes": 5})
    wire.feed(b"abc")
    wire.at(1).feed(b"defg")
    wire.at(2).feed(b"h")
    wire.finish()
    assert wire.seen == [(0, b"abc"), (1, b"de"), (1, Signal.CLOSE)]
    assert active.effects == {"connections": 1, "dropped": 2, "closed": 1}


def test_limit_data_does_not_wait_for_one_more_byte(wire):
    """The last byte allowed brings the close with it."""
    wire.add("limit_data", {"bytes": 3})
    wire.feed(b"abc")
    assert wire.seen == [(0, b"abc"), (0, Signal.CLOSE)]


def test_limit_data_0_closes_on_the_first_data(wire):
    """Not before: a connection that carries nothing lives."""
    wire.add("limit_data")
    assert wire.at(1000).seen == []
    wire.feed(b"abc")
    assert wire.seen == [(1000, Signal.CLOSE)]


def test_limit_data_lets_an_end_pass(wire):
    """Below the limit the connection ends as it would."""
    wire.add("limit_data", {"bytes": 3})
    wire.feed(b"ab")
    wire.finish()
    assert wire.seen == [(0, b"ab"), (0, Signal.END)]


@pytest.mark.parametrize(("limit", "more"), [(2, b""), (6, b"de")])
def test_a_new_limit_counts_all_that_has_passed(wire, limit, more):
    """A limit below what has passed closes on the next data, a higher one allows the difference."""
    active = wire.add("limit_data", {"bytes": 5})
    wire.feed(b"abcd")
    wire.change(active, bytes=limit)
    assert len(wire.seen) == 1
    wire.feed(b"defg")
    assert wire.data == b"abcd" + more
    assert wire.seen[-1] == (0, Signal.CLOSE)


def test_removing_limit_data_lets_the_connection_live(wire):
    """What has not been closed goes on without a limit."""
    active = wire.add("limit_data", {"bytes": 5})
    wire.feed(b"abc")
    wire.remove(active)
    wire.feed(b"defg")
    assert wire.data == b"abcdefg"
    assert wire.signals == []
