"""ES7: no trigger or reset without a valid token; failures are audited.

Judged from the calls that the harness made (`call` {call, defect, expect}) and their answers: a call with a defect is
refused with the status that it must be refused with. From the audit: each refused call is in it, and whatever a person
did, according to it, is what the harness had asked for in that person's name.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.history.history import History
from harness.history.query import OperationRecord, operations
from harness.invariants.base import none_of
from harness.invariants.findings import Moment, at, finding
from harness.invariants.stop_record import StopRecord, calls, stop_record
from harness.verdict import Finding, InvariantResult

_SYSTEM = "system"
_REFUSED_FROM = 400  # HTTP
_OTHERS = ("trip", "reset", "arm")


@dataclass(frozen=True, slots=True)
class _Offence:
    time_ns: int
    actor: str
    what: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorised:
    """ES7. Checked: calls with a defect that were answered, and rows of the trail with a person in it."""

    id: str = "ES7"
    name: str = "authorised"
    statement: str = "no trigger or reset without a valid token, or a second time; failures audited"
    needs_end: bool = True

    def judge(self, history: History) -> InvariantResult:
        """Judge answers, then the audit."""
        record = stop_record(history)
        bad = [one for one in calls(history) if one.value["defect"] and one.result is not None]
        persons = [row for row in record.trail if row["actor"] != _SYSTEM]
        offences = [*_accepted(bad), *_not_audited(record, bad), *_nobody_asked(history, record)]
        offences.sort(key=lambda one: one.time_ns)
        return none_of(
            self,
            offences,
            checked=len(bad) + len(persons),
            unit="calls",
            explain=lambda: _explain(history, offences),
        )


def _accepted(bad: Sequence[OperationRecord]) -> Iterator[_Offence]:
    for one in bad:
        assert one.result is not None
        status, expected = one.result["status"], one.value["expect"]
        if status != expected:
            what = f"{one.value['call']} with {one.value['defect']} was answered by {status}, not {expected}"
            yield _Offence(one.end_ns or one.start_ns, one.actor, what, one.value["key"])


def _not_audited(record: StopRecord, bad: Sequence[OperationRecord]) -> Iterator[_Offence]:
    """Yield refused calls that the audit is short of, by their code; a flood is told of as one."""
    told = Counter(record.refused_calls)
    owed: Counter[str] = Counter()
    newest: dict[str, OperationRecord] = {}
    for one in bad:
        assert one.result is not None
        if (
            one.result["status"] >= _REFUSED_FROM
            and not record.before_last_loss(one.start_ns)
            and record.in_trail(one.end_ns or 0)
        ):
            owed[one.result["code"]] += 1
            newest[one.result["code"]] = one
    for code, count in sorted(owed.items()):
        if told[code] + told["flood"] < count:
            one = newest[code]
            what = f"{count} calls were refused as {code}, and the audit tells of {told[code]}"
            yield _Offence(one.end_ns or one.start_ns, one.actor, what, one.value["key"])


def _nobody_asked(history: History, record: StopRecord) -> Iterator[_Offence]:
    """Yield what the trail says that a person did, and that nobody had asked for in a way that counts."""
    asked = {(one.value["actor"], one.value["reason"]) for name in _OTHERS for one in operations(history, name)}
    asked |= {(one.value["operator"], one.value["key"]) for one in calls(history) if not one.value["defect"]}
    for row in record.trail:
        if row["actor"] != _SYSTEM and (row["actor"], row["reason"]) not in asked:
            what = f"{row['to']} by {row['actor']}, who had not asked for it: {row['reason']}"
            yield _Offence(record.trail_ns, "audit trail", what, row["id"])


def _explain(history: History, offences: Sequence[_Offence]) -> Finding:
    return finding(
        history,
        offences[0].what,
        offences,
        label=lambda one: at(one.id, one.time_ns),
        moments=lambda one: [Moment(one.time_ns, one.actor, one.what, one.id, offending=True)],
        badness=lambda one: -one.time_ns,
    )


def authorised() -> Authorised:
    """Declare ES7."""
    return Authorised()
