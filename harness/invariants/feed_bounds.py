"""WS4: what one client costs the server is bounded, seen from below the server.

An offence is

- `kept`: a client that does not read (`stall`), or cannot be reached at all, was not let go within `drop_ns`. It cannot
  be reached while its host stands still or has lost power, or while its link is half-open, or cut towards the server;
- `outdated`: more than `outdated_max` events handed over on one connection were of a key that had had a newer value for
  longer than `fresh_ns`. Conflation never sends such a thing: they had been queued;
- `waiting`: more than `waiting_max` messages waited at once for the transport of one connection to take them.

Judged are clients whose server lived long enough to let them go. In the real world a client that does not read, and
says that it is there, is left out: kernels and the proxy between them take megabytes before a server can notice.

Checked: connections. Observed: the most outdated events of any of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from harness.history.history import History
from harness.history.query import fault_windows, lifetimes, observations, toxic_counts
from harness.invariants.base import result
from harness.invariants.feed_findings import Offence, explain
from harness.invariants.feed_record import DEFAULT_FOLLOWING, Feed, Following, Served, Session, read_feed
from harness.units import human, ms, seconds
from harness.verdict import InvariantResult, Outcome

_UNREACHABLE: Final = {
    ("network.half_open", "half-open"): "half_open",
    ("network.partition", "both-ways"): "partition",
    ("network.partition", "upstream"): "partition",
}
"""Faults of a link that take a client away, and the toxic whose effects show that they did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contained:
    """WS4: the server keeps a bounded amount for each client, and lets go of those that are not there."""

    id: str
    name: str
    statement: str
    drop_ns: int
    outdated_max: int
    fresh_ns: int = ms(500)
    waiting_max: int = 8
    following: Following = DEFAULT_FOLLOWING
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge every connection that the server had."""
        feed = read_feed(history, self.following)
        served = {(one.client, one.session): one for one in feed.served}
        offences = [*self._kept(history, feed, served)]
        most = 0
        for one in feed.served:
            outdated = sum(_outdated(feed, one, self.fresh_ns))
            most = max(most, outdated)
            last_ns = one.batches[-1].time_ns if one.batches else one.start_ns
            if outdated > self.outdated_max:
                offences.append(self._of(one.label, last_ns, f"{outdated} outdated events had been queued", outdated))
            if one.pending_max > self.waiting_max:
                what = f"{one.pending_max} messages waited at once to be taken"
                offences.append(self._of(one.label, last_ns, what, one.pending_max))
        offences.sort(key=lambda one: one.time_ns)
        return result(
            self,
            Outcome.VIOLATED if offences else Outcome.HOLDS,
            checked=len(feed.served),
            observed=most,
            limit=self.outdated_max,
            unit="outdated events",
            finding=explain(history, offences, "against a bounded cost of each client") if offences else None,
        )

    def _kept(self, history: History, feed: Feed, served: dict[tuple[str, int], Served]) -> Iterator[Offence]:
        drop_ns = self.drop_ns + feed.slack_ns
        for session, since_ns, until_ns, why in _gone(history, feed):
            due_ns = since_ns + drop_ns
            if due_ns > until_ns or not _lives(history, self.following.dashboard, since_ns, due_ns):
                continue
            connection = served.get((session.client, session.number))
            if connection is not None and (connection.end_ns is None or connection.end_ns > due_ns):
                yield self._of(session.label, due_ns, f"kept for {human(drop_ns)} although it {why}", 0)

    def _of(self, client: str, time_ns: int, what: str, badness: float) -> Offence:
        return Offence(self.following.dashboard, client, time_ns, what, badness)


def _gone(history: History, feed: Feed) -> Iterator[tuple[Session, int, int, str]]:
    """Yield each session whose client was gone: from when, until when, and why."""
    sessions = {(one.client, one.number): one for one in feed.sessions}
    for seen in observations(history, "stall"):
        session = sessions.get((seen.value["client"], seen.value["session"]))
        if session is not None and not (seen.value["pings"] and history.header.world == "real"):
            yield session, seen.time_ns, history.end_ns, "did not read"
    for host, start_ns, end_ns, why in (*_cut_off(history, feed), *_standing_still(history)):
        for session in feed.sessions:
            # A power cut ends the record of a session up to a second early: whether it was there then is not known.
            there = session.ready_ns < start_ns and (session.why == "died" or start_ns < session.end_ns)
            if there and session.host == host:
                yield session, start_ns, history.end_ns if end_ns is None else end_ns, why


def _cut_off(history: History, feed: Feed) -> Iterator[tuple[str, int, int | None, str]]:
    for window in fault_windows(history):
        toxic = _UNREACHABLE.get((window.name, window.mode))
        host, _, to = window.on.partition("->")
        if toxic and to == feed.following.dashboard and toxic_counts(history, window, host, to, {toxic}):
            yield host, window.start_ns, window.end_ns, f"was out of reach ({window.name} {window.mode})"


def _standing_still(history: History) -> Iterator[tuple[str, int, int | None, str]]:
    """Yield who stood still, or lost power, as the world has it; a host without power is there no more."""
    for life in lifetimes(history):
        for start_ns, end_ns in life.frozen:
            yield life.name, start_ns, end_ns, "stood still"
        if life.ending == "powered_off" and life.end_ns is not None:
            yield life.name, life.end_ns, None, "had lost power"


def _lives(history: History, host: str, start_ns: int, end_ns: int) -> bool:
    """Tell whether one life of the host spans all that time, without standing still in it."""
    return any(
        life.name == host
        and life.start_ns <= start_ns
        and (life.end_ns is None or end_ns <= life.end_ns)
        and not any(first < end_ns and (last is None or start_ns < last) for first, last in life.frozen)
        for life in lifetimes(history)
    )


def _outdated(feed: Feed, served: Served, fresh_ns: int) -> Iterator[bool]:
    for batch in served.batches:
        for seq in batch.seqs:
            event = feed.published.get(seq)
            newer = None if event is None or event.critical else feed.next_of(event)
            yield newer is not None and batch.time_ns - newer.end_ns > fresh_ns


def contained(
    *,
    id: str = "WS4",  # noqa: A002 - PATCHES.md's word
    drop_ns: int = seconds(7),
    outdated_max: int = 20,
    following: Following = DEFAULT_FOLLOWING,
) -> Contained:
    """Declare WS4."""
    statement = (
        f"what a client costs the server is bounded, and one that is not there is let go within {human(drop_ns)}"
    )
    return Contained(
        id=id, name="contained", statement=statement, drop_ns=drop_ns, outdated_max=outdated_max, following=following
    )
