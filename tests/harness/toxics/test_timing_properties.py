"""The times at which bytes leave, against models that compute them another way: all at once, byte by byte."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from harness.toxics.base import Active
from harness.toxics.catalog import parse
from harness.toxics.pipe import Pipe
from harness.units import MILLISECOND, SECOND, ms

ARRIVALS = st.lists(st.tuples(st.integers(0, ms(200)), st.integers(1, 60)), min_size=1, max_size=12)
"""Gaps between chunks in nanoseconds, and their sizes."""


class Numbers:
    """Dice that Hypothesis throws."""

    def __init__(self, data):
        self._data = data

    def below(self, bound, /):
        return self._data.draw(st.integers(0, bound - 1))


def departures(pipe, chunks, late_ns=0, changes=()):
    """Run chunks (time, size) through a pipe; return the times at which its bytes leave, one for each byte.

    The pipe is woken `late_ns` after it wants to be. `changes` are (time, what to do then).
    """
    events = sorted([*chunks, *changes], key=lambda each: each[0])
    times, counted = [], 0

    def note(now_ns, items):
        times.extend([now_ns] * sum(map(len, items)))

    def run_until(end_ns):
        while pipe.due_ns is not None and pipe.due_ns + late_ns <= end_ns:
            due_ns = pipe.due_ns
            note(due_ns + late_ns, pipe.wake(due_ns + late_ns))
            assert pipe.due_ns is None or pipe.due_ns > due_ns + late_ns

    for now_ns, what in events:
        run_until(now_ns)
        if callable(what):
            note(now_ns, what(now_ns))
        else:
            counted += what
            note(now_ns, pipe.feed(now_ns, bytes(what)))
        assert pipe.held == counted - len(times)
    run_until(10**15)
    return times


def chunks_of(gaps):
    """Return chunks as (arrival, size), from gaps."""
    now_ns, chunks = SECOND, []
    for gap_ns, size in gaps:
        now_ns += gap_ns
        chunks.append((now_ns, size))
    return chunks


def arrivals(chunks):
    """Return the arrival of each byte."""
    return [now_ns for now_ns, size in chunks for _ in range(size)]


def pipe_of(data, *toxics):
    """Return a pipe and its toxics."""
    pipe = Pipe(lambda _name: Numbers(data))
    actives = [Active(name=str(n), stream="upstream", toxic=parse(kind, a)) for n, (kind, a) in enumerate(toxics)]
    for active in actives:
        pipe.add(active)
    return pipe, actives


@given(st.data(), ARRIVALS, st.integers(0, 300), st.integers(0, 300))
def test_latency_is_within_its_bounds(data, gaps, latency, jitter):
    """Each byte is late by latency +/- jitter, never early, even where it waits for the one before it."""
    chunks = chunks_of(gaps)
    pipe, _ = pipe_of(data, ("latency", {"latency": latency, "jitter": jitter}))
    times = departures(pipe, chunks)
    assert times == sorted(times)
    least_ns, most_ns = max(0, latency - jitter) * MILLISECOND, (latency + jitter) * MILLISECOND
    for arrived_ns, left_ns in zip(arrivals(chunks), times, strict=True):
        assert arrived_ns + least_ns <= left_ns <= arrived_ns + most_ns


def perfect_line(chunks, rates):
    """Return when a line that carries single bytes would have carried each one. `rates` are (since, kB/s)."""
    times, free_ns = [], Fraction(0)
    for now_ns in arrivals(chunks):
        free_ns, missing = max(free_ns, Fraction(now_ns)), Fraction(1_000_000)
        for position, (since_ns, rate) in enumerate(rates):
            until_ns = rates[position + 1][0] if position + 1 < len(rates) else None
            begin_ns = max(free_ns, Fraction(since_ns))
            if until_ns is not None and begin_ns >= until_ns:
                continue
            if rate and (until_ns is None or (until_ns - begin_ns) * rate >= missing):
                free_ns = begin_ns + missing / rate
                break
            missing -= rate * (until_ns - begin_ns)
            free_ns = Fraction(until_ns)
        times.append(free_ns)
    return times


RATES = st.lists(st.tuples(st.integers(1, ms(300)), st.integers(0, 50)), max_size=4)


@given(st.data(), ARRIVALS, st.integers(1, 50), RATES, st.integers(1, 50), st.integers(0, ms(30)))
def test_bandwidth_is_that_of_a_perfect_line(data, gaps, first, changes, last, late_ns):
    """No byte leaves before a perfect line has carried it, nor 10 ms and a nanosecond after, whatever the changes.

    So over any interval the bytes carried are the rate's, give or take 10 ms of it. A late wake delays nothing but
    itself: the times still are the line's plus that.
    """
    chunks = chunks_of(gaps)
    rates, since_ns = [(0, first)], SECOND
    for gap_ns, rate in [*changes, (ms(500), last)]:
        since_ns += gap_ns
        rates.append((since_ns, rate))
    pipe, (active,) = pipe_of(data, ("bandwidth", {"rate": first}))

    def change_to(rate):
        def act(now_ns):
            active.toxic = parse("bandwidth", {"rate": rate})
            return pipe.change(active, now_ns)

        return act

    times = departures(pipe, chunks, late_ns, [(since_ns, change_to(rate)) for since_ns, rate in rates[1:]])
    for carried_ns, left_ns in zip(perfect_line(chunks, rates), times, strict=True):
        assert carried_ns <= left_ns <= carried_ns + ms(10) + 1 + late_ns


@given(st.data(), ARRIVALS, st.integers(1, 20), st.integers(0, 20), st.integers(0, 5000))
def test_slicer_cuts_as_it_says(data, gaps, average, variation, delay):
    """The first piece of an idle line leaves at once, the next ones follow each other by the delay."""
    variation = min(variation, average)
    chunks = chunks_of(gaps)
    attributes = {"average_size": average, "size_variation": variation, "delay": delay}
    pipe, _ = pipe_of(data, ("slicer", attributes))
    times = departures(pipe, chunks)
    free_ns, position = 0, 0
    for arrived_ns, size in chunks:
        own = times[position : position + size]
        position += size
        steps = sorted(set(own)) if delay else [arrived_ns]
        for left_ns in steps:
            assert left_ns == max(free_ns, arrived_ns)
            free_ns = left_ns + delay * 1000
        if delay:
            cuts = [own.count(left_ns) for left_ns in steps]
            assert all(max(1, average - variation) <= cut <= max(1, average + variation) for cut in cuts[:-1])
            assert cuts[-1] <= max(1, average + variation)


@given(st.data(), ARRIVALS, st.integers(0, 100), st.integers(1, 50))
def test_a_chain_adds_up(data, gaps, latency, rate):
    """Latency before a line is a line whose chunks arrive later."""
    chunks = chunks_of(gaps)
    pipe, _ = pipe_of(data, ("latency", {"latency": latency}), ("bandwidth", {"rate": rate}))
    chain = departures(pipe, chunks)
    pipe, _ = pipe_of(data, ("bandwidth", {"rate": rate}))
    assert chain == departures(pipe, [(now_ns + ms(latency), size) for now_ns, size in chunks])
