"""WS6: a client that was away knows, once it is back, what everybody knows.

Each session that follows another of the same client is a return. It is judged at its end, if it lasted `settle_ns` and
was not disturbed in that time, and its host is not slow on purpose: of every key that was published, the client has the
value that was the latest `settle_ns` before, or a newer one. What it had before counts if it was resumed, else its
snapshot. Values that died with the server (acknowledged less than `lag_ns` before it was killed) may be older, until
their key is published again. An offence is

- `outdated` or `unknown`: such a key with an older value, or none;
- `lost`: critical events, published while the client was away, that it was told not to expect any more although the
  server keeps so many (`critical_retained`);
- `elsewhere`: a session resumed at another position than that which the client asked for.

Checked: keys and critical events compared. Observed: offences.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.history.history import History
from harness.invariants.base import none_of
from harness.invariants.feed_findings import Offence, explain
from harness.invariants.feed_record import DEFAULT_FOLLOWING, Feed, Following, Session, read_feed
from harness.units import seconds
from harness.verdict import InvariantResult

_RETAINED = 10_000
"""Critical events that a server keeps unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """WS6: after a drop, snapshot or resume leaves the client equal to what was published."""

    id: str
    name: str
    statement: str
    settle_ns: int
    following: Following = DEFAULT_FOLLOWING
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Follow each client over its sessions, and judge each return."""
        feed = read_feed(history, self.following)
        offences: list[Offence] = []
        checked = 0
        for sessions in feed.clients():
            known: dict[tuple[str, str], int] = {}
            for at, session in enumerate(sessions):
                known = _after(feed, session, known)
                if at == 0:
                    continue
                offences += _elsewhere(session)
                lost = list(_lost(feed, session))
                offences += lost
                checked += 1 + len(lost)
                for compared, offence in self._compare(feed, session, known):
                    checked += compared
                    offences += offence
        offences.sort(key=lambda one: one.time_ns)
        return none_of(
            self,
            offences,
            checked=checked,
            unit="offences",
            explain=lambda: explain(history, offences, "in what clients knew that had come back"),
        )

    def _compare(
        self, feed: Feed, session: Session, known: dict[tuple[str, str], int]
    ) -> Iterator[tuple[int, list[Offence]]]:
        settle_ns = self.settle_ns + feed.slack_ns
        as_of_ns = session.end_ns - settle_ns
        if session.why == "died" or session.ready_ns > as_of_ns or feed.is_slow(session.host):
            return
        if feed.is_disturbed(session.host, as_of_ns, session.end_ns):
            return
        for topic, key in feed.keys:
            newest = feed.newest(topic, key, as_of_ns)
            has = known.get((topic, key), 0)
            what = f"{key} of {topic} is {'unknown' if not has else f'outdated: {has}'}, and {newest} was published"
            yield 1, [Offence(session.host, session.label, session.end_ns, what, newest - has)] if has < newest else []


def _after(feed: Feed, session: Session, known: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """Return the newest number of each key that the client has at the end of the session."""
    after = dict(known) if session.resumed else {}
    for seqs in (session.snapshot, *(batch.seqs for batch in session.batches)):
        for seq in seqs:
            event = feed.published.get(seq)
            if event is not None and seq > after.get((event.topic, event.key), 0):
                after[event.topic, event.key] = seq
    return after


def _elsewhere(session: Session) -> Iterator[Offence]:
    if session.resumed and session.base != session.asked[0]:
        what = f"elsewhere: resumed at {session.base}, having asked for {session.asked[0]}"
        yield Offence(session.host, session.label, session.ready_ns, what)


def _lost(feed: Feed, session: Session) -> Iterator[Offence]:
    asked = session.asked[1]
    if asked is None or session.critical_from is None or session.critical_from <= asked:
        return
    missed = [seq for seq in feed.criticals if asked < seq <= session.critical_from]
    since = [seq for seq in feed.criticals if seq > asked and feed.published[seq].end_ns <= session.ready_ns]
    if missed and len(since) <= int(feed.options.get("critical_retained", _RETAINED)):
        what = f"lost: {len(missed)} critical events from {missed[0]} on, which the server should still have"
        yield Offence(session.host, session.label, session.ready_ns, what, len(missed))


def returned(
    *,
    id: str = "WS6",  # noqa: A002 - PATCHES.md's word
    settle_ns: int = seconds(1),
    following: Following = DEFAULT_FOLLOWING,
) -> Returned:
    """Declare WS6."""
    statement = "after a drop, snapshot or resume leaves the client equal to what was published"
    return Returned(id=id, name="resume", statement=statement, settle_ns=settle_ns, following=following)
