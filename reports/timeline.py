"""A history turned into series over time: what charts, their data tables and the recovery table are made of.

Everything here is generic over what a scenario records. Any operation name gives throughput and latency; any
numeric field of a `stats` observation gives a depth series; an `Ok` that returns an `id`, and a `deliver`
observation that carries one, give the flow of events. Nothing is averaged: a percentile is computed per
bucket from the raw durations of the operations that ended in it, and a sampled value keeps the least and the
greatest of its bucket.
"""

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias

from harness.history.events import (
    Event,
    Fail,
    FaultBegan,
    FaultHealed,
    Fields,
    HostChanged,
    Info,
    Invoke,
    Observation,
    Ok,
)
from harness.units import SECOND

BUCKETS_MAX: Final = 240
"""Buckets of one series. The limit of the specification is 600; 240 are three pixels each and keep a run small."""

_BUCKET_STEPS_MS: Final = (10, 20, 50, 100, 200, 250, 500)
_BUCKET_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)

Outcome: TypeAlias = Literal["ok", "failed", "unknown"]
Values: TypeAlias = tuple[float | None, ...]


class History(Protocol):
    """What the reports need of a history."""

    @property
    def events(self) -> Sequence[Event]:
        """All events, in the order in which they were recorded."""


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
    """One value a bucket, None where nothing was measured; `low` is the least of the bucket where it differs."""

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
    operation: str = ""
    title: str
    unit: str
    series: tuple[Series, ...]
    log: bool = False
    limits: tuple[Limit, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One operation: when it began and ended (None: never), how, and the id it returned."""

    name: str
    start_ns: int
    end_ns: int | None
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """All that is drawn of one run."""

    duration_s: float
    bucket_s: float
    events: int
    bands: tuple[Band, ...]
    marks: tuple[Mark, ...]
    charts: tuple[Chart, ...]


@dataclass(slots=True)
class Gathered:
    """One pass over a history."""

    end_ns: int = 1
    count: int = 0
    operations: list[Done] = field(default_factory=list)
    faults: dict[int, tuple[FaultBegan, int | None]] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)
    stats: dict[str, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    acked: dict[str, int] = field(default_factory=dict)
    delivered: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    given_up: dict[str, int] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)


def gather(events: Iterable[Event]) -> Gathered:
    """Read a history once."""
    found = Gathered()
    open_operations: dict[tuple[str, int, int], Invoke] = {}
    for event in events:
        found.count += 1
        found.end_ns = max(found.end_ns, event.time_ns)
        match event:
            case Invoke():
                open_operations[event.actor, event.incarnation, event.op] = event
            case Ok() | Fail() | Info():
                invoked = open_operations.pop((event.actor, event.incarnation, event.op), None)
                if invoked is not None:
                    _complete(found, invoked, event)
            case Observation():
                _observe(found, event)
            case FaultBegan():
                found.faults[event.fault] = (event, None)
            case FaultHealed():
                if event.fault in found.faults:
                    found.faults[event.fault] = (found.faults[event.fault][0], event.time_ns)
            case HostChanged():
                found.marks.append(
                    Mark(time_s=event.time_ns / SECOND, actor=event.actor, change=event.change)
                )
    found.operations.extend(
        Done(name=invoked.name, start_ns=invoked.time_ns, end_ns=None, outcome="unknown")
        for invoked in open_operations.values()
    )
    return found


def _complete(found: Gathered, invoked: Invoke, event: Ok | Fail | Info) -> None:
    outcome: Outcome = "ok" if isinstance(event, Ok) else "failed" if isinstance(event, Fail) else "unknown"
    found.operations.append(
        Done(name=invoked.name, start_ns=invoked.time_ns, end_ns=event.time_ns, outcome=outcome)
    )
    if isinstance(event, Ok) and isinstance(identity := event.value.get("id"), str):
        found.acked.setdefault(identity, event.time_ns)


def _observe(found: Gathered, event: Observation) -> None:
    value: Fields = event.value
    if event.name == "stats":
        for key, sample in value.items():
            if isinstance(sample, (int, float)) and not isinstance(sample, bool):
                found.stats[f"{event.actor} {key}"].append((event.time_ns, float(sample)))
    elif event.name == "deliver":
        found.delivered[str(value.get("group", event.actor))].append((event.time_ns, str(value.get("id"))))
    elif event.name == "overflow":
        for identity in value.get("ids", ()):
            found.given_up.setdefault(str(identity), event.time_ns)


def bucket_ns(end_ns: int) -> int:
    """Return the least round bucket width that gives at most `BUCKETS_MAX` buckets."""
    widths = [step * SECOND // 1000 for step in _BUCKET_STEPS_MS] + [
        step * SECOND for step in _BUCKET_STEPS_S
    ]
    return next((width for width in widths if end_ns // width < BUCKETS_MAX), end_ns // BUCKETS_MAX + 1)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of values in ascending order; there must be at least one."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def timeline(found: Gathered, limits: Sequence[Limit]) -> Timeline:
    """Return the series of a run, with the limits drawn into the charts they belong to."""
    width = bucket_ns(found.end_ns)
    buckets = found.end_ns // width + 1
    charts = [*_throughput(found, width, buckets), *_latency(found, width, buckets)]
    charts += [*_depth(found, width, buckets), *_flow(found, width, buckets)]
    return Timeline(
        duration_s=found.end_ns / SECOND,
        bucket_s=width / SECOND,
        events=found.count,
        bands=tuple(
            Band(
                label=" ".join(part for part in (began.name, began.mode) if part),
                start_s=began.time_ns / SECOND,
                end_s=None if healed is None else healed / SECOND,
            )
            for began, healed in found.faults.values()
        ),
        marks=tuple(found.marks),
        charts=tuple(_limited(chart, limits) for chart in charts),
    )


def _limited(chart: Chart, limits: Sequence[Limit]) -> Chart:
    mine = (limit for limit in limits if limit.chart == chart.key and chart.operation in limit.about)
    return dataclasses.replace(chart, limits=tuple(mine))


def _names(found: Gathered) -> list[str]:
    """Operation names, the busiest first: the first three are charted, the rest are named."""
    return [name for name, _ in Counter(done.name for done in found.operations).most_common()]


CHARTED_MAX: Final = 3


def _throughput(found: Gathered, width: int, buckets: int) -> Iterable[Chart]:
    names = _names(found)
    if not names:
        return
    counts: dict[tuple[str, str], list[int]] = {}
    for done in found.operations:
        if done.end_ns is None:
            continue
        row = counts.setdefault((done.name, done.outcome), [0] * buckets)
        row[done.end_ns // width] += 1
    series = [
        Series(name=f"{name} {outcome}", high=tuple(n * SECOND / width for n in counts[name, outcome]))
        for name in names[:CHARTED_MAX]
        for outcome in ("ok", "failed", "unknown")
        if (name, outcome) in counts
    ]
    left_out = names[CHARTED_MAX:]
    note = f"not drawn: {', '.join(left_out)}" if left_out else ""
    yield Chart(key="throughput", title="Throughput", unit="per second", series=tuple(series), note=note)


def _latency(found: Gathered, width: int, buckets: int) -> Iterable[Chart]:
    for name in _names(found)[:CHARTED_MAX]:
        raw: list[list[float]] = [[] for _ in range(buckets)]
        for done in found.operations:
            if done.name == name and done.end_ns is not None:
                raw[done.end_ns // width].append((done.end_ns - done.start_ns) / 1e6)
        ordered = [sorted(bucket) for bucket in raw]
        whole = sorted(value for bucket in ordered for value in bucket)
        if not whole:
            continue
        shares = {"p50": 0.50, "p99": 0.99, "max": 1.0}
        yield Chart(
            key="latency",
            operation=name,
            title=f"Latency of {name}",
            unit="ms",
            log=True,
            series=tuple(
                Series(
                    name=label,
                    high=tuple(percentile(bucket, share) if bucket else None for bucket in ordered),
                )
                for label, share in shares.items()
            ),
            note="whole run: "
            + ", ".join(
                f"{label} {percentile(whole, share):.4g} ms"
                for label, share in {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}.items()
            ),
        )


def _depth(found: Gathered, width: int, buckets: int) -> Iterable[Chart]:
    moving = {name: samples for name, samples in found.stats.items() if any(value for _, value in samples)}
    still = sorted(set(found.stats) - set(moving))
    if not found.stats:
        return
    series = []
    for name, samples in list(moving.items())[: 2 * CHARTED_MAX]:
        high: list[float | None] = [None] * buckets
        low: list[float | None] = [None] * buckets
        for time_ns, value in samples:
            at = time_ns // width
            before_high, before_low = high[at], low[at]
            high[at] = value if before_high is None else max(before_high, value)
            low[at] = value if before_low is None else min(before_low, value)
        series.append(Series(name=name, high=tuple(high), low=tuple(low)))
    note = f"0 throughout: {', '.join(still)}" if still else ""
    yield Chart(key="depth", title="Buffers and counters", unit="", series=tuple(series), note=note)


def _flow(found: Gathered, width: int, buckets: int) -> Iterable[Chart]:
    if not found.acked or not found.delivered:
        return
    acked = _cumulative(found.acked.values(), width, buckets)
    series = [Series(name="acked", high=tuple(map(float, acked)))]
    notes = []
    for group, deliveries in sorted(found.delivered.items())[:CHARTED_MAX]:
        firsts: dict[str, int] = {}
        for time_ns, identity in deliveries:
            firsts.setdefault(identity, time_ns)
        settled = dict.fromkeys(found.acked.keys() & found.given_up.keys(), 0)
        settled = {identity: found.given_up[identity] for identity in settled}
        # An event counts as owed from its ack on, even when it is delivered in the same instant or just before it.
        settled |= {i: max(at, found.acked[i]) for i, at in firsts.items() if i in found.acked}
        owed = [a - s for a, s in zip(acked, _cumulative(settled.values(), width, buckets), strict=True)]
        series.append(
            Series(
                name=f"delivered {group}",
                high=tuple(map(float, _cumulative(firsts.values(), width, buckets))),
            )
        )
        series.append(Series(name=f"undelivered {group}", high=tuple(map(float, owed))))
        notes.append(
            f"{group}: {owed[-1]:,} undelivered at the end, {len(deliveries) - len(firsts):,} delivered again"
        )
    if found.given_up:
        notes.append(f"{len(found.given_up):,} given up by overflow")
    yield Chart(
        key="flow",
        title="Acked, delivered, undelivered",
        unit="events",
        series=tuple(series),
        note="; ".join(notes),
    )


def _cumulative(times_ns: Iterable[int], width: int, buckets: int) -> list[int]:
    counts = [0] * buckets
    for time_ns in times_ns:
        counts[time_ns // width] += 1
    total = 0
    for at, count in enumerate(counts):
        total += count
        counts[at] = total
    return counts
