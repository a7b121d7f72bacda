"""WS3: a client that keeps up knows soon what was published, whatever other clients do.

How long an event takes is from the call of `publish` until the client has it, or a newer one of its key: of an event
that was conflated, nothing would be measured otherwise, and a server could be quick by conflating nearly all. An event
that a client never had counts with the time that it waited.

Measured are the events of each session that were published while its client was not disturbed, and not of hosts that
are slow on purpose; the first `catch_up_ns` of a session are left out, as what changed while a client was away has to
go through the same 50 events a second as what changes now. Judged is the percentile over all of them, and over those
of each second, if it has enough, by itself: a stall of half a second disappears in the figure for the whole run. In the
real world the limit is `real_limit_ns`.

Checked: events measured. Observed: the worst percentile, in milliseconds.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from harness.history.history import History
from harness.history.query import parse_percentile, percentile
from harness.invariants.base import result
from harness.invariants.feed_findings import Offence, explain
from harness.invariants.feed_record import DEFAULT_FOLLOWING, Feed, Following, Session, read_feed
from harness.units import MILLISECOND, SECOND, human, ms
from harness.verdict import InvariantResult, Outcome

_ENOUGH: Final = 100
"""Measurements that a second must have to be judged by itself: with fewer, p99 is the worst one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """WS3: the percentile `at` of publish-to-receive is at most `limit_ns` for clients that keep up."""

    id: str
    name: str
    statement: str
    limit_ns: int
    real_limit_ns: int
    at: str = "p99"
    catch_up_ns: int = SECOND
    following: Following = DEFAULT_FOLLOWING
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge all events together, and those published within each second."""
        feed = read_feed(history, self.following)
        limit_ns = self.limit_ns if history.header.world == "sim" else self.real_limit_ns
        share = parse_percentile(self.at)
        waits: dict[int, list[tuple[int, Session, int]]] = {}
        for session in feed.sessions:
            if not feed.is_slow(session.host):
                for seq, published_ns, wait_ns in _waits(feed, session, self.catch_up_ns):
                    waits.setdefault(published_ns // SECOND, []).append((wait_ns, session, seq))
        everything = sorted(wait for group in waits.values() for wait, _, _ in group)
        figures: dict[int | None, int] = {None: percentile(everything, share)} if everything else {}
        for second, group in waits.items():
            if len(group) >= _ENOUGH:
                figures[second] = percentile(sorted(wait for wait, _, _ in group), share)
        over = {second for second, figure in figures.items() if figure > limit_ns}
        offences = [
            self._of(feed, session, seq, wait_ns)
            for second, group in sorted(waits.items())
            for wait_ns, session, seq in group
            if wait_ns > limit_ns and over and (None in over or second in over)
        ]
        offences.sort(key=lambda one: one.time_ns)
        return result(
            self,
            Outcome.VIOLATED if offences else Outcome.HOLDS,
            checked=len(everything),
            observed=max(figures.values()) / MILLISECOND if figures else None,
            limit=limit_ns / MILLISECOND,
            unit="ms",
            finding=explain(history, offences, f"later than {human(limit_ns)}, more than {self.at} allows")
            if offences
            else None,
        )

    def _of(self, feed: Feed, session: Session, seq: int, wait_ns: int) -> Offence:
        what = f"{seq} took {human(wait_ns)}"
        return Offence(session.host, session.label, feed.published[seq].start_ns + wait_ns, what, wait_ns)


def _waits(feed: Feed, session: Session, catch_up_ns: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, time of publishing and wait of each event published during the session.

    Gone through backwards: what the client gets later of a key answers for all of that key before it.
    """
    got: dict[tuple[str, str], tuple[list[int], list[int]]] = {}
    own: dict[int, int] = {}
    for batch in session.batches:
        for seq in batch.seqs:
            event = feed.published.get(seq)
            if event is None:
                continue
            if event.critical:
                own.setdefault(seq, batch.time_ns)
            else:
                seqs, times = got.setdefault((event.topic, event.key), ([], []))
                if not seqs or seq > seqs[-1]:
                    seqs.append(seq)
                    times.append(batch.time_ns)
    for event in feed.during(session.ready_ns + catch_up_ns, session.end_ns):
        if event.critical:
            time_ns = own.get(event.seq)
        else:
            seqs, times = got.get((event.topic, event.key), ([], []))
            at = bisect_right(seqs, event.seq - 1)
            time_ns = times[at] if at < len(seqs) else None
        wait_ns = (session.end_ns if time_ns is None else time_ns) - event.start_ns
        if not feed.is_disturbed(session.host, event.start_ns, event.start_ns + wait_ns + 1):
            yield event.seq, event.start_ns, wait_ns


def prompt(
    *,
    id: str = "WS3",  # noqa: A002 - PATCHES.md's word
    limit_ns: int = ms(250),
    real_limit_ns: int = SECOND,
    following: Following = DEFAULT_FOLLOWING,
) -> Prompt:
    """Declare WS3."""
    statement = f"clients that keep up have p99 of events within {human(limit_ns)}, with slow ones present"
    return Prompt(
        id=id, name="prompt", statement=statement, limit_ns=limit_ns, real_limit_ns=real_limit_ns, following=following
    )
