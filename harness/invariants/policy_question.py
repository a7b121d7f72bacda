"""PS7: a view is never younger than the question that it answers. Judged by what happened to the way to Redis.

An answer says what was true when Redis gave it, which is after the question was sent; how long after nobody on this
side can tell, so an honest age counts from the question. Which question that can have been at the latest is known from
below: none that was asked while Redis could not be reached, or the host was dead (policy_record.py); and while the
fault `network.delay_reply` holds on the link, whose answers come `delay_ns` late, none that was asked within the last
`delay_ns`. The age that the store tells is held against that; a store that tells none claims nothing.

The harness looks at its clock before each read: whatever holds up a reader after that makes the policy older, not
younger.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.history.history import History
from harness.history.query import FaultWindow, fault_windows, toxic_counts
from harness.invariants.base import none_of
from harness.invariants.exchange_record import margin_ns
from harness.invariants.findings import Moment, at, counted, finding
from harness.invariants.policy_record import PolicyRecord, Read, read_policy
from harness.units import human, ms
from harness.verdict import Finding, InvariantResult


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverYounger:
    """The age of each read is at least the time since the last question that can have been answered by then.

    Observed: reads that are younger. Checked: reads that tell an age, where that time was longer than the margin.
    `delay_ns` is None where no scenario has answers come late.
    """

    id: str
    name: str
    statement: str
    delay_ns: int | None
    margin_ns: int
    real_margin_ns: int
    fault: str = "network.delay_reply"
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge every read by itself."""
        record = read_policy(history)
        margin = margin_ns(history, self.margin_ns, self.real_margin_ns)
        late = {host: tuple(self._late(history, host)) for host in {read.host for read in record.reads}}
        checked, younger = 0, []
        for read in record.reads:
            if read.age_ns is None or read.looked_ns is None:
                continue
            asked_ns = self._asked_ns(record, late, read.host, read.looked_ns)
            if read.looked_ns - asked_ns <= margin:
                continue
            checked += 1
            if read.age_ns + margin < read.looked_ns - asked_ns:
                younger.append(_Younger(read, read.age_ns, asked_ns, read.looked_ns - asked_ns))
        return none_of(
            self,
            younger,
            checked=checked,
            unit="reads",
            reason="" if checked else "nothing was read while answers were late, or there was none",
            explain=lambda: _explain(history, younger),
        )

    def _asked_ns(
        self, record: PolicyRecord, late: Mapping[str, tuple[FaultWindow, ...]], host: str, time_ns: int
    ) -> int:
        """Return when the last question can have been asked whose answer the host can have had by then."""
        asked_ns = record.heard_ns(host, time_ns)
        if self.delay_ns is not None:
            for window in late[host]:
                if window.start_ns <= time_ns < (window.healing_ns or time_ns + 1):
                    asked_ns = min(asked_ns, max(window.start_ns, time_ns - self.delay_ns))
        return asked_ns

    def _late(self, history: History, host: str) -> Iterator[FaultWindow]:
        """Find the faults in which answers to that host really were late."""
        for window in fault_windows(history, self.fault):
            by, _, dependency = window.on.partition("->")
            if by == host and toxic_counts(history, window, host, dependency, {"redis_match"}).get("matched"):
                yield window


@dataclass(frozen=True, slots=True)
class _Younger:
    read: Read
    age_ns: int
    asked_ns: int
    true_ns: int

    def moments(self) -> Iterator[Moment]:
        yield Moment(self.asked_ns, self.read.host, "the last question that can have been answered", "")
        told = f", an age of {human(self.age_ns)}, and it is {human(self.true_ns)} at least"
        yield self.read.moment(offending=True, more=told)


def _explain(history: History, younger: list[_Younger]) -> Finding:
    worst = max(younger, key=lambda one: one.true_ns - one.age_ns)
    return finding(
        history,
        f"{counted(len(younger), 'read')} younger than the question (limit 0), "
        f"the worst by {human(worst.true_ns - worst.age_ns)}",
        younger,
        label=lambda one: at(f"{one.read.host} version {one.read.version}", one.read.time_ns),
        moments=_Younger.moments,
        badness=lambda one: one.true_ns - one.age_ns,
    )


def never_younger(
    *,
    delay_ns: int | None = None,
    margin_ns: int = ms(10),
    real_margin_ns: int = ms(200),
    id: str = "PS7",  # noqa: A002
) -> NeverYounger:
    """Declare that ages are honest; `delay_ns` is what `network.delay_reply` was given for whatever is asked.

    The margin is for the edges of faults, which begin a little before or after the harness can say so. Raises
    ValueError for a delay that the margin would hide.
    """
    if delay_ns is not None and delay_ns <= max(margin_ns, real_margin_ns):
        raise ValueError(f"a delay of {human(delay_ns)} shows nothing within the margin")
    return NeverYounger(
        id=id,
        name="honest-age",
        statement="a view is never younger than its question",
        delay_ns=delay_ns,
        margin_ns=margin_ns,
        real_margin_ns=real_margin_ns,
    )
