"""Random stream commands: the engine and a real server must give the same replies, whatever the order.

Several consumers, deletions, trims, groups set back and forth, claims: the orders that nobody thinks of.
"""

import socket
import time

import hiredis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from harness.dependencies.redis.engine import Engine
from harness.dependencies.redis.resp import bulks
from harness.dependencies.redis.session import NoOutlet
from harness.dependencies.redis.state import RedisState

IDS = st.sampled_from([b"0-1", b"1", b"1-1", b"1-*", b"1-2", b"2-1", b"2-*", b"3-3", b"7-1", b"9-9"])
POSITIONS = st.sampled_from([b"0", b"1-1", b"2-1", b"3-3", b"$", b"9-9"])
GROUPS = st.sampled_from([b"g", b"h"])
CONSUMERS = st.sampled_from([b"c", b"d"])
COUNTS = st.sampled_from([b"1", b"2", b"10"])


class Real:
    """A blocking connection to the real server."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)

    def call(self, *argv: bytes) -> object:
        self.socket.sendall(bulks(argv))
        reader = hiredis.Reader()
        while (reply := reader.gets()) is False:
            reader.feed(self.socket.recv(65_536))
        return reply


class Ours:
    """The engine without any network."""

    def __init__(self) -> None:
        self.session = Engine(RedisState(now_ns=time.time_ns)).connect(NoOutlet())

    def call(self, *argv: bytes) -> object:
        reader = hiredis.Reader()
        reader.feed(self.session.engine.execute(self.session, list(argv)))
        return reader.gets()


def plain(reply: object) -> object:
    """Make error replies comparable."""
    if isinstance(reply, hiredis.ReplyError):
        return ("error", str(reply))
    return [plain(item) for item in reply] if isinstance(reply, list) else reply


@pytest.mark.real
def test_random_stream_commands_are_answered_alike(real_port):  # noqa: C901 - one small method for each command
    """No sequence of stream commands tells the engine from a real server, replies and resulting state included."""

    class Twins(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.real, self.ours = Real(real_port), Ours()
            self.both(b"FLUSHALL")
            self.both(b"XGROUP", b"CREATE", b"s", b"g", b"0", b"MKSTREAM")

        def teardown(self) -> None:
            self.real.socket.close()

        def both(self, *argv: bytes) -> None:
            assert plain(self.real.call(*argv)) == plain(self.ours.call(*argv)), argv

        @rule(entry_id=IDS, value=st.binary(max_size=3))
        def add(self, entry_id, value):
            self.both(b"XADD", b"s", entry_id, b"f", value)

        @rule(entry_id=IDS, length=COUNTS)
        def add_and_trim(self, entry_id, length):
            self.both(b"XADD", b"s", b"MAXLEN", length, entry_id, b"f", b"1")

        @rule(group=GROUPS, consumer=CONSUMERS, count=COUNTS, position=st.sampled_from([b">", b">", b"0", b"1-1"]))
        def read(self, group, consumer, count, position):
            self.both(b"XREADGROUP", b"GROUP", group, consumer, b"COUNT", count, b"STREAMS", b"s", position)

        @rule(group=GROUPS, consumer=CONSUMERS)
        def read_without_ack(self, group, consumer):
            self.both(b"XREADGROUP", b"GROUP", group, consumer, b"NOACK", b"STREAMS", b"s", b">")

        @rule(group=GROUPS, ids=st.lists(IDS.filter(lambda one: b"*" not in one), min_size=1, max_size=3))
        def ack(self, group, ids):
            self.both(b"XACK", b"s", group, *ids)

        @rule(entry_id=IDS.filter(lambda one: b"*" not in one))
        def delete(self, entry_id):
            self.both(b"XDEL", b"s", entry_id)

        @rule(length=st.sampled_from([b"0", b"1", b"2"]))
        def trim(self, length):
            self.both(b"XTRIM", b"s", b"MAXLEN", length)

        @rule(threshold=IDS.filter(lambda one: b"*" not in one))
        def trim_below(self, threshold):
            self.both(b"XTRIM", b"s", b"MINID", threshold)

        @rule(group=GROUPS, position=POSITIONS, read=st.sampled_from([[], [b"ENTRIESREAD", b"2"]]))
        def create_group(self, group, position, read):
            self.both(b"XGROUP", b"CREATE", b"s", group, position, b"MKSTREAM", *read)

        @rule(group=GROUPS, position=POSITIONS, read=st.sampled_from([[], [b"ENTRIESREAD", b"1"]]))
        def set_group(self, group, position, read):
            self.both(b"XGROUP", b"SETID", b"s", group, position, *read)

        @rule(group=GROUPS, consumer=CONSUMERS)
        def drop_consumer(self, group, consumer):
            self.both(b"XGROUP", b"DELCONSUMER", b"s", group, consumer)

        @rule(group=GROUPS, consumer=CONSUMERS, entry_id=IDS.filter(lambda one: b"*" not in one))
        def claim(self, group, consumer, entry_id):
            self.both(b"XCLAIM", b"s", group, consumer, b"0", entry_id, b"FORCE")

        @rule(group=GROUPS, consumer=CONSUMERS, start=POSITIONS.filter(lambda one: one != b"$"), count=COUNTS)
        def claim_automatically(self, group, consumer, start, count):
            self.both(b"XAUTOCLAIM", b"s", group, consumer, b"0", start, b"COUNT", count)

        @rule(last=IDS.filter(lambda one: b"*" not in one))
        def set_id(self, last):
            self.both(b"XSETID", b"s", last)

        @invariant()
        def state_is_equal(self):
            self.both(b"XRANGE", b"s", b"-", b"+")
            self.both(b"XINFO", b"GROUPS", b"s")
            self.both(b"XINFO", b"STREAM", b"s")
            for group in (b"g", b"h"):
                self.both(b"XPENDING", b"s", group)
                rows = [plain(one.call(b"XPENDING", b"s", group, b"-", b"+", b"99")) for one in (self.real, self.ours)]
                assert [without_idle(found) for found in rows[:1]] == [without_idle(found) for found in rows[1:]]

    run_state_machine_as_test(
        Twins,
        settings=settings(
            max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def without_idle(rows):
    """Drop the idle time of each pending entry."""
    return rows if isinstance(rows, tuple) else [[row[0], row[1], row[3]] for row in rows]
