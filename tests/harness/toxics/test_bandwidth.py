"""The toxic `bandwidth`, exactly, in virtual time."""

import pytest

from harness.toxics.base import Signal


def test_a_chunk_has_left_when_the_line_has_carried_it(wire):
    """5000 bytes at 10 kB/s take 500 ms, in pieces of 10 ms; the end follows the last one."""
    active = wire.add("bandwidth", {"rate": 10})
    wire.feed(bytes(5000))
    wire.finish()
    wire.at(1000)
    assert [(time_ms, len(item)) for time_ms, item in wire.seen[:-1]] == [(10.0 * n, 100) for n in range(1, 51)]
    assert wire.seen[-1] == (500, Signal.END)
    assert active.effects == {"connections": 1, "bytes": 5000}


def test_the_line_carries_one_chunk_after_the_other(wire):
    """Unlike latency: the second chunk begins when the first is through, a late one when it arrives."""
    wire.add("bandwidth", {"rate": 1})
    wire.feed(b"12345")
    wire.feed(b"67")
    wire.at(100).feed(b"8")
    wire.at(1000)
    assert wire.seen == [(5, b"12345"), (7, b"67"), (101, b"8")]


def test_a_shell_that_wakes_late_slows_nothing_down(wire):
    """Time that the line had for a piece counts, even if nobody looked."""
    wire.add("bandwidth", {"rate": 1})
    wire.feed(bytes(100))
    wire.now_ns += 35_000_000
    late = wire.pipe.wake(wire.now_ns)
    assert sum(map(len, late)) == 30
    wire.at(99.999)
    assert wire.pipe.held == 10
    wire.at(100)
    assert wire.pipe.held == 0


def test_rates_that_do_not_divide_a_second_stay_exact(wire):
    """7 kB/s for 10 s is 70,000 bytes: rounding up to nanoseconds does not add up."""
    wire.add("bandwidth", {"rate": 7})
    for _ in range(70_000):
        wire.feed(b"x")
    wire.at(9_999.999)
    assert len(wire.data) == 69_999
    wire.at(10_000)
    assert len(wire.data) == 70_000


@pytest.mark.parametrize("new_rate", [1, 1000])
def test_rate_0_stalls_until_it_is_another(wire, new_rate):
    """Nothing is carried while the rate is 0, and none of that time counts afterwards."""
    active = wire.add("bandwidth")
    wire.feed(b"1234567890")
    wire.finish()
    wire.at(60_000)
    assert (wire.seen, wire.pipe.held, wire.pipe.due_ns) == ([], 10, None)
    wire.change(active, rate=new_rate)
    wire.at(120_000)
    left_ms = 60_000 + 10 / new_rate
    assert wire.seen == [(left_ms, b"1234567890"), (left_ms, Signal.END)]


def test_what_was_carried_at_the_old_rate_has_left_when_it_changes(wire):
    """4.5 ms at 1 kB/s carry four and a half bytes; the rest goes on at 2 kB/s."""
    active = wire.add("bandwidth", {"rate": 1})
    wire.feed(b"1234567890")
    wire.at(4.5).change(active, rate=2)
    wire.at(100)
    assert wire.seen == [(4.5, b"1234"), (7.25, b"567890")]


def test_removing_it_lets_everything_go(wire):
    """What is held leaves at once, with the end behind it."""
    active = wire.add("bandwidth", {"rate": 1})
    wire.feed(bytes(100))
    wire.finish()
    wire.at(55).remove(active)
    assert len(wire.data) == 100
    assert wire.signals == [(55, Signal.END)]
    assert (wire.pipe.held, wire.pipe.due_ns) == (0, None)


def test_messages_that_the_dice_spare_cost_the_line_nothing(wire_with_dice):
    """Per message, a spared chunk passes as soon as those before it have."""
    wire = wire_with_dice(0, 999_999, 0)
    active = wire.add("bandwidth", {"rate": 1}, toxicity=0.5, per_message=True)
    wire.feed(b"12345")
    wire.feed(bytes(1000))
    wire.feed(b"67")
    wire.at(1000)
    assert wire.seen == [(5, b"12345"), (5, bytes(1000)), (7, b"67")]
    assert active.effects["bytes"] == 7
