"""The toxic `latency`, exactly, in virtual time."""

import pytest

from harness.toxics.base import Signal
from harness.units import ms


def test_every_chunk_leaves_one_latency_after_it_arrived(wire):
    """Pipelined chunks are late by one latency each, not by one after the other."""
    latency = wire.add("latency", {"latency": 100})
    wire.feed(b"a")
    wire.at(30).feed(b"b")
    assert wire.pipe.held == 2
    wire.at(1000)
    assert wire.seen == [(100, b"a"), (130, b"b")]
    assert latency.effects == {"connections": 1, "bytes": 2}
    assert (wire.pipe.held, wire.pipe.due_ns) == (0, None)


def test_no_latency_delays_and_counts_nothing(wire):
    """With 0 (the default) bytes pass at once and nothing claims to have bitten."""
    latency = wire.add("latency")
    wire.feed(b"a")
    assert wire.seen == [(0, b"a")]
    assert latency.effects == {"connections": 1}


def test_a_bare_end_is_not_delayed_but_keeps_its_place(wire):
    """The end of a direction waits for the bytes before it, and for nothing else."""
    wire.add("latency", {"latency": 100})
    wire.feed(b"a")
    wire.at(40).finish()
    assert wire.seen == []
    wire.at(1000)
    assert wire.seen == [(100, b"a"), (100, Signal.END)]


def test_an_end_with_nothing_before_it_passes_at_once(wire):
    """A connection that carried nothing closes without delay."""
    wire.add("latency", {"latency": 100})
    wire.finish()
    assert wire.seen == [(0, Signal.END)]


def test_jitter_is_drawn_around_the_latency_and_keeps_the_order(wire_with_dice):
    """Draws 0 and 2 x jitter are the ends of the range; a later chunk that drew less waits for the one before."""
    wire = wire_with_dice(2 * ms(30), 0, 0)
    wire.add("latency", {"latency": 100, "jitter": 30})
    wire.feed(b"a")
    wire.feed(b"b")
    wire.at(200).feed(b"c")
    wire.at(1000)
    assert wire.seen == [(130, b"a"), (130, b"b"), (270, b"c")]
    assert wire.dice.bounds == [2 * ms(30) + 1] * 3


def test_jitter_never_makes_a_delay_negative(wire_with_dice):
    """Jitter above the latency is cut off at no delay."""
    wire = wire_with_dice(0)
    wire.add("latency", {"latency": 10, "jitter": 50})
    wire.feed(b"a")
    assert wire.seen == [(0, b"a")]


@pytest.mark.parametrize(("latency", "left_ms"), [(40, 50), (200, 200), (0, 50)])
def test_new_attributes_count_from_the_arrival(wire, latency, left_ms):
    """A chunk that waits when the latency changes leaves at its arrival plus the new latency, but not in the past."""
    active = wire.add("latency", {"latency": 100})
    wire.feed(b"a")
    wire.at(50).change(active, latency=latency)
    wire.at(1000)
    assert wire.seen == [(left_ms, b"a")]


def test_removing_it_lets_everything_go_in_order(wire):
    """What is held, the end too, leaves at the moment of removal."""
    active = wire.add("latency", {"latency": 100})
    wire.feed(b"a")
    wire.feed(b"b")
    wire.finish()
    wire.at(10).remove(active)
    assert wire.seen == [(10, b"a"), (10, b"b"), (10, Signal.END)]
    assert (wire.pipe.held, wire.pipe.due_ns, wire.pipe.is_bare) == (0, None, True)


def test_messages_that_the_dice_spare_wait_only_for_those_before_them(wire_with_dice):
    """Per message, a spared chunk is not delayed itself, and never overtakes."""
    wire = wire_with_dice(999_999, 0, 999_999)
    active = wire.add("latency", {"latency": 100}, toxicity=0.5, per_message=True)
    wire.feed(b"spared")
    wire.at(10).feed(b"taken")
    wire.at(20).feed(b"behind")
    wire.at(1000)
    assert wire.seen == [(0, b"spared"), (110, b"taken"), (110, b"behind")]
    assert active.effects["bytes"] == len(b"taken")
