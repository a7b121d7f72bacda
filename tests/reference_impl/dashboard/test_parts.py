"""The small parts: the window, the log, the frames, and what the feed does at the edges of its limits."""

import json
from typing import Any

import pytest

from reference_impl._dashboard.critical import CriticalLog
from reference_impl._dashboard.feed import Feed, Had, make_event
from reference_impl._dashboard.frames import BatchTexts, Hello, Ping, read, snapshot
from reference_impl._dashboard.model import Batch, Event, Options, Restored, is_critical
from reference_impl._dashboard.window import RateWindow

MS = 1_000_000
SECOND = 1_000 * MS


def events(*seqs: int, topic: str = "ess.state", padding: int = 0) -> list[Event]:
    """Events of those numbers."""
    return [make_event(seq, topic, str(seq), 7, json.dumps("x" * padding)) for seq in seqs]


def feed_of(**options: Any) -> Feed:
    """A feed on which nothing was published."""
    nothing = Restored(epoch="e", seq=0, reserved=1, resume_floor=0, critical_floor=0, critical=[], latest=[])
    return Feed(Options(**options), nothing)


def test_the_second_of_a_window_is_half_open() -> None:
    """What was sent exactly a second ago does not count, a nanosecond less and it does."""
    window = RateWindow(3)
    window.add(5, 2)
    window.add(6, 1)
    assert (window.room(5 + SECOND - 1), window.free_at) == (0, 5 + SECOND)
    assert (window.room(5 + SECOND), window.free_at) == (2, 0)
    assert window.room(6 + SECOND) == 3


def test_places_in_the_log_stay_when_it_is_trimmed() -> None:
    """They count from the beginning of time."""
    log = CriticalLog(8, 0, [])
    for event in events(*range(1, 24, 2)):
        log.append(event)
    assert (log.begin, log.end, log.floor) == (3, 12, 5)
    assert [event.seq for event in log.read(log.place_after(20), 9)] == [21, 23]
    assert log.seq_at(log.begin) == 7
    assert log.seqs_between(8, 13) == [9, 11, 13]


@pytest.mark.parametrize(
    ("topic", "critical"),
    [("ess.state", True), ("order.update", True), ("essential.x", False), ("orders.x", False), ("x.ess.y", False)],
)
def test_what_is_critical(topic: str, critical: bool) -> None:
    """By the first word of the topic, the whole of it."""
    assert is_critical(topic) is critical


def test_a_large_snapshot_comes_in_pieces() -> None:
    """Each of bounded size, all with the same number, and only the last says that it is."""
    frames = [json.loads(text) for text in snapshot(50, events(*range(1, 51), padding=3_000), 9)]
    assert len(frames) == 5
    assert [frame["more"] for frame in frames] == [True, True, True, True, False]
    assert {(frame["seq"], frame["critical_from"]) for frame in frames} == {(50, 9)}
    assert [one["seq"] for frame in frames for one in frame["state"]] == list(range(1, 51))
    assert [json.loads(text)["state"] for text in snapshot(0, [], 0)] == [[]]


def test_a_batch_is_encoded_once() -> None:
    """For all who are at the same position; another one is another text."""
    texts = BatchTexts()
    batch = Batch(0, 3, 1, tuple(events(1, 3)))
    assert texts.text(batch) is texts.text(Batch(0, 3, 1, tuple(events(1, 3))))
    assert texts.text(Batch(0, 3, 0, tuple(events(1, 3)))) != texts.text(batch)
    assert json.loads(texts.text(batch))["events"][1] == {
        "seq": 3,
        "topic": "ess.state",
        "key": "3",
        "at": 7,
        "value": "",
    }


def test_frames_of_clients_are_read_strictly() -> None:
    """Types and bounds are checked; what is not known is let pass, for later versions."""
    assert read('{"type":"ping","id":1,"more":[]}') == Ping(id=1)
    assert read('{"type":"hello","token":"t","last_seq":4}') == Hello(token="t", last_seq=4)
    for text in ("", "[]", '{"type":"hello","last_seq":1e99}', '{"type":"hello","token":1}', '{"type":"ping","id":{}}'):
        with pytest.raises(ValueError, match="not a frame"):
            read(text)


def test_who_falls_behind_is_found_and_misses_nothing_that_is_kept() -> None:
    """More than `queue_max` critical events behind; it comes back, gets a pass for those, and all of them."""
    feed = feed_of(queue_max=3, critical_retained=10)
    position = feed.join(Had()).position
    for number in range(4):
        assert not feed.fell_behind(position)
        feed.settle(feed.publish("ess.state", str(number), 1, 0, 0).seq, 0)
    assert feed.fell_behind(position)
    feed.leave(position)
    again = feed.join(Had(epoch="e", last_seq=0, critical_seq=0))
    assert not feed.fell_behind(again.position)
    assert again.critical_from == 0
    batch = feed.take(again.position, SECOND)
    assert batch is not None
    assert [event.seq for event in batch.events] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("had", "resumed", "critical_from"),
    [
        (Had(), False, 40),
        (Had(epoch="other", last_seq=30, critical_seq=30), False, 40),
        (Had(epoch="e", last_seq=30, critical_seq=30), True, 30),
        (Had(epoch="e", last_seq=30), False, 40),
        (Had(epoch="e", last_seq=41, critical_seq=30), False, 30),
        (Had(epoch="e", last_seq=30, critical_seq=41), False, 40),
        (Had(epoch="e", last_seq=30, critical_seq=4), False, 10),
        (Had(epoch="e", last_seq=12, critical_seq=20), False, 20),
    ],
)
def test_who_can_resume(had: Had, resumed: bool, critical_from: int) -> None:
    """By epoch, numbers that can be, what the log still has, and how much would have to be sent."""
    feed = feed_of(critical_retained=8, queue_max=8, resume_keys_max=20)
    for number in range(20):
        feed.settle(feed.publish("ess.state", str(number % 3), 1, 0, 0).seq, 0)
    for number in range(20):
        feed.publish("x.y", str(number), 1, 0, 0)
    feed.resume_floor = 13
    feed.log.floor = 10
    joined = feed.join(had)
    assert (joined.snapshot is None, joined.critical_from) == (resumed, critical_from)
