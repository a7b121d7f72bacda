"""After a wait, work flows as before.

Compared are rates of operations that ended well. The baseline is their rate from the first to the last one that ended
before the first fault began. For each wait that was told (overlapping and touching ones are one), T is its end, moved
to the end of whatever fault, further wait or host's death disturbs the time after it, until `within_ns` plus one
stretch are undisturbed. Recovered means that, beginning at some moment in T..T + `within_ns`, a stretch of
`stretch_ns` has at least `share` of the baseline's rate. Work that had queued up may make it more; that is no offence.
A recovery that is seen before the next disturbance, or the end, counts however soon that came; one that is not is then
no offence, but owed after the disturbance.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.history.history import History
from harness.history.query import fault_windows, operations
from harness.invariants.base import result
from harness.invariants.exchange_record import ExchangeRecord, deaths, merged, read_exchange, told_windows
from harness.invariants.findings import Moment, at, counted, finding
from harness.units import SECOND, as_seconds, human, seconds
from harness.verdict import Finding, InvariantResult, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovers:
    """Within `within_ns` of the end of each wait, work is done at `share` of the rate before the first fault.

    Observed: the lowest of the best rates after each wait, in percent of the baseline. Checked: recoveries seen.
    """

    id: str
    name: str
    statement: str
    operations: tuple[str, ...]
    scope: str = "ip"
    within_ns: int = seconds(10)
    stretch_ns: int = seconds(5)
    share: float = 0.8
    exchange: str = "binance"
    needs_end: bool = True

    def judge(self, history: History) -> InvariantResult:
        """Judge each undisturbed recovery once."""
        record = read_exchange(history, self.exchange)
        ends = sorted(
            one.end_ns
            for name in self.operations
            for one in operations(history, name)
            if one.outcome == "ok" and one.end_ns is not None
        )
        normal = _baseline(history, ends)
        judged = list(self._recoveries(history, record, ends, normal)) if normal else []
        slow = [one for one in judged if one.share < self.share]
        why = "no wait was followed by undisturbed time" if normal else "nothing was done before the first fault"
        return result(
            self,
            Outcome.VIOLATED if slow else Outcome.HOLDS,
            checked=len(judged),
            observed=round(100 * min(one.share for one in judged), 1) if judged else None,
            limit=100 * self.share,
            unit="%",
            reason="" if judged else why,
            finding=self._explain(history, slow, normal) if slow else None,
        )

    def _recoveries(
        self, history: History, record: ExchangeRecord, ends: Sequence[int], normal: float
    ) -> Iterator["_Recovery"]:
        """Yield each recovery that was owed and could be seen, or was seen before it was due."""
        faults = [(window.start_ns, window.end_ns) for window in fault_windows(history)]
        told = told_windows(record, self.scope)
        disturbed = merged([*told, *faults, *deaths(history)], history.end_ns)
        owed = False
        for number, (start_ns, end_ns) in enumerate(disturbed):
            owed = owed or any(start_ns <= since_ns < end_ns for since_ns, _ in told)
            until_ns = disturbed[number + 1][0] if number + 1 < len(disturbed) else history.end_ns
            if not owed or end_ns + self.stretch_ns > until_ns:
                continue
            share = self._best(ends, end_ns, min(end_ns + self.within_ns, until_ns - self.stretch_ns)) / normal
            if share >= self.share or end_ns + self.within_ns + self.stretch_ns <= until_ns:
                owed = False
                yield _Recovery(end_ns, share)

    def _best(self, ends: Sequence[int], from_ns: int, until_ns: int) -> float:
        """Return the highest rate, per second, of any stretch that begins in that time."""
        starts = [from_ns, *ends[bisect_left(ends, from_ns) : bisect_right(ends, until_ns)], until_ns]
        most = max(bisect_left(ends, start + self.stretch_ns) - bisect_left(ends, start) for start in starts)
        return most / as_seconds(self.stretch_ns)

    def _explain(self, history: History, slow: Sequence["_Recovery"], normal: float) -> Finding:
        worst = min(slow, key=lambda one: one.share)
        sentence = (
            f"{counted(len(slow), 'wait')} after which work did not come back to {100 * self.share:.0f} % of "
            f"{normal:.2f}/s within {human(self.within_ns)}: at best {100 * worst.share:.0f} %"
        )
        return finding(
            history,
            sentence,
            slow,
            label=lambda one: at("end of a wait", one.from_ns),
            moments=lambda one: [
                Moment(one.from_ns, self.exchange, "the wait is over", "wait"),
                Moment(
                    one.from_ns + self.within_ns,
                    "harness",
                    f"due at {100 * self.share:.0f} % of the normal rate; at best {100 * one.share:.0f} %",
                    "wait",
                    offending=True,
                ),
            ],
            badness=lambda one: -one.share,
        )


@dataclass(frozen=True, slots=True)
class _Recovery:
    from_ns: int
    share: float


def _baseline(history: History, ends: Sequence[int]) -> float:
    """Return how many operations a second ended well before the first fault; 0 if that cannot be told."""
    first_ns = min((window.start_ns for window in fault_windows(history)), default=history.end_ns)
    before = ends[: bisect_left(ends, first_ns)]
    if len(before) < 2 or before[-1] - before[0] < SECOND:  # noqa: PLR2004 - a rate needs two
        return 0.0
    return (len(before) - 1) / as_seconds(before[-1] - before[0])


def recovers(
    *operations: str,
    scope: str = "ip",
    within_ns: int = seconds(10),
    stretch_ns: int = seconds(5),
    id: str = "RL6",  # noqa: A002
) -> Recovers:
    """Declare that these operations are back at 80 % of their rate within `within_ns` of the end of each wait."""
    statement = f"at least 80 % of normal goodput within {human(within_ns)} of the end of a ban or backoff"
    return Recovers(
        id=id,
        name="recovers",
        statement=statement,
        operations=operations or ("read",),
        scope=scope,
        within_ns=within_ns,
        stretch_ns=stretch_ns,
    )
