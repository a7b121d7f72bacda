"""A locustfile: the clients of the dashboard's feed, as `scenarios.feed_hosts.watch` has them in the sim world.

They take the same parameters, do the same and leave the same record; in addition Locust hears of requests, all of type
`WS`, times in milliseconds:

| | from | to |
|---|---|---|
| `connect` | the first SYN | the answer to the upgrade |
| `hello`, `resume` | the hello | the welcome, with its snapshot or resumed |
| `first batch` | that | the first batch |
| `batch` | the server's clock when the oldest event of a batch was published | its arrival by this machine's clock |
"""

import time
from typing import Any, Final, Literal, TypeAlias

import gevent
import msgspec
from locust import task

from harness.load.user import LoadUser
from harness.units import SECOND, as_seconds, ms, seconds
from scenarios.dashboard_hosts import DASHBOARD, TOKEN
from scenarios.feed_client import Batch, FeedClient, FeedError, Snapshot, Welcome
from scenarios.feed_record import Columns
from scenarios.load.connection import Connection

_TICK_NS: Final = ms(500)
_CONNECT_NS: Final = seconds(3)
_BACKOFF_NS: Final = (ms(100), ms(800))

Why: TypeAlias = Literal["", "silent", "leaves", "storm", "stops", "gap"]


class Watcher(LoadUser):
    """One client: it connects, watches, and comes back."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        params = self.session.params
        self._client = f"{self.session.name}-{self.name}"
        self._draws = self.session.draws(f"client/{self.name}").dice()
        self._feed = FeedClient(TOKEN)
        self._number = 0
        self._columns = Columns(self._client, 0)
        self._connection: Connection | None = None
        self._why: Why = ""
        self._heard_ns = self._pinged_ns = self._welcomed_ns = 0
        self._pings = 0
        self._away_ns = int(params["away_ns"])
        self._leave_every_ns = int(params["leave_every_ns"])
        self._leaves = int(self.name.rpartition(".")[2]) % 3 == 1 and self._leave_every_ns > 0
        self._leave_ns = self._next_leave()
        self._storms: list[int] = []
        self._from_ns = 0

    def on_start(self) -> None:
        """Begin when there is a dashboard; those who come back after a kill have begun before."""
        session = self.session
        if session.incarnation == 1:
            session.wait_for(DASHBOARD)
            self._storms = [session.began_ns + at_ns for at_ns in session.params["storms_ns"]]
        self._from_ns = session.began_ns + int(session.params["from_ns"])

    @task
    def watch(self) -> None:
        """Live through one connection, and wait for the next."""
        self._pause_until(self._from_ns)
        pause_ns = self._one()
        self._pause_until(min([self.session.now_ns() + pause_ns, *self._storms[:1]]))

    def on_stop(self) -> None:
        """Leave for good; Locust has stopped the user wherever it was waiting."""
        self._end("stops")

    # --- one connection -----------------------------------------------------------------------------------------

    def _one(self) -> int:
        """Live through one connection; return how long to wait for the next, in nanoseconds."""
        self._number += 1
        self._why = ""
        self._columns = Columns(self._client, self._number, self.session.now_ns())
        connection = self._connect()
        if connection is None:
            return self._draws.randint(*_BACKOFF_NS)
        while connection.end is None and not self._why:
            for text in connection.receive(self._patience_s()):
                self._heard(text)
            self._tick(connection)
        why = str(self._why)
        self._end("")
        if why == "storm":
            return 0
        return self._away_ns if why == "leaves" else self._draws.randint(*_BACKOFF_NS)

    def _connect(self) -> Connection | None:
        """Connect, say hello, and wait for the welcome and the snapshot; return the connection if they came."""
        hello = self._feed.hello()
        asked = {name: msgspec.json.decode(hello)[name] for name in ("last_seq", "critical_seq")}
        operation = self.session.log.invoke("connect", client=self._client, session=self._number, **asked)
        self._result: dict[str, Any] = {}
        began_ns = self.session.now_ns()
        try:
            connection = self._upgraded(began_ns)
        except OSError as error:  # a TimeoutError is one
            why = "no answer" if isinstance(error, TimeoutError) else "unreachable"
            operation.fail(why)
            self._request("connect", began_ns, why)
            return None
        if not connection.open:
            why = str(connection.end)
            operation.fail(why)
            self._request("connect", began_ns, why)
            return None
        self._request("connect", began_ns, None)
        kind = "hello" if asked["last_seq"] is None else "resume"
        hello_ns = self._heard_ns = self._pinged_ns = self.session.now_ns()
        connection.send(hello)
        self._wait(connection, until_ns=began_ns + _CONNECT_NS)
        if self._feed.complete:
            self._connection = connection
            self._welcomed_ns = self.session.now_ns()
            operation.ok(**self._result)
            self._request(kind, hello_ns, None)
            return connection
        why = "no answer" if connection.end is None else str(connection.end)
        operation.fail(why)
        self._request(kind, hello_ns, why)
        connection.close()
        return None

    def _upgraded(self, began_ns: int) -> Connection:
        """Connect, and wait for the answer to the upgrade."""
        connection = Connection(
            self.session,
            DASHBOARD,
            "/ws",
            name=f"{self._client}/{self._number}",
            timeout_s=as_seconds(_CONNECT_NS),
        )
        while not connection.open and connection.end is None:
            left_ns = began_ns + _CONNECT_NS - self.session.now_ns()
            if left_ns <= 0:
                connection.close()
                raise TimeoutError
            connection.receive(as_seconds(left_ns))
        return connection

    def _wait(self, connection: Connection, until_ns: int) -> None:
        """Take in what comes until the feed is complete."""
        while not self._feed.complete and connection.end is None and not self._why:
            left_ns = until_ns - self.session.now_ns()
            if left_ns <= 0:
                return
            for text in connection.receive(as_seconds(left_ns)):
                self._heard(text)

    def _heard(self, text: bytes) -> None:
        """Take in one frame. Who sends what the protocol does not have is left."""
        now_ns = self._heard_ns = self.session.now_ns()
        complete = self._feed.complete
        gaps = len(self._feed.gaps)
        try:
            reading = self._feed.feed(text)
        except FeedError as error:
            self._observe("nonsense", error=str(error)[:200])
            self._why = "gap"
            return
        frame = reading.frame
        if isinstance(frame, Welcome):
            self._result = {"seq": frame.seq, "base": frame.base, "resumed": frame.resumed, "seqs": [], "sums": []}
        elif isinstance(frame, Snapshot):
            self._result["critical_from"] = frame.critical_from
            self._result["seqs"] += [event.seq for event in frame.state]
            self._result["sums"] += reading.sums
        elif complete and isinstance(frame, Batch):
            self._columns.batch(now_ns, reading)
            self._tell_batch(frame)
            if now_ns - self._columns.taken_ns >= SECOND:
                self._flush()
        if len(self._feed.gaps) > gaps:
            self._why = "gap"

    def _tick(self, connection: Connection) -> None:
        """Ping, notice silence, leave when it is time."""
        now_ns = self.session.now_ns()
        if now_ns - self._pinged_ns >= seconds(self._feed.ping_every_s) - _TICK_NS:
            self._pinged_ns, self._pings = now_ns, self._pings + 1
            connection.send(msgspec.json.encode({"type": "ping", "id": self._pings}))
        if now_ns - self._heard_ns > FeedClient.SILENT_HEARTBEATS * seconds(self._feed.heartbeat_s):
            self._why = self._why or "silent"
        elif self._storms and now_ns >= self._storms[0]:
            self._why = self._why or "storm"
        elif self._leaves and now_ns >= self._leave_ns:
            self._leave_ns = self._next_leave()
            self._why = self._why or "leaves"
        self._storms = [at_ns for at_ns in self._storms if at_ns > now_ns]

    def _patience_s(self) -> float:
        """Return how long to wait for the server before there is something else to do."""
        now_ns = self.session.now_ns()
        due_ns = min([now_ns + _TICK_NS, *self._storms[:1]])
        return as_seconds(max(ms(1), due_ns - now_ns))

    def _pause_until(self, time_ns: int) -> None:
        """Wait until that time of the run; who was away in a storm comes back with the others."""
        while (left_ns := time_ns - self.session.now_ns()) > 0:
            gevent.sleep(as_seconds(left_ns))
        self._storms = [at_ns for at_ns in self._storms if at_ns > self.session.now_ns()]

    # --- the record ---------------------------------------------------------------------------------------------

    def _end(self, why: Why) -> None:
        """Note how the connection ended, if there was one."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._flush()
        said = self._why or why or ("lost" if connection.end is None or connection.end.code is None else "closed")
        gaps = [[gap.after, gap.through, gap.missing, gap.why] for gap in self._feed.gaps[-3:]] if said == "gap" else []
        code = None if connection.end is None else connection.end.code
        self._observe("left", code=code, why=said, gaps=gaps, lost=len(self._feed.lost))
        connection.close()

    def _flush(self) -> None:
        fields = self._columns.take(self.session.now_ns())
        if fields is not None:
            self.session.log.observe("feed", **fields)

    def _observe(self, name: str, **fields: Any) -> None:
        self.session.log.observe(name, client=self._client, session=self._number, **fields)

    def _next_leave(self) -> int:
        return self.session.now_ns() + self._leave_every_ns // 2 + self._draws.randrange(self._leave_every_ns + 1)

    # --- what Locust hears --------------------------------------------------------------------------------------

    def _tell_batch(self, frame: Batch) -> None:
        if self._welcomed_ns:
            self._request("first batch", self._welcomed_ns, None)
            self._welcomed_ns = 0
        if frame.events:
            oldest_ns = min(event.at for event in frame.events)
            self._fire("batch", max(0, time.time_ns() - oldest_ns), None)

    def _request(self, name: str, began_ns: int, error: str | None) -> None:
        self._fire(name, self.session.now_ns() - began_ns, error)

    def _fire(self, name: str, took_ns: int, error: str | None) -> None:
        self.environment.events.request.fire(
            request_type="WS",
            name=name,
            response_time=took_ns / ms(1),
            response_length=0,
            exception=None if error is None else ConnectionError(error),
            context={},
        )
