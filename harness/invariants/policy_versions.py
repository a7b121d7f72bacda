"""PS2: to a reader versions only grow, over its restarts too, and no version means two things."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.history.history import History
from harness.invariants.base import none_of
from harness.invariants.findings import Moment, at, counted, finding
from harness.invariants.policy_record import Read, damages, read_policy
from harness.verdict import Finding, InvariantResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Monotonic:
    """No read of a host returns a version below that of an earlier read, or the same with other caps.

    The limits of one version may differ, as age makes them DEFENSIVE. A host forgets what it had read when its files
    are damaged: they were all that it could remember it by. To know of no policy (version 0) is to go backwards, too.
    Observed: reads that went backwards, or contradict. Checked: reads of a known version.
    """

    id: str
    name: str
    statement: str
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Follow each host through its reads."""
        reads = read_policy(history).reads
        offences: list[_Back] = []
        for host in sorted({read.host for read in reads}):
            forgets = [start_ns for start_ns, _ in damages(history, host)]
            offences += _backward([read for read in reads if read.host == host], forgets)
        offences.sort(key=lambda one: one.read.time_ns)
        return none_of(
            self,
            offences,
            checked=sum(read.version > 0 for read in reads),
            unit="reads",
            explain=lambda: self._explain(history, offences),
        )

    def _explain(self, history: History, offences: list["_Back"]) -> Finding:
        back = sum(one.read.version < one.before.version for one in offences)
        parts = [f"{counted(back, 'read')} below a version read before"] if back else []
        if back < len(offences):
            parts.append(f"{counted(len(offences) - back, 'read')} of a version that had meant something else")
        return finding(
            history,
            f"{' and '.join(parts)} (limit 0)",
            offences,
            label=lambda one: at(f"{one.read.host} version {one.read.version}", one.read.time_ns),
            moments=_Back.moments,
            badness=lambda one: one.before.version - one.read.version,
        )


@dataclass(frozen=True, slots=True)
class _Back:
    before: Read
    read: Read

    def moments(self) -> Iterator[Moment]:
        yield self.before.moment(more=f" (source {self.before.source})")
        yield self.read.moment(offending=True, more=f" (source {self.read.source})")


def _backward(reads: list[Read], forgets: list[int]) -> Iterator[_Back]:
    """Yield each read that went backwards or contradicts, with the one that it does so to."""
    highest: Read | None = None
    meanings: dict[int, Read] = {}
    for read in reads:
        if highest is not None and any(highest.time_ns <= time_ns <= read.time_ns for time_ns in forgets):
            highest, meanings = None, {}
        if highest is not None and read.version < highest.version:
            yield _Back(highest, read)
            continue
        if read.version:
            meant = meanings.setdefault(read.version, read)
            if not _same(meant.caps, read.caps):
                yield _Back(meant, read)
        highest = read


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one is other or dict(one) == dict(other)


def monotonic(*, id: str = "PS2") -> Monotonic:  # noqa: A002 - the word of PATCHES.md
    """Declare that versions only grow."""
    statement = "a reader never sees a version go backwards, or one version with two contents, over restarts too"
    return Monotonic(id=id, name="monotonic", statement=statement)
