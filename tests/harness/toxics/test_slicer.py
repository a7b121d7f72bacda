"""The toxic `slicer`, exactly, in virtual time."""

import pytest

from harness.toxics.base import Signal


def sizes(wire):
    """The pieces that left: time and size."""
    return [(time_ms, len(item)) for time_ms, item in wire.seen if isinstance(item, bytes)]


def test_a_chunk_leaves_in_pieces_each_after_the_delay(wire):
    """25 bytes in tens are three pieces, 2 ms after one another, and the end right behind the last."""
    active = wire.add("slicer", {"average_size": 10, "delay": 2000})
    wire.feed(bytes(range(25)))
    wire.finish()
    assert wire.pipe.held == 25
    wire.at(100)
    assert sizes(wire) == [(2, 10), (4, 10), (6, 5)]
    assert wire.data == bytes(range(25))
    assert wire.signals == [(6, Signal.END)]
    assert active.effects == {"connections": 1, "bytes": 25}


def test_chunks_do_not_share_pieces_nor_time(wire):
    """A chunk that arrives while another is cut waits for it; one that arrives later counts from its arrival."""
    wire.add("slicer", {"average_size": 4, "delay": 1000})
    wire.feed(b"aaaaa")
    wire.feed(b"b")
    wire.at(50).feed(b"c")
    wire.at(100)
    assert wire.seen == [(1, b"aaaa"), (2, b"a"), (3, b"b"), (51, b"c")]


def test_sizes_vary_around_the_average(wire_with_dice):
    """Draws 0 and 2 x variation are the ends of the range."""
    wire = wire_with_dice(0, 6, 3)
    wire.add("slicer", {"average_size": 10, "size_variation": 3})
    wire.feed(bytes(30))
    assert sizes(wire)[:3] == [(0, 7), (0, 13), (0, 10)]
    assert wire.dice.bounds == [7, 7, 7]


def test_a_piece_has_at_least_one_byte(wire_with_dice):
    """A variation as large as the average may draw 0."""
    wire = wire_with_dice(0, 0, 4)
    wire.add("slicer", {"average_size": 2, "size_variation": 2})
    wire.feed(b"abcdef")
    assert wire.seen == [(0, b"a"), (0, b"b"), (0, b"cdef")]


def test_a_chunk_that_fits_one_piece_is_not_counted(wire):
    """Without a delay, a chunk no longer than a piece passes as it is: nothing has been done to it."""
    active = wire.add("slicer", {"average_size": 10})
    wire.feed(b"short")
    assert (wire.seen, active.effects) == ([(0, b"short")], {"connections": 1})
    wire.feed(bytes(11))
    assert active.effects["bytes"] == 11


def test_new_attributes_count_from_the_next_piece_on(wire):
    """Size and delay of what has not left yet are the new ones."""
    active = wire.add("slicer", {"average_size": 2, "delay": 10_000})
    wire.feed(b"abcdefgh")
    wire.at(15).change(active, average_size=3, delay=7000)
    wire.at(100)
    assert wire.seen == [(10, b"ab"), (17, b"cde"), (24, b"fgh")]


def test_removing_it_lets_the_rest_go_in_one(wire):
    """The rest of the chunk leaves uncut, with the end behind it."""
    active = wire.add("slicer", {"average_size": 2, "delay": 10_000})
    wire.feed(b"abcdefgh")
    wire.finish()
    wire.at(15).remove(active)
    assert wire.seen == [(10, b"ab"), (15, b"cdefgh"), (15, Signal.END)]


def test_messages_that_the_dice_spare_stay_whole(wire_with_dice):
    """Per message, a spared chunk passes uncut behind the pieces before it."""
    wire = wire_with_dice(0, 999_999)
    active = wire.add("slicer", {"average_size": 2, "delay": 1000}, toxicity=0.5, per_message=True)
    wire.feed(b"abc")
    wire.feed(b"whole")
    wire.at(10)
    assert wire.seen == [(1, b"ab"), (2, b"c"), (2, b"whole")]
    assert active.effects["bytes"] == 3


@pytest.mark.parametrize("length", [1, 9, 10, 11, 1000])
def test_nothing_is_lost_or_reordered(wire, length):
    """Whatever the length, the pieces are the chunk."""
    wire.add("slicer", {"average_size": 10, "size_variation": 5, "delay": 10})
    data = bytes(n % 251 for n in range(length))
    wire.feed(data)
    wire.at(1000)
    assert wire.data == data
    assert all(5 <= size <= 15 for _, size in sizes(wire)[:-1])
