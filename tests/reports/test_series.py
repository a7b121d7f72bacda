"""Series, limits and recovery, each against figures worked out by hand or by a plainer way."""

import math
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from harness.history.events import (
    Event,
    Fail,
    FaultBegan,
    FaultHealed,
    Invoke,
    Observation,
    Ok,
    RunEnded,
    RunStarted,
)
from harness.history.history import History
from harness.units import MILLISECOND, SECOND
from reports.html.svg import linear, logarithmic, time_ticks
from reports.recovery import recoveries
from reports.series import charts_of
from reports.timeline import BUCKETS_MAX, Chart, bucket_ns


def history(*events: Event, end_s: float = 10) -> History:
    """Return a history of these events."""
    began = RunStarted(0, "harness", 1, 1, "0", "s", "ci", "sim", 1, {}, [])
    return History.of([began, *events, RunEnded(round(end_s * SECOND), "harness", 1, None, 0)])


def did(op: int, start_s: float, took_ms: float, *, ok: bool = True, name: str = "fetch") -> tuple[Event, Event]:
    """Return an operation's two events."""
    start = round(start_s * SECOND)
    end = start + round(took_ms * MILLISECOND)
    last: Event = Ok(end, "h", 1, op, {"id": f"e{op}"}) if ok else Fail(end, "h", 1, op, "no")
    return Invoke(start, "h", 1, op, name, {}), last


def chart(charts: Sequence[Chart], key: str) -> Chart:
    """Return the one chart of that kind."""
    [found] = [chart for chart in charts if chart.key == key]
    return found


@given(st.integers(min_value=1, max_value=100_000 * SECOND))
def test_a_run_of_any_length_fits_into_its_buckets(end_ns: int) -> None:
    """There are at most `BUCKETS_MAX` buckets, and the last event has one."""
    width = bucket_ns(end_ns)
    assert 1 <= end_ns // width + 1 <= BUCKETS_MAX


@given(st.lists(st.tuples(st.floats(0, 9.5), st.floats(0, 400), st.booleans()), min_size=1, max_size=60))
def test_counts_and_extremes_survive_the_buckets(operations: list[tuple[float, float, bool]]) -> None:
    """No operation is lost by bucketing, and the slowest one is still the maximum of the chart."""
    events = [event for op, (at, took, ok) in enumerate(operations) for event in did(op, at, took, ok=ok)]
    charts = charts_of(history(*events))
    width_s = bucket_ns(10 * SECOND) / SECOND
    throughput = chart(charts, "throughput")
    total = sum((value or 0) * width_s for series in throughput.series for value in series.high)
    assert math.isclose(total, len(operations))
    slowest = max(round(took * MILLISECOND) for _, took, _ in operations) / MILLISECOND
    latency = {series.name: series for series in chart(charts, "latency").series}
    assert max(value for value in latency["max"].high if value is not None) == slowest
    assert set(latency) == {"p50", "p99", "max"}
    for p50, p99, most in zip(*(latency[name].high for name in ("p50", "p99", "max")), strict=True):
        assert (p50 is None) == (p99 is None) == (most is None)
        assert p50 is None or p50 <= (p99 or 0) <= (most or 0)


def test_any_number_in_stats_is_a_depth_series_with_its_extremes() -> None:
    """Fields that are numbers are drawn, with least and greatest of a bucket; flags and texts are not."""
    samples = [(1.00, 5), (1.01, 90), (1.02, 2), (3, 7)]
    events = [
        Observation(round(at * SECOND), "bus", 1, "stats", {"queued": value, "mode": "x", "up": True, "zero": 0})
        for at, value in samples
    ]
    depth = chart(charts_of(history(*events)), "depth")
    [series] = depth.series
    assert series.name == "bus queued"
    assert [value for value in series.high if value is not None] == [90, 7]
    assert series.low is not None
    assert [value for value in series.low if value is not None] == [2, 7]
    assert depth.note == "peak bus queued 90; 0 throughout: bus zero"


def test_what_is_owed_to_a_group() -> None:
    """Acked and never delivered stays owed; overflow settles it; a second delivery is counted as one again."""
    events = [event for op in range(4) for event in did(op, 1 + op, 1)]
    seen = [(2.5, "e0"), (4.5, "e0"), (4.6, "e1")]
    events += [Observation(round(at * SECOND), "c", 1, "deliver", {"group": "g", "id": i}) for at, i in seen]
    events.append(Observation(6 * SECOND, "h", 1, "overflow", {"ids": ["e2"]}))
    owed = chart(charts_of(history(*events)), "owed")
    series, again = owed.series
    assert series.high[-1] == 1
    assert (again.name, again.high[-1], again.high[0]) == ("g again", 1, 0)
    assert max(value or 0 for value in series.high) == 3
    assert owed.note == "1 given up by overflow; g: 1 undelivered at the end, 1 delivered again"


def test_nothing_recorded_gives_no_chart() -> None:
    """A history without operations and samples has no chart, rather than empty ones."""
    assert charts_of(history()) == ()


def outage(*, heal: bool = True) -> list[Event]:
    """Ten operations a second; from 10 s to 20 s they fail, until 23 s they are slow."""
    events: list[Event] = [FaultBegan(10 * SECOND, "harness", 1, 0, "redis.outage", "refuse", "redis")]
    if heal:
        events.append(FaultHealed(20 * SECOND, "harness", 1, 0))
    for op in range(300):
        at = op / 10 + 0.05
        slow = 20 < at < 23
        events += did(op, at, 60 if slow else 5, ok=not 10 <= at < 20)
    return events


def test_recovery_is_measured_from_the_fault_and_from_the_heal() -> None:
    """Detected 55 ms into the fault, first success 110 ms and normal three seconds after the heal."""
    [row] = recoveries(history(*outage(), end_s=40))
    assert (row.fault, row.operation, row.disturbed) == ("redis.outage refuse", "fetch", 100)
    assert (row.start_s, row.attempted) == (10, 100)
    assert row.detect_s == 0.055
    assert row.first_success_s == 0.11
    assert row.normal_s == 3.0


def test_never_healed_has_no_recovery() -> None:
    """Without a heal there is nothing to recover from yet: None, not 0."""
    [row] = recoveries(history(*outage(heal=False), end_s=40))
    assert not row.healed
    assert (row.first_success_s, row.normal_s) == (None, None)


def test_never_normal_again_is_none() -> None:
    """An operation that stays slow never counts as back to normal."""
    events = outage()[:2]
    for op in range(300):
        events += did(op, op / 10 + 0.05, 5 if op < 100 else 80)
    [row] = recoveries(history(*events, end_s=40))
    assert row.first_success_s == 0.13
    assert row.normal_s is None
    assert row.detect_s is None


@given(st.floats(1e-6, 1e12))
def test_linear_scale_holds_its_values(high: float) -> None:
    """The greatest value fits, the axis is not mostly empty, and ticks are few."""
    scale = linear(high, 100, 0)
    assert scale.high >= high * (1 - 1e-9)
    assert scale.high <= high * 2.01
    assert 2 <= len(scale.ticks) <= 6
    assert 0 <= scale.at(high) <= 100


@given(st.floats(1e-4, 1e7), st.floats(1, 1e6))
def test_logarithmic_scale_holds_its_values(low: float, factor: float) -> None:
    """The greatest value fits, one below the floor sits on it, and ticks are whole decades."""
    high = low * factor
    scale = logarithmic(low, high, 100, 0)
    assert scale.high >= high * (1 - 1e-6)
    assert 2 <= len(scale.ticks) <= 9
    assert scale.at(high) <= scale.at(low) <= 100


@given(st.floats(0.01, 1e6))
def test_time_ticks_are_few(duration_s: float) -> None:
    """There are at most eleven ticks, the first at 0."""
    ticks = time_ticks(duration_s)
    assert ticks[0] == 0
    assert len(ticks) <= 11


def test_the_use_of_limits_is_the_servers_own_count() -> None:
    """The greatest share of a bucket is drawn for weight and each order window; requests that count nothing are not."""

    def request(at_s: float, **value: object) -> Observation:
        return Observation(round(at_s * SECOND), "exchange", 1, "request", value)

    drawn = chart(
        charts_of(
            history(
                request(1, used=600, limit=2_400),
                request(1.001, used=1_200, limit=2_400, counts=[[10_000, 30, 300], [60_000, 30, 1_200]]),
                request(9, used=2_640, limit=2_400),
                request(9.5, status=403),
            )
        ),
        "limits",
    )
    shares = {series.name: [share for share in series.high if share is not None] for series in drawn.series}

    assert shares == {"weight": [50.0, 110.0], "orders in 10 s": [10.0], "orders in 60 s": [2.5]}
    assert drawn.note == "peak weight 110 %; peak orders in 10 s 10 %; peak orders in 60 s 2.5 %"


def test_the_rarest_percentile_is_drawn_where_it_can_be_told_from_the_greatest() -> None:
    """Of 1,000 operations in one bucket p99.9 is the second slowest, not the slowest."""
    events = [event for op in range(1000) for event in did(op, 1, 1 if op < 998 else 20 * (op - 997))]
    latency = {one.name: one for one in chart(charts_of(history(*events)), "latency").series}
    assert list(latency) == ["p50", "p99", "p99.9", "max"]
    greatest = {name: max(value for value in one.high if value is not None) for name, one in latency.items()}
    assert greatest == {"p50": 1, "p99": 1, "p99.9": 20, "max": 40}


def test_refused_requests_are_counted_by_status() -> None:
    """429s and bans are drawn as the exchange recorded them; a session without a refusal has no such chart."""

    def answered(at_s: float, status: int) -> Observation:
        return Observation(round(at_s * SECOND), "exchange", 1, "request", {"status": status})

    drawn = chart(
        charts_of(history(answered(1, 200), answered(2, 429), answered(2, 429), answered(3, 418))), "refusals"
    )
    assert {one.name: sum(value or 0 for value in one.high) for one in drawn.series} == {"429": 2, "418": 1}
    assert drawn.note == "whole run: 2 429, 1 418"
    assert charts_of(history(answered(1, 200))) == ()


def test_sockets_are_counted_by_what_became_of_them() -> None:
    """Each outcome of a connection is a series; an entry that stands for many counts as many."""
    links = [("connected", 1), ("refused", 7), ("connected", 1)]
    events = [
        Observation(at * SECOND, "h", 1, "link", {"to": "redis", "outcome": outcome, "count": count})
        for at, (outcome, count) in enumerate(links)
    ]
    drawn = chart(charts_of(history(*events)), "connections")
    assert {one.name: sum(value or 0 for value in one.high) for one in drawn.series} == {"refused": 7, "connected": 2}
