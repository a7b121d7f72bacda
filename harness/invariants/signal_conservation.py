"""Every signal that was offered ends, once, for the reason that is announced, and is counted so.

The sum `offered = executed + queued + dropped + expired + superseded + rejected + closed` is required of the executor's
own counts in every sample, and each of them must be what a recount from outside comes to at that step. Samples are
taken after whole steps, so nothing may be on its way between two counts.

A reason must be true, as otherwise everything could be given up under the name of something that is allowed:

- *rejected*: exactly the malformed ones, in a typed error; and an exit that found `capacity` others waiting.
- *expired*: its ttl was over.
- *superseded*: by a signal for the same symbol and side: a newer one, or for an entry an exit.
- *closed*: the executor had been asked to close.
- *executed*: it was executing. (*dropped* is dominance's business.)

A life that was killed owes nothing for what was live then, nor for a call that it cut short. One that ended by itself
has ended every signal. Counts begin anew with each life.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from harness.history.history import History
from harness.invariants.findings import Moment
from harness.invariants.signal_findings import Offence, judged
from harness.invariants.signals import Life, Offered, Recount, Step, disposal_moment, execution_moment, read_lives
from harness.verdict import InvariantResult

_ENDS: Final = ("executed", "dropped", "expired", "superseded", "rejected", "closed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conservation:
    """The counts add up at every step, and are true. Observed: offences. Checked: samples, offers and ends."""

    id: str
    name: str
    statement: str
    capacity: int
    needs_end: bool = True

    def judge(self, history: History) -> InvariantResult:
        """Keep books for each life, and compare."""
        books = [_Books(life, self.capacity) for life in read_lives(history)]
        offences = [offence for books_of in books for offence in books_of.audit()]
        return judged(self, history, offences, checked=sum(one.checked for one in books), noun="false entry")


@dataclass(slots=True)
class _Books:
    """The recount of one life."""

    life: Life
    capacity: int
    recount: Recount = field(default_factory=Recount)
    counts: Counter[str] = field(default_factory=Counter)
    offering: int = 0
    offered: int = 0
    running: set[str] = field(default_factory=set)
    closing: bool = False
    checked: int = 0

    def audit(self) -> Iterator[Offence]:
        """Go through the life step by step."""
        for step in self.life.steps:
            if step.kind == "offering":
                self.offering += 1
            elif step.kind == "offered":
                yield from self._offered(step)
            elif step.kind == "began":
                yield from self._began(step)
            elif step.kind == "disposed":
                yield from self._disposed(step)
            elif step.kind == "stats":
                yield from self._sampled(step)
            self.closing |= step.kind == "closing"
            self.recount.apply(step)
        if self.life.clean:
            for name, left in self.recount.live.items():
                row = Moment(self.life.end_ns, self.life.actor, "the executor was closed", name, offending=True)
                yield Offence(name, "never ended, and nothing was said of it", left.start_ns, (left.moment(), row))

    def _offered(self, step: Step) -> Iterator[Offence]:
        offered = step.offered
        assert offered is not None
        self.offered += 1
        self.checked += 1
        answer = f"{offered.outcome}: {offered.error or 'taken in'}"
        row = Moment(step.time_ns, self.life.actor, answer, offered.name, offending=True)
        if offered.outcome == "info":
            what = f"was answered by an error without a reason: {offered.error}"
        elif offered.flaw and not offered.refused:
            what = f"was taken in although it is malformed ({offered.flaw})"
        elif not offered.flaw and offered.refused and not self._full_of_exits(offered):
            what = f"was refused although nothing is wrong with it: {offered.error}"
        else:
            return
        yield Offence(offered.name, what, step.time_ns, (offered.moment(), row))

    def _full_of_exits(self, offered: Offered) -> bool:
        live = self.recount.live.values()
        return offered.exit and sum(one.exit for one in live) >= self.capacity

    def _began(self, step: Step) -> Iterator[Offence]:
        self.counts["executed"] += 1
        what = self._ended_before(step)
        if what or step.subject not in self.life.offers:
            what = what or "executed although it was never offered"
            yield Offence(step.subject, what, step.time_ns, self._rows(step, execution_moment(self.life, step)))
        self.running.add(step.subject)

    def _disposed(self, step: Step) -> Iterator[Offence]:
        self.checked += 1
        if step.reason != "executed":
            self.counts[step.reason] += 1
        what = "" if step.reason == "rejected" else self._wrong(step)
        if what:
            yield Offence(step.subject, what, step.time_ns, self._rows(step, disposal_moment(self.life, step)))

    def _wrong(self, step: Step) -> str:
        """Return what is wrong with an announced end, or an empty string."""
        offered = self.life.offers.get(step.subject)
        if step.reason not in _ENDS:
            return f"ended for a reason that is none: {step.reason}"
        if offered is None:
            return f"was announced as {step.reason} although it was never offered"
        if step.reason == "executed":
            running = step.subject in self.running
            self.running.discard(step.subject)
            return "" if running else "was announced as executed although it was not executing"
        return self._ended_before(step) or self._untrue(step, offered)

    def _untrue(self, step: Step, offered: Offered) -> str:
        by = str(step.value.get("detail"))
        untrue = {
            "expired": (step.time_ns < offered.stale_ns, "before the end of its ttl"),
            "closed": (not self.closing, "although nobody closed the executor"),
            "superseded": (not self._stands_for(offered, by), f"by {by}, which cannot stand for it"),
        }
        wrong, why = untrue.get(step.reason, (False, ""))
        return f"was announced as {step.reason} {why}" if wrong else ""

    def _ended_before(self, step: Step) -> str:
        return "ended twice" if step.subject in self.recount.gone else ""

    def _stands_for(self, offered: Offered, name: str) -> bool:
        other = self.life.offers.get(name)
        return (
            other is not None
            and other.slot == offered.slot
            and (other.start_at > offered.start_at or (other.exit and not offered.exit and name in self.recount.live))
        )

    def _sampled(self, step: Step) -> Iterator[Offence]:
        self.checked += 1
        said = {"queued": int(step.value["queued"])}
        said |= {name: int(step.value["counts"][name]) for name in ("offered", *_ENDS)}
        counted = {"queued": len(self.recount.live), **{name: self.counts[name] for name in _ENDS}}
        wrong = [
            f"{name} {said[name]:,}, by the recount {count:,}" for name, count in counted.items() if said[name] != count
        ]
        if not self.offered <= said["offered"] <= self.offering:
            wrong.insert(0, f"offered {said['offered']:,}, by the recount {self.offered:,}")
        total = sum(said[name] for name in ("queued", *_ENDS))
        if said["offered"] != total:
            wrong.insert(0, f"offered {said['offered']:,}, and all ends and the queue come to {total:,}")
        if wrong:
            row = Moment(step.time_ns, self.life.actor, f"its counts: {'; '.join(wrong[:3])}", "", offending=True)
            yield Offence(
                self.life.actor, f"counted {'; '.join(wrong[:3])}", step.time_ns, (row,), abs(said["offered"] - total)
            )

    def _rows(self, step: Step, row: Moment) -> tuple[Moment, ...]:
        offered = self.life.offers.get(step.subject)
        return (row,) if offered is None else (offered.moment(), row)


def conservation(capacity: int = 100, *, id: str = "SF3") -> Conservation:  # noqa: A002
    """Declare that every signal ends once, for a true reason; `capacity` exits may keep another exit out."""
    return Conservation(
        id=id,
        name="conservation",
        statement="offered = executed + queued + dropped + expired + superseded + rejected + closed, at every step",
        capacity=capacity,
    )
