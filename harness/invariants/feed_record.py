"""What was published on a dashboard's feed, and what its clients got: read from a history, for WS1 to WS8.

*Published* are the `publish` operations of the dashboard's host: {n, topic, key, sum}, with the result `seq`. Of one
that never came back the number is unknown, but not its checksum.

*What a client got* are its sessions: a `connect` operation that succeeded begins one (its result has the snapshot, or
says that it was resumed), `feed` observations hold its batches in columns, and `left` ends it. What a host saw in the
last second of a life that was cut short is not on record, so nothing is concluded from the end of such a session.

*What the server did* is seen from below it: `handed` has the batches that it handed over for sending, by client and
session, and `served` when it took a connection up and let it go.

A client is *disturbed* while a fault holds of its link, of its host or of the dashboard's host, and `grace_ns` longer.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, TypeAlias

import msgspec

from harness.history.events import Observation
from harness.history.history import History
from harness.history.query import OperationRecord, fault_windows, lifetimes, observations, operations
from harness.units import ms, seconds

CRITICAL: Final = ("ess.", "order.")
"""How topics begin of which every event counts."""
Span: TypeAlias = tuple[int, int]
"""From (inclusive) until (exclusive), in nanoseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """How to read it. `slow` are hosts whose clients read too slowly on purpose: they are owed order, not speed."""

    dashboard: str = "dashboard"
    slow: tuple[str, ...] = ("slow", "stalled")
    grace_ns: int = seconds(2)
    real_slack_ns: int = seconds(1)
    """What a busy machine may add to any time, in the real world."""
    lag_ns: int = seconds(1)
    """State that is so young when the server dies may be lost with it, until its key is published again."""


DEFAULT_FOLLOWING: Final = Following()
_start = attrgetter("start_ns")


class Published(msgspec.Struct, frozen=True, gc=False):
    """One published event whose number is known."""

    seq: int
    topic: str
    key: str
    sum: int
    start_ns: int
    end_ns: int
    critical: bool


class Batch(msgspec.Struct, frozen=True, gc=False):
    """One batch, as it came or was handed over. `sums` is empty where it was handed over."""

    time_ns: int
    after: int
    through: int
    conflated: int
    seqs: Sequence[int]
    sums: Sequence[int]


@dataclass(frozen=True, slots=True)
class Session:
    """One welcomed connection of one client.

    `asked` is (last_seq, critical_seq) of its hello. `end_ns` is when the client left it or, if its host died, the last
    that is known of it. Critical events up to `critical_from`, of a snapshot, were not to come; None if it was resumed.
    """

    host: str
    client: str
    number: int
    start_ns: int
    ready_ns: int
    end_ns: int
    base: int
    resumed: bool
    asked: tuple[int | None, int | None]
    critical_from: int | None
    snapshot: Mapping[int, int]
    batches: tuple[Batch, ...]
    why: str
    """As in `left`; `died` if that is not on record."""
    code: int | None = None

    @property
    def label(self) -> str:
        """`watchers-003/2`."""
        return f"{self.client}/{self.number}"

    @property
    def critical_after(self) -> int:
        """Critical events above this number were to come."""
        return max(self.asked[1] or 0, self.critical_from or 0)


@dataclass(frozen=True, slots=True)
class Served:
    """One connection, from the server's side. `end_ns` is None if it was still there at the end."""

    client: str
    session: int
    incarnation: int
    start_ns: int
    end_ns: int | None
    pending_max: int
    batches: tuple[Batch, ...]

    @property
    def label(self) -> str:
        """`watchers-003/2`, or the number of one that did not say who it was."""
        return f"{self.client or 'unknown'}/{self.session}"


@dataclass(frozen=True, slots=True)
class Feed:
    """All of it. `keys` has the numbers of each state key's events, ascending; `criticals` those of critical events.

    `unconfirmed` has the checksums of events whose number is unknown, and whether they are critical.
    """

    published: Mapping[int, Published]
    unconfirmed: Mapping[int, bool]
    keys: Mapping[tuple[str, str], tuple[int, ...]]
    criticals: tuple[int, ...]
    in_time: tuple[Published, ...]
    """All that was published, in the order of the calls."""
    sessions: tuple[Session, ...]
    served: tuple[Served, ...]
    disturbed: Mapping[str, tuple[Span, ...]]
    deaths: tuple[int, ...]
    options: Mapping[str, Any]
    slack_ns: int
    following: Following

    def newest(self, topic: str, key: str, until_ns: int, *, sure: bool = True) -> int:
        """Return the newest number of that key published by then; 0 if there is none.

        If `sure`, without what may have been lost when the server died.
        """
        for seq in reversed(self.keys.get((topic, key), ())):
            event = self.published[seq]
            if event.end_ns <= until_ns and not (sure and self._lost(event)):
                return seq
        return 0

    def next_of(self, event: Published) -> Published | None:
        """Return what superseded a state event."""
        seqs = self.keys[event.topic, event.key]
        at = bisect_left(seqs, event.seq) + 1
        return self.published[seqs[at]] if at < len(seqs) else None

    def during(self, start_ns: int, end_ns: int) -> Sequence[Published]:
        """Return what was published from the one time until the other, by the beginning of the call."""
        first = bisect_left(self.in_time, start_ns, key=_start)
        return self.in_time[first : bisect_left(self.in_time, end_ns, key=_start)]

    def is_disturbed(self, host: str, start_ns: int, end_ns: int) -> bool:
        """Tell whether a client there was disturbed at any time of that span."""
        return any(first < end_ns and start_ns < last for first, last in self.disturbed.get(host, ()))

    def is_slow(self, host: str) -> bool:
        """Tell whether the clients of that host read too slowly on purpose."""
        return host in self.following.slow

    def clients(self) -> Iterator[list[Session]]:
        """Yield the sessions of each client, in order."""
        grouped: dict[str, list[Session]] = {}
        for session in self.sessions:
            grouped.setdefault(session.client, []).append(session)
        yield from grouped.values()

    def _lost(self, event: Published) -> bool:
        return any(death - self.following.lag_ns <= event.end_ns <= death for death in self.deaths)


def read_feed(history: History, following: Following = DEFAULT_FOLLOWING) -> Feed:
    """Return the record."""
    return history.once(("feed", following), lambda: _read(history, following))


def _read(history: History, following: Following) -> Feed:
    published, unconfirmed = _published(history)
    keys: dict[tuple[str, str], list[int]] = {}
    for seq in sorted(published):
        event = published[seq]
        if not event.critical:
            keys.setdefault((event.topic, event.key), []).append(seq)
    sessions = _sessions(history)
    started = [one for one in operations(history, "start") if one.actor == following.dashboard]
    hosts = {one.host for one in sessions}
    return Feed(
        published=published,
        unconfirmed=unconfirmed,
        keys={key: tuple(seqs) for key, seqs in keys.items()},
        criticals=tuple(seq for seq in sorted(published) if published[seq].critical),
        in_time=tuple(sorted(published.values(), key=_start)),
        sessions=sessions,
        served=_served(history),
        disturbed={host: _disturbed(history, following, host) for host in hosts},
        deaths=tuple(
            life.end_ns
            for life in lifetimes(history)
            if life.name == following.dashboard and life.ending in ("killed", "powered_off") and life.end_ns is not None
        ),
        options=started[0].value if started else {},
        slack_ns=ms(1) if history.header.world == "sim" else following.real_slack_ns,
        following=following,
    )


def _published(history: History) -> tuple[dict[int, Published], dict[int, bool]]:
    published: dict[int, Published] = {}
    unconfirmed: dict[int, bool] = {}
    for one in operations(history, "publish"):
        value = one.value
        if one.outcome == "ok" and one.end_ns is not None and one.result is not None and "seq" in one.result:
            seq, topic = int(one.result["seq"]), str(value["topic"])
            published[seq] = Published(
                seq, topic, str(value["key"]), int(value["sum"]), one.start_ns, one.end_ns, topic.startswith(CRITICAL)
            )
        else:
            unconfirmed[int(value["sum"])] = str(value["topic"]).startswith(CRITICAL)
    return published, unconfirmed


def _sessions(history: History) -> tuple[Session, ...]:
    batches = _columns(observations(history, "feed"), lambda one: (one.value["client"], one.value["session"]))
    left = {(one.value["client"], one.value["session"]): one for one in observations(history, "left")}
    ends = {(life.name, life.incarnation): life.end_ns for life in lifetimes(history)}
    found = []
    for one in operations(history, "connect"):
        if one.outcome == "ok" and one.end_ns is not None:
            key = (one.value["client"], one.value["session"], one.actor, one.incarnation)
            found.append(_session(one, batches.get(key, ()), left.get(key[:2]), ends.get(key[2:]) or history.end_ns))
    return tuple(found)


def _session(one: OperationRecord, batches: tuple[Batch, ...], left: Observation | None, life_end_ns: int) -> Session:
    assert one.end_ns is not None
    result = one.result or {}
    if left is not None and left.incarnation == one.incarnation:
        end_ns, why = left.time_ns, str(left.value["why"])
    else:
        end_ns, why = min(life_end_ns, batches[-1].time_ns if batches else one.end_ns), "died"
    return Session(
        host=one.actor,
        client=str(one.value["client"]),
        number=int(one.value["session"]),
        start_ns=one.start_ns,
        ready_ns=one.end_ns,
        end_ns=end_ns,
        base=int(result["base"]),
        resumed=bool(result["resumed"]),
        asked=(one.value.get("last_seq"), one.value.get("critical_seq")),
        critical_from=None if result["resumed"] else int(result["critical_from"]),
        snapshot=dict(zip(result["seqs"], result["sums"], strict=True)),
        batches=batches,
        why=why,
        code=None if left is None else left.value["code"],
    )


def _served(history: History) -> tuple[Served, ...]:
    batches = _columns(observations(history, "handed"), lambda one: (one.value["number"],))
    found = []
    for one in observations(history, "served"):
        value = one.value
        ended_ns = value["ended_ns"]
        found.append(
            Served(
                client=str(value["client"]),
                session=int(value["session"]),
                incarnation=one.incarnation,
                start_ns=int(value["opened_ns"]),
                end_ns=None if ended_ns is None else int(ended_ns),
                pending_max=int(value["pending_max"]),
                batches=batches.get((value["number"], one.actor, one.incarnation), ()),
            )
        )
    return tuple(found)


def _columns(seen: Sequence[Observation], key: Any) -> dict[tuple[Any, ...], tuple[Batch, ...]]:
    """Return the batches by whose they are, host and incarnation."""
    found: dict[tuple[Any, ...], list[Batch]] = {}
    for one in seen:
        value = one.value
        batches = found.setdefault((*key(one), one.actor, one.incarnation), [])
        seqs, sums, at = value["seqs"], value.get("sums", ()), 0
        for time_ns, after, through, conflated, count in zip(
            value["t"], value["after"], value["through"], value["conflated"], value["counts"], strict=True
        ):
            batches.append(Batch(time_ns, after, through, conflated, seqs[at : at + count], sums[at : at + count]))
            at += count
    return {whose: tuple(batches) for whose, batches in found.items()}


def _disturbed(history: History, following: Following, host: str) -> tuple[Span, ...]:
    places = (f"{host}->{following.dashboard}", host, following.dashboard)
    return tuple(
        (window.start_ns, (history.end_ns if window.end_ns is None else window.end_ns) + following.grace_ns)
        for window in fault_windows(history)
        if window.on in places and window.name.startswith(("network.", "process."))
    )
