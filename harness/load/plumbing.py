"""What connects Locust's processes to the history: listeners of Locust's events, and messages of its own protocol.

`Plumbing` is the process's one connection to the harness; which part it plays (master, worker, all in one) shows when
Locust has made its runner. A locustfile sees none of it but `session()`.
"""

import os
from typing import Any, ClassVar, Final

import locust
import locust.runners
from locust.runners import MasterRunner, WorkerRunner

from harness.load import wire
from harness.load.chief import Alone, Master
from harness.load.errors import LocustError
from harness.load.foreign import Envoy, ForeignMaster
from harness.load.session import Seat, Session
from harness.load.sinks import Reports, pipe
from harness.load.worker import Worker

HEARTBEATS_MAX: Final = 10
"""After so many seconds without a heartbeat a worker is lost. Locust's own 3 are few where all share a busy machine."""
_ASSIGNED_S_MAX: Final = 20.0


def session() -> Session:
    """Return what users of this process see of their host; wait for it if need be. Raises `LocustError`."""
    found = Plumbing.in_place().seat.wait(_ASSIGNED_S_MAX)
    if found is None:
        raise LocustError("this locustfile is run by the harness: `harness run SCENARIO --world real`")
    return found


class Plumbing:
    """One Locust process's connection to the harness."""

    _here: ClassVar["Plumbing | None"] = None

    def __init__(self, assignment: int, reports: int) -> None:
        self.seat = Seat()
        self.reports = Reports(pipe(reports))
        self.assignment: wire.Assignment | None = None
        if assignment >= 0:
            with os.fdopen(assignment, "rb") as file:
                self.assignment = wire.ASSIGNMENT.decode(file.read())
        locust.events.init.add_listener(self._init)

    @classmethod
    def in_place(cls, assignment: int = -1, reports: int = -1) -> "Plumbing":
        """Return the process's plumbing. A worker that was started by hand has no descriptors."""
        if cls._here is None:
            cls._here = cls(assignment, reports)
        return cls._here

    def _init(self, environment: Any, runner: Any, **_: Any) -> None:
        locust.runners.HEARTBEAT_LIVENESS = HEARTBEATS_MAX
        if isinstance(runner, WorkerRunner):
            Worker(self.seat, environment, runner)
            if self.assignment is not None:
                Envoy(self.reports, environment, runner, self.assignment)
        elif self.assignment is None:
            if isinstance(runner, MasterRunner):
                ForeignMaster(environment, runner)
        elif isinstance(runner, MasterRunner):
            master = Master(self.reports, environment, runner, self.assignment)
            environment.events.quitting.add_listener(master.finish)
        else:
            alone = Alone(self.reports, environment, runner, self.assignment, self.seat)
            environment.events.quitting.add_listener(alone.finish)
