"""The clocks at any time and for any offset, and beside busy threads."""

# ruff: noqa: DTZ005 - naive readings are tested too

import datetime as dt
import os
import sys
import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from harness.world.sim.sources import virtual

DAY_NS = 86_400 * 10**9
YEARS_NS = 60 * 365 * DAY_NS


@given(
    readings=st.lists(
        st.tuples(st.integers(0, 40 * DAY_NS), st.integers(-YEARS_NS // 3, YEARS_NS // 3)), min_size=1, max_size=5
    ),
    hours=st.integers(-23, 23),
)
def test_all_clocks_agree(fakes, readings, hours):
    """Every wall clock is a view of one instant, cut to its own resolution; steady clocks do not see the offset."""
    machine = fakes.FakeMachine()
    zone = dt.timezone(dt.timedelta(hours=hours))
    for time_ns, offset_ns in readings:
        machine.time_ns, machine.skew_ns = time_ns, offset_ns
        with virtual(machine):
            wall_ns = time.time_ns()
            assert wall_ns == fakes.WALL_NS + time_ns + offset_ns
            assert time.monotonic_ns() == time.perf_counter_ns() == time_ns
            assert time.time() == wall_ns / 10**9
            now = dt.datetime.now(zone)
            assert (now - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1) == wall_ns // 1000
            assert now.replace(tzinfo=None) - dt.timedelta(hours=hours) == dt.datetime.now()
            assert tuple(time.localtime())[:6] == tuple(time.gmtime())[:6] == dt.datetime.now().timetuple()[:6]
            assert int(dt.datetime.now().timestamp()) == wall_ns // 10**9


def test_runs_come_and_go_beside_busy_threads(machine):
    """500 runs begin and end while two threads use what is redirected: no crash, no error, no virtual reading there."""
    stop = threading.Event()
    seen = []
    began = time.time()

    def use():
        low, high, count = began, began, 0
        while not stop.is_set():
            local = time.mktime(time.localtime()) + 1
            readings = (time.time(), time.time_ns() / 1e9, dt.datetime.now(dt.UTC).timestamp(), local)
            low, high = min(low, *readings), max(high, *readings)
            count += len(os.urandom(4)) + len(time.strftime("%Y"))
            time.sleep(0)
        seen.append((low, high, count))

    threads = [threading.Thread(target=use) for _ in range(2)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # so that the threads run inside of runs, not between them
    for thread in threads:
        thread.start()
    try:
        for _ in range(500):
            with virtual(machine):
                assert time.time_ns() == machine.wall_ns()
                assert dt.datetime.now().year == 2023
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        for thread in threads:
            thread.join()
    assert len(seen) == 2
    for low, high, count in seen:
        assert count > 0
        assert began - 1 <= low
        assert high <= time.time() + 1
