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
        self.session.block((b"k",), lambda: None, lambda: b"*-1\r\n", round(seconds * SECOND))


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


class Commands(NoOutlet):
    """One client of an engine that others use too; what it is sent later is kept."""

    def __init__(self, engine):
        self.engine = engine
        self.got = []
        self.session = engine.connect(self)

    def send(self, data):
        self.got.append(data)

    def do(self, *words):
        return self.engine.execute(self.session, [word.encode() for word in words])


READ = ("XREADGROUP", "GROUP", "g", "c", "STREAMS", "a", "b", ">", ">")


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ([("XGROUP", "DESTROY", "b", "g")], b"-NOGROUP"),
        ([("XGROUP", "DESTROY", "b", "g"), ("XGROUP", "CREATE", "b", "g", "0")], b"*1\r\n*2\r\n$1\r\nb"),
        ([("DEL", "b")], b"-NOGROUP"),
        ([("SET", "b", "x")], b"-WRONGTYPE"),
        ([("COPY", "a", "b", "REPLACE"), ("XADD", "b", "9-9", "k", "v")], b"*1\r\n*2\r\n$1\r\nb"),
        ([("RENAME", "b", "z")], b"-NOGROUP"),
        ([("SWAPDB", "0", "1")], b"-NOGROUP"),
        ([("FLUSHALL",)], b"-NOGROUP"),
        ([("PEXPIREAT", "b", "1")], b"-NOGROUP"),
        ([("XGROUP", "DELCONSUMER", "b", "g", "c"), ("XADD", "b", "2-0", "k", "v")], b"*1\r\n*2\r\n$1\r\nb"),
    ],
)
def test_a_read_that_is_repeated_sees_what_became_of_its_groups(change, answer):
    """What a reader found of its groups last time is not used once a group or a key was removed or replaced."""
    engine = Engine(RedisState(now_ns=lambda: SECOND))
    client, other = Commands(engine), Commands(engine)
    for key in ("a", "b"):
        other.do("XGROUP", "CREATE", key, "g", "0", "MKSTREAM")
    other.do("XADD", "b", "1-0", "k", "v")
    assert client.do(*READ).startswith(b"*1\r\n*2\r\n$1\r\nb")
    assert client.do(*READ) == b"*-1\r\n"
    for words in change:
        assert not other.do(*words).startswith(b"-")
    assert client.do(*READ).startswith(answer)


def test_a_stream_that_expires_ends_a_repeated_read():
    """A reader that found its groups while a key was to expire notices when it has."""
    now_ns = SECOND
    engine = Engine(RedisState(now_ns=lambda: now_ns))
    client = Commands(engine)
    for key in ("a", "b"):
        client.do("XGROUP", "CREATE", key, "g", "0", "MKSTREAM")
    client.do("PEXPIRE", "b", "500")
    assert client.do(*READ) == b"*-1\r\n"
    now_ns += SECOND
    assert client.do(*READ).startswith(b"-NOGROUP")


def test_waiters_are_served_in_the_order_in_which_they_came():
    """Each gets the next entry of the group, whatever else it waits for; who waited again comes last."""
    engine = Engine(RedisState(now_ns=lambda: SECOND))
    writer, *readers = (Commands(engine) for _ in range(4))
    writer.do("XGROUP", "CREATE", "a", "g", "0", "MKSTREAM")
    writer.do("XGROUP", "CREATE", "b", "g", "0", "MKSTREAM")
    for keys, reader in zip(("a", "ba", "a"), readers, strict=True):
        ids = [">"] * len(keys)
        assert reader.do("XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "BLOCK", "0", "STREAMS", *keys, *ids) == b""
    served = []
    for number in range(1, 4):
        writer.do("XADD", "a", f"{number}-0", "k", "v")
        served.append([len(reader.got) for reader in readers])
        if number == 1:
            assert readers[0].do("XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "a", ">") == b""
    assert served == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    writer.do("XADD", "a", "4-0", "k", "v")
    assert len(readers[0].got) == 2
