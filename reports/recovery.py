"""How long each operation took to notice a fault, to succeed again, and to be back to normal.

*Detected* counts from the start of the fault to the first operation that failed or whose outcome is unknown.
*First success* counts from the heal to the end of the first success that began after it. *Back to normal* counts
from the heal to the first of three consecutive seconds that are each as good as before the fault: at least 90 %
of the median number of successes, and a median latency of at most twice the earlier one (and 1 ms of grace). All
of them are None when they cannot be told, which is never the same as 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from harness.history.history import History
from harness.history.query import FaultWindow, OperationRecord, fault_windows, operations, percentile
from harness.units import MILLISECOND, SECOND
from reports.timeline import fault_label

_WINDOWS: Final = 3
_RATE_SHARE: Final = 0.9
_LATENCY_FACTOR: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """One fault, one operation. Times in seconds; None where there was nothing to measure."""

    fault: str
    operation: str
    healed: bool
    start_s: float
    attempted: int
    """Operations that began while the fault held."""
    disturbed: int
    detect_s: float | None
    first_success_s: float | None
    normal_s: float | None


def recoveries(history: History) -> tuple[Recovery, ...]:
    """Return one row for each fault and operation name."""
    names = sorted({done.name for done in operations(history)})
    return tuple(
        _recovery(window, name, operations(history, name), history.end_ns)
        for window in fault_windows(history)
        for name in names
    )


def _recovery(window: FaultWindow, name: str, records: Sequence[OperationRecord], end_ns: int) -> Recovery:
    until_ns = end_ns if window.end_ns is None else window.end_ns
    # An operation that never ended shows its trouble at the earliest when it began.
    shown = [
        max(window.start_ns, done.start_ns) if done.end_ns is None else done.end_ns
        for done in records
        if done.outcome != "ok" and done.start_ns <= until_ns
    ]
    disturbed = [time_ns for time_ns in shown if time_ns >= window.start_ns]
    first = None
    if window.end_ns is not None:
        ends = (d.end_ns for d in records if d.outcome == "ok" and d.end_ns and d.start_ns >= window.end_ns)
        first = min(ends, default=None)
    return Recovery(
        fault=fault_label(window),
        operation=name,
        healed=window.end_ns is not None,
        start_s=window.start_ns / SECOND,
        attempted=sum(window.start_ns <= done.start_ns < until_ns for done in records),
        disturbed=len(disturbed),
        detect_s=(min(disturbed) - window.start_ns) / SECOND if disturbed else None,
        first_success_s=None if first is None or window.end_ns is None else (first - window.end_ns) / SECOND,
        normal_s=None if window.end_ns is None else _normal(records, window.start_ns, window.end_ns, end_ns),
    )


def _normal(records: Sequence[OperationRecord], began_ns: int, healed_ns: int, end_ns: int) -> float | None:
    # Windows count backwards from the fault and forwards from the heal, so that none straddles either.
    before: dict[int, list[int]] = {}
    after: dict[int, list[int]] = {}
    for done in records:
        if done.outcome != "ok" or done.end_ns is None:
            continue
        if done.end_ns < began_ns:
            before.setdefault((began_ns - 1 - done.end_ns) // SECOND, []).append(done.end_ns - done.start_ns)
        elif done.end_ns >= healed_ns:
            after.setdefault((done.end_ns - healed_ns) // SECOND, []).append(done.end_ns - done.start_ns)
    if not before:
        return None
    rates = sorted(len(before.get(window, ())) for window in range(max(before) + 1))
    latencies = sorted(value for values in before.values() for value in values)
    enough = percentile(rates, 50) * _RATE_SHARE
    fast = percentile(latencies, 50) * _LATENCY_FACTOR + MILLISECOND
    good = 0
    for window in range((end_ns - healed_ns) // SECOND):
        values = sorted(after.get(window, ()))
        good = good + 1 if values and len(values) >= enough and percentile(values, 50) <= fast else 0
        if good == _WINDOWS:
            return float(window + 1 - _WINDOWS)
    return None
