"""WS5: every critical event reaches every client that is connected, in order.

In each session critical events come in the order of their numbers, beginning with the first that the client had not
had, and none is left out: what has come is always a beginning of what was due. It may take `limit_ns` from the end of
`publish`, for clients that keep up and were not disturbed; nothing is asked about a session that ended before that. An
offence is `out of order`, `left out` or `late`.

Checked: critical events that came, and those that were due and did not. Observed: offences.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.history.history import History
from harness.invariants.base import none_of
from harness.invariants.feed_findings import Offence, explain
from harness.invariants.feed_record import DEFAULT_FOLLOWING, Feed, Following, Session, read_feed
from harness.units import human, seconds
from harness.verdict import InvariantResult


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticalHeard:
    """WS5: every critical event reaches every connected client, in order, within `limit_ns`."""

    id: str
    name: str
    statement: str
    limit_ns: int
    following: Following = DEFAULT_FOLLOWING
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge every session by itself."""
        feed = read_feed(history, self.following)
        offences: list[Offence] = []
        checked = 0
        for session in feed.sessions:
            came = [
                (batch.time_ns, seq)
                for batch in session.batches
                for seq in batch.seqs
                if (event := feed.published.get(seq)) is not None and event.critical
            ]
            checked += len(came)
            missing = list(self._missing(feed, session, came))
            checked += len(missing)
            offences += [*_disorder(session, came), *missing]
        offences.sort(key=lambda one: one.time_ns)
        return none_of(
            self,
            offences,
            checked=checked,
            unit="offences",
            explain=lambda: explain(history, offences, "in the critical events of clients"),
        )

    def _missing(self, feed: Feed, session: Session, came: list[tuple[int, int]]) -> Iterator[Offence]:
        times: dict[int, int] = {}
        for came_ns, number in came:
            times.setdefault(number, came_ns)
        last = max(times, default=0)
        limit_ns = self.limit_ns + feed.slack_ns
        for seq in feed.criticals:
            event = feed.published[seq]
            if seq <= session.critical_after or event.start_ns >= session.end_ns:
                continue
            time_ns = times.get(seq)
            if time_ns is None and seq < last:
                yield Offence(session.host, session.label, session.end_ns, f"{seq} ({event.topic}) was left out")
                continue
            due_ns = max(event.end_ns, session.ready_ns) + limit_ns
            owed = not feed.is_slow(session.host) and not feed.is_disturbed(session.host, event.start_ns, due_ns)
            if owed and due_ns < (session.end_ns if time_ns is None else time_ns):
                late = "did not come" if time_ns is None else f"came after {human(time_ns - event.end_ns)}"
                yield Offence(session.host, session.label, due_ns, f"late: {seq} ({event.topic}) {late}")


def _disorder(session: Session, came: list[tuple[int, int]]) -> Iterator[Offence]:
    last = session.critical_after
    for time_ns, seq in came:
        if seq <= last:
            yield Offence(session.host, session.label, time_ns, f"out of order: {seq} came after {last}")
        last = max(last, seq)


def critical_heard(
    *,
    id: str = "WS5",  # noqa: A002 - PATCHES.md's word
    limit_ns: int = seconds(1),
    following: Following = DEFAULT_FOLLOWING,
) -> CriticalHeard:
    """Declare WS5."""
    statement = f"every critical event reaches every connected client, in order, within {human(limit_ns)}"
    return CriticalHeard(id=id, name="critical", statement=statement, limit_ns=limit_ns, following=following)
