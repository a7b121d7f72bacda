"""The toxics `partition`, `half_open`, `half_close` and `discard_first`, exactly, in virtual time."""

from harness.toxics.base import Signal
from harness.toxics.catalog import TYPES


def test_partition_holds_everything_and_lets_it_go_when_removed(wire):
    """Nothing is lost, nothing changes places; the end is held too; what was held is counted."""
    active = wire.add("partition")
    wire.feed(b"abc")
    wire.feed(b"de")
    wire.finish()
    wire.at(10**6)
    assert (wire.seen, wire.pipe.held, wire.pipe.due_ns) == ([], 5, None)
    wire.remove(active)
    assert wire.seen == [(10**6, b"abc"), (10**6, b"de"), (10**6, Signal.END)]
    assert wire.pipe.held == 0
    assert active.effects == {"connections": 1, "held": 5, "ends": 1}


def test_partition_of_a_silent_connection_changes_nothing(wire):
    """A connection that carried nothing meanwhile goes on as if nothing had been."""
    active = wire.add("partition")
    wire.remove(active)
    wire.feed(b"a")
    assert wire.seen == [(0, b"a")]


def test_per_message_partition_lets_nothing_overtake_what_it_holds(wire_with_dice):
    """A spared message passes until one is held; behind that it waits as well, and is counted as held."""
    wire = wire_with_dice(999_999, 0, 999_999)
    active = wire.add("partition", toxicity=0.5, per_message=True)
    for data in (b"spared", b"held", b"behind"):
        wire.feed(data)
    assert wire.seen == [(0, b"spared")]
    assert (wire.pipe.held, active.effects["held"]) == (10, 10)
    wire.remove(active)
    assert wire.data == b"sparedheldbehind"


def test_partition_and_half_close_tell_the_shells_what_to_do():
    """Of all toxics only a partition loses connects, and only half_close keeps a half-close."""
    assert {name for name, kind in TYPES.items() if kind.loses_connects} == {"partition"}
    assert {name for name, kind in TYPES.items() if kind.keeps_half_close} == {"half_close"}


def test_half_open_drops_silently_for_ever(wire):
    """Data and the end vanish, the connection stays, nobody is woken."""
    active = wire.add("half_open")
    wire.feed(b"abc")
    wire.finish()
    wire.at(10**9)
    assert (wire.seen, wire.pipe.held, wire.pipe.due_ns) == ([], 0, None)
    assert active.effects == {"connections": 1, "dropped": 3, "ends": 1}


def test_a_half_open_connection_stays_dead_when_the_toxic_is_removed(wire):
    """TCP never delivers a stream with a hole: what has lost bytes stays silent."""
    active = wire.add("half_open")
    wire.feed(b"lost")
    wire.remove(active)
    wire.feed(b"more")
    wire.finish()
    assert wire.seen == []
    assert not wire.pipe.is_bare
    assert active.effects["dropped"] == 8


def test_a_connection_that_lost_nothing_survives_half_open(wire):
    """Silence cannot be told from a network that was never broken."""
    active = wire.add("half_open")
    wire.remove(active)
    wire.feed(b"a")
    assert wire.seen == [(0, b"a")]
    assert wire.pipe.is_bare


def test_per_message_half_open_kills_from_the_first_message_that_is_taken(wire_with_dice):
    """Messages pass until the dice take one; none follows that."""
    wire = wire_with_dice(999_999, 0, 999_999)
    active = wire.add("half_open", toxicity=0.5, per_message=True)
    for data in (b"spared", b"taken", b"behind"):
        wire.feed(data)
    assert wire.seen == [(0, b"spared")]
    assert active.effects["dropped"] == len(b"takenbehind")


def test_half_close_passes_everything_on_and_counts_the_end(wire):
    """Not ending the other direction is the shell's doing; the end that made it do so is the evidence."""
    active = wire.add("half_close")
    wire.feed(b"a")
    wire.finish()
    assert wire.seen == [(0, b"a"), (0, Signal.END)]
    assert active.effects == {"connections": 1, "ends": 1}


def test_discard_first_drops_exactly_the_first_bytes(wire):
    """Across chunks; the rest passes untouched."""
    active = wire.add("discard_first", {"bytes": 5})
    wire.feed(b"abc")
    wire.feed(b"defg")
    wire.feed(b"h")
    wire.finish()
    assert wire.seen == [(0, b"fg"), (0, b"h"), (0, Signal.END)]
    assert active.effects == {"connections": 1, "dropped": 5}


def test_discard_first_counts_from_its_creation_on_a_live_connection(wire):
    """What passed before does not count."""
    wire.feed(b"abc")
    wire.add("discard_first", {"bytes": 2})
    wire.feed(b"def")
    assert wire.data == b"abcf"


def test_discard_first_with_new_attributes_counts_what_it_has_seen(wire):
    """A higher number drops more of what is still to come, and only if that is among the first."""
    active = wire.add("discard_first", {"bytes": 2})
    wire.feed(b"abcd")
    wire.change(active, bytes=6)
    wire.feed(b"efgh")
    assert wire.data == b"cdgh"
    assert active.effects["dropped"] == 4
