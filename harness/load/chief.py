"""The master's part, or the only process's: it has the assignment, and tells how the load is."""

import time
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent.event import Event
from locust.runners import STATE_MISSING, LocalRunner, MasterRunner

from harness.history.recorder import OperationLog
from harness.load import statistics, wire
from harness.load.session import Session
from harness.load.sinks import one_line

if TYPE_CHECKING:
    from harness.load.plumbing import Plumbing

LOOK_S: Final = 0.1
STATISTICS_S: Final = 2.0
_FINISH_S_MAX: Final = 3.0


class Chief:
    """The master, or the only process: has the assignment, tells how the load is, and sees to it that it is one."""

    def __init__(self, plumbing: "Plumbing", environment: Any, runner: Any, assignment: wire.Assignment) -> None:
        self._plumbing = plumbing
        self._environment = environment
        self._runner: MasterRunner | LocalRunner = runner
        self._assignment = assignment
        self._machine = wire.machine()
        self._log = OperationLog(plumbing.reports, self._now_ns, assignment.name, assignment.incarnation)
        self._users_max = 0
        self._crew: dict[str, dict[str, Any]] = {}
        self._finishing = False
        self._finished = Event()
        self._left: set[str] = set()
        events = environment.events
        events.test_start.add_listener(self._begin)
        events.quitting.add_listener(self._finish)
        events.user_error.add_listener(self._user_error)
        if isinstance(runner, MasterRunner):
            events.worker_report.add_listener(self._worker_report)
            runner.register_message(wire.HELLO, self._hello)
            runner.register_message(wire.EVENTS, self._events)
            runner.register_message(wire.TROUBLE, self._trouble)
            runner.register_message(wire.FINISHED, self._worker_finished)
        else:
            self.local = self._sit_down()
        gevent.spawn(self._look_after)

    def _sit_down(self) -> Session:
        """Make the session of users in this very process."""
        made = Session(self._assignment, self._plumbing.reports, worker=0, offset_ns=0, later=gevent.spawn_later)
        self._plumbing.session.set(made)
        return made

    def _now_ns(self) -> int:
        return time.monotonic_ns() - self._assignment.start_ns

    def _begin(self, **_: Any) -> None:
        if self._plumbing.session.ready():
            self._plumbing.session.get().begin()
        self._plumbing.reports.tell(wire.LoadBegan())

    def _look_after(self) -> None:
        """Observe users and statistics, and whether all workers are there."""
        shown: tuple[int, int] | None = None
        due = time.monotonic() + STATISTICS_S
        while not self._pause():
            now = (self._runner.user_count, self._workers())
            if now != shown:
                shown = now
                self._users_max = max(self._users_max, now[0])
                self._log.observe("load_users", users=now[0], wanted=self._assignment.users, workers=now[1])
            if time.monotonic() >= due:
                due += STATISTICS_S
                self._requests()
            for one in self._runner.exceptions.values():
                self._plumbing.failed(f"the code of a user raised: {one['msg']}")
            self._plumbing.ended()

    def _pause(self) -> bool:
        """Wait for the next look; return whether there is none any more."""
        gevent.sleep(LOOK_S)
        return self._finishing

    def _workers(self) -> int:
        """Return how many workers there are; one that was there and is lost makes the load another load."""
        if not isinstance(self._runner, MasterRunner):
            return 1
        clients = {one.id: one.state for one in self._runner.clients.all}
        for client in self._runner.clients.all:
            if (member := self._crew.get(client.id)) is not None:
                member["users"] = max(member["users"], client.user_count)
        for lost in [one for one in self._crew if clients.get(one, STATE_MISSING) == STATE_MISSING]:
            if not self._finishing:
                self._plumbing.failed(f"Locust lost its worker {self._crew[lost]['worker']}")
        return sum(state != STATE_MISSING for state in clients.values())

    def _requests(self) -> None:
        for fields in statistics.requests(self._environment.stats):
            self._log.observe("load_requests", **fields)

    def _hello(self, msg: Any, **_: Any) -> None:
        assert isinstance(self._runner, MasterRunner)
        self._crew.setdefault(
            msg.node_id,
            {"worker": self._runner.get_worker_index(msg.node_id), "users": 0, "requests": 0, "failures": 0},
        )
        answer = {
            "assignment": wire.ENCODER.encode(self._assignment),
            "machine": self._machine,
            "now_ns": time.monotonic_ns(),
            "asked_ns": msg.data["now_ns"],
        }
        self._runner.send_message(wire.ASSIGNMENT_MESSAGE, answer, client_id=msg.node_id)

    def _events(self, msg: Any, **_: Any) -> None:
        self._plumbing.reports.write(msg.data["lines"])
        self._crew[msg.node_id] |= {"here": msg.data["here"], "clock_error_ns": msg.data["clock_error_ns"]}

    def _trouble(self, msg: Any, **_: Any) -> None:
        self._plumbing.failed(msg.data["error"])

    def _worker_report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        one = self._crew.get(client_id)
        if one is not None:
            requests, failures = statistics.counts(data)
            one["requests"] += requests
            one["failures"] += failures

    def _user_error(self, exception: BaseException, **_: Any) -> None:
        self._plumbing.failed(f"the code of a user raised {one_line(exception)}")

    def _worker_finished(self, msg: Any, **_: Any) -> None:
        self._left.discard(msg.node_id)
        if not self._left:
            self._finished.set()

    def _finish(self, **_: Any) -> None:
        """Stop the users and take in all that they recorded, before Locust ends; then say what they came to.

        Locust fires its event once more when the last worker has left.
        """
        if self._finishing:
            return
        self._users_max = max(self._users_max, self._runner.user_count)
        self._finishing = True
        if isinstance(self._runner, MasterRunner):
            self._finish_workers(self._runner)
        else:
            self._runner.stop()
            self.local.links.flush()
        self._requests()
        for fields in statistics.failures(self._environment.stats):
            self._log.observe("load_failures", **fields)
        for one in sorted(self._crew.values(), key=lambda member: int(member["worker"])):
            self._log.observe("load_worker", **one)
        if self._users_max < self._assignment.users:
            self._plumbing.failed(f"the load had {self._users_max} of {self._assignment.users} users at the most")
        self._plumbing.ended()

    def _finish_workers(self, runner: MasterRunner) -> None:
        self._left = {one.id for one in runner.clients.all if one.state != STATE_MISSING} & self._crew.keys()
        if not self._left:
            return
        for one in list(self._left):
            runner.send_message(wire.FINISH, None, client_id=one)
        if not self._finished.wait(_FINISH_S_MAX):
            names = ", ".join(str(self._crew[one]["worker"]) for one in sorted(self._left))
            self._plumbing.failed(f"what Locust's worker {names} recorded last did not come in {_FINISH_S_MAX:.0f} s")
