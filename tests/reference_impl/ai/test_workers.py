"""Real threads: the loop goes on, errors come back, and a model that blocks for ever holds up nothing."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from reference_impl._ai.workers import Threads


async def test_work_is_done_on_another_thread():
    """With its arguments, and its result."""
    threads = Threads()
    here = threading.get_ident()
    there, total = await threads("fit", lambda *args: (threading.get_ident(), sum(args)), 1, 2)
    assert (there != here, total) == (True, 3)


@pytest.mark.parametrize("error", [ValueError("x"), StopIteration(), SystemExit(2)])
async def test_what_it_raises_comes_back(error):
    """Whatever it is; a StopIteration as what a future can hold."""

    def fail():
        raise error

    with pytest.raises(RuntimeError if isinstance(error, StopIteration) else type(error)):
        await Threads()("predict", fail)


async def test_one_that_blocks_holds_up_no_other_and_may_end_late():
    """The caller gives up; another call is done meanwhile; the late result goes nowhere."""
    threads, release = Threads(), threading.Event()
    blocked = asyncio.ensure_future(threads("predict", release.wait))
    assert await threads("predict", lambda: 7) == 7
    assert not blocked.done()
    blocked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await blocked
    release.set()
    await threads("predict", lambda: None)


def test_a_process_ends_though_a_thread_hangs():
    """A pool would be waited for at exit, for ever; so would this test be."""
    program = """
import asyncio, threading
from reference_impl._ai.workers import Threads
async def main():
    try:
        await asyncio.wait_for(Threads()("predict", threading.Event().wait), 0.1)
    except TimeoutError:
        print("gave up")
asyncio.run(main())
"""
    root = Path(__file__).parents[3]
    ended = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, timeout=60, check=True)
    assert ended.stdout == b"gave up\n"
