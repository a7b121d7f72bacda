"""Nothing begins to execute while trading is forbidden."""

from dataclasses import dataclass

from harness.history.history import History
from harness.invariants.exchange_record import margin_ns
from harness.invariants.findings import Moment
from harness.invariants.signal_findings import Offence, judged
from harness.invariants.signals import execution_moment, read_lives
from harness.units import human, ms
from harness.verdict import InvariantResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Halted:
    """No execution begins in a halt of trading, from `margin` after its beginning on.

    Checked: signals that waited in a halt, which is what makes it hard. Observed: offences.
    """

    id: str
    name: str
    statement: str
    margin_ns: int
    real_margin_ns: int
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Look at each life's halts."""
        margin = margin_ns(history, self.margin_ns, self.real_margin_ns)
        checked = 0
        offences: list[Offence] = []
        for life in read_lives(history):
            halt_ns: int | None = None
            for step in life.steps:
                if step.kind == "trading":
                    halt_ns = step.time_ns if not step.value.get("allowed") else None
                elif halt_ns is None:
                    continue
                elif step.kind == "stats":
                    checked += int(step.value["queued"]) > 0
                elif step.kind == "began" and step.time_ns >= halt_ns + margin:
                    what = f"executed {human(step.time_ns - halt_ns)} into a halt of trading"
                    rows = (
                        Moment(halt_ns, life.actor, "trading was halted", ""),
                        execution_moment(life, step),
                    )
                    offences.append(Offence(step.subject, what, step.time_ns, rows, step.time_ns - halt_ns))
        reason = "" if checked else "no signal waited while trading was halted"
        return judged(self, history, offences, checked=checked, noun="forbidden execution", reason=reason)


def halted(*, margin_ns: int = 0, real_margin_ns: int = ms(50), id: str = "SF7") -> Halted:  # noqa: A002
    """Declare that a halt of trading is obeyed."""
    return Halted(
        id=id,
        name="halted",
        statement="nothing begins to execute while trading is forbidden",
        margin_ns=margin_ns,
        real_margin_ns=real_margin_ns,
    )
