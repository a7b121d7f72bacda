"""The toxic `slicer`, exactly, in virtual time."""

import pytest

from harness.toxics.base import Signal


def sizes(wire):
    """The pieces that left: time and size."""
    return [(time_ms, len(item)) for time_ms, item in wire.seen if isinstance(item, bytes)]


def test_a_chunk_leaves_in_pieces_with_the_delay_between(wire):
    """25 bytes in tens are three pieces, 2 ms after one another, and the end right behind the last."""
    active = wire.add("slicer", {"average_size": 10, "delay": 2000})
    wire.feed(bytes(range(25)))
    wire.finish()
    assert wire.pipe.held == 15
    wire.at(100)
    assert sizes(wire) == [(0, 10), (2, 10), (4, 5)]
    assert wire.data == bytes(range(25))
    assert wire.signals == [(4, Signal.END)]
    assert active.effects == {"connections": 1, "bytes": 25}


def test_chunks_do_not_share_pieces_nor_time(wire):
    """A chunk that arrives while another is cut waits for its turn; one that arrives later does not wait."""
    wire.add("slicer", {"average_size": 4, "delay": 1000})
    wire.feed(b"aaaaa")
    wire.feed(b"b")
    wire.at(50).feed(b"c")
    wire.at(100)
    assert wire.seen == [(0, b"aaaa"), (1, b"a"), (2, b"b"), (50, b"c")]


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
    assert wire.seen == [(0, b"ab"), (10, b"cd"), (17, b"efg"), (24, b"h")]


def test_removing_it_lets_the_rest_go_in_one(wire):
    """The rest of the chunk leaves uncut, with the end behind it."""
    active = wire.add("slicer", {"average_size": 2, "delay": 10_000})
    wire.feed(b"abcdefgh")
    wire.finish()
    wire.at(15).remove(active)
    assert wire.seen == [(0, b"ab"), (10, b"cd"), (15, b"efgh"), (15, Signal.END)]


def test_messages_that_the_dice_spare_stay_whole(wire_with_dice):
    """Per message, a spared chunk passes uncut behind the pieces before it."""
    wire = wire_with_dice(0, 999_999)
    active = wire.add("slicer", {"average_size": 2, "delay": 1000}, toxicity=0.5, per_message=True)
    wire.feed(b"abc")
    wire.feed(b"whole")
    wire.at(10)
    assert wire.seen == [(0, b"ab"), (1, b"c"), (1, b"whole")]
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
