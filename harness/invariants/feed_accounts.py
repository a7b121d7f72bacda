"""WS1: what a client got and what was conflated for it is what was published, to the last event.

A session is gone through batch by batch. An offence is

- `a hole` or `does not follow`: a batch that begins elsewhere than the last one ended;
- `miscounted`: `(after, through]` has more or fewer events than were delivered to this client, or conflated as it says;
- `again`: an event that came before, or that `through` had passed;
- `invented` or `altered`: a number that nobody was given, or with another content than was published under it;
- `withheld`: an event that `through` passed, that did not come, and that was critical, or of whose key no newer one
  came or was to come.

Any event may come before its turn. A critical one does not come again in the next session, and counts there where it is
passed; one that was missed comes late, in a session that began beyond it, and is not counted there.
Checked: events that came, snapshots included, and those that were conflated. Observed: offences.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.history.history import History
from harness.invariants.base import none_of
from harness.invariants.feed_findings import Offence, explain
from harness.invariants.feed_record import DEFAULT_FOLLOWING, Batch, Feed, Following, Published, Session, read_feed
from harness.verdict import InvariantResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounted:
    """WS1: per client, delivered + conflated = published; gaps are visible by sequence number."""

    id: str
    name: str
    statement: str
    following: Following = DEFAULT_FOLLOWING
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge every session of every client."""
        feed = read_feed(history, self.following)
        offences: list[Offence] = []
        checked = 0
        for sessions in feed.clients():
            early: set[int] = set()
            for session in sessions:
                account = _Account(feed, session, early if session.asked[1] is not None else set())
                offences += account.offences()
                early = account.critical_ahead
                checked += account.checked
        offences.sort(key=lambda one: one.time_ns)
        return none_of(
            self,
            offences,
            checked=checked,
            unit="offences",
            explain=lambda: explain(history, offences, "in what clients were given"),
        )


class _Account:
    """One session's. `ahead` are numbers that came and that `through` has not reached."""

    def __init__(self, feed: Feed, session: Session, ahead: set[int]) -> None:
        self._feed = feed
        self._session = session
        self._came: set[int] = set()
        self._ahead = {seq for seq in ahead if seq > session.base}
        self._before = frozenset(self._ahead)
        self._unconfirmed_critical: set[int] = set()
        self.checked = 0

    @property
    def critical_ahead(self) -> set[int]:
        """What came beyond `through` and will not come again."""
        return {seq for seq in self._ahead if seq in self._before or self._is_critical(seq)}

    def offences(self) -> Iterator[Offence]:
        session = self._session
        for seq, content in session.snapshot.items():
            yield from self._content(session.ready_ns, seq, content)
        through = session.base
        for batch in session.batches:
            if batch.after != through:
                yield self._of(batch, f"a batch does not follow: it begins at {batch.after}, not at {through}")
            for seq, content in zip(batch.seqs, batch.sums, strict=True):
                yield from self._event(batch, seq, content)
            yield from self._count(batch)
            through = batch.through
        yield from self._withheld(through)

    def _event(self, batch: Batch, seq: int, content: int) -> Iterator[Offence]:
        yield from self._content(batch.time_ns, seq, content)
        missed = self._is_critical(seq) and self._session.critical_after < seq <= self._session.base
        if seq in self._before or seq in self._came or (seq <= batch.after and not missed):
            yield self._of(batch, f"{seq} came again, or was passed before (after {batch.after})")
        self._came.add(seq)
        if seq > batch.after:
            self._ahead.add(seq)

    def _count(self, batch: Batch) -> Iterator[Offence]:
        arrived = [seq for seq in self._ahead if batch.after < seq <= batch.through]
        self._ahead = {seq for seq in self._ahead if seq > batch.through}
        self.checked += batch.conflated
        if len(arrived) + batch.conflated != batch.through - batch.after:
            said = f"{len(arrived)} delivered and {batch.conflated} conflated of {batch.through - batch.after}"
            yield self._of(batch, f"miscounted ({batch.after}, {batch.through}]: {said}")

    def _content(self, time_ns: int, seq: int, content: int) -> Iterator[Offence]:
        self.checked += 1
        event = self._feed.published.get(seq)
        if event is None and self._feed.unconfirmed.get(content):
            self._unconfirmed_critical.add(seq)
        if event is None and content not in self._feed.unconfirmed:
            yield Offence(self._session.host, self._session.label, time_ns, f"{seq} was invented: no one published it")
        elif event is not None and event.sum != content:
            yield Offence(self._session.host, self._session.label, time_ns, f"{seq} came altered")

    def _withheld(self, through: int) -> Iterator[Offence]:
        """What was passed without having come must be superseded by what came, unless that is still to come."""
        feed, session = self._feed, self._session
        newest: dict[tuple[str, str], int] = {}
        for seq in self._came:
            event = feed.published.get(seq)
            if event is not None:
                newest[event.topic, event.key] = max(seq, newest.get((event.topic, event.key), 0))
        for seq in range(session.base + 1, through + 1):
            event = feed.published.get(seq)
            if event is None or seq in self._came or seq in self._before:
                continue
            if event.critical:
                if seq > session.critical_after:
                    yield Offence(session.host, session.label, session.end_ns, f"{seq}, critical, was withheld")
            elif newest.get((event.topic, event.key), 0) < seq and not self._is_pending(event, through):
                yield Offence(session.host, session.label, session.end_ns, f"{seq} of {event.key} was withheld")

    def _is_pending(self, event: Published, through: int) -> bool:
        """Tell whether a newer one of its key was there to come when the session ended."""
        newer = self._feed.published[self._feed.keys[event.topic, event.key][-1]]
        if newer.start_ns > self._session.end_ns:
            newest = self._feed.newest(event.topic, event.key, self._session.end_ns, sure=False)
            return newest > through
        return newer.seq > through

    def _is_critical(self, seq: int) -> bool:
        event = self._feed.published.get(seq)
        return seq in self._unconfirmed_critical if event is None else event.critical

    def _of(self, batch: Batch, what: str) -> Offence:
        return Offence(self._session.host, self._session.label, batch.time_ns, what)


def accounted(*, id: str = "WS1", following: Following = DEFAULT_FOLLOWING) -> Accounted:  # noqa: A002 - PATCHES.md's word
    """Declare WS1."""
    statement = "per client, delivered + conflated = published, and gaps are visible by sequence number"
    return Accounted(id=id, name="accounted", statement=statement, following=following)
