"""A run over time: what is drawn of it, on one axis.

Everything here is generic over what a scenario records (`reports.series` says how). All series of a run share
one bucket width, a round one, chosen so that the run fits into `BUCKETS_MAX` of them.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from harness.history.events import HostChanged
from harness.history.history import History
from harness.history.query import FaultWindow, fault_windows
from harness.units import SECOND

BUCKETS_MAX: Final = 240
"""Buckets of one series: the specification allows 600, but 240 are three pixels each and keep a run small."""

BUCKETS_MIN: Final = 60
"""Buckets of one series where so many runs are drawn that they would not fit into one page otherwise."""
BUCKETS_TOTAL: Final = 10 * BUCKETS_MAX
"""Buckets of one series of each run drawn, together."""

_BUCKET_STEPS_MS: Final = (10, 20, 50, 100, 200, 250, 500)
_BUCKET_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)

Values: TypeAlias = tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One fault on the time axis; `end_s` is None when it was never healed."""

    label: str
    start_s: float
    end_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One change in a host's life, on the time axis."""

    time_s: float
    actor: str
    change: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One value a bucket, None where nothing was measured; `low` is a bucket's least value if it differs."""

    name: str
    high: Values
    low: Values | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What an invariant allows: `value` in the unit of the chart, `about` the text that names the operation."""

    chart: str
    about: str
    label: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Series of one unit over the common time axis, with the limits that invariants set on them.

    `key` is the kind of chart, `operation` the one it is about if it is about one.
    """

    key: str
    title: str
    unit: str
    series: tuple[Series, ...]
    operation: str = ""
    log: bool = False
    limits: tuple[Limit, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """All that is drawn of one run."""

    duration_s: float
    bucket_s: float
    events: int
    bands: tuple[Band, ...]
    marks: tuple[Mark, ...]
    charts: tuple[Chart, ...]


def timeline_of(
    history: History, charts: Sequence[Chart], limits: Sequence[Limit], buckets_max: int = BUCKETS_MAX
) -> Timeline:
    """Return a run on its time axis, with the limits drawn into the charts they belong to."""
    return Timeline(
        duration_s=history.end_ns / SECOND,
        bucket_s=bucket_ns(history.end_ns, buckets_max) / SECOND,
        events=len(history.events),
        bands=tuple(_band(window) for window in fault_windows(history)),
        marks=tuple(
            Mark(time_s=event.time_ns / SECOND, actor=event.actor, change=event.change)
            for event in history.events
            if isinstance(event, HostChanged)
        ),
        charts=tuple(_limited(chart, limits) for chart in charts),
    )


def bucket_ns(end_ns: int, buckets_max: int = BUCKETS_MAX) -> int:
    """Return the least round bucket width that gives at most `buckets_max` buckets."""
    widths = [step * SECOND // 1000 for step in _BUCKET_STEPS_MS] + [step * SECOND for step in _BUCKET_STEPS_S]
    return next((width for width in widths if end_ns // width < buckets_max), end_ns // buckets_max + 1)


def fault_label(window: FaultWindow) -> str:
    """Return the name and mode of a fault."""
    return " ".join(part for part in (window.name, window.mode) if part)


def _band(window: FaultWindow) -> Band:
    end_s = None if window.end_ns is None else window.end_ns / SECOND
    return Band(label=fault_label(window), start_s=window.start_ns / SECOND, end_s=end_s)


def _limited(chart: Chart, limits: Sequence[Limit]) -> Chart:
    mine = (limit for limit in limits if limit.chart == chart.key and chart.operation in limit.about)
    return dataclasses.replace(chart, limits=tuple(mine))
