"""A value that went along before its turn is not sent again when its turn comes."""

from reference_impl._dashboard.feed import Feed, Had
from reference_impl._dashboard.model import Options, Restored

MS = 1_000_000
OPTIONS = Options(events_per_second=50, batch_events=10, batch_ms=100)


def feed_of() -> Feed:
    """Return a feed on which nothing was published yet."""
    return Feed(
        OPTIONS, Restored(epoch="e", seq=0, reserved=0, resume_floor=0, critical_floor=0, critical=(), latest=())
    )


def test_a_newer_value_that_went_along_is_counted_once():
    """The key was waited for when a newer value came; that is sent, and its own merge brings nothing more."""
    feed = feed_of()
    position = feed.join(Had()).position
    feed.publish("market.price", "BTC", 1, 0, 0)
    feed.merge(100 * MS)
    newer = feed.publish("market.price", "BTC", 2, 0, 101 * MS)
    first = feed.take(position, 101 * MS)
    assert first is not None
    assert [event.seq for event in first.events] == [newer.seq]

    other = feed.publish("market.price", "ETH", 3, 0, 102 * MS)
    feed.merge(300 * MS)
    second = feed.take(position, 300 * MS)

    assert second is not None
    assert [event.seq for event in second.events] == [other.seq]
    assert (first.through, first.conflated) == (1, 1)
    assert (second.after, second.through, second.conflated) == (1, 3, 0)


def test_a_value_newer_than_that_is_waited_for():
    """What was published of the key since it went along is sent, and everything adds up."""
    feed = feed_of()
    position = feed.join(Had()).position
    feed.publish("market.price", "BTC", 1, 0, 0)
    feed.merge(100 * MS)
    feed.publish("market.price", "BTC", 2, 0, 101 * MS)
    feed.take(position, 101 * MS)

    feed.publish("market.price", "ETH", 3, 0, 102 * MS)
    feed.publish("market.price", "BTC", 4, 0, 103 * MS)
    feed.merge(300 * MS)
    batch = feed.take(position, 300 * MS)

    assert batch is not None
    assert sorted(event.seq for event in batch.events) == [3, 4]
    assert (batch.after, batch.through, batch.conflated) == (1, 4, 0)
