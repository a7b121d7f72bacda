"""What users of a load see of their host: the part of `harness.world.base.Host` that is theirs.

There is one session in each Locust process that has users, made once the assignment is known.
"""

import itertools
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import gevent
from gevent.event import AsyncResult, Event

from harness.history.recorder import OperationLog, Sink
from harness.load.wire import Assignment
from harness.tape import Stream, Tape
from harness.world.real.links import PORTS, LinkLog, Outcome

_ASK_S: Final = 0.05
_CONNECT_S_MAX: Final = 1.0
OPERATIONS: Final = 1 << 32
"""How many operations a worker can number; the next worker's numbers begin there."""


class Session:
    """The host, as one worker's users see it. `offset_ns` is what the machine's monotonic clock is behind the run's."""

    def __init__(
        self,
        assignment: Assignment,
        sink: Sink,
        *,
        worker: int,
        offset_ns: int,
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self.name = assignment.name
        self.incarnation = assignment.incarnation
        self.params: Mapping[str, Any] = assignment.params
        self.endpoints: Mapping[str, str] = assignment.endpoints
        self.worker = worker
        first = worker * OPERATIONS
        self.log = OperationLog(sink, self.now_ns, assignment.name, assignment.incarnation, first=first)
        self._behind_ns = offset_ns - assignment.start_ns
        self._tape = Tape(assignment.seed)
        self._numbers = itertools.count()
        self.began_ns = self.now_ns()
        self._up: Event | None = None
        self.links = LinkLog(self._saw, already=assignment.links_before, later=later)

    def begin(self) -> None:
        """The first users are about to be made: `began_ns` is now, whenever this process was started."""
        self.began_ns = self.now_ns()

    def now_ns(self) -> int:
        """Nanoseconds since the run began."""
        return time.monotonic_ns() + self._behind_ns

    def draws(self, label: str) -> Stream:
        """The tape's stream `workload/<host>/<label>`; a later incarnation draws anew."""
        again = f"#{self.incarnation}" if self.incarnation > 1 else ""
        return self._tape.stream(f"workload/{self.name}/{label}{again}")

    def next_user(self) -> str:
        """Return a name that no other user of this host has: `0.17`, worker and number. Labels draws and records."""
        return f"{self.worker}.{next(self._numbers)}"

    def wait_for(self, to: str) -> None:
        """Return once somebody listens at that host; `began_ns` is then, the same for all users of the process.

        A load is started before what it loads, so that this is not idle until the load is there. That its users are
        refused until then is neither the target's failure nor a fault's doing, and goes on no record.
        """
        if self._up is None:
            self._up = Event()
            while not self._listens(to):
                gevent.sleep(_ASK_S)
            self.begin()
            self._up.set()
        self._up.wait()

    def _listens(self, to: str) -> bool:
        try:
            socket.create_connection(self._address(to), timeout=_CONNECT_S_MAX).close()
        except OSError:
            return False
        return True

    def _address(self, to: str) -> tuple[str, int]:
        url = urlsplit(self.endpoints[to])
        return str(url.hostname), url.port or PORTS[url.scheme]

    def dial(self, to: str, timeout_s: float) -> socket.socket:
        """Connect to that dependency or host, and note what came of it. Raises `OSError`; closing is the caller's."""
        outcome: Outcome = "unreachable"
        try:
            connection = socket.create_connection(self._address(to), timeout=timeout_s)
            outcome = "connected"
        except ConnectionRefusedError:
            outcome = "refused"
            raise
        except ConnectionError:
            outcome = "reset"
            raise
        finally:
            self.links.saw(to, outcome)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _saw(self, **value: object) -> None:
        self.log.observe("link", **value)


class Seat:
    """Where users of a process find their session: empty until it is known, and again between two runs."""

    def __init__(self) -> None:
        self._session: AsyncResult[Session] = AsyncResult()

    @property
    def session(self) -> Session | None:
        """The session, if it is known."""
        return self._session.get() if self._session.ready() else None

    def take(self, session: Session) -> None:
        """It is known."""
        self._session.set(session)

    def leave(self) -> None:
        """It holds no longer."""
        self._session = AsyncResult()

    def wait(self, timeout_s: float) -> Session | None:
        """Return the session once it is known; None after the timeout."""
        self._session.wait(timeout_s)
        return self.session
