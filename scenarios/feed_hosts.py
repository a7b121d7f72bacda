"""Hosts of the feed's clients: many on one machine, each with a connection of its own.

`watchers` stay, come back when a connection is lost, and say so in

- operations `connect` {client, session, last_seq, critical_seq}: from the first SYN to the end of the snapshot, with
  the result {seq, base, resumed, critical_from, seqs, sums} (number and checksum of each event of the snapshot);
- observations `feed`, the columns of `feed_record.py`;
- observations `left` {client, session, code, why, gaps, lost}: a connection is over, because it was `closed` or `lost`,
  because the server was `silent`, or because this client left (`leaves`, `storm`, `stops`, or a `gap` in what it got).

Some of them `leave` now and then, and come back. At the times in `storms_ns` all of a host leave and come back at once.
Clients with a `pace` read so many bytes, then nothing for so long; those that stall stop to read at all some time after
their welcome, and `stall` {client, session, pings} says when, and whether they go on to ping.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec

from harness.units import SECOND, as_seconds, ms, seconds
from harness.world.base import Host, HostSpec
from scenarios.dashboard_hosts import DASHBOARD, TOKEN
from scenarios.feed_client import FeedClient, FeedError, Snapshot, Welcome
from scenarios.feed_connection import End, FeedConnection
from scenarios.feed_record import Columns

_TICK_NS: Final = ms(500)
_CONNECT_S: Final = 3.0
_SESSIONS_A_LIFE: Final = 1_000
"""So that no two sessions of a client have one number, over all lives of its host."""
_BACKOFF_NS: Final = (ms(100), ms(800))

Why: TypeAlias = Literal["", "silent", "leaves", "storm", "stops", "gap"]


def watchers(
    name: str,
    *,
    clients: int,
    leave_every_ns: int = 0,
    away_ns: int = ms(700),
    storms_ns: Sequence[int] = (),
    pace: tuple[int, int] | None = None,
    stall_after_ns: int = 0,
    from_ns: int = 0,
) -> HostSpec:
    """Return a host of so many clients, that begin to connect `from_ns` after its start.

    One client in three leaves about each `leave_every_ns` (0: never), for `away_ns`. `pace` is in bytes and
    nanoseconds; with `stall_after_ns` each stops to read so long after its welcome, and every other goes on to ping.
    """
    params = {
        "clients": clients,
        "leave_every_ns": leave_every_ns,
        "away_ns": away_ns,
        "storms_ns": list(storms_ns),
        "pace": None if pace is None else list(pace),
        "stall_after_ns": stall_after_ns,
        "from_ns": from_ns,
    }
    return HostSpec(name=name, program=watch, params=params)


async def watch(host: Host) -> None:
    """Run the clients until asked to stop."""
    stopping = asyncio.ensure_future(host.stopping())
    await asyncio.wait({stopping}, timeout=as_seconds(host.params["from_ns"]))
    clients = [Watcher(host, number) for number in range(host.params["clients"])]
    tasks = [asyncio.create_task(one.run(), name=one.name) for one in clients]
    storms = [host.now_ns() + at_ns for at_ns in host.params["storms_ns"]] if host.incarnation == 1 else []
    while not stopping.done():
        for client in clients:
            client.tick()
        due_ns = host.now_ns() + _TICK_NS
        if storms and storms[0] <= due_ns:
            due_ns = storms.pop(0)
            await asyncio.wait({stopping}, timeout=as_seconds(max(0, due_ns - host.now_ns())))
            for client in clients:
                client.leave("storm")
        else:
            await asyncio.wait({stopping}, timeout=as_seconds(_TICK_NS))
    for client in clients:
        client.stop()
    await asyncio.gather(*tasks)


class Watcher:
    """One client: it connects, watches, and comes back. `tick` it twice a second."""

    def __init__(self, host: Host, number: int) -> None:
        params: Mapping[str, Any] = host.params
        self.name = f"{host.name}-{number:03d}"
        self._host = host
        self._params = params
        self._draws = host.draws(f"client/{number}").dice()
        self._feed = FeedClient(TOKEN)
        self._session = _SESSIONS_A_LIFE * (host.incarnation - 1)
        self._columns = Columns(self.name, 0)
        self._connection: FeedConnection | None = None
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._why: Why = ""
        self._heard_ns = self._pinged_ns = 0
        self._pings = 0
        self._welcomed: asyncio.Future[None] | None = None
        self._leaves = number % 3 == 1 and params["leave_every_ns"] > 0
        self._leave_ns = self._next_leave()
        self._stall_pings = number % 2 == 1
        self._stall_ns: int | None = None
        self._stalled = False

    async def run(self) -> None:
        """Connect again and again until stopped."""
        while not self._stopping.is_set():
            pause_ns = await self._one()
            if self._stopping.is_set():
                break
            try:
                async with asyncio.timeout(as_seconds(pause_ns)):
                    await self._hurry.wait()
            except TimeoutError:
                pass
            self._hurry.clear()

    def stop(self) -> None:
        """End it for good."""
        self._stopping.set()
        self._hurry.set()
        self.leave("stops")

    def leave(self, why: Why) -> None:
        """End the connection there is. After a storm it comes back at once."""
        if why == "storm":
            self._hurry.set()
        connection = self._connection
        if connection is not None and connection.end is None:
            self._why = self._why or why
            connection.close()
            connection.abort()

    def tick(self) -> None:
        """Ping, notice silence, leave or stall when it is time."""
        connection, now_ns = self._connection, self._host.now_ns()
        if connection is None or not self._feed.complete or connection.end is not None:
            return
        heartbeat_ns = seconds(self._feed.heartbeat_s)
        if self._stall_ns is not None and now_ns >= self._stall_ns:
            self._stall_ns, self._stalled = None, True
            connection.stall()
            self._observe("stall", pings=self._stall_pings)
        if now_ns - self._pinged_ns >= seconds(self._feed.ping_every_s) - _TICK_NS and (
            self._stall_pings or not self._stalled
        ):
            self._pinged_ns, self._pings = now_ns, self._pings + 1
            connection.send(msgspec.json.encode({"type": "ping", "id": self._pings}))
        if not self._stalled and now_ns - self._heard_ns > FeedClient.SILENT_HEARTBEATS * heartbeat_ns:
            self.leave("silent")
        elif self._leaves and now_ns >= self._leave_ns:
            self._leave_ns = self._next_leave()
            self.leave("leaves")

    # --- one connection -----------------------------------------------------------------------------------------

    async def _one(self) -> int:
        """Live through one connection; return how long to wait for the next, in nanoseconds."""
        self._session += 1
        self._why, self._stalled, self._stall_ns = "", False, None
        self._columns = Columns(self.name, self._session, self._host.now_ns())
        loop = asyncio.get_running_loop()
        self._welcomed = loop.create_future()
        pace = self._params["pace"]
        connection = self._connection = FeedConnection(
            f"{self._host.endpoints[DASHBOARD].replace('http', 'ws', 1)}/ws",
            name=f"{self.name}/{self._session}",
            on_text=self._heard,
            pace=None if pace is None else (pace[0], as_seconds(pace[1])),
        )
        if not await self._connect(connection):
            connection.abort()
            self._connection = None
            return self._draws.randint(*_BACKOFF_NS)
        if self._params["stall_after_ns"]:
            self._stall_ns = self._host.now_ns() + self._params["stall_after_ns"]
        end = await connection.ended
        self._connection = None
        self._flush()
        self._leave_record(end)
        connection.abort()
        left = str(self._why) == "leaves"
        return int(self._params["away_ns"]) if left else self._draws.randint(*_BACKOFF_NS)

    async def _connect(self, connection: FeedConnection) -> bool:
        """Connect, say hello, and wait for the welcome and the snapshot; return whether they came."""
        hello = self._feed.hello()
        asked = {name: msgspec.json.decode(hello)[name] for name in ("last_seq", "critical_seq")}
        operation = self._host.log.invoke("connect", client=self.name, session=self._session, **asked)
        self._result: dict[str, Any] = {}
        assert self._welcomed is not None
        try:
            async with asyncio.timeout(_CONNECT_S):
                if await connection.connect():
                    self._heard_ns = self._pinged_ns = self._host.now_ns()
                    connection.send(hello)
                    waited: set[asyncio.Future[Any]] = {self._welcomed, connection.ended}
                    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        except OSError as error:  # a TimeoutError is one
            operation.fail("no answer" if isinstance(error, TimeoutError) else "unreachable")
            return False
        if self._welcomed.done():
            operation.ok(**self._result)
            return True
        operation.fail(str(connection.end or End()))
        return False

    def _heard(self, text: bytes) -> None:
        """Take in one frame. Who sends what the protocol does not have is left."""
        now_ns = self._heard_ns = self._host.now_ns()
        complete = self._feed.complete
        gaps = len(self._feed.gaps)
        try:
            reading = self._feed.feed(text)
        except FeedError as error:
            self._observe("nonsense", error=str(error)[:200])
            self.leave("gap")
            return
        frame = reading.frame
        if isinstance(frame, Welcome):
            self._result = {"seq": frame.seq, "base": frame.base, "resumed": frame.resumed, "seqs": [], "sums": []}
        elif isinstance(frame, Snapshot):
            self._result["critical_from"] = frame.critical_from
            self._result["seqs"] += [event.seq for event in frame.state]
            self._result["sums"] += reading.sums
        elif complete and hasattr(frame, "events"):
            self._columns.batch(now_ns, reading)
            if now_ns - self._columns.taken_ns >= SECOND:
                self._flush()
        if self._feed.complete and self._welcomed is not None and not self._welcomed.done():
            self._welcomed.set_result(None)
        if len(self._feed.gaps) > gaps:
            self.leave("gap")

    def _flush(self) -> None:
        fields = self._columns.take(self._host.now_ns())
        if fields is not None:
            self._host.log.observe("feed", **fields)

    def _leave_record(self, end: End) -> None:
        why = self._why or ("lost" if end.code is None else "closed")
        gaps = [[gap.after, gap.through, gap.missing, gap.why] for gap in self._feed.gaps[-3:]] if why == "gap" else []
        self._observe("left", code=end.code, why=why, gaps=gaps, lost=len(self._feed.lost))

    def _observe(self, name: str, **fields: Any) -> None:
        self._host.log.observe(name, client=self.name, session=self._session, **fields)

    def _next_leave(self) -> int:
        every_ns = int(self._params["leave_every_ns"])
        return self._host.now_ns() + every_ns // 2 + self._draws.randrange(every_ns + 1)
