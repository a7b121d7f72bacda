"""What connects Locust's processes to the history: listeners of Locust's events, and messages of its own protocol.

`Plumbing` is the process's one connection to the harness; which part it plays (master, worker, all in one) shows when
Locust has made its runner. A locustfile sees none of it but `session()`.
"""

import os
from typing import Any, ClassVar, Final

import locust
import locust.log
from gevent.event import AsyncResult
from locust.runners import WorkerRunner

from harness.load import wire
from harness.load.chief import Chief
from harness.load.session import Session
from harness.load.sinks import Reports
from harness.load.worker import Worker

_ASSIGNED_S_MAX: Final = 20.0


def session() -> Session:
    """Return what users of this process see of their host; wait for it if need be. Raises `gevent.Timeout`."""
    found: Session = Plumbing.in_place().session.get(timeout=_ASSIGNED_S_MAX)
    return found


class Plumbing:
    """One Locust process's connection to the harness."""

    _here: ClassVar["Plumbing | None"] = None

    def __init__(self, assignment: int, reports: int) -> None:
        self.session: AsyncResult[Session] = AsyncResult()
        self.reports = Reports(reports)
        self.assignment: wire.Assignment | None = None
        if assignment >= 0:
            with os.fdopen(assignment, "rb") as file:
                self.assignment = wire.ASSIGNMENT.decode(file.read())
        self._failed = False
        locust.events.init.add_listener(self._init)

    @classmethod
    def in_place(cls, assignment: int = -1, reports: int = -1) -> "Plumbing":
        """Return the process's plumbing. A worker that was started by hand has no descriptors."""
        if cls._here is None:
            cls._here = cls(assignment, reports)
        return cls._here

    def failed(self, error: str) -> None:
        """Tell, once, that this process is not well; a worker elsewhere tells its master."""
        if not self._failed:
            self._failed = True
            self.reports.tell(wire.LoadFailed(error))

    def ended(self) -> None:
        """Locust ends. What has gone wrong in its greenlets it has only logged."""
        if locust.log.unhandled_greenlet_exception:
            self.failed("an error in one of Locust's own greenlets or in a listener of its events; the log has it")

    def _init(self, environment: Any, runner: Any, **_: Any) -> None:
        if isinstance(runner, WorkerRunner):
            Worker(self, environment, runner)
        elif self.assignment is not None:
            Chief(self, environment, runner, self.assignment)
