"""Executions of signals keep their distance: no more than so many begin in any window, whatever becomes of them.

Windows slide, and are half open: of two beginnings exactly one window apart none holds both. A kill and a restart are
no excuse: the account at the exchange is the same, so beginnings are counted over all lives of a host.
"""

from collections import defaultdict
from dataclasses import dataclass

from harness.history.history import History
from harness.history.query import OperationRecord, operations
from harness.invariants.exchange_record import margin_ns
from harness.invariants.findings import Moment
from harness.invariants.signal_findings import Offence, judged
from harness.units import human, ms, seconds
from harness.verdict import InvariantResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRate:
    """At most `most` executions begin within `window`. Observed: the most in any window. Checked: executions.

    In the real world the window is shorter by `real_margin`: between the decision and the record of the first the
    machine may have done something else.
    """

    id: str
    name: str
    statement: str
    most: int
    window_ns: int
    real_margin_ns: int
    needs_end: bool = False

    def __post_init__(self) -> None:
        if self.most < 1 or not 0 <= self.real_margin_ns < self.window_ns:
            raise ValueError("a rate allows at least one execution in a window that is longer than its margin")

    def judge(self, history: History) -> InvariantResult:
        """Slide the window over the beginnings: it ends in turn at each of them."""
        window_ns = self.window_ns - margin_ns(history, 0, self.real_margin_ns)
        begun: dict[str, list[OperationRecord]] = defaultdict(list)
        for record in operations(history, "execution"):
            begun[record.actor].append(record)
        highest = 0
        offences: list[Offence] = []
        for actor, records in begun.items():
            first = 0
            for number, record in enumerate(records):
                while records[first].start_ns <= record.start_ns - window_ns:
                    first += 1
                within = number + 1 - first
                highest = max(highest, within)
                if within > self.most:
                    text = f"began {within} executions within {human(record.start_ns - records[first].start_ns)}"
                    rows = tuple(_moment(one) for one in records[first : number + 1])
                    offences.append(Offence(actor, f"{text} (limit {self.most})", record.start_ns, rows, within))
        return judged(
            self,
            history,
            offences,
            checked=sum(map(len, begun.values())),
            noun="crowded window",
            observed=highest if begun else None,
            limit=self.most,
            unit="executions",
        )


def _moment(record: OperationRecord) -> Moment:
    life = f" (life {record.incarnation})" if record.incarnation > 1 else ""
    return Moment(record.start_ns, record.actor, f"execution began{life}", str(record.value["key"]), offending=True)


def execution_rate(
    most: int = 2,
    window_ns: int = seconds(1),
    *,
    real_margin_ns: int = ms(100),
    id: str = "SF2",  # noqa: A002
) -> ExecutionRate:
    """Declare how many executions may begin in any such window. Raises ValueError for senseless figures."""
    return ExecutionRate(
        id=id,
        name="rate",
        statement=f"at most {most} executions begin in any {human(window_ns)}, failures and restarts included",
        most=most,
        window_ns=window_ns,
        real_margin_ns=real_margin_ns,
    )
