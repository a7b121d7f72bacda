"""A run at a Locust master that is not ours: somebody started it, with the same locustfile, and it outlives the run.

Our workers join it like any others. One of them, the *envoy*, also brings it the assignment, and takes back to the host
process what it reports: to the history it makes no difference whose the master is. At the end the envoy says so; the
users are stopped, and the master waits for the next run.

                            assignment, "the run is over"
    host process -> envoy ------------------------------->  foreign master  <-> workers, ours and others
                          <-------------------------------
                            events, users, statistics
"""

import time
from typing import Any, Final

import gevent
from gevent.event import Event
from locust.runners import STATE_STOPPING, MasterRunner, WorkerRunner

from harness.load import wire
from harness.load.chief import Master
from harness.load.sinks import Reports

_ASK_S: Final = 1.0
_TAKEN_S_MAX: Final = 5.0
"""It has answered us as a worker before, so it is neither far nor slow."""
_LEFT_S_MAX: Final = 5.0
_COME_S: Final = 0.05


class Envoy:
    """One of our workers, between the host process and the master."""

    def __init__(self, reports: Reports, environment: Any, runner: WorkerRunner, assignment: wire.Assignment) -> None:
        self._reports = reports
        self._runner = runner
        self._assignment = assignment
        self._taken = Event()
        self._left = Event()
        environment.events.quitting.add_listener(self._leave)
        runner.register_message(wire.TIME, self._time)
        runner.register_message(wire.REPORTS, self._report)
        runner.register_message(wire.LEFT, self._over)
        gevent.spawn(self._bring)

    def _bring(self) -> None:
        until = time.monotonic() + _TAKEN_S_MAX
        order = {"assignment": wire.ENCODER.encode(self._assignment), "machine": wire.machine()}
        while not self._taken.is_set():
            if time.monotonic() > until:
                place = f"{self._runner.master_host}:{self._runner.master_port}"
                self._reports.failed(f"the Locust master at {place} knows nothing of us: start it with this locustfile")
                return
            self._runner.send_message(wire.TAKE, order)
            self._taken.wait(_ASK_S)

    def _time(self, msg: Any, **_: Any) -> None:
        self._taken.set()
        self._runner.send_message(wire.TIME, {"now_ns": time.monotonic_ns(), "asked_ns": msg.data["now_ns"]})

    def _report(self, msg: Any, **_: Any) -> None:
        self._reports.write(msg.data["lines"])

    def _over(self, **_: Any) -> None:
        self._left.set()

    def _leave(self, **_: Any) -> None:
        """The host process has asked us to end: have the master end the run first."""
        if not self._taken.is_set() or self._left.is_set():
            return
        self._runner.send_message(wire.LEAVE)
        if not self._left.wait(_LEFT_S_MAX):
            self._reports.failed(f"Locust's master did not say in {_LEFT_S_MAX:.0f} s what the load came to")


class ForeignMaster:
    """A master that serves whichever harness sends an envoy, one run after the other."""

    def __init__(self, environment: Any, runner: MasterRunner) -> None:
        self._environment = environment
        self._runner = runner
        self._run: Master | None = None
        self._envoy = ""
        self._order: dict[str, Any] = {}
        runner.register_message(wire.TAKE, self._take)
        runner.register_message(wire.TIME, self._begin)
        runner.register_message(wire.LEAVE, self._leave, concurrent=True)

    def _take(self, msg: Any, **_: Any) -> None:
        self._order = msg.data
        self._runner.send_message(wire.TIME, {"now_ns": time.monotonic_ns()}, client_id=msg.node_id)

    def _begin(self, msg: Any, **_: Any) -> None:
        """The envoy's time is known; an answer to a question that was repeated says nothing new."""
        if msg.node_id == self._envoy:
            return
        if self._run is not None:
            self._run.drop()
        self._envoy = msg.node_id
        asked_ns, now_ns = msg.data["asked_ns"], time.monotonic_ns()
        here = self._order["machine"] == wire.machine()
        assignment = wire.ASSIGNMENT.decode(self._order["assignment"])
        self._run = Master(
            Reports(self._send),
            self._environment,
            self._runner,
            assignment,
            machine=self._order["machine"],
            offset_ns=0 if here else msg.data["now_ns"] - (asked_ns + now_ns) // 2,
        )
        for client in self._runner.clients.all:
            self._runner.send_message(wire.RENEW, None, client_id=client.id)
        gevent.spawn(self._start, self._run, assignment)

    def _start(self, run: Master, assignment: wire.Assignment) -> None:
        """Begin once every worker has come, and what went on before has ended."""
        self._runner.stop()
        while run.crew < assignment.workers or self._runner.state == STATE_STOPPING:
            gevent.sleep(_COME_S)
            if run is not self._run:
                return
        self._runner.start(assignment.users, assignment.spawn_rate)

    def _send(self, lines: bytes) -> None:
        self._runner.send_message(wire.REPORTS, {"lines": lines}, client_id=self._envoy)

    def _leave(self, msg: Any, **_: Any) -> None:
        """The run is over. Locust's own `stop` has the workers that stay ready for the next.

        It comes before the answer: a worker that leaves while it is asked to be ready would be counted on for ever.
        """
        if self._run is None or msg.node_id != self._envoy:
            return
        self._run.finish()
        self._run = None
        self._runner.stop()
        self._runner.send_message(wire.LEFT, None, client_id=self._envoy)
