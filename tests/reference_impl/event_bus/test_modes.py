"""The decisions of `modes` carried out on a toy world: whatever fails, nothing is lost or reordered."""

from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from reference_impl._event_bus.modes import Modes, Route, Step

HOLD_BELOW = 2


class Publisher(RuleBasedStateMachine):
    """Events are the integers 1, 2, 3, ...; the stream is a list; a consumer keeps the highest integer it handled.

    The toy lane, recovery, stream and consumer know nothing of modes but what `Modes` tells them. Redis may execute
    what it was sent although nobody got the reply, at once or late; it may restart without the end of its stream.
    """

    def __init__(self) -> None:
        super().__init__()
        self.modes = Modes()
        self.published = 0
        self.waiting: list[int] = []
        self.hand: tuple[str, list[int]] | None = None
        self.rows: list[int] = []
        self.tail: list[int] = []
        self.acked: set[int] = set()
        self.stream: list[int] = []
        self.stale: list[list[int]] = []
        self.run = 1
        self.position = 0
        self.handled: list[int] = []

    # -- the lane

    @rule()
    def publish(self) -> None:
        self.published += 1
        self.waiting.append(self.published)
        self.turn()

    def turn(self) -> None:
        if self.hand is not None or not self.waiting:
            return
        route = self.modes.route()
        if route is Route.SEND:
            self.hand, self.waiting = ("send", self.waiting), []
        elif route is Route.BUFFER:
            self.hand, self.waiting = ("commit", self.waiting), []
            self.modes.commit_began()

    @precondition(lambda self: self.hand is not None and self.hand[0] == "commit")
    @rule(disk_full=st.booleans())
    def finish_commit(self, disk_full: bool) -> None:
        assert self.hand is not None
        if not disk_full:
            self.rows += self.hand[1]
            self.acked |= set(self.hand[1])
        self.hand = None
        self.modes.commit_ended(len(self.rows))
        self.turn()

    @precondition(lambda self: self.hand is not None and self.hand[0] == "send")
    @rule(fate=st.sampled_from(["confirmed", "executed", "late", "lost"]))
    def finish_send(self, fate: str) -> None:
        assert self.hand is not None
        batch = self.hand[1]
        self.hand = None
        if fate == "confirmed":
            self.stream += batch
            self.tail += batch
            self.acked |= set(batch)
        else:
            self.fail(batch, fate)
            self.waiting = batch + self.waiting
            self.modes.doubt()
        self.turn()

    def fail(self, batch: list[int], fate: str) -> None:
        if fate == "executed":
            self.stream += batch
        elif fate == "late":
            self.stale.append(batch)

    # -- Redis

    @precondition(lambda self: self.stale)
    @rule(data=st.data())
    def execute_late(self, data: st.DataObject) -> None:
        run = self.stale.pop(data.draw(st.integers(0, len(self.stale) - 1)))
        self.stream += run

    @rule(data=st.data())
    def restart(self, data: st.DataObject) -> None:
        del self.stream[data.draw(st.integers(0, len(self.stream))) :]
        self.position = min(self.position, len(self.stream))
        self.stale.clear()
        self.run += 1
        if self.hand is not None and self.hand[0] == "send":
            self.waiting = self.hand[1] + self.waiting
            self.hand = None
        if self.modes.mode != "fallback":
            self.modes.doubt()
        self.turn()

    # -- recovery

    @precondition(lambda self: self.modes.mode == "fallback")
    @rule()
    def reach(self) -> None:
        self.modes.reached(str(self.run))

    @precondition(lambda self: self.modes.mode == "resync")
    @rule(fate=st.sampled_from(["confirmed", "confirmed", "executed", "late", "lost"]), size=st.integers(1, 3))
    def replay(self, fate: str, size: int) -> None:
        step = self.modes.next_step(HOLD_BELOW)
        if step is Step.RESUME:
            self.modes.resumed()
        elif step is not Step.WAIT:
            batch = self.tail.copy() if step is Step.TAIL else self.rows[:size]
            if fate == "confirmed":
                self.stream += batch
                self.confirm(step, batch)
            else:
                self.fail(batch, fate)
                self.modes.doubt()
        self.turn()

    def confirm(self, step: Step, batch: Sequence[int]) -> None:
        if step is Step.TAIL:
            self.modes.tail_replayed(str(self.run))
        else:
            self.tail += batch
            del self.rows[: len(batch)]
            self.modes.rows_left(len(self.rows))

    # -- the consumer

    @rule(count=st.integers(1, 5))
    def consume(self, count: int) -> None:
        for event in self.stream[self.position : self.position + count]:
            self.position += 1
            if not self.handled or event > self.handled[-1]:
                self.handled.append(event)

    # -- what must hold

    @invariant()
    def direct_means_that_nothing_older_waits(self) -> None:
        if self.modes.mode == "direct":
            assert self.rows == []
            assert not self.modes.committing

    @invariant()
    def nobody_waits_for_a_redis_that_is_away(self) -> None:
        if self.modes.mode == "fallback" and self.waiting:
            assert self.hand is not None

    @invariant()
    def rows_are_known(self) -> None:
        assert len(self.rows) == self.modes.rows

    @invariant()
    def the_hand_does_what_the_mode_says(self) -> None:
        assert self.modes.committing == (self.hand is not None and self.hand[0] == "commit")

    def teardown(self) -> None:
        """Heal everything: the publisher must get back to direct, and every acked event must have been handled."""
        for _ in range(10 * (self.published + 10)):
            if self.hand is not None:
                self.finish_commit(disk_full=False) if self.hand[0] == "commit" else self.finish_send("confirmed")
            elif self.modes.mode == "fallback":
                self.reach()
            elif self.modes.mode == "resync":
                self.replay("confirmed", 3)
        assert self.modes.mode == "direct"
        assert self.waiting == []
        for run in self.stale:
            self.stream += run
        self.consume(len(self.stream))
        assert self.acked <= set(self.handled)


TestPublisher = Publisher.TestCase
TestPublisher.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_resume_is_refused_while_a_row_is_left() -> None:
    """Going direct over a buffered row would let live events overtake it."""
    modes = Modes()
    modes.opened(1, None)
    modes.reached("r")
    with pytest.raises(AssertionError):
        modes.resumed()


def test_a_busy_publisher_is_held_only_near_the_end() -> None:
    """The lane is held once few rows are left, so that a replay ends although events keep coming."""
    modes = Modes()
    modes.opened(100, None)
    modes.reached("r")
    assert modes.next_step(50) is Step.ROWS
    assert modes.route() is Route.BUFFER
    modes.rows_left(50)
    assert modes.next_step(50) is Step.ROWS
    assert modes.route() is Route.HOLD


def test_an_unknown_run_id_never_makes_the_tail_due() -> None:
    """A server that does not tell its run id is taken for the one that confirmed the tail."""
    modes = Modes()
    modes.opened(0, "r1")
    modes.reached(None)
    assert modes.next_step(1) is Step.RESUME
