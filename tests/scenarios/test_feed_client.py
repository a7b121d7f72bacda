"""The client of the feed: what adds up, what does not, and how it comes back."""

import msgspec
import pytest

from scenarios.feed_client import FeedClient, FeedError, Snapshot, checksum, read
from scenarios.feed_record import Columns, client_of


def text(kind, **fields):
    """A frame as the server writes it."""
    return msgspec.json.encode({"type": kind, **fields})


def event(seq, key="A", topic="price", value=None):
    """An event, its number as value unless given."""
    return {"seq": seq, "topic": topic, "key": key, "at": 1, "value": seq if value is None else value}


def critical(seq):
    """A critical event."""
    return event(seq, topic="order.filled")


def batch(after, through, conflated, *events):
    """A batch."""
    return text("batch", after=after, through=through, conflated=conflated, events=list(events))


def welcome(base=10, *, resumed=False, epoch="e"):
    """A welcome."""
    return text("welcome", epoch=epoch, seq=base, base=base, resumed=resumed, limits={"heartbeat": 1.5})


def snapshot(seq=10, *state, critical_from=7, more=False):
    """A snapshot, or a chunk of one."""
    return text("snapshot", seq=seq, state=list(state), critical_from=critical_from, more=more)


def hello_of(client):
    """What the client would say."""
    return msgspec.json.decode(client.hello())


@pytest.fixture
def client():
    """A client that was welcomed at 10, with one key."""
    client = FeedClient("t")
    client.hello()
    client.feed(welcome())
    client.feed(snapshot(10, event(4)))
    return client


def test_the_first_hello_knows_nothing():
    """It shows the token and asks for a snapshot."""
    expected = {"type": "hello", "token": "t", "epoch": None, "last_seq": None, "critical_seq": None}
    assert expected == hello_of(FeedClient("t"))


def test_a_snapshot_and_batches_make_the_state(client):
    """The newest value of each key, every critical number, and an account that adds up."""
    client.feed(batch(10, 13, 1, event(12), critical(13)))
    client.feed(batch(13, 13, 0))
    assert {key: one.seq for key, one in client.state.items()} == {("price", "A"): 12, ("order.filled", "A"): 13}
    assert (client.criticals, client.through, client.delivered, client.conflated, client.gaps) == ([13], 13, 2, 1, [])
    assert client.heartbeat_s == 1.5


def test_a_critical_event_may_come_before_its_turn(client):
    """It counts when `through` reaches it, once."""
    client.feed(batch(10, 10, 0, critical(14)))
    client.feed(batch(10, 15, 2, event(11), event(15, "B")))
    assert (client.gaps, client.through, client.delivered) == ([], 15, 3)


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        ([batch(10, 13, 1, event(13))], "neither"),
        ([batch(10, 12, 2, event(12))], "neither"),
        ([batch(11, 12, 0, event(12))], "does not follow"),
        ([batch(10, 9, 0)], "does not follow"),
        ([batch(10, 11, 0, event(9))], "before"),
        ([batch(10, 12, 0, event(12), event(12))], "before"),
        ([batch(10, 12, 0, critical(12), critical(11))], "out of order"),
        ([batch(10, 10, 0, critical(7))], "out of order"),
    ],
)
def test_what_does_not_add_up_is_a_gap(client, frames, why):
    """And what was known is not resumed from; critical events that were missed are asked for all the same."""
    for frame in frames:
        client.feed(frame)
    assert why in client.gaps[0].why
    assert {"last_seq": None, "epoch": "e"}.items() <= hello_of(client).items()


def test_a_dropped_client_resumes_where_it_was(client):
    """With its position, its last critical event and the epoch; of what came early only what is critical counts."""
    client.feed(batch(10, 12, 1, event(12), critical(14), event(15)))
    assert {"epoch": "e", "last_seq": 12, "critical_seq": 14}.items() <= hello_of(client).items()
    client.feed(welcome(12, resumed=True))
    assert client.complete
    client.feed(batch(12, 15, 1, event(15)))
    assert (client.gaps, client.through, client.state["price", "A"].seq) == ([], 15, 15)


@pytest.mark.parametrize("frame", [welcome(13, resumed=True), welcome(12, resumed=True, epoch="f")])
def test_resuming_from_elsewhere_is_a_gap(client, frame):
    """Another position, or another server's numbers."""
    client.feed(batch(10, 12, 1, event(12)))
    client.hello()
    client.feed(frame)
    assert client.gaps[0].why == "resumed from elsewhere"


def test_a_snapshot_tells_what_was_missed_for_good(client):
    """Critical events that are no longer kept are counted, not forgotten; keys that are gone are gone."""
    client.feed(batch(10, 12, 1, critical(12)))
    client.hello()
    client.feed(welcome(90))
    client.feed(snapshot(90, event(60, "B"), critical_from=40))
    assert (client.lost, list(client.state), client.critical_seq) == ([(12, 40)], [("price", "B")], 40)


def test_half_a_snapshot_is_none(client):
    """Whose connection ended amid it asks for another; chunks of the first are not kept."""
    client.hello()
    client.feed(welcome(20))
    client.feed(snapshot(20, event(15, "X"), more=True))
    assert hello_of(client)["last_seq"] is None
    client.feed(welcome(30))
    client.feed(snapshot(30, event(21, "Y"), more=True))
    client.feed(snapshot(30, event(22, "Z")))
    assert {"Y", "Z"} == {key for _, key in client.state}
    assert hello_of(client)["last_seq"] == 30


@pytest.mark.parametrize(
    "frame", [b"", b"[]", b"\xff", b'{"type": "batch"}', text("batched"), snapshot(), batch(10, 11, 0)]
)
def test_nonsense_is_refused(frame):
    """What is no frame, and what comes before the welcome."""
    with pytest.raises(FeedError):
        FeedClient("t").feed(frame)


def test_the_checksum_is_of_the_content():
    """Another value, key or topic gives another; the order of fields does not matter."""
    one = checksum("price", "A", {"a": 1, "b": 2})
    assert one == checksum("price", "A", {"b": 2, "a": 1})
    assert len({one, checksum("price", "A", 1), checksum("price", "B", 1), checksum("pnl", "A", 1)}) == 4


def test_the_columns_hold_every_batch_once():
    """Taken, they begin anew; without a batch there is nothing to take."""
    columns = Columns("w-1", 3)
    first, second = read(batch(10, 13, 1, event(12), critical(13))), read(batch(13, 14, 0, event(14)))
    columns.batch(5, first)
    columns.batch(9, second)
    taken = columns.take(9)
    assert taken == {
        "client": "w-1",
        "session": 3,
        "t": [5, 9],
        "after": [10, 13],
        "through": [13, 14],
        "conflated": [1, 0],
        "counts": [2, 1],
        "seqs": [12, 13, 14],
        "sums": [checksum("price", "A", 12), checksum("order.filled", "A", 13), checksum("price", "A", 14)],
    }
    assert columns.take(10) is None


def test_a_snapshot_has_checksums_too():
    """They are of the same content as the batch's."""
    reading = read(snapshot(10, event(4)))
    assert isinstance(reading.frame, Snapshot)
    assert reading.sums == (checksum("price", "A", 4),)


@pytest.mark.parametrize(("name", "expected"), [("w-1/2", ("w-1", 2)), ("", ("", 0)), ("w", ("", 0)), ("w/x", ("", 0))])
def test_a_client_is_known_by_its_header(name, expected):
    """One that says nothing of use has no name."""
    assert expected == client_of(name)


def test_a_snapshot_loses_no_critical_event(client):
    """Those that were missed come late, are not counted, and do not undo newer state; those had early stay counted."""
    client.feed(batch(10, 10, 0, critical(14)))
    client.hello()
    client.feed(welcome(13))
    client.feed(snapshot(13, critical(12), critical_from=14))
    client.feed(batch(13, 14, 0))
    assert (client.gaps, client.lost, client.critical_seq) == ([], [], 14)
    client.hello()
    client.feed(welcome(50))
    client.feed(snapshot(50, critical(40), critical_from=14))
    client.feed(batch(50, 52, 1, critical(30), critical(40), event(52)))
    assert (client.gaps, client.criticals) == ([], [14, 30, 40])
    assert client.state["order.filled", "A"].seq == 40
