"""Host programs of test_disk_and_clock.py."""

import asyncio
import errno
import sys
import threading
import time

from harness.world.base import Host

_CHILD = """
import sys
for line in sys.stdin:
    try:
        with open(sys.argv[1], "a") as file:
            file.write(line)
        print("ok", flush=True)
    except OSError as error:
        print(error.errno, flush=True)
"""


async def have_child_write(host: Host) -> None:
    """Have a child that was there before, and new ones, write to the disk, over and over."""
    stopping = asyncio.ensure_future(host.stopping())
    old = await _child(host)
    while not stopping.done():
        new = await _child(host)
        for who, child in (("old", old), ("new", new)):
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(b"words\n")
            said = (await child.stdout.readline()).decode().strip()
            host.log.observe("wrote", who=who, error=None if said == "ok" else errno.errorcode[int(said)])
        await _end(new)
    await _end(old)


async def _child(host: Host) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CHILD, str(host.disk / "words"), stdin=pipe, stdout=pipe
    )


async def _end(child: asyncio.subprocess.Process) -> None:
    assert child.stdin is not None
    child.stdin.close()
    await child.wait()


async def block(host: Host) -> None:
    """Block the event loop until a file appears, then finish."""
    host.log.observe("blocking")
    while not (host.disk / "go on").exists():
        threading.Event().wait(0.01)
    await host.stopping()


async def read_in_threads(host: Host) -> None:
    """Read the wall clock in several threads at once, until asked to stop."""
    stopping = asyncio.ensure_future(host.stopping())

    def read() -> float:
        return max(abs(time.time() - time.time_ns() / 1e9) for _ in range(500))

    while not stopping.done():
        apart = await asyncio.gather(*(asyncio.to_thread(read) for _ in range(4)))
        host.log.observe("apart", most=max(apart))
