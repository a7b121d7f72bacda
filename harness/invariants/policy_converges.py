"""PS4: soon after Redis can be reached again, everybody is on the newest version.

Undisturbed time is such in which no fault holds (other than those that `despite` matches: wrong clocks and lost
notifications are no excuse) and no host is dead or stands still. A read that comes after `within_ns` of it returns at
least the highest version that was acked until `within_ns` before, and is not flagged stale.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from harness.history.history import History
from harness.history.query import Window, fault_windows
from harness.invariants.base import none_of
from harness.invariants.exchange_record import deaths, margin_ns, merged
from harness.invariants.findings import Moment, at, counted, finding
from harness.invariants.policy_record import Read, read_policy
from harness.units import human, seconds
from harness.verdict import Finding, InvariantResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Converges:
    """Observed: reads that are behind. Checked: reads after `within_ns` undisturbed, once something was acked."""

    id: str
    name: str
    statement: str
    within_ns: int
    real_within_ns: int
    despite: Sequence[str] = ()
    needs_end: bool = True

    def judge(self, history: History) -> InvariantResult:
        """Judge every read by itself."""
        record = read_policy(history)
        within_ns = margin_ns(history, self.within_ns, self.real_within_ns)
        disturbed = merged(self._disturbances(history), history.end_ns)
        acked = sorted(record.acked)
        times = [time_ns for time_ns, _ in acked]
        highest: list[int] = []
        for _, version in acked:
            highest.append(max(version, highest[-1] if highest else 0))
        checked, offences = 0, []
        for read in record.reads:
            since_ns = read.time_ns - within_ns
            known = bisect_right(times, since_ns)
            if not known or any(start_ns <= read.time_ns and end_ns > since_ns for start_ns, end_ns in disturbed):
                continue
            checked += 1
            newest = highest[known - 1]
            if read.version < newest or read.stale:
                offences.append(_Behind(read, newest, times[highest.index(newest)]))
        return none_of(
            self,
            offences,
            checked=checked,
            unit="reads",
            reason="" if checked else f"nothing was read after {human(within_ns)} undisturbed",
            explain=lambda: self._explain(history, offences, within_ns),
        )

    def _disturbances(self, history: History) -> list[Window]:
        faults: list[Window] = [
            (window.start_ns, window.end_ns)
            for window in fault_windows(history)
            if not any(fnmatchcase(window.name, pattern) for pattern in self.despite)
        ]
        return faults + deaths(history)

    def _explain(self, history: History, offences: Sequence["_Behind"], within_ns: int) -> Finding:
        hosts = sorted({one.read.host for one in offences})
        reads = f"{counted(len(offences), 'read')} of {', '.join(hosts)}"
        return finding(
            history,
            f"{reads} behind, or stale, after {human(within_ns)} undisturbed",
            offences,
            label=lambda one: at(f"{one.read.host} version {one.read.version}", one.read.time_ns),
            moments=_Behind.moments,
            badness=lambda one: one.newest - one.read.version,
        )


@dataclass(frozen=True, slots=True)
class _Behind:
    read: Read
    newest: int
    acked_ns: int

    def moments(self) -> Iterator[Moment]:
        yield Moment(self.acked_ns, "harness", "acked", f"version {self.newest}")
        yield self.read.moment(offending=True, more=f", and {self.newest} was due")


def converges(
    *,
    within_ns: int = seconds(5),
    real_within_ns: int = seconds(6),
    despite: Sequence[str] = (),
    id: str = "PS4",  # noqa: A002 - the word of PATCHES.md
) -> Converges:
    """Declare that everybody is soon on the newest version; a busy machine may take a second more."""
    statement = f"all readers are on the newest version <= {human(within_ns)} after Redis is reachable"
    return Converges(
        id=id,
        name="converges",
        statement=statement,
        within_ns=within_ns,
        real_within_ns=real_within_ns,
        despite=tuple(despite),
    )
