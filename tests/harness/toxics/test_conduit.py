"""Both directions of a connection."""

import pytest

from harness.toxics.base import Active, Signal
from harness.toxics.catalog import parse
from harness.toxics.conduit import HELD_MAX, Conduit


def active(kind, stream, **attributes):
    """Return a toxic that takes every connection."""
    return Active(name=f"{kind}_{stream}", stream=stream, toxic=parse(kind, attributes))


class NoDice:
    """Nothing here is left to chance."""

    def below(self, bound, /):
        raise AssertionError(bound)


def conduit(*actives):
    """Return a conduit with these toxics."""
    return Conduit(actives, lambda _name: NoDice())


def test_a_toxic_acts_in_its_direction_only():
    """The other way stays bare."""
    both = conduit(active("partition", "upstream"))
    assert both.feed("upstream", 1, b"request") == []
    assert both.feed("downstream", 1, b"reply") == [("downstream", b"reply")]
    assert (both.is_bare("upstream"), both.is_bare("downstream")) == (False, True)
    assert (both.held("upstream"), both.held("downstream")) == (7, 0)


def test_the_earlier_direction_decides_when_to_wake():
    """Whichever of the two is due first."""
    both = conduit(active("latency", "upstream", latency=20), active("latency", "downstream", latency=5))
    both.feed("upstream", 0, b"up")
    assert both.due_ns == 20_000_000
    both.feed("downstream", 0, b"down")
    assert both.due_ns == 5_000_000
    assert both.wake(5_000_000) == [("downstream", b"down")]
    assert both.wake(20_000_000) == [("upstream", b"up")]
    assert both.due_ns is None


@pytest.mark.parametrize(("size", "is_full"), [(HELD_MAX - 1, False), (HELD_MAX, True)])
def test_a_sender_waits_while_too_much_is_held(size, is_full):
    """And may go on as soon as it is not."""
    partition = active("partition", "upstream")
    both = conduit(partition)
    both.feed("upstream", 0, bytes(size))
    assert both.is_full("upstream") is is_full
    assert not both.is_full("downstream")
    both.remove(partition, 1)
    assert not both.is_full("upstream")


def test_the_end_of_the_connection_ends_both_directions():
    """After a reset one way, what the other way held is gone and nothing wants to be woken."""
    late = active("latency", "downstream", latency=20)
    both = conduit(late, active("reset_peer", "upstream"))
    both.feed("downstream", 0, b"held")
    assert both.feed("upstream", 1, b"x") == [("upstream", Signal.RESET)]
    assert (both.due_ns, both.held("downstream"), both.is_full("downstream")) == (None, 0, False)
    assert not both.is_bare("downstream")
    both.add(active("abort", "downstream"))
    assert both.due_ns is None
    assert both.feed("downstream", 2, b"x") == both.finish("upstream", 2) == both.wake(10**9) == []
    assert both.change(late, 3) == both.remove(late, 3) == []


def test_nothing_follows_the_end_at_the_same_instant():
    """Both directions are due at once; the one that closes has the last word."""
    both = conduit(active("timeout", "upstream", timeout=20), active("latency", "downstream", latency=20))
    both.wake(0)
    both.feed("downstream", 0, b"reply")
    assert both.wake(20_000_000) == [("upstream", Signal.CLOSE)]
