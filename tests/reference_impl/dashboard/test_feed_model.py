"""The feed against a naive model: a list of all that was published, searched anew at every step."""

from dataclasses import dataclass, field

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reference_impl._dashboard.feed import Feed, Had
from reference_impl._dashboard.model import Event, Options, Restored, is_critical
from reference_impl._dashboard.position import Position

SECOND = 1_000_000_000
MS = 1_000_000
OPTIONS = Options(
    events_per_second=7,
    batch_events=3,
    critical_retained=8,
    queue_max=8,
    keys_max=8,
    resume_keys_max=3,
    max_clients=200,
)
KEYS = ("a", "b", "c", "d", "e")
RESERVED = 100
LONG = 25
"""A life has so many events at least before it ends, as otherwise hardly anything would happen in one."""


@dataclass(eq=False)
class Client:
    """What one client saw, on one connection after another."""

    position: Position | None = None
    base: int = 0
    through: int = 0
    conflated: int = 0
    state_seqs: set[int] = field(default_factory=set)
    criticals: list[int] = field(default_factory=list)
    critical_seq: int = 0
    missed: list[tuple[int, int]] = field(default_factory=list)
    state: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    sent: list[tuple[int, int]] = field(default_factory=list)

    def apply(self, event: Event) -> None:
        """Keep the newest value of a key."""
        key = (event.topic, event.key)
        if event.seq > self.state.get(key, (0, ""))[0]:
            self.state[key] = (event.seq, event.value)

    @property
    def delivered(self) -> int:
        """How many events of those up to `through` it was sent."""
        return sum(self.base < seq <= self.through for seq in (*self.state_seqs, *self.criticals))


class FeedRules(RuleBasedStateMachine):
    """Events, a store that is late, clients that come, go, are slow and come back, restarts and crashes."""

    feed_type: type[Feed] = Feed

    @initialize()
    def begin(self) -> None:
        """An empty feed."""
        self.now = 10 * SECOND
        self.life = 0
        self.published: list[tuple[int, str, str, str]] = []
        self.clients: list[Client] = []
        self.stored = Restored(
            epoch="e", seq=0, reserved=RESERVED, resume_floor=0, critical_floor=0, critical=[], latest=[]
        )
        self.feed = self.feed_type(OPTIONS, self.stored)
        self.join()
        self.join()

    @rule(keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=6), taking=st.booleans())
    def publish_state(self, keys: list[str], taking: bool) -> None:
        """Values of some keys; others of these may be on their way already."""
        for key in keys:
            self.publish("x.state", key)
        for client in self.clients if taking else ():
            self.take_one(client)

    @rule(count=st.integers(1, 4), topic=st.sampled_from(("ess.state", "order.update")))
    def publish_critical(self, count: int, topic: str) -> None:
        """Critical events, which wait for the store."""
        for number in range(count):
            self.publish(topic, KEYS[number])

    def publish(self, topic: str, key: str) -> None:
        """Publish one, and note it."""
        self.life += 1
        event = self.feed.publish(topic, key, len(self.published), 0, self.now)
        assert event.seq == self.feed.seq
        assert not self.published or event.seq > self.published[-1][0]
        self.published.append((event.seq, topic, key, event.value))

    @precondition(lambda self: self.feed.staged)
    @rule(share=st.floats(0, 1))
    def settle(self, share: float) -> None:
        """The store has taken some of the critical events."""
        staged = [event.seq for event, _ in self.feed.staged]
        self.feed.settle(staged[int(share * (len(staged) - 1))], self.now)

    @rule(ms=st.sampled_from((1, 20, 50, 100, 143, 200, 500, 999, 1_000, 3_000)))
    def wait(self, ms: int) -> None:
        """Time passes."""
        self.now += ms * MS
        self.feed.merge(self.now)

    @rule()
    def join(self) -> None:
        """Somebody comes for the first time."""
        if len(self.clients) < 4:
            self.clients.append(Client())
            self.connect(self.clients[-1], Had())

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        """Somebody's connection is lost, and made anew."""
        client = data.draw(st.sampled_from(self.clients))
        if client.position is not None:
            self.feed.leave(client.position)
        self.connect(client, Had(epoch="e", last_seq=client.through, critical_seq=client.critical_seq))

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), all_of_it=st.booleans())
    def take(self, data: st.DataObject, all_of_it: bool) -> None:
        """Somebody has room for a frame, or for many."""
        client = data.draw(st.sampled_from(self.clients))
        while self.take_one(client) and all_of_it:
            pass

    @precondition(lambda self: self.life > LONG)
    @rule()
    def restart(self) -> None:
        """The server ends in good order, and begins again."""
        for event, _ in list(self.feed.staged):
            self.feed.settle(event.seq, self.now)
        self.begin_again(self.feed.seq, self.feed.resume_floor, list(self.feed.latest.values()))

    @precondition(lambda self: self.life > LONG)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """The server is killed: what was staged is lost, and some of the latest values."""
        lost = {event.seq for event, _ in self.feed.staged}
        latest = list(self.feed.latest.values())
        kept = latest[: data.draw(st.integers(0, len(latest)))]
        lost |= {event.seq for event in latest if event not in kept}
        self.published = [one for one in self.published if one[0] not in lost]
        # what the values that are lost had superseded is superseded by nothing: it is lost as well
        latest_kept = {(event.topic, event.key): event.seq for event in kept}
        self.published = [
            one for one in self.published if is_critical(one[1]) or one[0] <= latest_kept.get((one[1], one[2]), 0)
        ]
        self.begin_again(self.feed.seq + RESERVED, self.feed.seq + RESERVED, kept)

    def begin_again(self, seq: int, resume_floor: int, latest: list[Event]) -> None:
        """A new process, with what the store has; all come back."""
        log = self.feed.log
        critical = log.read(log.place_after(log.floor), log.end)
        restored = Restored(
            epoch="e",
            seq=seq,
            reserved=seq + RESERVED,
            resume_floor=resume_floor,
            critical_floor=log.floor,
            critical=critical,
            latest=sorted([*latest, *self.feed.latest_critical.values()]),
        )
        self.feed = self.feed_type(OPTIONS, restored)
        self.life = 0
        for client in self.clients:
            self.connect(client, Had(epoch="e", last_seq=client.through, critical_seq=client.critical_seq))

    def connect(self, client: Client, had: Had) -> None:
        """Do what a client does at a welcome."""
        joined = self.feed.join(had)
        position = client.position = joined.position
        client.base = client.through = position.base
        client.conflated = 0
        client.sent = []
        client.state_seqs = set()
        if joined.snapshot is not None:
            client.state = {}
            assert [event.seq for event in joined.snapshot] == sorted(event.seq for event in joined.snapshot)
            for event in joined.snapshot:
                assert event.seq <= position.base
                client.apply(event)
        else:
            assert had.last_seq == position.base
        if had.critical_seq is None or client.critical_seq < joined.critical_from:
            client.missed.append((client.critical_seq, joined.critical_from))
            client.critical_seq = joined.critical_from

    def take_one(self, client: Client) -> bool:
        """Take a batch, if there is one, and look at it."""
        position = client.position
        if position is None:
            return False
        if self.feed.fell_behind(position):
            self.connect_anew(client)
            return True
        batch = self.feed.take(position, self.now)
        if batch is None:
            return False
        assert 1 <= len(batch.events) <= OPTIONS.batch_events
        client.sent.append((self.now, len(batch.events)))
        assert sum(n for at, n in client.sent if at > self.now - SECOND) <= OPTIONS.events_per_second
        assert batch.after == client.through <= batch.through
        for event in batch.events:
            if is_critical(event.topic):
                assert event.seq == self.next_critical(client)
                client.criticals.append(event.seq)
                client.critical_seq = event.seq
            else:
                assert event.seq > client.base
                assert event.seq not in client.state_seqs
                client.state_seqs.add(event.seq)
            client.apply(event)
        client.through = batch.through
        client.conflated += batch.conflated
        self.check_conflated(client, batch.after)
        return True

    def connect_anew(self, client: Client) -> None:
        """It fell behind, was dropped, and comes back."""
        assert client.position is not None
        self.feed.leave(client.position)
        self.connect(client, Had(epoch="e", last_seq=client.through, critical_seq=client.critical_seq))

    def next_critical(self, client: Client) -> int:
        """Return the first critical event that the client lacks."""
        return next(seq for seq, topic, *_ in self.published if is_critical(topic) and seq > client.critical_seq)

    def check_conflated(self, client: Client, after: int) -> None:
        """What was passed without being delivered is state, and has a newer value."""
        has = {*client.state_seqs, *client.criticals}
        for seq, topic, key, _ in self.published:
            if after < seq <= client.through and seq not in has:
                assert not is_critical(topic)
                assert any(
                    one[:3] == (newer, topic, key) for one in self.published for newer in [one[0]] if newer > seq
                )

    @invariant()
    def everything_is_accounted_for(self) -> None:
        """At every step, for every client."""
        for client in self.clients:
            assert client.delivered + client.conflated == client.through - client.base

    @invariant()
    def memory_is_bounded(self) -> None:
        """By keys and limits."""
        for client in self.clients:
            if client.position is not None:
                assert len(client.position.pending) <= len(KEYS)
        assert len(self.feed.log.read(self.feed.log.place_after(self.feed.log.floor), 10_000)) <= 10
        assert len(self.feed.latest) <= OPTIONS.keys_max

    def teardown(self) -> None:
        """In the end all are equal to the server, and lack nothing that they were not told of."""
        if not hasattr(self, "feed"):
            return
        for event, _ in list(self.feed.staged):
            self.feed.settle(event.seq, self.now)
        for _ in range(60):
            self.now += SECOND
            self.feed.merge(self.now)
            for client in self.clients:
                while self.take_one(client):
                    pass
        latest = {(topic, key): (seq, value) for seq, topic, key, value in self.published}
        criticals = [seq for seq, topic, *_ in self.published if is_critical(topic)]
        for client in self.clients:
            assert client.through == self.feed.seq
            assert client.state == latest
            due = [seq for seq in criticals if not any(low < seq <= high for low, high in client.missed)]
            assert [seq for seq in client.criticals if seq in criticals] == due


FeedRules.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestFeedModel = FeedRules.TestCase
