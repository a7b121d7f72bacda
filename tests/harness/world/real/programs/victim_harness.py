"""A harness process for the tests to kill: two hosts (one frozen), grandchildren, a server; says what it started.

Prints one JSON line {run, guard, pids, scratch, record} when all is up, then waits for ever.
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
from harness.world.real.world import RealWorld


class Sink(list[Event]):
    """Keeps events."""

    def record(self, event: Event) -> None:
        """Append one event."""
        self.append(event)


async def main(directory: Path) -> None:
    """Start everything, tell, wait."""
    sink = Sink()
    async with RealWorld(Tape(1), sink, targets={}, directory=directory, dependency_kinds={}) as world:
        server = await spawn(["sleep", "600"], name="server")
        await world.start_host(HostSpec(name="parent", program=host_programs.has_grandchildren))
        await world.start_host(HostSpec(name="frozen", program=host_programs.until_stopped))
        await world.freeze_host("frozen")
        while not any(isinstance(e, Observation) and e.name == "grandchildren" for e in sink):
            await asyncio.sleep(0.005)
        grandchildren = next(e for e in sink if isinstance(e, Observation) and e.name == "grandchildren")
        hosts = [host._child.pid for host in world._hosts.values()]
        told = {
            "run": world.run.id,
            "guard": world.run.guard_pid,
            "pids": [server.pid, *hosts, *grandchildren.value["pids"]],
            "scratch": str(world._scratch),
            "record": str(world.run.record_path),
        }
        print(json.dumps(told), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
