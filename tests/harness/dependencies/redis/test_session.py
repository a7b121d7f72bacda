"""Waiting clients: each times out at its own deadline, with one timer at a time."""

import asyncio

import pytest

from harness.dependencies.redis import session as session_module
from harness.dependencies.redis.engine import Engine
from harness.dependencies.redis.session import NoOutlet
from harness.dependencies.redis.state import RedisState
from harness.units import SECOND


class Timers:
    """A loop's timers, fired by hand."""

    def __init__(self):
        self.now = 100.0
        self.pending = []

    def get_debug(self):
        return False

    def time(self):
        return self.now

    def call_at(self, when, callback):
        handle = asyncio.TimerHandle(when, callback, (), self)
        self.pending.append(handle)
        return handle

    def _timer_handle_cancelled(self, handle):
        self.pending.remove(handle)

    def advance(self, seconds):
        until = self.now + seconds
        while due := [handle for handle in self.pending if not handle.cancelled() and handle.when() <= until]:
            first = min(due, key=lambda handle: handle.when())
            self.pending.remove(first)
            self.now = first.when()
            first._run()
        self.now = until

    @property
    def set(self):
        return sum(not handle.cancelled() for handle in self.pending)


class Client(NoOutlet):
    """Remembers what it was sent, and when."""

    def __init__(self, timers):
        self.timers = timers
        self.got = []
        self.session = Engine(RedisState(now_ns=lambda: SECOND)).connect(self)

    def send(self, data):
        self.got.append((round(self.timers.now - 100, 6), data))

    def wait(self, seconds):
        self.session.block((b"k",), lambda: None, lambda: b"*-1\r\n", timeout_ns=round(seconds * SECOND))


@pytest.fixture
def timers(monkeypatch):
    """Timers in place of the running loop's."""
    timers = Timers()
    monkeypatch.setattr(session_module.asyncio, "get_running_loop", lambda: timers)
    return timers


def test_a_wait_after_an_answered_one_ends_at_its_own_deadline(timers):
    """The timer of a wait that was answered is used again, and neither shortens nor lengthens the next wait."""
    client = Client(timers)
    client.wait(1)
    timers.advance(0.75)
    client.session.answer_blocked(b"+x\r\n")
    client.wait(1)
    assert timers.set == 1
    timers.advance(0.9)
    assert client.got == [(0.75, b"+x\r\n")]
    timers.advance(0.2)
    assert client.got[1:] == [(1.75, b"*-1\r\n")]
    assert timers.set == 0


def test_a_shorter_wait_is_not_held_up_by_the_timer_of_a_longer_one(timers):
    """The timer is moved forward when the new deadline comes first."""
    client = Client(timers)
    client.wait(10)
    client.session.answer_blocked(b"+x\r\n")
    client.wait(1)
    assert timers.set == 1
    timers.advance(20)
    assert client.got == [(0, b"+x\r\n"), (1, b"*-1\r\n")]


def test_a_wait_without_a_timeout_outlasts_an_old_timer(timers):
    """BLOCK 0 waits for ever, and a client that is gone leaves no timer."""
    client = Client(timers)
    client.wait(1)
    client.session.answer_blocked(b"+x\r\n")
    client.wait(0)
    timers.advance(5)
    assert client.session.blocked is not None
    client.session.answer_blocked(b"+y\r\n")
    client.wait(3)
    client.session.forget()
    assert timers.set == 0
