"""WS1 and WS6 on histories written by hand: what a client was given, and what it knows when it is back."""

from typing import Any

import pytest

from harness.invariants.base import judge_all
from harness.invariants.feed_accounts import accounted
from harness.invariants.feed_resume import returned
from harness.verdict import InvariantResult, Outcome

from .feed_run import FeedRun

HOLDS, VIOLATED, INCONCLUSIVE = Outcome.HOLDS, Outcome.VIOLATED, Outcome.INCONCLUSIVE


def ws1(run: FeedRun) -> InvariantResult:
    """Judge WS1."""
    (judged,) = judge_all(run.end(), [accounted()])
    return judged


def ws6(run: FeedRun) -> InvariantResult:
    """Judge WS6."""
    (judged,) = judge_all(run.end(), [returned()])
    return judged


def sentence(judged: InvariantResult) -> str:
    """What is said of a violation."""
    assert judged.verdict is VIOLATED
    assert judged.finding is not None
    return judged.finding.sentence


def published(**options: Any) -> FeedRun:
    """A run in which 1 A, 2 critical, 3 A, 4 B, 5 critical, 6 A were published, a second each, and w-1 is welcomed."""
    run = FeedRun(**options).state(1, 1).critical(2, 2).state(3, 3).state(4, 4, "B").critical(5, 5).state(6, 6)
    return run.connect("w-1", 0.5)


def test_delivered_and_conflated_is_published() -> None:
    """Out of turn, too: 5 comes before 3 and 4 do, 1 is superseded by 3."""
    run = published().batch("w-1", 3.1, 0, 2, 3, 2, conflated=1).batch("w-1", 5.1, 2, 3, 5)
    judged = ws1(run.batch("w-1", 6.1, 3, 6, 4, 6).left("w-1", 7))
    assert (judged.verdict, judged.checked) == (HOLDS, 6)


def test_nothing_is_inconclusive() -> None:
    """A run in which nobody got anything."""
    assert ws1(FeedRun().state(1, 1)).verdict is INCONCLUSIVE


@pytest.mark.parametrize(
    ("batches", "said"),
    [
        ([(0, 1, 1), (2, 3, 3)], "does not follow"),
        ([(0, 3, 2, 3)], "miscounted"),
        ([(0, 1, 1), (1, 2, 1)], "1 came again"),
        ([(0, 1, 1), (1, 3, 2, 3), (3, 3, 3)], "3 came again"),
        ([(0, 1, 1), (1, 2, 2, 2)], "2 came again"),
        ([(0, 1, 9)], "9 was invented"),
    ],
)
def test_what_does_not_add_up_is_told(batches: list[tuple[int, ...]], said: str) -> None:
    """A hole, a wrong count, the same again, and what nobody published."""
    run = published()
    for number, (after, through, *seqs) in enumerate(batches):
        run.batch("w-1", 7 + number, after, through, *seqs)
    assert said in sentence(ws1(run))


def test_an_altered_event_is_told() -> None:
    """In a batch, and in a snapshot."""
    assert "1 came altered" in sentence(ws1(published().batch("w-1", 7, 0, 1, 1, sums=[7])))
    run = FeedRun().state(1, 1).connect("w-1", 2, 1, snapshot=[1])
    run.events[-1].value["sums"][0] = 7  # type: ignore[union-attr]
    assert "altered" in sentence(ws1(run))


@pytest.mark.parametrize(
    ("batches", "said"),
    [
        ([(0, 2, 1, 1)], "2, critical, was withheld"),
        ([(0, 6, 4, 2, 5)], "1 of A was withheld"),
        ([(0, 6, 3, 2, 5, 6)], "4 of B was withheld"),
    ],
)
def test_what_is_called_conflated_must_be_superseded(batches: list[tuple[int, ...]], said: str) -> None:
    """Nothing critical ever is; and the newer value has to come."""
    run = published()
    for after, through, conflated, *seqs in batches:
        run.batch("w-1", 7, after, through, *seqs, conflated=conflated)
    assert said in sentence(ws1(run.left("w-1", 50)))


def test_a_newer_value_may_still_be_on_its_way() -> None:
    """When the session ended, 3 had been published and 1 been passed; had it not been published, 1 is missing."""
    run = published().batch("w-1", 3.05, 0, 2, 2, conflated=1)
    assert ws1(run.left("w-1", 3.1)).verdict is HOLDS
    run = published().batch("w-1", 2.9, 0, 2, 2, conflated=1)
    assert "1 of A was withheld" in sentence(ws1(run.left("w-1", 2.95)))


def test_an_unconfirmed_event_may_come() -> None:
    """Its publisher died, nobody knows its number; its content is known all the same."""
    run = FeedRun().state(1, 1, known=False).connect("w-1", 0.5).batch("w-1", 2, 0, 1, 1)
    assert ws1(run).verdict is HOLDS


def test_an_unconfirmed_critical_event_may_come_after_a_snapshot_beyond_it() -> None:
    """The server died between storing it and saying so; clients who lack it get it, as any other critical event."""
    run = FeedRun().state(1, 1).critical(2, 2, known=False)
    run.connect("w-1", 7, 6, asked=(None, 0), critical_from=1, snapshot=[1, 2])
    assert ws1(run.batch("w-1", 8, 6, 6, 2)).verdict is HOLDS
    assert "2 came again" in sentence(ws1(run.batch("w-1", 9, 6, 6, 2)))


def test_a_critical_event_that_came_early_counts_in_the_next_session() -> None:
    """It does not come again; state that came early does, and is no repetition."""
    run = published().batch("w-1", 6.1, 0, 1, 1, 2, 5, 6).left("w-1", 6.2, "lost")
    run.connect("w-1", 7, 1, session=2, asked=(1, 5))
    assert ws1(run.batch("w-1", 8, 1, 6, 4, 6, conflated=1, session=2)).verdict is HOLDS
    run.batch("w-1", 9, 6, 6, 5, session=2)
    assert "5 came again" in sentence(ws1(run))


def test_a_missed_critical_event_comes_late_and_is_not_counted() -> None:
    """After a snapshot that went beyond it."""
    run = published().batch("w-1", 1.1, 0, 1, 1).left("w-1", 1.2, "lost")
    run.connect("w-1", 7, 6, session=2, asked=(None, 0), critical_from=0, snapshot=[4, 6])
    assert ws1(run.batch("w-1", 8, 6, 6, 2, 5, session=2)).verdict is HOLDS


def back(*, base: int = 6, snapshot: tuple[int, ...] = (4, 6), critical_retained: int = 100, **more: Any) -> FeedRun:
    """A run in which w-1 has 1 and 2, leaves, and is back from 7 to 20."""
    run = published(critical_retained=critical_retained).batch("w-1", 2.1, 0, 2, 1, 2).left("w-1", 2.2, "lost")
    return run.connect("w-1", 7, base, session=2, snapshot=snapshot, **more).left("w-1", 20, session=2)


def test_back_with_a_snapshot() -> None:
    """It has the latest of every key; compared are two keys, and that no critical event is lost."""
    judged = ws6(back(asked=(None, 2), critical_from=2))
    assert (judged.verdict, judged.checked) == (HOLDS, 3)


def test_back_by_resuming() -> None:
    """What it had counts."""
    run = published().batch("w-1", 6.1, 0, 6, 2, 4, 5, 6, conflated=2).left("w-1", 6.2, "lost")
    run.connect("w-1", 7, 6, session=2, asked=(6, 5)).left("w-1", 20, session=2)
    assert ws6(run).verdict is HOLDS


@pytest.mark.parametrize(
    ("snapshot", "said"),
    [((4,), "A of market.price is unknown"), ((3, 4), "A of market.price is outdated: 3, and 6"), ((6,), "B of")],
)
def test_what_is_missing_in_a_snapshot_is_told(snapshot: tuple[int, ...], said: str) -> None:
    """A key, or its latest value; what the client had before does not count."""
    assert said in sentence(ws6(back(snapshot=snapshot, asked=(None, 2), critical_from=2)))


def test_what_is_missing_after_resuming_is_told() -> None:
    """3 and what followed were published while it was away."""
    assert "A of market.price is outdated: 1" in sentence(ws6(back(base=2, snapshot=(), asked=(2, 2))))


def test_resuming_elsewhere_is_told() -> None:
    """From the other end of what was missed."""
    assert "resumed at 6, having asked for 2" in sentence(ws6(back(snapshot=(), asked=(2, 2))))


def test_lost_critical_events_are_told() -> None:
    """Unless the server keeps fewer than there were."""
    run = back(asked=(None, 2), critical_from=5)
    assert "lost: 1 critical events from 5 on" in sentence(ws6(run))
    few = back(asked=(None, 2), critical_from=5, critical_retained=1).critical(7, 6.5)
    assert ws6(few).verdict is HOLDS


def test_nobody_was_away() -> None:
    """A run without a return proves nothing."""
    assert ws6(published().batch("w-1", 2.1, 0, 2, 1, 2)).verdict is INCONCLUSIVE


def test_what_died_with_the_server_is_not_asked_for() -> None:
    """Of the last second before; older values are."""
    run = published().batch("w-1", 2.1, 0, 2, 1, 2).left("w-1", 2.2, "lost").host("dashboard", "killed", 6.5)
    run.connect("w-1", 9, 100, session=2, snapshot=(3, 4), asked=(None, 5), critical_from=5).left("w-1", 20, session=2)
    assert ws6(run).verdict is HOLDS
    run = published().batch("w-1", 2.1, 0, 2, 1, 2).left("w-1", 2.2, "lost").host("dashboard", "killed", 7.5)
    run.connect("w-1", 9, 100, session=2, snapshot=(3, 4), asked=(None, 5), critical_from=5).left("w-1", 20, session=2)
    assert ws6(run).verdict is VIOLATED


def test_the_disturbed_the_slow_and_the_short_are_not_compared() -> None:
    """A fault of the link at the end, a slow host, a session of half a second."""
    wrong: dict[str, Any] = {"snapshot": (), "asked": (None, 2), "critical_from": 2}
    assert ws6(back(**wrong)).verdict is VIOLATED
    assert ws6(back(**wrong).fault(18, 19, "watchers->dashboard")).verdict is HOLDS
    short = published().left("w-1", 2.2, "lost").connect("w-1", 7, 6, session=2, **wrong)
    assert ws6(short.left("w-1", 7.5, session=2)).verdict is HOLDS
    slow = published().connect("s-1", 0.5, host="slow").left("s-1", 2.2, "lost", host="slow")
    slow.connect("s-1", 7, 6, session=2, host="slow", **wrong).left("s-1", 20, session=2, host="slow")
    assert ws6(slow).verdict is HOLDS
