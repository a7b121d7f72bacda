"""A queue of signals stays within its bound, at every step.

Two figures are held to it: what the executor says of itself, and what is live by the recount from outside - accepted,
and neither executing nor announced as ended. Who gives signals up in silence cannot be told from who keeps them all.
"""

from dataclasses import dataclass

from harness.history.history import History
from harness.invariants.findings import Moment
from harness.invariants.signal_findings import Offence, judged
from harness.invariants.signals import Recount, read_lives
from harness.verdict import InvariantResult


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueBound:
    """At no step more than `most` signals wait. Observed: the most at any step, by either figure. Checked: steps."""

    id: str
    name: str
    statement: str
    most: int
    needs_end: bool = False

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ValueError(f"a queue of at most {self.most} signals could hold none")

    def judge(self, history: History) -> InvariantResult:
        """Look at the queue after each step that could have made it longer."""
        checked, highest = 0, 0
        offences: list[Offence] = []
        for life in read_lives(history):
            recount = Recount()
            for step in life.steps:
                recount.apply(step)
                if step.kind == "offered":
                    waiting, by = len(recount.live), "by the recount"
                elif step.kind == "stats":
                    waiting, by = int(step.value["queued"]), "by its own count"
                else:
                    continue
                checked += 1
                highest = max(highest, waiting)
                if waiting > self.most:
                    text = f"held {waiting:,} signals {by} (limit {self.most})"
                    row = Moment(step.time_ns, life.actor, text, step.subject, offending=True)
                    offences.append(Offence(life.actor, text, step.time_ns, (row,), waiting))
        return judged(
            self,
            history,
            offences,
            checked=checked,
            noun="overlong queue",
            observed=highest if checked else None,
            limit=self.most,
            unit="entries",
        )


def queue_bound(most: int = 100, *, id: str = "SF1") -> QueueBound:  # noqa: A002
    """Declare how many signals may wait. Raises ValueError below 1."""
    statement = f"queue length <= {most} at every step"
    return QueueBound(id=id, name="bounded", statement=statement, most=most)
