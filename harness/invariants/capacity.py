"""A buffer stays within its capacity, and what it gives up when full it owns up to.

Three figures must agree for each producer: the bus' own `dropped` counter, the ids that it announced, and
the acked events that no group ever saw. Two of them can differ for honest reasons:

- *Announced, yet delivered.* A frozen Redis takes in what was sent to it once it thaws. The bus got no
  answer, kept the event in the buffer, and later gave it up there. It cannot know better, so announced events
  that arrived are no offence. (Announcing everything to be excused from delivering is: see below.)
- *Counted, yet not announced*, after a SIGKILL: the counter is on disk with the rows that were dropped, the
  announcement is a call in a process that was killed in between. So a producer that was killed may have
  counted more than it announced, by as many as it lost; never less.

Overflow needs a full buffer, and that tells it from plain loss. The samples are some time apart, so a
buffer counts as having been full if a sample plus what was offered until the next one reaches the
capacity. If it can never have been full, an announcement of overflow is an offence, and undelivered
events are not overflow but loss, which is another invariant's business. If it was full, every acked event
that no group saw must have been announced: that is the drop which must not be silent.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.history.history import History
from harness.history.query import lifetimes
from harness.invariants.base import result
from harness.invariants.findings import Moment, at, counted, finding
from harness.invariants.flow import DEFAULT_FLOW, Announcement, Flow, FlowRecord, Publish, Sample, read_flow
from harness.invariants.timeline import publish_moments
from harness.verdict import Finding, InvariantResult, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The buffer never holds more than `rows`, and dropped = counted = announced.

    Observed: the most rows in any sample. Checked: samples.
    """

    id: str
    name: str
    statement: str
    rows: int
    flow: Flow = DEFAULT_FLOW
    needs_end: bool = True

    def __post_init__(self) -> None:
        if self.rows <= 0:
            raise ValueError(f"a capacity must be positive, not {self.rows} rows")

    def judge(self, history: History) -> InvariantResult:
        """Judge each producer by its own samples, announcements and acked events."""
        flow = read_flow(history, self.flow)
        books = _books(history, flow, self.rows)
        problems = [problem for book in books for problem in self._problems(history, book)]
        return result(
            self,
            Outcome.VIOLATED if problems else Outcome.HOLDS,
            checked=len(flow.samples),
            observed=max((sample.buffered for sample in flow.samples), default=None),
            limit=self.rows,
            unit="rows",
            reason="" if flow.samples else "the bus' own figures were never sampled",
            finding=self._explain(history, flow, problems) if problems else None,
        )

    def _problems(self, history: History, book: "_Book") -> Iterator["_Problem"]:
        for sample in book.samples:
            if sample.buffered > self.rows:
                text = f"{book.producer} held {sample.buffered} rows"
                yield _Problem(text, sample.time_ns, sample.buffered, sample=sample)
        if book.samples:
            last = book.samples[-1]
            announced = book.announced_by(last.time_ns)
            honest = last.dropped >= announced if book.killed else last.dropped == announced
            if not honest:
                text = f"{book.producer} counted {counted(last.dropped, 'dropped event')} and announced {announced}"
                yield _Problem(text, last.time_ns, abs(last.dropped - announced), sample=last)
        if not book.was_full and (book.announcements or any(sample.dropped for sample in book.samples)):
            text = f"{book.producer} gave up events although its buffer cannot have been full"
            shown = next((sample for sample in book.samples if sample.dropped), None)
            first = book.announcements[0] if book.announcements else None
            time_ns = min(seen.time_ns for seen in (shown, first) if seen is not None)
            yield _Problem(text, time_ns, 0, sample=shown, announcement=first)
        unannounced = len(book.silent) - (book.counted_only if book.killed else 0)
        if book.was_full and unannounced > 0 and not history.truncated:
            for publish in book.silent:
                text = f"{book.producer} gave up {counted(len(book.silent), 'acked event')} without announcing it"
                yield _Problem(text, publish.start_ns, 0, publish=publish)

    def _explain(self, history: History, flow: FlowRecord, problems: list["_Problem"]) -> Finding:
        texts = list(dict.fromkeys(problem.text for problem in problems))
        more = f" (and {len(texts) - 3} more)" if len(texts) > 3 else ""  # noqa: PLR2004 - a sentence has room for three
        problems.sort(key=lambda problem: problem.time_ns)
        return finding(
            history,
            f"{'; '.join(texts[:3])}{more} (limit {self.rows} rows, dropped = counted = announced)",
            problems,
            label=lambda problem: at(problem.label, problem.time_ns),
            moments=lambda problem: problem.moments(flow),
            badness=lambda problem: problem.badness,
        )


@dataclass(frozen=True, slots=True)
class _Problem:
    """One thing that does not add up, and the record that shows it."""

    text: str
    time_ns: int
    badness: int
    sample: Sample | None = None
    announcement: Announcement | None = None
    publish: Publish | None = None

    @property
    def label(self) -> str:
        return self.text if self.publish is None else self.publish.key

    def moments(self, flow: FlowRecord) -> Iterator[Moment]:
        if self.publish is not None:
            yield from publish_moments(flow, self.publish, offending="ack")
        if self.sample is not None:
            figures = f"stats: {self.sample.buffered} rows buffered, {self.sample.dropped} dropped"
            yield Moment(self.sample.time_ns, self.sample.actor, figures, self.sample.mode, offending=True)
        if self.announcement is not None:
            ids = self.announcement.ids
            text = f"announced {len(ids)} events as given up"
            yield Moment(self.announcement.time_ns, self.announcement.actor, text, ", ".join(ids[:3]), offending=True)


@dataclass(frozen=True, slots=True)
class _Book:
    """One producer's figures. `silent`: acked, seen by no group, not announced."""

    producer: str
    samples: tuple[Sample, ...]
    announcements: tuple[Announcement, ...]
    silent: tuple[Publish, ...]
    was_full: bool
    killed: bool

    def announced_by(self, time_ns: int) -> int:
        """Return how many different ids had been announced at that time."""
        return len({one for seen in self.announcements if seen.time_ns <= time_ns for one in seen.ids})

    @property
    def counted_only(self) -> int:
        """How many events were counted as dropped but not announced."""
        if not self.samples:
            return 0
        last = self.samples[-1]
        return max(0, last.dropped - self.announced_by(last.time_ns))


def _books(history: History, flow: FlowRecord, rows: int) -> list[_Book]:
    published: dict[str, list[Publish]] = {}
    for publish in flow.publishes.values():
        published.setdefault(publish.producer, []).append(publish)
    samples: dict[str, list[Sample]] = {}
    for sample in flow.samples:
        samples.setdefault(sample.actor, []).append(sample)
    announcements: dict[str, list[Announcement]] = {}
    for announcement in flow.announcements:
        announcements.setdefault(announcement.actor, []).append(announcement)
    killed = {life.name for life in lifetimes(history) if life.ending in {"killed", "powered_off"}}
    return [
        _Book(
            producer,
            tuple(samples.get(producer, ())),
            tuple(announcements.get(producer, ())),
            tuple(_silent(flow, published.get(producer, ()))),
            _was_full(samples.get(producer, ()), published.get(producer, ()), rows),
            producer in killed,
        )
        for producer in sorted(published.keys() | samples.keys() | announcements.keys())
    ]


def _silent(flow: FlowRecord, published: Sequence[Publish]) -> Iterator[Publish]:
    for publish in published:
        owed = flow.owed_to(publish)
        seen = any(publish.key in first for first in flow.first.values())
        if publish.ack_at is not None and owed and not seen and not flow.given_up(publish):
            yield publish


def _was_full(samples: Sequence[Sample], published: Sequence[Publish], rows: int) -> bool:
    """Tell whether the buffer may have been full: at a sample, or between two by what was offered meanwhile."""
    starts = [publish.start_ns for publish in published]
    for number, sample in enumerate(samples):
        last = number + 1 == len(samples)
        until = len(starts) if last else bisect_right(starts, samples[number + 1].time_ns)
        if sample.buffered + until - bisect_left(starts, sample.time_ns) >= rows:
            return True
    return False
