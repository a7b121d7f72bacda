"""Crash and recovery: the log brings back exactly what it should."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dependencies.redis.engine import Engine
from harness.dependencies.redis.session import NoOutlet
from harness.dependencies.redis.state import RedisState
from harness.units import MILLISECOND, SECOND

START_NS = 1_700_000_000 * SECOND


class Server:
    """A state with an engine on it, and a clock of its own."""

    def __init__(self):
        self.time_ns = START_NS
        self.state = RedisState(now_ns=lambda: self.time_ns, identity="test")
        self.boot()

    def boot(self):
        self.engine = Engine(self.state)
        self.session = self.engine.connect(NoOutlet())

    def call(self, *words):
        return self.engine.execute(self.session, [word.encode() for word in words])

    def crash(self, lose_ns):
        self.state.recover(lose_ns=lose_ns)
        self.boot()


COMMANDS = st.sampled_from(
    [
        ("XADD", "s", "*", "a", "1"),
        ("XADD", "s", "MAXLEN", "3", "*", "a", "2"),
        ("XADD", "t", "NOMKSTREAM", "*", "b", "1"),
        ("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM"),
        ("XGROUP", "CREATE", "t", "g", "$", "MKSTREAM"),
        ("XGROUP", "SETID", "s", "g", "0"),
        ("XGROUP", "DELCONSUMER", "s", "g", "c"),
        ("XREADGROUP", "GROUP", "g", "c", "COUNT", "2", "STREAMS", "s", ">"),
        ("XREADGROUP", "GROUP", "g", "d", "COUNT", "1", "NOACK", "STREAMS", "s", ">"),
        ("XAUTOCLAIM", "s", "g", "d", "5", "0", "COUNT", "1"),
        ("XTRIM", "s", "MAXLEN", "1"),
        ("SET", "k", "v", "PX", "700"),
        ("INCR", "n"),
        ("EXPIRE", "n", "1"),
        ("HSET", "h", "f", "v"),
        ("ZADD", "z", "INCR", "1", "m"),
        ("ZPOPMIN", "z"),
        ("SADD", "set", "a", "b", "c"),
        ("SPOP", "set"),
        ("SPOP", "set", "2"),
        ("RPUSH", "l", "x", "y"),
        ("BLPOP", "l", "0.1"),
        ("LPOP", "l"),
        ("DEL", "k", "l"),
        ("SWAPDB", "0", "1"),
        ("COPY", "h", "h2"),
        ("RENAME", "s", "t"),
        ("SELECT", "1"),
        ("SELECT", "0"),
        ("FLUSHDB",),
        ("MULTI",),
        ("EXEC",),
    ]
)
STEPS = st.lists(st.tuples(st.integers(0, 400), COMMANDS), max_size=40)


@pytest.mark.parametrize("compact_after", [3, 50_000])
@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_everything_comes_back(steps, compact_after):
    """After a crash that loses nothing, the keyspace is what it was, however often the log was compacted."""
    server = compacting(compact_after)
    for elapsed_ms, command in steps:
        server.time_ns += elapsed_ms * MILLISECOND
        unblocked(server).call(*command)
    before = server.state.dump()
    server.crash(0)
    assert server.state.dump() == before
    server.crash(0)
    assert server.state.dump() == before


@pytest.mark.parametrize("compact_after", [3, 50_000])
@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_the_window_is_lost_and_no_more(steps, compact_after):
    """A crash that loses a second leaves the state of a second ago, to the byte."""
    server = compacting(compact_after)
    twin = Server()
    for elapsed_ms, command in steps:
        server.time_ns += elapsed_ms * MILLISECOND
        unblocked(server).call(*command)
    end_ns = server.time_ns
    for elapsed_ms, command in steps:
        twin.time_ns += elapsed_ms * MILLISECOND
        if twin.time_ns > end_ns - SECOND:
            break
        unblocked(twin).call(*command)
    server.crash(SECOND)
    twin.time_ns = end_ns
    # SPOP draws lots, so which members went is taken from the server: compare how many are left.
    assert comparable(server.state.dump()) == comparable(twin.state.dump())


def comparable(dump):
    return {key: None if key[1] == b"set" else value for key, value in dump.items()}


def compacting(after):
    server = Server()
    server.state._compact_at = after
    server.state._compact_after = after
    return server


def unblocked(server):
    """Blocking commands have no loop to wait on here."""
    server.session.may_block = False
    return server


def test_nothing_comes_back():
    """A server without persistence starts empty, and under another run id."""
    server = Server()
    server.call("SET", "k", "v")
    before = server.state.run_id
    server.crash(None)
    assert server.state.dump() == {}
    assert server.state.run_id != before
    assert len(server.state.run_id) == 40


def test_ids_never_repeat_after_a_crash_that_loses_nothing():
    """The next automatic id is above the last one, even if the clock went back meanwhile."""
    server = Server()
    server.call("XADD", "s", "*", "a", "1")
    last = server.call("XADD", "s", "*", "a", "1")
    server.crash(0)
    server.time_ns -= SECOND
    assert server.call("XADD", "s", "*", "a", "1") > last


def test_pending_entries_survive_and_acks_do_too():
    """A group knows after a crash what its consumers hold."""
    server = Server()
    server.call("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
    server.call("XADD", "s", "1-1", "a", "1")
    server.call("XADD", "s", "1-2", "a", "1")
    server.call("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")
    server.call("XACK", "s", "g", "1-1")
    server.crash(0)
    pending = server.call("XPENDING", "s", "g")
    assert pending == b"*4\r\n:1\r\n$3\r\n1-2\r\n$3\r\n1-2\r\n*1\r\n*2\r\n$1\r\nc\r\n$1\r\n1\r\n"


def test_a_transaction_is_kept_or_lost_as_a_whole():
    """The window never cuts through an EXEC."""
    server = Server()
    server.call("MULTI")
    server.call("SET", "a", "1")
    server.call("SET", "b", "1")
    server.call("EXEC")
    server.time_ns += SECOND
    server.crash(SECOND)
    assert set(server.state.dump()) == {(0, b"a"), (0, b"b")}
    server.crash(SECOND - 1)
    server.time_ns += 1
    server.crash(2 * SECOND)
    assert set(server.state.dump()) == set()


def test_the_log_stays_bounded():
    """Many times the compaction threshold of writes leaves a log of a few times that."""
    server = compacting(2_500)
    for _ in range(5 * 2_500):
        server.time_ns += MILLISECOND
        server.call("SET", "k", "v")
    assert server.state.logged <= 2 * 2_500
    server.crash(0)
    assert server.call("GET", "k") == b"$1\r\nv\r\n"


def test_every_kind_of_stream_effect_is_in_the_log():
    """Each of these changes something, and a crash right after it brings that back."""
    server = Server()
    effects = """
        XGROUP CREATE s g 0 MKSTREAM|XADD s * a 1|XADD s * a 2|XADD s * a 3|XADD s * a 4
        XREADGROUP GROUP g c COUNT 3 STREAMS s >|XAUTOCLAIM s g d 5 0 COUNT 1|XCLAIM s g e 0 1700000000200-0
        XGROUP CREATECONSUMER s g f|XGROUP DELCONSUMER s g e|XACK s g 1700000000100-0|XDEL s 1700000000150-0
        XTRIM s MAXLEN 1|XGROUP SETID s g 0|XSETID s 1800000000000-0|XGROUP DESTROY s g
    """
    for command in effects.strip().replace("\n", "|").split("|"):
        server.time_ns += 50 * MILLISECOND
        before = server.state.dump()
        assert not server.call(*command.split()).startswith(b"-"), command
        after = server.state.dump()
        assert after != before, command
        server.crash(0)
        assert server.state.dump() == after, command
