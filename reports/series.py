"""The charts of a history, generic over what a scenario records.

Any operation name gives throughput and latency; any numeric field of a `stats` observation gives a depth
series; a `request` observation that bears a use and its limit gives the use of limits; an `Ok` that returns an `id`,
and a `deliver` observation that carries one, give the flow of events. Nothing is averaged: a percentile is computed per
bucket from the raw durations of the operations that ended in it, and a sampled value keeps the least and the greatest
of its bucket.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from harness.history.history import History
from harness.history.query import observations, operations, percentile
from harness.units import MILLISECOND, SECOND
from reports.text import number
from reports.timeline import BUCKETS_MAX, Chart, Series, bucket_ns

CHARTED_MAX: Final = 3
"""Operations, groups and the like in one chart: the busiest are drawn, the rest are named."""
DEPTH_SERIES_MAX: Final = 6

_RARE: Final = 99.9
_TELLS_RARE: Final = 1000
"""Durations from which on p99.9 is another one than the greatest; with fewer in every bucket it is not drawn."""
_REFUSED: Final = 400
"""HTTP status from which on a request was refused."""

_OUTCOMES: Final = {"ok": "ok", "fail": "failed", "info": "unknown"}


def charts_of(history: History, buckets_max: int = BUCKETS_MAX) -> tuple[Chart, ...]:
    """Return the charts of a history that have something to show. Raises `HistoryError` if it is damaged."""
    width = bucket_ns(history.end_ns, buckets_max)
    buckets = history.end_ns // width + 1
    makers = (_throughput, _latency, _depth, _use_of_limits, _refusals, _flow, _connections)
    return tuple(chart for maker in makers for chart in maker(history, width, buckets) if chart.series)


def _names(history: History) -> list[str]:
    """Operation names, the busiest first."""
    return [name for name, _ in Counter(done.name for done in operations(history)).most_common()]


def _throughput(history: History, width: int, buckets: int) -> Iterable[Chart]:
    names = _names(history)
    counts: dict[tuple[str, str], list[int]] = {}
    for done in operations(history):
        if done.end_ns is not None:
            counts.setdefault((done.name, done.outcome), [0] * buckets)[done.end_ns // width] += 1
    series = [
        Series(name=f"{name} {told}", high=tuple(n * SECOND / width for n in counts[name, outcome]))
        for name in names[:CHARTED_MAX]
        for outcome, told in _OUTCOMES.items()
        if (name, outcome) in counts
    ]
    note = f"not drawn: {', '.join(names[CHARTED_MAX:])}" if names[CHARTED_MAX:] else ""
    never = sum(done.end_ns is None for done in operations(history))
    if never:
        note = f"{never:,} never ended" + (f"; {note}" if note else "")
    yield Chart(key="throughput", title="Throughput", unit="per second", series=tuple(series), note=note)


def _latency(history: History, width: int, buckets: int) -> Iterable[Chart]:
    for name in _names(history)[:CHARTED_MAX]:
        raw: list[list[int]] = [[] for _ in range(buckets)]
        for done in operations(history, name):
            if done.end_ns is not None:
                raw[done.end_ns // width].append(done.end_ns - done.start_ns)
        for bucket in raw:
            bucket.sort()
        whole = sorted(value for bucket in raw for value in bucket)
        if not whole:
            continue
        series = tuple(
            Series(
                name=label,
                high=tuple(percentile(bucket, share) / MILLISECOND if bucket else None for bucket in raw),
            )
            for label, share in (("p50", 50), ("p99", 99), ("p99.9", 99.9), ("max", 100))
            if share != _RARE or any(len(bucket) >= _TELLS_RARE for bucket in raw)
        )
        figures = (
            f"{label} {number(percentile(whole, share) / MILLISECOND)} ms"
            for label, share in (("p50", 50), ("p99", 99), ("p99.9", 99.9), ("max", 100))
        )
        note = f"whole run: {', '.join(figures)}"
        yield Chart(
            key="latency", title=f"Latency of {name}", unit="ms", log=True, operation=name, series=series, note=note
        )


def _depth(history: History, width: int, buckets: int) -> Iterable[Chart]:
    samples: dict[str, list[tuple[int, float]]] = {}
    for seen in observations(history, "stats"):
        for key, value in seen.value.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                samples.setdefault(f"{seen.actor} {key}", []).append((seen.time_ns, float(value)))
    moving = [name for name, values in samples.items() if any(value for _, value in values)]
    still = [name for name in samples if name not in moving]
    drawn = moving[:DEPTH_SERIES_MAX] or still[:1]
    notes = [f"peak {name} {number(max(value for _, value in samples[name]))}" for name in drawn if name in moving]
    notes += [f"0 throughout: {', '.join(still)}"] if still else []
    notes += [f"not drawn: {', '.join(moving[DEPTH_SERIES_MAX:])}"] if moving[DEPTH_SERIES_MAX:] else []
    yield Chart(
        key="depth",
        title="Buffers and counters",
        unit="as sampled",
        series=tuple(_sampled(name, samples[name], width, buckets) for name in drawn),
        note="; ".join(notes),
    )


def _sampled(name: str, samples: list[tuple[int, float]], width: int, buckets: int) -> Series:
    high: list[float | None] = [None] * buckets
    low: list[float | None] = [None] * buckets
    for time_ns, value in samples:
        at = time_ns // width
        before_high, before_low = high[at], low[at]
        high[at] = value if before_high is None else max(before_high, value)
        low[at] = value if before_low is None else min(before_low, value)
    return Series(name=name, high=tuple(high), low=tuple(low))


def _use_of_limits(history: History, width: int, buckets: int) -> Iterable[Chart]:
    """How much of each limit was used, by the server's own count: the greatest share of each bucket."""
    shares: dict[str, list[tuple[int, float]]] = {}
    for seen in observations(history, "request"):
        if limit := seen.value.get("limit"):
            shares.setdefault("weight", []).append((seen.time_ns, 100 * seen.value.get("used", 0) / limit))
        for window_ms, used, most in seen.value.get("counts", ()):
            name = f"orders in {window_ms / 1_000:g} s"
            shares.setdefault(name, []).append((seen.time_ns, 100 * used / most))
    drawn = [_sampled(name, shares[name], width, buckets) for name in sorted(shares, reverse=True)]
    yield Chart(
        key="limits",
        title="Use of limits",
        unit="% of the limit, other tenants included",
        series=tuple(Series(name=one.name, high=one.high) for one in drawn),
        note="; ".join(f"peak {name} {number(max(share for _, share in shares[name]))} %" for name in shares),
    )


def _counted(title: str, key: str, unit: str, seen: Iterable[tuple[str, int, int]], width: int, buckets: int) -> Chart:
    """Return how often each name was seen in each bucket, the most frequent first. `seen`: name, instant, how often."""
    counts: dict[str, list[int]] = {}
    for name, time_ns, count in seen:
        counts.setdefault(name, [0] * buckets)[time_ns // width] += count
    names = sorted(counts, key=lambda name: (-sum(counts[name]), name))
    notes = [f"{sum(counts[name]):,} {name}" for name in names]
    return Chart(
        key=key,
        title=title,
        unit=unit,
        series=tuple(Series(name=name, high=tuple(map(float, counts[name]))) for name in names[:DEPTH_SERIES_MAX]),
        note=f"whole run: {', '.join(notes)}",
    )


def _refusals(history: History, width: int, buckets: int) -> Iterable[Chart]:
    """The requests that the exchange refused, by status: 429, 418 and the like, as it recorded them itself."""
    refused = (
        (str(status), seen.time_ns, 1)
        for seen in observations(history, "request")
        if isinstance(status := seen.value.get("status"), int) and status >= _REFUSED
    )
    yield _counted("Refused requests", "refusals", "answers a bucket, by status", refused, width, buckets)


def _connections(history: History, width: int, buckets: int) -> Iterable[Chart]:
    """What became of sockets, seen from below: connected, refused, unreachable, reset, closed."""
    links = (
        (str(seen.value.get("outcome")), seen.time_ns, count if isinstance(count, int) else 1)
        for seen in observations(history, "link")
        for count in (seen.value.get("count", 1),)
    )
    yield _counted("Connections", "connections", "sockets a bucket, by outcome", links, width, buckets)


def _flow(history: History, width: int, buckets: int) -> Iterable[Chart]:
    """Two charts: the totals, in which a few lost events are invisible, and what is owed, in which they are not."""
    acked = _acked(history)
    delivered = _delivered(history)
    if not acked or not delivered:
        return
    given_up = _given_up(history)
    total = _cumulative(acked.values(), width, buckets)
    totals = [Series(name="acked", high=tuple(map(float, total)))]
    owed = []
    notes = [f"{len(given_up):,} given up by overflow"] if given_up else []
    for group, deliveries in sorted(delivered.items())[:CHARTED_MAX]:
        firsts: dict[str, int] = {}
        for time_ns, identity in deliveries:
            firsts.setdefault(identity, time_ns)
        reached = _cumulative(firsts.values(), width, buckets)
        totals.append(Series(name=f"to {group}", high=tuple(map(float, reached))))
        # An event is owed from its ack on, also when it is delivered just before the ack is recorded.
        ends = (given_up | firsts).items()
        settled = _cumulative((max(at, acked[i]) for i, at in ends if i in acked), width, buckets)
        left = tuple(float(a - s) for a, s in zip(total, settled, strict=True))
        owed.append(Series(name=group, high=left))
        again = len(deliveries) - len(firsts)
        if again:
            every = _cumulative((at for at, _ in deliveries), width, buckets)
            repeated = tuple(float(a - b) for a, b in zip(every, reached, strict=True))
            owed.append(Series(name=f"{group} again", high=repeated))
        notes.append(f"{group}: {left[-1]:,.0f} undelivered at the end, {again:,} delivered again")
    yield Chart(key="flow", title="Acked, and delivered to each group", unit="events in total", series=tuple(totals))
    yield Chart(key="owed", title="Acked, not yet delivered", unit="events", series=tuple(owed), note="; ".join(notes))


def _acked(history: History) -> dict[str, int]:
    """When each id was first returned by an operation that took effect."""
    acked: dict[str, int] = {}
    for done in operations(history):
        identity = None if done.result is None else done.result.get("id")
        if isinstance(identity, str) and done.end_ns is not None:
            acked[identity] = min(done.end_ns, acked.get(identity, done.end_ns))
    return acked


def _delivered(history: History) -> dict[str, list[tuple[int, str]]]:
    """When each group saw which id, every delivery of it."""
    delivered: dict[str, list[tuple[int, str]]] = {}
    for seen in observations(history, "deliver"):
        group = str(seen.value.get("group", seen.actor))
        delivered.setdefault(group, []).append((seen.time_ns, str(seen.value.get("id"))))
    return delivered


def _given_up(history: History) -> dict[str, int]:
    """When each id was first named by an overflow."""
    given_up: dict[str, int] = {}
    for seen in observations(history, "overflow"):
        for identity in seen.value.get("ids", ()):
            given_up.setdefault(str(identity), seen.time_ns)
    return given_up


def _cumulative(times_ns: Iterable[int], width: int, buckets: int) -> list[int]:
    counts = [0] * buckets
    for time_ns in times_ns:
        counts[time_ns // width] += 1
    total = 0
    for at, count in enumerate(counts):
        total += count
        counts[at] = total
    return counts
