"""PS3: every acked update is in the final policy, once, or superseded by a later one.

Updates add to figures and set fields (policy_record.py). The final policy is what the highest version that was read
holds. For each figure that was added to: it is the sum of what acked updates added, plus what some of those added whose
outcome is unknown, and nothing else; so an update that was lost, or made twice, shows. For each field that was set: it
holds what an update set that is not certain to have failed, and no acked update that began after that one had been
acked set it, too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from harness.history.history import History
from harness.history.query import OperationRecord
from harness.invariants.base import result
from harness.invariants.findings import Moment, at, counted, finding
from harness.invariants.policy_record import Read, read_policy
from harness.verdict import Finding, InvariantResult, Outcome

_CAP: Final = "cap:"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoLostUpdate:
    """The final policy contains every acked update.

    Observed: fields of the final policy that do not. Checked: acked updates.
    """

    id: str
    name: str
    statement: str
    needs_end: bool = True

    def judge(self, history: History) -> InvariantResult:
        """Compare the final policy with what was acked, field by field."""
        record = read_policy(history)
        acked = [one for one in record.updates if one.outcome == "ok"]
        final = max(record.reads, key=lambda read: (read.version, read.time_ns), default=None)
        offences = [] if final is None else [*_figures(record.updates, final), *_fields(record.updates, final)]
        return result(
            self,
            Outcome.VIOLATED if offences else Outcome.HOLDS,
            checked=len(acked) if final is not None else 0,
            observed=len(offences),
            limit=0,
            unit="fields",
            reason="" if acked else "no update was acked",
            finding=self._explain(history, offences) if offences else None,
        )

    def _explain(self, history: History, offences: Sequence["_Wrong"]) -> Finding:
        return finding(
            history,
            f"{counted(len(offences), 'field')} of the final policy not what acked updates made it: "
            f"{'; '.join(one.text for one in offences[:3])}",
            offences,
            label=lambda one: at(one.field, one.read.time_ns),
            moments=_Wrong.moments,
            badness=lambda one: len(one.updates),
        )


@dataclass(frozen=True, slots=True)
class _Wrong:
    """A field of the final policy, what is wrong with it, and the updates that show it."""

    field: str
    text: str
    read: Read
    updates: tuple[OperationRecord, ...]

    def moments(self) -> Iterator[Moment]:
        for update in self.updates[-3:]:
            if update.end_ns is not None:
                yield Moment(update.end_ns, update.actor, f"update acked: {update.value}"[:160], self.field)
        yield self.read.moment(offending=True, more=f": {self.text}")


def _figures(updates: Sequence[OperationRecord], final: Read) -> Iterator[_Wrong]:
    for name in sorted({name for one in updates for name in one.value["adds"]}):
        adding = [one for one in updates if name in one.value["adds"]]
        acked = tuple(one for one in adding if one.outcome == "ok")
        surely = sum(one.value["adds"][name] for one in acked)
        unknown = [one.value["adds"][name] for one in adding if one.outcome == "info"]
        possible = {surely}
        for delta in unknown:
            possible |= {total + delta for total in possible}
        held = final.caps.get(name.removeprefix(_CAP), 0)
        if held not in possible:
            least, most = min(possible), max(possible)
            expected = str(least) if least == most else f"from {least} to {most}"
            yield _Wrong(name, f"{name} is {held}, and acked updates make it {expected}", final, acked)


def _fields(updates: Sequence[OperationRecord], final: Read) -> Iterator[_Wrong]:
    names = {name for one in updates for name in one.value["sets"] if name.startswith(_CAP)}
    for name in sorted(names):
        held = final.caps.get(name.removeprefix(_CAP))
        setting = [one for one in updates if name in one.value["sets"] and one.outcome != "fail"]
        acked = tuple(one for one in setting if one.outcome == "ok")
        if not acked:
            continue
        by = [one for one in setting if one.value["sets"][name] == held]
        if not by:
            yield _Wrong(name, f"{name} is {held}, which no update made it", final, acked)
            continue
        later = tuple(one for one in acked if all(_before(earlier, one) for earlier in by))
        if later:
            lost = later[-1].value["sets"][name]
            yield _Wrong(name, f"{name} is {held}, and was set to {lost} after that", final, later)


def _before(one: OperationRecord, other: OperationRecord) -> bool:
    """Tell whether the first was over when the second began. One whose outcome is unknown is never over."""
    return one.outcome == "ok" and one.end_at is not None and one.end_at < other.start_at


def no_lost_update(*, id: str = "PS3") -> NoLostUpdate:  # noqa: A002 - the word of PATCHES.md
    """Declare that acked updates last."""
    statement = "every acked update is in the final policy, once, or superseded by a later one"
    return NoLostUpdate(id=id, name="no-lost-update", statement=statement)
