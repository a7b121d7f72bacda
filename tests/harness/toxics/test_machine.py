"""Conduits under arbitrary treatment: toxics come, change and go in both directions while bytes flow.

The model knows nothing of how toxics work. Every byte of a direction is unlike any other, so that what comes out can
be told apart; what must hold is bookkeeping: what went in has come out, is held, or is counted as dropped.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from harness.toxics.base import Active, Signal
from harness.toxics.catalog import merge, parse
from harness.toxics.conduit import Conduit
from harness.units import ms

SMALL = st.integers(0, 50)
ATTRIBUTES = {
    "latency": st.fixed_dictionaries({"latency": SMALL, "jitter": SMALL}),
    "bandwidth": st.fixed_dictionaries({"rate": st.integers(0, 3)}),
    "slow_close": st.fixed_dictionaries({"delay": SMALL}),
    "timeout": st.fixed_dictionaries({"timeout": SMALL}),
    "reset_peer": st.fixed_dictionaries({"timeout": SMALL}),
    "slicer": st.fixed_dictionaries(
        {"average_size": st.integers(2, 5), "size_variation": st.integers(0, 2), "delay": st.integers(0, 3000)}
    ),
    "limit_data": st.fixed_dictionaries({"bytes": SMALL}),
    "partition": st.just({}),
    "half_open": st.just({}),
    "half_close": st.just({}),
    "discard_first": st.fixed_dictionaries({"bytes": SMALL}),
    "abort": st.just({}),
}
KEEPING = {"latency", "bandwidth", "slow_close", "slicer", "partition", "half_close"}
"""Toxics that lose nothing."""
DIRECTIONS = ("upstream", "downstream")
DIRECTION = st.sampled_from(DIRECTIONS)


class Throws:
    """Dice with a cheap generator of their own: Hypothesis chooses the seed."""

    def __init__(self, seed):
        self._state = seed

    def below(self, bound, /):
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self._state >> 11) % bound


class Connection(RuleBasedStateMachine):
    kinds = st.sampled_from(sorted(ATTRIBUTES))

    @initialize(seed=st.integers(0, 2**32), data=st.data())
    def open(self, seed, data):
        self.now_ns = ms(1000)
        self.fed = dict.fromkeys(DIRECTIONS, 0)
        self.out = {direction: bytearray() for direction in DIRECTIONS}
        self.finished = set()
        self.ended = set()
        self.last = None
        self.actives = []
        self.gone = []
        for _ in range(data.draw(st.integers(0, 2))):
            self.actives.append(self.draw_active(data))
        self.conduit = Conduit(list(self.actives), lambda _name: Throws(seed))
        self.settle()

    def draw_active(self, data):
        kind = data.draw(self.kinds)
        return Active(
            name=f"{kind}{len(self.actives) + len(self.gone)}",
            stream=data.draw(DIRECTION),
            toxic=parse(kind, data.draw(ATTRIBUTES[kind])),
            toxicity=data.draw(st.sampled_from([1.0, 1.0, 0.5, 0.0])),
            per_message=data.draw(st.booleans()),
        )

    def note(self, output):
        for direction, item in output:
            assert self.last is None, "something followed the end of the connection"
            if isinstance(item, bytes):
                assert item, "an empty chunk"
                assert direction not in self.ended, "bytes followed their end"
                self.out[direction] += item
            elif item is Signal.END:
                assert direction in self.finished, "an end that nobody sent"
                assert direction not in self.ended, "a second end"
                self.ended.add(direction)
            else:
                self.last = item

    def settle(self):
        """What a shell does after everything: give turns until none is due."""
        for _ in range(20):
            if self.conduit.due_ns is None or self.conduit.due_ns > self.now_ns:
                return
            self.note(self.conduit.wake(self.now_ns))
        raise AssertionError("woken for nothing, again and again")

    @rule(data=st.data())
    def add(self, data):
        active = self.draw_active(data)
        self.actives.append(active)
        self.conduit.add(active)
        self.settle()

    @precondition(lambda self: self.actives)
    @rule(data=st.data())
    def change(self, data):
        active = data.draw(st.sampled_from(self.actives))
        active.toxic = merge(active.toxic, data.draw(ATTRIBUTES[active.toxic.type]))
        self.note(self.conduit.change(active, self.now_ns))
        self.settle()

    @precondition(lambda self: self.actives)
    @rule(data=st.data())
    def remove(self, data):
        self.remove_one(data.draw(st.sampled_from(self.actives)))

    def remove_one(self, active):
        self.actives = [each for each in self.actives if each is not active]
        self.gone.append(active)
        self.note(self.conduit.remove(active, self.now_ns))
        self.settle()

    @rule(direction=DIRECTION, size=st.integers(1, 12))
    def feed(self, direction, size):
        first = self.fed[direction]
        if direction in self.finished or first + size > 256:
            return
        self.fed[direction] += size
        self.note(self.conduit.feed(direction, self.now_ns, bytes(range(first, first + size))))
        self.settle()

    @rule(direction=DIRECTION)
    def finish(self, direction):
        if direction not in self.finished:
            self.finished.add(direction)
            self.note(self.conduit.finish(direction, self.now_ns))
            self.settle()

    @rule(late_ns=st.integers(0, ms(2)))
    def wake_when_due(self, late_ns):
        if self.conduit.due_ns is not None:
            self.now_ns = self.conduit.due_ns + late_ns
            self.settle()

    @rule(pass_ns=st.integers(0, ms(40)))
    def let_time_pass(self, pass_ns):
        self.now_ns += pass_ns
        self.settle()

    def lost(self, direction):
        return sum(each.effects["dropped"] for each in self.actives + self.gone if each.stream == direction)

    def closing(self, direction):
        """A toxic has closed this direction, and the close is on its way behind what is held."""
        return any(each.effects["closed"] for each in self.actives + self.gone if each.stream == direction)

    @invariant()
    def order_is_kept(self):
        for direction in DIRECTIONS:
            out = list(self.out[direction])
            assert out == sorted(set(out)), "a byte was doubled or moved"
            assert not out or out[-1] < self.fed[direction], "a byte that nobody sent"

    @invariant()
    def every_byte_is_accounted_for(self):
        for direction in DIRECTIONS:
            known = len(self.out[direction]) + self.conduit.held(direction) + self.lost(direction)
            assert known <= self.fed[direction]
            if self.last is None and not self.closing(direction):
                assert known == self.fed[direction]

    @invariant()
    def only_a_toxic_that_may_ends_the_connection(self):
        effects = [(each.toxic.type, each.effects) for each in self.actives + self.gone]
        closed, reset = (sum(counts[key] for _, counts in effects) for key in ("closed", "reset"))
        if self.last is Signal.RESET:
            assert reset
        elif self.last is Signal.CLOSE:
            assert closed
        assert not any(
            counts[key] for kind, counts in effects if kind in KEEPING for key in ("dropped", "closed", "reset")
        )

    @invariant()
    def a_connection_that_is_over_is_at_rest(self):
        if self.last is not None:
            assert self.conduit.due_ns is None
            assert all(self.conduit.held(direction) == 0 for direction in DIRECTIONS)

    @invariant()
    def nothing_is_due_in_the_past(self):
        assert self.conduit.due_ns is None or self.conduit.due_ns > self.now_ns

    def teardown(self):
        """Heal everything: what was neither dropped nor cut off by the end of the connection arrives, the end too."""
        if not hasattr(self, "conduit"):
            return
        while self.actives:
            self.remove_one(self.actives[0])
        self.every_byte_is_accounted_for()
        assert all(self.conduit.held(direction) == 0 for direction in DIRECTIONS)
        assert self.conduit.due_ns is None
        for direction in DIRECTIONS:
            harmless = all(each.toxic.type in KEEPING for each in self.gone if each.stream == direction)
            if harmless and self.last is None:
                assert bytes(self.out[direction]) == bytes(range(self.fed[direction]))
                assert (direction in self.ended) == (direction in self.finished)


class KeepingConnection(Connection):
    """Only toxics that lose nothing: in the end everything has arrived."""

    kinds = st.sampled_from(sorted(KEEPING))


TestConnection = Connection.TestCase
TestConnection.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestKeepingConnection = KeepingConnection.TestCase
TestKeepingConnection.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
