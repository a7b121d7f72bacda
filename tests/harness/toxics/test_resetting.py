"""The toxics `reset_peer` and `abort`, exactly, in virtual time."""

import pytest

from harness.toxics.base import Signal


def test_reset_peer_resets_on_the_first_data(wire):
    """Without a timeout at once; the data is lost."""
    active = wire.add("reset_peer")
    assert wire.at(500).seen == []
    wire.feed(b"abc")
    assert wire.seen == [(500, Signal.RESET)]
    assert active.effects == {"connections": 1, "dropped": 3, "reset": 1}


def test_reset_peer_waits_its_timeout_after_the_first_data(wire):
    """More data is lost meanwhile and does not put the reset off."""
    active = wire.add("reset_peer", {"timeout": 100})
    wire.at(10).feed(b"abc")
    wire.at(60).feed(b"de")
    wire.at(1000)
    assert wire.seen == [(110, Signal.RESET)]
    assert active.effects["dropped"] == 5


def test_reset_peer_resets_on_an_end_as_well(wire):
    """A connection that closes without data is reset instead."""
    active = wire.add("reset_peer", {"timeout": 100})
    wire.finish()
    wire.at(1000)
    assert wire.seen == [(100, Signal.RESET)]
    assert active.effects == {"connections": 1, "ends": 1, "reset": 1}


@pytest.mark.parametrize(("timeout", "reset_ms"), [(30, 50), (200, 200)])
def test_a_new_timeout_of_reset_peer_counts_from_the_first_data(wire, timeout, reset_ms):
    """Later or earlier than the old one, or at once if that has passed."""
    active = wire.add("reset_peer", {"timeout": 100})
    wire.feed(b"a")
    wire.at(50).change(active, timeout=timeout)
    wire.at(1000)
    assert wire.seen == [(reset_ms, Signal.RESET)]


def test_removing_reset_peer_spares_connections_that_were_silent(wire):
    """A connection whose data has been lost is reset, one that carried nothing lives."""
    active = wire.add("reset_peer", {"timeout": 100})
    wire.remove(active)
    wire.feed(b"a")
    assert (wire.seen, active.effects["reset"]) == ([(0, b"a")], 0)


def test_removing_reset_peer_resets_what_has_lost_data(wire):
    """It cannot go on with a hole."""
    active = wire.add("reset_peer", {"timeout": 100})
    wire.feed(b"a")
    wire.at(50).remove(active)
    wire.at(1000)
    assert (wire.seen, active.effects["reset"]) == ([(50, Signal.RESET)], 1)


def test_per_message_reset_peer_spares_messages_until_one_is_taken(wire_with_dice):
    """Nothing follows the message that was taken, spared or not."""
    wire = wire_with_dice(999_999, 0, 999_999)
    wire.add("reset_peer", {"timeout": 100}, toxicity=0.5, per_message=True)
    wire.feed(b"spared")
    wire.feed(b"taken")
    wire.feed(b"behind")
    wire.at(1000)
    assert wire.seen == [(0, b"spared"), (100, Signal.RESET)]


def test_a_reset_overtakes_what_other_toxics_hold(wire):
    """The connection is over at once, and what was held is gone."""
    wire.add("latency", {"latency": 1000})
    wire.feed(b"slow")
    wire.add("reset_peer")
    wire.add("abort")
    assert wire.seen == [(0, Signal.RESET)]
    assert (wire.pipe.held, wire.pipe.due_ns) == (0, None)
    wire.feed(b"more")
    wire.finish()
    assert wire.at(10_000).seen == [(0, Signal.RESET)]


def test_abort_resets_live_and_new_connections_at_once(wire):
    """It wants to be woken as soon as it is there, and needs no data."""
    wire.feed(b"before")
    active = wire.add("abort")
    assert wire.seen == [(0, b"before"), (0, Signal.RESET)]
    assert active.effects == {"connections": 1, "reset": 1}
    assert not wire.pipe.is_bare


@pytest.mark.parametrize("act", ["feed", "finish"])
def test_abort_resets_even_if_data_comes_before_it_is_woken(wire, act):
    """A shell that feeds first gets the reset as well, once."""
    wire.pipe.add(active := wire.add("abort", toxicity=0.0))
    active.toxicity = 1.0
    wire.pipe.remove(active, wire.now_ns)
    wire.pipe.add(active)
    if act == "feed":
        wire.feed(b"a")
    else:
        wire.finish()
    assert wire.at(10).seen == [(0, Signal.RESET)]
    assert active.effects["reset"] == 1


def test_abort_spares_what_the_dice_spare(wire):
    """With toxicity 0 nothing is reset."""
    wire.add("abort", toxicity=0.0)
    wire.feed(b"a")
    assert wire.seen == [(0, b"a")]
