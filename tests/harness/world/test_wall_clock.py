"""The shared redirection of the wall clock: what a process shows whose clock has a source that is not virtual.

In processes of their own: it is for the life of a process, and this one belongs to the sim world.
"""

import subprocess
import sys
import textwrap

import pytest

_PRELUDE = """
import datetime, time
from datetime import datetime as early
from time import time as bound
early_now = early.now
class Sub(datetime.datetime): pass
from harness.errors import WorldError
from harness.world import wall_clock
off = 0
def source():
    return wall_clock.true_time_ns() + off if off else None
redirections = wall_clock.redirections(source)
wall_clock.arm_datetime(source)
for one in redirections: one.install()
real = time.clock_gettime(time.CLOCK_MONOTONIC)
"""


def in_process(body: str, zone: str = "UTC") -> str:
    """Run this after the prelude, in that time zone; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", _PRELUDE + textwrap.dedent(body)],
        capture_output=True,
        text=True,
        env={"TZ": zone, "PYTHONPATH": ":".join(sys.path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


READERS = {
    "time.time": "time.time()",
    "bound early": "bound()",
    "time_ns": "time.time_ns() / 1e9",
    "clock_gettime": "time.clock_gettime(time.CLOCK_REALTIME)",
    "clock_gettime_ns": "time.clock_gettime_ns(time.CLOCK_REALTIME) / 1e9",
    "now": "datetime.datetime.now().timestamp()",
    "now in UTC": "early.now(datetime.timezone.utc).timestamp()",
    "now bound early": "early_now().timestamp()",
    "utcnow": "datetime.datetime.utcnow().replace(tzinfo=datetime.timezone.utc).timestamp()",
    "now of a subclass": "Sub.now().timestamp()",
    "today": "datetime.datetime.today().timestamp()",
    "localtime": "time.mktime(time.localtime())",
    "localtime(None)": "time.mktime(time.localtime(None))",
    "ctime": "time.mktime(time.strptime(time.ctime()))",
    "asctime": "time.mktime(time.strptime(time.asctime()))",
    "strftime": "time.mktime(time.strptime(time.strftime('%Y-%m-%d %H:%M:%S'), '%Y-%m-%d %H:%M:%S'))",
}


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_every_reader_follows_the_source_and_tells_the_truth_without_it(zone: str) -> None:
    """In the local time of the process, whatever that is."""
    body = f"""
    readers = {{name: eval("lambda: " + text) for name, text in {READERS!r}.items()}}
    for off in (0, 86_400 * 10**9, -86_400 * 10**9, 0):
        for name, read in readers.items():
            apart = read() - (wall_clock.true_time_ns() + off) / 1e9
            if abs(apart) > 5: print(off, name, apart)
    """
    assert in_process(body, zone) == ""


def test_what_is_given_a_time_and_what_is_steady_is_left_alone() -> None:
    """Only "now" moves: not the conversion of a given instant, nor a monotonic clock."""
    body = """
    off = 86_400 * 10**9
    assert time.gmtime(0).tm_year == 1970 and time.ctime(0).endswith("1970")
    assert time.strftime("%Y", time.gmtime(0)) == "1970" and time.asctime(time.gmtime(0)).endswith("1970")
    assert datetime.datetime.fromtimestamp(0, datetime.timezone.utc).year == 1970
    assert 0 <= time.clock_gettime(time.CLOCK_MONOTONIC) - real < 60
    assert isinstance(Sub.now(), Sub)
    print("done")
    """
    assert in_process(body) == "done\n"


def test_a_second_source_is_refused() -> None:
    """Two would contradict each other."""
    body = """
    try:
        wall_clock.arm_datetime(source)
    except WorldError as error:
        print(error)
    """
    assert in_process(body) == "the wall clock of this process has a source already\n"
