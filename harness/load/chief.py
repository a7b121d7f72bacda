"""Who has the assignment, the master or the only process: tells how the load is, and sees to it that it is one."""

import time
from collections.abc import Callable
from typing import Any, Final

import gevent
import locust.log
from gevent.event import Event
from locust.runners import STATE_MISSING, MasterRunner, Runner

from harness.history.recorder import OperationLog
from harness.load import statistics, wire
from harness.load.session import Seat, Session
from harness.load.sinks import UNHANDLED, Reports, one_line

LOOK_S: Final = 0.1
STATISTICS_S: Final = 2.0
_FINISH_S_MAX: Final = 3.0


class Overseer:
    """Observes users, statistics and failures of a runner, until told that the load ends.

    `workers` says how many worker processes there are, and notices if one is lost. `offset_ns` is what is to be added
    to this machine's monotonic clock.
    """

    def __init__(
        self,
        reports: Reports,
        environment: Any,
        runner: Runner,
        assignment: wire.Assignment,
        *,
        workers: Callable[[], int],
        offset_ns: int = 0,
    ) -> None:
        self.log = OperationLog(reports, self._now_ns, assignment.name, assignment.incarnation)
        self.ending = False
        self._reports = reports
        self._stats = environment.stats
        self._runner = runner
        self._assignment = assignment
        self._workers = workers
        self._offset_ns = offset_ns
        self._users_max = 0
        gevent.spawn(self._look_after)

    def end(self) -> None:
        """Look no further: what changes from now on is the end's doing."""
        self._users_max = max(self._users_max, self._runner.user_count)
        self.ending = True

    def tell(self) -> None:
        """Say what it came to."""
        self._requests()
        for fields in statistics.failures(self._stats):
            self.log.observe("load_failures", **fields)
        if self._users_max < self._assignment.users:
            self._reports.failed(f"the load had {self._users_max} of {self._assignment.users} users at the most")
        if locust.log.unhandled_greenlet_exception:
            self._reports.failed(UNHANDLED)

    def _now_ns(self) -> int:
        return time.monotonic_ns() + self._offset_ns - self._assignment.start_ns

    def _look_after(self) -> None:
        shown: tuple[int, int] | None = None
        due = time.monotonic() + STATISTICS_S
        while not self._pause():
            now = (self._runner.user_count, self._workers())
            if now != shown:
                shown = now
                self._users_max = max(self._users_max, now[0])
                self.log.observe("load_users", users=now[0], wanted=self._assignment.users, workers=now[1])
            if time.monotonic() >= due:
                due += STATISTICS_S
                self._requests()
            for one in self._runner.exceptions.values():
                self._reports.failed(f"the code of a user raised: {one['msg']}")
            if locust.log.unhandled_greenlet_exception:
                self._reports.failed(UNHANDLED)

    def _pause(self) -> bool:
        """Wait for the next look; return whether there is none any more."""
        gevent.sleep(LOOK_S)
        return self.ending

    def _requests(self) -> None:
        for fields in statistics.requests(self._stats):
            self.log.observe("load_requests", **fields)


class Alone:
    """The only process: its users are here, and what they record goes down the pipe at once."""

    def __init__(
        self,
        reports: Reports,
        environment: Any,
        runner: Runner,
        assignment: wire.Assignment,
        seat: Seat,
    ) -> None:
        self._reports = reports
        self._runner = runner
        self._session = Session(assignment, reports, worker=0, offset_ns=0, later=gevent.spawn_later)
        seat.take(self._session)
        environment.events.test_start.add_listener(self._begin)
        environment.events.user_error.add_listener(self._user_error)
        self._overseer = Overseer(reports, environment, runner, assignment, workers=lambda: 1)

    def finish(self, **_: Any) -> None:
        """Stop the users, before Locust ends, and say what they came to."""
        self._overseer.end()
        self._runner.stop()
        self._session.links.flush()
        self._overseer.tell()

    def _begin(self, **_: Any) -> None:
        self._session.begin()
        self._reports.began()

    def _user_error(self, exception: BaseException, **_: Any) -> None:
        self._reports.failed(f"the code of a user raised {one_line(exception)}")


class Master:
    """A master's part in one run: gives its workers the assignment, takes in what they record, misses who is lost.

    `machine` is where the run is, and `offset_ns` what is to be added to this machine's monotonic clock to have that
    one's.
    """

    def __init__(
        self,
        reports: Reports,
        environment: Any,
        runner: MasterRunner,
        assignment: wire.Assignment,
        *,
        machine: str | None = None,
        offset_ns: int = 0,
    ) -> None:
        self._reports = reports
        self._events = environment.events
        self._runner = runner
        self._assignment = assignment
        self._machine = machine or wire.machine()
        self._offset_ns = offset_ns
        self._crew: dict[str, dict[str, Any]] = {}
        self._finished = Event()
        self._left: set[str] = set()
        self._events.test_start.add_listener(self._begin)
        self._events.worker_report.add_listener(self._worker_report)
        for name, handle in (
            (wire.HELLO, self._hello),
            (wire.EVENTS, self._recorded),
            (wire.TROUBLE, self._trouble),
            (wire.FINISHED, self._worker_finished),
        ):
            runner.custom_messages.pop(name, None)  # an earlier run's
            runner.register_message(name, handle)
        self._overseer = Overseer(reports, environment, runner, assignment, workers=self._workers, offset_ns=offset_ns)

    @property
    def crew(self) -> int:
        """How many workers have asked for the assignment."""
        return len(self._crew)

    def finish(self, **_: Any) -> None:
        """Stop the users and take in all that they recorded, before Locust ends; then say what they came to.

        Locust fires its event once more when the last worker has left.
        """
        if self._overseer.ending:
            return
        self._overseer.end()
        self._finish_workers()
        self._overseer.tell()
        for one in sorted(self._crew.values(), key=lambda member: int(member["worker"])):
            self._overseer.log.observe("load_worker", **one)
        self._events.test_start.remove_listener(self._begin)
        self._events.worker_report.remove_listener(self._worker_report)

    def drop(self) -> None:
        """Have nothing more to do with the run: nobody is there to be told."""
        self._overseer.ending = True
        self._events.test_start.remove_listener(self._begin)
        self._events.worker_report.remove_listener(self._worker_report)

    def _begin(self, **_: Any) -> None:
        self._reports.began()

    def _workers(self) -> int:
        """Return how many workers there are; one that was there and is lost makes the load another load."""
        clients = {one.id: one for one in self._runner.clients.all if one.state != STATE_MISSING}
        for name, member in self._crew.items():
            if name in clients:
                member["users"] = max(member["users"], clients[name].user_count)
            elif not self._overseer.ending:
                self._reports.failed(f"Locust lost its worker {member['worker']}")
        return len(clients)

    def _hello(self, msg: Any, **_: Any) -> None:
        number = self._runner.get_worker_index(msg.node_id)
        self._crew.setdefault(msg.node_id, {"worker": number, "users": 0, "requests": 0, "failures": 0})
        answer = {
            "assignment": wire.ENCODER.encode(self._assignment),
            "machine": self._machine,
            "now_ns": time.monotonic_ns() + self._offset_ns,
            "asked_ns": msg.data["now_ns"],
        }
        self._runner.send_message(wire.ASSIGNMENT_MESSAGE, answer, client_id=msg.node_id)

    def _recorded(self, msg: Any, **_: Any) -> None:
        if msg.node_id in self._crew:  # else it is late, of an earlier run
            self._reports.write(msg.data["lines"])
            self._crew[msg.node_id] |= {"here": msg.data["here"], "clock_error_ns": msg.data["clock_error_ns"]}

    def _trouble(self, msg: Any, **_: Any) -> None:
        self._reports.failed(msg.data["error"])

    def _worker_report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        one = self._crew.get(client_id)
        if one is not None:
            requests, failures = statistics.counts(data)
            one["requests"] += requests
            one["failures"] += failures

    def _worker_finished(self, msg: Any, **_: Any) -> None:
        self._left.discard(msg.node_id)
        if not self._left:
            self._finished.set()

    def _finish_workers(self) -> None:
        self._left = {one.id for one in self._runner.clients.all if one.state != STATE_MISSING} & self._crew.keys()
        if not self._left:
            return
        for one in list(self._left):
            self._runner.send_message(wire.FINISH, None, client_id=one)
        if not self._finished.wait(_FINISH_S_MAX):
            names = ", ".join(str(self._crew[one]["worker"]) for one in sorted(self._left))
            self._reports.failed(f"what Locust's worker {names} recorded last did not come in {_FINISH_S_MAX:.0f} s")
