"""Host programs that the tests of the real world run in processes of their own."""

import asyncio
import os
import sys

from harness.world.base import Host


async def until_stopped(host: Host) -> None:
    """Record a tick every few milliseconds until asked to stop."""
    number = 0
    while True:
        host.log.observe("tick", n=number)
        number += 1
        try:
            await asyncio.wait_for(host.stopping(), 0.005)
        except TimeoutError:
            continue
        host.log.observe("last words")
        return


async def counts_and_dies(host: Host) -> None:
    """Acknowledge operations one by one, then die of SIGKILL in the middle of recording, with a half-written line."""
    for number in range(host.params["operations"]):
        host.log.invoke("publish", n=number).ok(id=f"id-{number}")
    os.write(host.log.sink._descriptor, b'{"event":"observation","time_ns":1,"act')
    os.kill(os.getpid(), 9)


async def floods(host: Host) -> None:
    """Record without a pause, far more than a pipe holds, until killed; tell each acknowledged number to a file."""
    with (host.disk / "acked").open("wb", buffering=0) as acked:
        number = 0
        while True:
            host.log.invoke("publish", n=number).ok()
            acked.write(b"%d\n" % number)
            number += 1


async def tells_past(host: Host) -> None:
    """Record how often `number` was recorded before, then one more, and wait."""
    host.log.observe("past", seen=[e.value["n"] for e in host.past if getattr(e, "name", "") == "number"])
    host.log.observe("number", n=host.incarnation * 10)
    host.log.observe("draw", value=host.draws("x").below(1 << 40))
    (host.disk / f"incarnation-{host.incarnation}").touch()
    host.log.observe("disk", files=sorted(path.name for path in host.disk.iterdir()))
    await host.stopping()


async def tells_what_it_sees(host: Host) -> None:
    """Record every attribute of the host."""
    made = host.target("event_bus")(7)
    host.log.observe("host", who=host.name, params=host.params, endpoints=host.endpoints, made=made)
    sys.stdout.write("see redis://user:hunter2@127.0.0.1:6379/0\n" + "x" * 3_000_000 + "\n")
    sys.stdout.flush()
    await host.stopping()


def factory(number: int) -> str:
    """Stand in for a target."""
    return f"target {number}"


not_a_factory = 5


async def raises(host: Host) -> None:
    """Fail."""
    raise ValueError("no\nluck at redis://user:hunter2@db:1/0")


async def returns(host: Host) -> None:
    """Finish without being asked."""
    host.log.observe("done")


async def ignores_stop(host: Host) -> None:
    """Never finish."""
    await asyncio.Event().wait()


async def malformed(host: Host) -> None:
    """Send a line that is no event."""
    os.write(host.log.sink._descriptor, b'{"event":"invoke"}\n')
    await host.stopping()


async def impersonates(host: Host) -> None:
    """Record in another host's name."""
    host.log.actor = "somebody else"
    host.log.observe("hello")
    await host.stopping()


async def has_grandchildren(host: Host) -> None:
    """Start a process in its own group and one that leaves it for a session of its own, and wait."""
    sleep = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]
    near, far = await asyncio.gather(
        asyncio.create_subprocess_exec(*sleep), asyncio.create_subprocess_exec(*sleep, start_new_session=True)
    )
    host.log.observe("grandchildren", pids=[near.pid, far.pid])
    await host.stopping()


async def connects(host: Host) -> None:
    """Connect once to each endpoint `host:port` and read to the end."""
    for name in host.endpoints:
        address, _, port = host.endpoints[name].removeprefix("redis://").rpartition(":")
        try:
            reader, writer = await asyncio.open_connection(address, int(port))
            await reader.read()
            writer.close()
        except OSError as error:
            host.log.observe("error", of=name, error=type(error).__name__)
    await host.stopping()
