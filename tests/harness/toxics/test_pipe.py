"""What a chain of toxics does beyond each of them: order, dice, cut-off ends."""

import pytest

from harness.toxics.base import ASAP, Signal


def test_bytes_pass_the_toxics_in_order_of_creation(wire):
    """Two latencies add up; each counts what it delayed."""
    first, second = wire.add("latency", {"latency": 100}), wire.add("latency", {"latency": 30})
    wire.feed(b"a")
    wire.finish()
    wire.at(1000)
    assert wire.seen == [(130, b"a"), (130, Signal.END)]
    assert first.effects["bytes"] == second.effects["bytes"] == 1


def test_a_toxic_created_later_is_behind_those_there_are(wire):
    """What an earlier one holds passes the new one as well."""
    wire.add("latency", {"latency": 100})
    wire.feed(b"a")
    wire.at(10)
    wire.add("latency", {"latency": 100})
    wire.at(1000)
    assert wire.seen == [(200, b"a")]


def test_what_a_removed_toxic_held_passes_those_behind_it(wire):
    """Removal is no way around the rest of the chain."""
    first = wire.add("partition")
    wire.add("latency", {"latency": 100})
    wire.feed(b"a")
    wire.finish()
    wire.at(50).remove(first)
    wire.at(1000)
    assert wire.seen == [(150, b"a"), (150, Signal.END)]


def test_the_dice_decide_once_per_connection(wire_with_dice):
    """One roll, in millionths, when the toxic meets the connection; a spared one stays bare."""
    spared, taken = wire_with_dice(500_000), wire_with_dice(499_999)
    for wire in (spared, taken):
        active = wire.add("half_open", toxicity=0.5)
        wire.feed(b"a")
        wire.feed(b"b")
        assert wire.dice.bounds == [1_000_000]
        assert wire.pipe.is_bare is (wire is spared)
        assert active.effects["connections"] == (0 if wire is spared else 1)
    assert (spared.data, taken.data) == (b"ab", b"")


def test_per_message_the_dice_decide_for_every_chunk(wire_with_dice):
    """Here one in two is lost, and both connections count as taken."""
    wire = wire_with_dice(0, 999_999, 0)
    active = wire.add("timeout", toxicity=0.5, per_message=True)
    for data in (b"a", b"b", b"c"):
        wire.feed(data)
    assert wire.data == b"b"
    assert active.effects == {"connections": 1, "dropped": 2}


def test_a_close_ends_what_is_before_it_and_waits_for_what_is_behind(wire):
    """The toxics before the one that closes hold nothing any more, those behind it deliver what came before."""
    wire.add("latency", {"latency": 40})
    wire.add("limit_data", {"bytes": 2})
    wire.add("latency", {"latency": 100})
    wire.feed(b"abc")
    wire.at(20).feed(b"too late")
    wire.finish()
    wire.at(50)
    assert wire.pipe.held == 2
    assert not wire.pipe.is_bare
    wire.feed(b"later still")
    wire.at(1000)
    assert wire.seen == [(140, b"ab"), (140, Signal.CLOSE)]
    assert (wire.pipe.held, wire.pipe.due_ns, wire.pipe.is_bare) == (0, None, False)


def test_a_close_survives_the_removal_of_the_toxic_that_closed(wire):
    """What has been decided stays decided while another toxic still holds it."""
    limit = wire.add("limit_data", {"bytes": 1})
    wire.add("latency", {"latency": 100})
    wire.feed(b"ab")
    wire.remove(limit)
    wire.feed(b"cd")
    wire.at(1000)
    assert wire.seen == [(100, b"a"), (100, Signal.CLOSE)]


@pytest.mark.parametrize("kind", ["abort", "timeout"])
def test_a_toxic_that_counts_from_the_start_wants_a_turn_at_once(wire, kind):
    """A shell looks at `due_ns` after adding a toxic, and finds it."""
    spare = wire.add(kind, {"timeout": 100}, toxicity=0.0)
    spare.toxicity = 1.0
    wire.pipe.add(spare)
    assert wire.pipe.due_ns == ASAP


def test_nobody_is_delayed_by_a_late_wake_more_than_once(wire):
    """Wake lets everything go that is due by then, through the whole chain."""
    wire.add("slicer", {"average_size": 1, "delay": 1000})
    wire.add("slicer", {"average_size": 1})
    wire.feed(b"abcdefg")
    wire.now_ns += 4_000_000
    assert wire.pipe.wake(wire.now_ns) == [b"b", b"c", b"d", b"e"]
    assert wire.pipe.due_ns == wire.now_ns + 1_000_000


def test_a_hundred_thousand_small_chunks_are_no_work(wire):
    """Queues cost the same per chunk however long they are (a quadratic one would not end within the time limit)."""
    wire.add("latency", {"latency": 1})
    wire.add("bandwidth", {"rate": 10**6})
    for _ in range(100_000):
        wire.feed(b"x")
    assert wire.pipe.held == 100_000
    wire.at(1000)
    assert (len(wire.data), wire.pipe.held) == (100_000, 0)
