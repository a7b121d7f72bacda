"""A harness process for the tests to kill: two hosts (one frozen), grandchildren, a server, the proxies' process.

Prints one JSON line {run, guard, pids, scratch, record} when all is up, then waits for ever. With a second argument,
the proxies are at the toxiproxy-server of that URL instead.
"""

import asyncio
import json
import sys
from pathlib import Path

import host_programs

from harness.history.events import Event, Observation
from harness.tape import Tape
from harness.world.base import HostSpec
from harness.world.real.process import spawn
from harness.world.real.proxy_api import ProxyPlace
from harness.world.real.world import RealWorld


class Sink:
    """Waits for the one event that matters here."""

    def __init__(self) -> None:
        self.grandchildren: asyncio.Future[Observation] = asyncio.get_running_loop().create_future()

    def record(self, event: Event) -> None:
        """Take note if this is it."""
        if isinstance(event, Observation) and event.name == "grandchildren":
            self.grandchildren.set_result(event)


class Elsewhere:
    """A dependency that somebody else would run."""

    name = "redis"
    url = "redis://127.0.0.1:1"

    async def stop(self) -> None:
        """It is not ours."""


async def elsewhere(*_: object) -> Elsewhere:
    """Start nothing."""
    return Elsewhere()


async def main(directory: Path, toxiproxy: ProxyPlace | None) -> None:
    """Start everything, tell, wait."""
    sink = Sink()
    async with RealWorld(
        Tape(1), sink, targets={}, directory=directory, dependency_kinds={"redis": elsewhere}, toxiproxy=toxiproxy
    ) as world:
        await world.start_dependency("redis", "redis", {})
        server = await spawn(["sleep", "600"], name="server")
        await world.start_host(HostSpec(name="parent", program=host_programs.has_grandchildren))
        await world.start_host(HostSpec(name="frozen", program=host_programs.until_stopped))
        await world.freeze_host("frozen")
        grandchildren = await sink.grandchildren
        hosts = [host._child.pid for host in world._hosts.values()]
        proxies = [child.pid for child in world.run._children.values() if child.name == "toxiproxy"]
        told = {
            "run": world.run.id,
            "guard": world.run.guard_pid,
            "pids": [server.pid, *proxies, *hosts, *grandchildren.value["pids"]],
            "scratch": str(world._scratch),
            "record": str(world.run.record_path),
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), ProxyPlace.parse(sys.argv[2]) if len(sys.argv) > 2 else None))
