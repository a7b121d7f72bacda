"""Nothing is given up or kept waiting for what is worth less.

*Given up*: a signal is dropped only from a full queue, and no entry that is kept has a lower confidence. A drop within
the call that offers a signal is judged when that call has returned: by then it is known whether the newcomer was kept.

*Kept waiting*: what begins to execute is the best of what is live: exits before entries; then the highest confidence,
ties oldest first. Signals whose ttl was over do not count, nor those so close to it (`real_margin`) in the real world.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.history.history import History
from harness.invariants.exchange_record import margin_ns
from harness.invariants.signal_findings import Offence, judged
from harness.invariants.signals import Life, Offered, Recount, Step, disposal_moment, execution_moment, read_lives
from harness.units import ms
from harness.verdict import InvariantResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Dominance:
    """No drop and no execution passes over a better signal. Observed: offences. Checked: drops and executions."""

    id: str
    name: str
    statement: str
    capacity: int
    real_margin_ns: int
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Compare each drop and each execution with what was live."""
        margin = margin_ns(history, 0, self.real_margin_ns)
        checked = 0
        offences: list[Offence] = []
        for life in read_lives(history):
            recount = Recount()
            offering = 0
            dropped: list[Step] = []
            for step in life.steps:
                if step.kind == "began" and step.subject in life.offers:
                    checked += 1
                    offences += _overtaken(life, recount, step, margin)
                recount.apply(step)
                offering += (step.kind == "offering") - (step.kind == "offered")
                if step.kind == "disposed" and step.reason == "dropped" and step.subject in life.offers:
                    checked += 1
                    dropped.append(step)
                if dropped and not offering:
                    for drop in dropped:
                        offences += self._given_up(life, recount, drop)
                    dropped = []
        return judged(self, history, offences, checked=checked, noun="overtaken signal")

    def _given_up(self, life: Life, recount: Recount, drop: Step) -> Iterator[Offence]:
        lost = life.offers[drop.subject]
        kept = len(recount.live)
        if kept < self.capacity:
            what = f"was dropped although only {kept} of {self.capacity} places were taken"
            yield Offence(drop.subject, what, drop.time_ns, (lost.moment(), disposal_moment(life, drop)))
            return
        least = min(
            (one for one in recount.live.values() if not one.exit), key=lambda one: one.confidence, default=None
        )
        if least is not None and least.confidence < lost.confidence:
            what = f"of confidence {lost.confidence:g} was dropped, and {least.name} of {least.confidence:g} was kept"
            rows = (lost.moment(), least.moment(offending=True), disposal_moment(life, drop))
            yield Offence(drop.subject, what, drop.time_ns, rows, lost.confidence - least.confidence)


def _overtaken(life: Life, recount: Recount, step: Step, margin_ns: int) -> Iterator[Offence]:
    chosen = life.offers[step.subject]
    if chosen.exit:
        return
    rank = _rank(chosen)
    waiting = [one for one in recount.live.values() if step.time_ns < one.stale_ns - margin_ns and _rank(one) < rank]
    if waiting:
        best = min(waiting, key=_rank)
        kind = "exit" if best.exit else "entry"
        what = f"of confidence {chosen.confidence:g} executed before {kind} {best.name} of {best.confidence:g}"
        rows = (chosen.moment(), best.moment(offending=True), execution_moment(life, step))
        yield Offence(step.subject, what, step.time_ns, rows, best.confidence - chosen.confidence)


def _rank(offered: Offered) -> tuple[bool, float, int]:
    return not offered.exit, -offered.confidence, offered.start_at


def dominance(capacity: int = 100, *, real_margin_ns: int = ms(100), id: str = "SF4") -> Dominance:  # noqa: A002
    """Declare that nothing is given up from a queue of `capacity`, or kept waiting, for what is worth less."""
    return Dominance(
        id=id,
        name="dominance",
        statement="no dropped signal had a higher confidence than one kept, and none executes before a better one",
        capacity=capacity,
        real_margin_ns=real_margin_ns,
    )
