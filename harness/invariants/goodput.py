"""What is allowed is used: a limiter that only ever brakes is no solution.

Judged in whole windows of the exchange's weight limit, calm and busy ones only: no fault holds in them but those in
`despite`, nobody was told to wait, no host died, and at every instant at least `waiting` operations were in flight, so
that it was the limiter that they waited for. A window whose work ran out is not judged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from harness.history.history import History
from harness.history.query import OperationRecord, Window, fault_windows, operations
from harness.invariants.base import result
from harness.invariants.exchange_record import ExchangeRecord, deaths, merged, overlap_ns, read_exchange
from harness.invariants.findings import Moment, at, counted, finding
from harness.units import MILLISECOND, ms
from harness.verdict import Finding, InvariantResult, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodput:
    """In each calm, busy window own use is at least `share` of the limit less what others used.

    Observed: the lowest share, in percent. Checked: windows judged.
    """

    id: str
    name: str
    statement: str
    operation: str
    waiting: int
    share: float = 0.9
    market: str = "futures"
    despite: tuple[str, ...] = ()
    exchange: str = "binance"
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge each window by what the exchange charged in it."""
        record = read_exchange(history, self.exchange)
        windows = list(self._calm_windows(history, record))
        poor = [window for window in windows if window.share < self.share]
        worst = min((window.share for window in windows), default=None)
        return result(
            self,
            Outcome.VIOLATED if poor else Outcome.HOLDS,
            checked=len(windows),
            observed=None if worst is None else round(100 * worst, 1),
            limit=100 * self.share,
            unit="%",
            reason="" if windows else "no whole window was calm and had work waiting throughout",
            finding=self._explain(history, poor) if poor else None,
        )

    def _calm_windows(self, history: History, record: ExchangeRecord) -> Iterator["_Used"]:
        held = [
            (window.start_ns, window.end_ns)
            for window in fault_windows(history)
            if not any(fnmatchcase(window.name, pattern) for pattern in self.despite)
        ]
        told = [(one.start_ns, one.end_ns - MILLISECOND) for one in record.waits()]  # told in whole milliseconds
        disturbed = merged([*held, *told, *deaths(history)], history.end_ns + 1)
        idle = _idle(operations(history, self.operation), self.waiting, history.end_ns)
        for start_ns, end_ns, limit in self._windows(history, record):
            if overlap_ns(disturbed, start_ns, end_ns) or overlap_ns(idle, start_ns, end_ns):
                continue
            asked = [
                one
                for one in record.requests
                if start_ns <= one.time_ns < end_ns and one.market == self.market and one.limit
            ]
            others = max((one.others for one in asked), default=0)
            if limit > others:
                yield _Used(start_ns, end_ns, sum(one.weight for one in asked), limit - others)

    def _windows(self, history: History, record: ExchangeRecord) -> Iterator[tuple[int, int, int]]:
        """Yield start, end and limit of each window of weight that lies in the run as a whole, of unchanging limits."""
        changes = [(time_ns, value) for time_ns, value in record.limits if "wall_ms" in value]
        for number, (time_ns, value) in enumerate(changes):
            until_ns = changes[number + 1][0] if number + 1 < len(changes) else history.end_ns
            limits = [one for one in value["limits"].get(self.market, ()) if one[0] == "REQUEST_WEIGHT"]
            for _, window_ms, limit in limits[:1]:
                window_ns = ms(window_ms)
                start_ns = time_ns + (-ms(value["wall_ms"])) % window_ns
                while start_ns + window_ns <= until_ns:
                    yield start_ns, start_ns + window_ns, limit
                    start_ns += window_ns

    def _explain(self, history: History, poor: Sequence["_Used"]) -> Finding:
        worst = min(poor, key=lambda one: one.share)
        sentence = (
            f"{counted(len(poor), 'window')} used too little although work was waiting: {worst.own} of {worst.allowed} "
            f"weight, {100 * worst.share:.0f} % (limit {100 * self.share:.0f} %)"
        )
        return finding(
            history,
            sentence,
            poor,
            label=lambda one: at("window", one.start_ns),
            moments=_Used.moments,
            badness=lambda one: -one.share,
        )


@dataclass(frozen=True, slots=True)
class _Used:
    """One window: what was used of what the others left."""

    start_ns: int
    end_ns: int
    own: int
    allowed: int

    @property
    def share(self) -> float:
        return self.own / self.allowed

    def moments(self) -> Iterator[Moment]:
        yield Moment(self.start_ns, "binance", "a window of the weight limit begins", "window")
        yield Moment(
            self.end_ns, "binance", f"it ends with {self.own} of {self.allowed} used", "window", offending=True
        )


def _idle(records: Sequence[OperationRecord], waiting: int, end_ns: int) -> list[tuple[int, int]]:
    """Return the times in which fewer than `waiting` of these were in flight."""
    changes = sorted(
        [(one.start_ns, 1) for one in records] + [(one.end_ns, -1) for one in records if one.end_ns is not None]
    )
    idle: list[Window] = []
    since_ns: int | None = 0
    flying = 0
    for number, (time_ns, change) in enumerate(changes):
        flying += change
        if number + 1 < len(changes) and changes[number + 1][0] == time_ns:
            continue
        if flying < waiting and since_ns is None:
            since_ns = time_ns
        elif flying >= waiting and since_ns is not None:
            idle.append((since_ns, time_ns))
            since_ns = None
    if since_ns is not None:
        idle.append((since_ns, end_ns + 1))
    return merged([one for one in idle if one[0] != one[1]], end_ns)


def goodput(
    operation: str = "read",
    *,
    waiting: int,
    despite: tuple[str, ...] = (),
    id: str = "RL5",  # noqa: A002 - the word of PATCHES.md
) -> Goodput:
    """Declare that calm and busy windows are used. Raises ValueError if nothing need wait."""
    if waiting < 1:
        raise ValueError(f"{waiting} operations waiting do not make a window busy")
    statement = "with no storm at least 90 % of the allowed rate is used while work is waiting"
    return Goodput(id=id, name="goodput", statement=statement, operation=operation, waiting=waiting, despite=despite)
