"""How old a policy may be: stale ones say so (PS1), and ones that nobody can rely on are DEFENSIVE (PS5)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from harness.history.history import History
from harness.invariants.base import none_of
from harness.invariants.exchange_record import margin_ns
from harness.invariants.findings import Moment, at, counted, finding
from harness.invariants.policy_record import Read, read_policy
from harness.units import human, ms, seconds
from harness.verdict import Finding, InvariantResult

DEFENSIVE: Final = (100, 300, 10)
"""1 % / 3 % / 10x, as reads record limits."""


@dataclass(frozen=True, slots=True)
class _Old:
    """A read, and the true age of what it returned (policy_record.py); None if nothing could be known."""

    read: Read
    age_ns: int | None

    def moments(self) -> Iterator[Moment]:
        if self.age_ns is not None:
            told_ns = self.read.time_ns - self.age_ns
            row = "the last that the host could hear of this version being the newest"
            yield Moment(told_ns, self.read.host, row, f"version {self.read.version}")
        yield self.read.moment(offending=True, more=f", limits {self.read.limits}, source {self.read.source}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """A read whose policy has a true age above the limit that the host's store was told is flagged stale.

    Observed: reads that are not. Checked: reads.
    """

    id: str
    name: str
    statement: str
    margin_ns: int
    real_margin_ns: int
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge every read by itself."""
        record = read_policy(history)
        margin = margin_ns(history, self.margin_ns, self.real_margin_ns)
        checked, offences = 0, []
        for read in record.reads:
            ages = record.ages(read.host)
            if ages is None:
                continue
            checked += 1
            age_ns = record.true_age_ns(read)
            if not read.stale and (age_ns is None or age_ns > ages[0] + margin):
                offences.append(_Old(read, age_ns))
        return none_of(
            self,
            offences,
            checked=checked,
            unit="reads",
            explain=lambda: _explain(history, offences, "not flagged stale"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Safe:
    """A read whose policy has a true age above the hard limit, or is none, has limits no laxer than DEFENSIVE.

    Observed: reads that are laxer. Checked: reads that were that old.
    """

    id: str
    name: str
    statement: str
    margin_ns: int
    real_margin_ns: int
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge every read by itself."""
        record = read_policy(history)
        margin = margin_ns(history, self.margin_ns, self.real_margin_ns)
        due = []
        for read in record.reads:
            ages, age_ns = record.ages(read.host), record.true_age_ns(read)
            if age_ns is None or (ages is not None and age_ns > ages[1] + margin):
                due.append(_Old(read, age_ns))
        lax = [one for one in due if any(limit > safe for limit, safe in zip(one.read.limits, DEFENSIVE, strict=True))]
        return none_of(
            self,
            lax,
            checked=len(due),
            unit="reads",
            reason="" if due else "no policy was ever too old to rely on",
            explain=lambda: _explain(history, lax, "laxer than DEFENSIVE"),
        )


def _explain(history: History, offences: list[_Old], what: str) -> Finding:
    known = [one.age_ns for one in offences if one.age_ns is not None]
    oldest = f"the oldest of {human(max(known))}" if known else "nothing being known"
    return finding(
        history,
        f"{counted(len(offences), 'read')} {what} (limit 0), {oldest}",
        offences,
        label=lambda one: at(f"{one.read.host} version {one.read.version}", one.read.time_ns),
        moments=_Old.moments,
        badness=lambda one: history.end_ns if one.age_ns is None else one.age_ns,
    )


def fresh(*, margin_ns: int = ms(1_000), real_margin_ns: int = ms(1_000), id: str = "PS1") -> Fresh:  # noqa: A002
    """Declare that old policies say so; the margin is for an answer that was on its way."""
    statement = "no read returns a policy older than its limit (600 s) without saying so"
    return Fresh(id=id, name="fresh", statement=statement, margin_ns=margin_ns, real_margin_ns=real_margin_ns)


def safe(*, margin_ns: int = ms(1_000), real_margin_ns: int = seconds(1), id: str = "PS5") -> Safe:  # noqa: A002
    """Declare that what cannot be relied on is DEFENSIVE."""
    statement = "past the hard limit, or with no valid source, nothing laxer than DEFENSIVE is returned"
    return Safe(id=id, name="safe", statement=statement, margin_ns=margin_ns, real_margin_ns=real_margin_ns)
