"""A worker's part: it asks the master for the assignment, and sends what its users record."""

import time
from typing import Any, Final

import gevent
import locust.log
import msgspec
from locust.runners import WorkerRunner

from harness.load import wire
from harness.load.session import Seat, Session
from harness.load.sinks import UNHANDLED, Outbox, one_line

FLUSH_S: Final = 0.1
"""How often a worker sends to its master what its users have recorded."""
_ASK_S: Final = 1.0


class Worker:
    """A worker: asks for its assignment, and sends what its users record."""

    def __init__(self, seat: Seat, environment: Any, runner: WorkerRunner) -> None:
        self._seat = seat
        self._runner = runner
        self._outbox = Outbox()
        self._machine = wire.machine()
        self._here = True
        self._clock_error_ns = 0
        self._well = True
        environment.events.test_start.add_listener(self._begin)
        environment.events.user_error.add_listener(self._user_error)
        runner.register_message(wire.ASSIGNMENT_MESSAGE, self._assigned)
        runner.register_message(wire.FINISH, self._finish, concurrent=True)
        runner.register_message(wire.RENEW, self._renew)
        gevent.spawn(self._work)

    def _work(self) -> None:
        self._ask()
        while True:
            gevent.sleep(FLUSH_S)
            self._flush()
            if locust.log.unhandled_greenlet_exception:
                self._trouble(UNHANDLED)

    def _ask(self) -> None:
        while self._seat.session is None:
            self._runner.send_message(wire.HELLO, {"now_ns": time.monotonic_ns()})
            self._seat.wait(_ASK_S)

    def _renew(self, **_: Any) -> None:
        """Another run: the assignment of the last no longer holds."""
        self._seat.leave()
        self._outbox.take()
        self._well = True
        gevent.spawn(self._ask)

    def _flush(self) -> None:
        lines = self._outbox.take()
        if lines:
            data = {"lines": lines, "here": self._here, "clock_error_ns": self._clock_error_ns}
            self._runner.send_message(wire.EVENTS, data)

    def _assigned(self, msg: Any, **_: Any) -> None:
        if self._seat.session is not None:
            return
        now_ns = time.monotonic_ns()
        self._here = msg.data["machine"] == self._machine
        took_ns = now_ns - msg.data["asked_ns"]
        offset_ns = 0 if self._here else msg.data["now_ns"] - (msg.data["asked_ns"] + took_ns // 2)
        self._clock_error_ns = 0 if self._here else took_ns // 2
        assignment = msgspec.json.decode(msg.data["assignment"], type=wire.Assignment)
        made = Session(
            assignment,
            self._outbox,
            worker=self._runner.worker_index,
            offset_ns=offset_ns,
            later=gevent.spawn_later,
        )
        self._seat.take(made)

    def _begin(self, **_: Any) -> None:
        if self._seat.session is not None:
            self._seat.session.begin()

    def _user_error(self, exception: BaseException, **_: Any) -> None:
        self._trouble(f"the code of a user raised {one_line(exception)}")

    def _trouble(self, error: str) -> None:
        """Tell the master, once."""
        if self._well:
            self._well = False
            self._runner.send_message(wire.TROUBLE, {"error": error})

    def _finish(self, **_: Any) -> None:
        """Stop the users, then send what they recorded and their last statistics, and say so."""
        self._runner.stop()
        if self._seat.session is not None:
            self._seat.session.links.flush()
        self._flush()
        self._runner._send_stats()  # noqa: SLF001 - else the last ones come after the master has told of them
        self._runner.send_message(wire.FINISHED)
