"""Nothing executes that the model does not mean any more: past its ttl, or after a newer signal took its place.

What counts is when an execution begins, by the time of the offer from outside. Newer is what was offered later for the
same symbol and side, was taken in, and has not been given up at once; an entry does not count as newer than an exit.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.history.history import History
from harness.invariants.exchange_record import margin_ns
from harness.invariants.signal_findings import Offence, judged
from harness.invariants.signals import Life, Offered, Recount, Slot, Step, execution_moment, read_lives
from harness.units import human, ms
from harness.verdict import InvariantResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """No execution begins at or after the end of the signal's ttl, nor of a signal that was superseded.

    In the real world `real_margin` is allowed: so long after the executor decided the record may be made.
    Observed: offences. Checked: executions.
    """

    id: str
    name: str
    statement: str
    real_margin_ns: int
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Look at the beginning of each execution."""
        margin = margin_ns(history, 0, self.real_margin_ns)
        checked = 0
        offences: list[Offence] = []
        for life in read_lives(history):
            recount = Recount()
            newest: dict[tuple[Slot, bool], Offered] = {}
            for step in life.steps:
                recount.apply(step)
                if step.kind == "offered" and step.subject in recount.live:
                    newcomer = recount.live[step.subject]
                    newest[newcomer.slot, newcomer.exit] = newcomer
                elif step.kind == "began" and step.subject in life.offers:
                    checked += 1
                    offences += _stale(life, newest, step, margin)
        return judged(self, history, offences, checked=checked, noun="stale execution")


def _stale(life: Life, newest: dict[tuple[Slot, bool], Offered], step: Step, margin_ns: int) -> Iterator[Offence]:
    chosen = life.offers[step.subject]
    row = execution_moment(life, step)
    if step.time_ns >= chosen.stale_ns + max(margin_ns, 0):
        late = human(step.time_ns - chosen.stale_ns)
        yield Offence(chosen.name, f"executed {late} after its ttl", step.time_ns, (chosen.moment(), row))
    rivals = [newest.get((chosen.slot, True)), None if chosen.exit else newest.get((chosen.slot, False))]
    newer = [one for one in rivals if one is not None and one.start_at > chosen.start_at]
    if newer:
        what = f"executed although {newer[0].name} had taken its place"
        yield Offence(chosen.name, what, step.time_ns, (chosen.moment(), newer[0].moment(offending=True), row))


def freshness(*, real_margin_ns: int = ms(100), id: str = "SF6") -> Freshness:  # noqa: A002
    """Declare that nothing stale executes."""
    return Freshness(
        id=id,
        name="fresh",
        statement="nothing executes after its ttl, nor after a newer signal took its place",
        real_margin_ns=real_margin_ns,
    )
