"""How a violation is explained: one sentence, how many, the first, the worst, the last, and a short timeline.

The timeline holds at most 25 rows. They are given out in order of worth: first, worst and last offence
with their context, the faults that held around them, then whatever offences still fit.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, TypeVar

from harness.history.history import History
from harness.history.query import FaultWindow, fault_windows
from harness.units import SECOND
from harness.verdict import Finding, Row

T = TypeVar("T")

ROWS_MAX: Final = 25
_ROWS_PER_OFFENCE_MAX: Final = 6
_FAULT_ROWS_MAX: Final = 6


@dataclass(frozen=True, slots=True)
class Moment:
    """One row of a timeline, still in nanoseconds."""

    time_ns: int
    actor: str
    event: str
    id: str
    offending: bool = False


def at(label: str, time_ns: int) -> str:
    """Return a label with its time: `publisher-000123 at 31.207 s`."""
    return f"{label} at {time_ns / SECOND:.3f} s"


def counted(number: int, noun: str) -> str:
    """Return `1 event`, `2,000 events`; a noun in -y takes -ies."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def finding(
    history: History,
    sentence: str,
    offences: Sequence[T],
    *,
    label: Callable[[T], str],
    moments: Callable[[T], Iterable[Moment]],
    badness: Callable[[T], float],
) -> Finding:
    """Explain a violation by its offences, which come in the order of time; there is at least one.

    `badness` tells the worst of them; `moments` gives the rows of one, asked for only where they may show.
    """
    worst = max(offences, key=badness)
    leading = [_trim(moments(offence)) for offence in (offences[0], worst, offences[-1])]
    faults = _faults_around(history, list(chain.from_iterable(leading)))
    others = (_trim(moments(offence)) for offence in offences[1:ROWS_MAX])
    return Finding(
        sentence=sentence,
        count=len(offences),
        first=label(offences[0]),
        worst=label(worst),
        last=label(offences[-1]),
        rows=_rows(chain(*leading, faults, chain.from_iterable(others))),
    )


def _trim(moments: Iterable[Moment]) -> list[Moment]:
    """Keep the offending rows first of all, then the earliest."""
    by_worth = sorted(moments, key=lambda moment: (not moment.offending, moment.time_ns))
    return by_worth[:_ROWS_PER_OFFENCE_MAX]


def _rows(by_worth: Iterable[Moment]) -> tuple[Row, ...]:
    kept: dict[Moment, None] = {}
    for moment in by_worth:
        if len(kept) == ROWS_MAX:
            break
        kept.setdefault(moment)
    return tuple(
        Row(
            time_s=moment.time_ns / SECOND,
            actor=moment.actor,
            event=moment.event,
            id=moment.id,
            offending=moment.offending,
        )
        for moment in sorted(kept, key=lambda moment: moment.time_ns)
    )


def _faults_around(history: History, leading: Sequence[Moment]) -> list[Moment]:
    """Return the beginning and the end of the faults that held between the leading rows, or last before them."""
    if not leading:
        return []
    first_ns = min(moment.time_ns for moment in leading)
    last_ns = max(moment.time_ns for moment in leading)
    windows = [window for window in fault_windows(history) if window.start_ns <= last_ns]
    near = [window for window in windows if window.end_ns is None or window.end_ns >= first_ns]
    return list(chain.from_iterable(map(_fault_moments, near or windows[-1:])))[:_FAULT_ROWS_MAX]


def _fault_moments(window: FaultWindow) -> list[Moment]:
    name = f"{window.name} ({window.mode})" if window.mode else window.name
    rows = [Moment(window.start_ns, window.on, f"fault began: {name}", f"fault {window.number}")]
    if window.end_ns is not None:
        rows.append(Moment(window.end_ns, window.on, f"fault healed: {name}", f"fault {window.number}"))
    return rows
